"""The tools of a Responses request, and which of them may be called.

Source: the `openai` package's types/responses/tool_param.py and tool_choice_*.py. Hosted tools are refused: nothing
here could run them.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.prompt import Offer, Tools
from trunkline.providers.sandbox.responses_input import Name


class FunctionTool(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="function"):
    """`strict` is on unless it is turned off."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = True
    allowed_callers: list[str] | UnsetType | None = UNSET
    defer_loading: bool | UnsetType | None = UNSET
    output_schema: dict[str, Any] | UnsetType | None = UNSET
    async_: bool | UnsetType | None = msgspec.field(name="async", default=UNSET)


class CustomFormat(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    type: Literal["text", "grammar"] = "text"
    syntax: Literal["lark", "regex"] | UnsetType = UNSET
    definition: str | UnsetType = UNSET


class CustomTool(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="custom"):
    name: Name
    description: str | None = None
    format: CustomFormat = CustomFormat()
    allowed_callers: list[str] | UnsetType | None = UNSET
    defer_loading: bool | UnsetType | None = UNSET
    async_: bool | UnsetType | None = msgspec.field(name="async", default=UNSET)


Tool = FunctionTool | CustomTool


class AllowedTool(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    name: str | UnsetType = UNSET


class ToolChoice(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function", "custom", "allowed_tools"]
    name: str | UnsetType = UNSET
    mode: Literal["auto", "required"] | UnsetType = UNSET
    tools: list[AllowedTool] | UnsetType = UNSET


INPUT = "input"
"""The argument that holds a custom tool's text, until it is written out alone."""


def offered(tools: list[Tool], choice: str | ToolChoice | None, text: str, *, parallel: bool) -> Tools:
    """The tools that may be called now; `text` is what a custom tool is given.

    Raises InvalidRequest for a choice of what is not offered.
    """
    offers = [_offer(tool, text, f"tools[{at}]") for at, tool in enumerate(tools)]
    if isinstance(choice, ToolChoice):
        return _chosen(tools, offers, choice, parallel=parallel)
    if choice not in (None, "auto", "none", "required"):
        raise InvalidRequest(
            f"tool_choice is none, auto, required or an object, not {choice[:60]!r}", param="tool_choice"
        )
    if choice == "none":
        return Tools()
    if choice == "required" and not offers:
        raise InvalidRequest("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
    return Tools(offers=offers, must_call=choice == "required", parallel=parallel)


def _offer(tool: Tool, text: str, where: str) -> Offer:
    if isinstance(tool, FunctionTool):
        return Offer(tool.name, tool.parameters, f"{where}.parameters")
    if tool.format.type == "text":
        value: dict[str, Any] = {"const": text}
    elif tool.format.syntax == "regex" and isinstance(tool.format.definition, str):
        value = {"type": "string", "pattern": f"^(?:{tool.format.definition})$"}
    else:
        raise InvalidRequest("the sandbox makes text for no grammar but a regex", param=f"{where}.format")
    schema = {"type": "object", "properties": {INPUT: value}, "required": [INPUT], "additionalProperties": False}
    return Offer(tool.name, schema, f"{where}.format")


def _chosen(tools: list[Tool], offers: list[Offer], choice: ToolChoice, *, parallel: bool) -> Tools:
    if choice.type != "allowed_tools":
        only = _named(tools, offers, choice.type, choice.name)
        return Tools(offers=[only], must_call=True, parallel=parallel)
    if not isinstance(choice.mode, str):
        raise InvalidRequest("mode is auto or required", code="missing_required_parameter", param="tool_choice.mode")
    allowed = choice.tools if isinstance(choice.tools, list) else []
    if not allowed:
        raise InvalidRequest("tools is empty", code="missing_required_parameter", param="tool_choice.tools")
    named = [_named(tools, offers, each.type, each.name) for each in allowed]
    return Tools(offers=named, must_call=choice.mode == "required", parallel=parallel)


def _named(tools: list[Tool], offers: list[Offer], kind: str, name: str | UnsetType) -> Offer:
    wanted = FunctionTool if kind == "function" else CustomTool
    for tool, offer in zip(tools, offers, strict=True):
        if tool.name == name and isinstance(tool, wanted):
            return offer
    shown = re.sub(r"\W", "", str(name))[:60] if isinstance(name, str) else ""
    raise InvalidRequest(f"Tool choice {kind!r} {shown!r} not found in 'tools' parameter.", param="tool_choice")
