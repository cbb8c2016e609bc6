"""The tools of a Chat Completions request, today's `tools` and the older `functions`, and which may be called."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.prompt import Offer, Tools


class Function(msgspec.Struct):
    name: str
    parameters: Any = None


class Tool(msgspec.Struct):
    type: str
    function: Function | None = None


class FunctionChoice(msgspec.Struct):
    name: str


class AllowedTool(msgspec.Struct):
    function: FunctionChoice | None = None


class AllowedTools(msgspec.Struct):
    mode: str
    tools: list[AllowedTool]


class ToolChoice(msgspec.Struct):
    type: str
    function: FunctionChoice | None = None
    allowed_tools: AllowedTools | None = None


def offered_tools(tools: list[Tool], choice: str | ToolChoice | None, *, parallel: bool) -> Tools:
    """The function tools that may be called now. Custom tools are not called: the sandbox fills schemas."""
    offers = []
    for at, tool in enumerate(tools):
        if tool.type == "function":
            if tool.function is None:
                raise InvalidRequest("a function tool without function", param=f"tools[{at}].function")
            offers.append(_offer(tool.function, f"tools[{at}].function.parameters"))
        elif tool.type != "custom":
            raise InvalidRequest(f"unknown tool type {tool.type[:60]!r}", param=f"tools[{at}].type")
    if isinstance(choice, ToolChoice):
        return _chosen(offers, choice, parallel=parallel)
    return _by_word(offers, choice, "tool_choice", parallel=parallel)


def offered_functions(functions: list[Function], choice: str | FunctionChoice | None) -> Tools:
    offers = [_offer(each, f"functions[{at}].parameters") for at, each in enumerate(functions)]
    if isinstance(choice, FunctionChoice):
        return Tools(offers=_named(offers, [choice], "function_call"), must_call=True, parallel=False)
    return _by_word(offers, choice, "function_call", parallel=False)


def _offer(function: Function, where: str) -> Offer:
    return Offer(function.name, function.parameters, where)


def _by_word(offers: list[Offer], choice: str | None, param: str, *, parallel: bool) -> Tools:
    if choice not in (None, "auto", "none", "required"):
        raise InvalidRequest(f"{param} is none, auto, required or an object, not {choice[:60]!r}", param=param)
    if choice == "none":
        return Tools()
    if choice == "required" and not offers:
        raise InvalidRequest(f"{param} is required, but no function tool is offered", param=param)
    return Tools(offers=offers, must_call=choice == "required", parallel=parallel)


def _chosen(offers: list[Offer], choice: ToolChoice, *, parallel: bool) -> Tools:
    if choice.type == "function" and choice.function is not None:
        named = _named(offers, [choice.function], "tool_choice.function.name")
        return Tools(offers=named, must_call=True, parallel=parallel)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        if allowed.mode not in ("auto", "required"):
            raise InvalidRequest("mode is auto or required", param="tool_choice.allowed_tools.mode")
        names = [tool.function for tool in allowed.tools if tool.function is not None]
        named = _named(offers, names, "tool_choice.allowed_tools.tools")
        return Tools(offers=named, must_call=allowed.mode == "required", parallel=parallel)
    raise InvalidRequest("tool_choice names neither a function nor allowed_tools", param="tool_choice")


def _named(offers: list[Offer], choices: list[FunctionChoice], param: str) -> list[Offer]:
    by_name = {offer.name: offer for offer in offers}
    for choice in choices:
        if choice.name not in by_name:
            raise InvalidRequest(f"no tool {choice.name[:60]!r} is offered", param=param)
    return [by_name[choice.name] for choice in choices]
