"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, Request, Tool, ToolChoice
from trunkline.translation.gemini.contents import Kept
from trunkline.translation.gemini.schema import json_schema
from trunkline.translation.gemini.vocabulary import PROTOCOL, said
from trunkline.translation.losses import Losses
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.gemini import wrong

_KEPT = ("response", "response_json_schema", "behavior")
_SPELLED = {"response": "response", "response_json_schema": "responseJsonSchema", "behavior": "behavior"}


class _Function(msgspec.Struct, rename="camel"):
    name: str = ""
    description: str | None = None
    parameters: Raw = Raw()
    parameters_json_schema: Raw = Raw()
    response: Raw = Raw()
    response_json_schema: Raw = Raw()
    behavior: Raw = Raw()


class _Calling(msgspec.Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None
    stream_function_call_arguments: Raw = Raw()


_decode_tools = msgspec.json.Decoder(list[Fields] | Fields).decode
_decode_functions = msgspec.json.Decoder(list[_Function] | _Function).decode
_decode_config = msgspec.json.Decoder(Fields).decode
_decode_calling = msgspec.json.Decoder(_Calling).decode
_decode_object = msgspec.json.Decoder(Fields).decode


def read_tools(raw: Raw, kept: Kept) -> list[Tool | Opaque]:
    """Every field of a tool but its functions is one that Google hosts."""
    try:
        said_tools = _decode_tools(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "tools") from None
    found: list[Tool | Opaque] = []
    for at, tool in enumerate([said_tools] if isinstance(said_tools, dict) else said_tools):
        for name, value in tool.items():
            if name == "functionDeclarations":
                found += _read_functions(value, f"tools[{at}].functionDeclarations", kept)
            elif said(value):
                found.append(Opaque(PROTOCOL, Raw(encode({name: value})), name))
    return found


def _read_functions(raw: Raw, where: str, kept: Kept) -> list[Tool]:
    if not said(raw):
        return []
    try:
        functions = _decode_functions(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, where) from None
    found: list[Tool] = []
    for at, function in enumerate(functions if isinstance(functions, list) else [functions]):
        place = f"{where}[{at}]"
        if not function.name:
            raise InvalidRequest(f"* GenerateContentRequest.{place}.name: Name cannot be empty.", param=f"{place}.name")
        for name in _KEPT:
            kept.keep(f"functionDeclarations.{_SPELLED[name]}", function.name, getattr(function, name))
        found.append(Tool(name=function.name, description=function.description, parameters=_schema(function, place)))
    return found


def _schema(function: _Function, place: str) -> Raw | None:
    if said(function.parameters_json_schema):
        if said(function.parameters):
            raise InvalidRequest(
                f"* GenerateContentRequest.{place}: parameters and parameters_json_schema are mutually exclusive",
                param=place,
            )
        return function.parameters_json_schema
    return json_schema(function.parameters, f"{place}.parameters") if said(function.parameters) else None


def read_tool_config(raw: Raw, extras: Fields) -> ToolChoice | None:
    try:
        config = _decode_config(raw)
        calling = _decode_calling(config.pop("functionCallingConfig", Raw(b"{}")))
    except codec.UNREADABLE as error:
        raise wrong(error, "toolConfig") from None
    extras.update((f"toolConfig.{name}", value) for name, value in config.items() if said(value))
    if said(calling.stream_function_call_arguments):
        extras["toolConfig.streamFunctionCallArguments"] = calling.stream_function_call_arguments
    mode = (calling.mode or "").upper()
    names = tuple(calling.allowed_function_names or ())
    if mode in ("", "MODE_UNSPECIFIED"):
        return ToolChoice(mode="auto", names=names) if names else None
    if mode not in ("AUTO", "ANY", "NONE", "VALIDATED"):
        where = "toolConfig.functionCallingConfig.mode"
        raise InvalidRequest(f"Invalid value at '{where}': {mode[:60]}", code="invalid_value", param=where)
    if mode == "VALIDATED":
        extras["toolConfig.functionCallingConfig.mode"] = Raw(encode(mode))
    choice: Literal["auto", "none", "required"] = "required" if mode == "ANY" else "none" if mode == "NONE" else "auto"
    return ToolChoice(mode=choice, names=names)


def write_tools(request: Request, losses: Losses, own: Fields) -> dict[str, Any]:
    """The fields `tools` and `toolConfig`. `own` are the extras of a caller of this protocol, empty of another."""
    only = _allowed(request.tool_choice, losses, own)
    functions: list[dict[str, Any]] = []
    hosted: list[Raw] = []
    for tool in request.tools:
        if isinstance(tool, Opaque):
            if tool.protocol == PROTOCOL:
                hosted.append(tool.raw)
            else:
                losses.dropped(f"tools.{tool.kind}")
        elif tool.custom:
            losses.dropped("tools.custom")
        elif only is None or tool.name in only:
            functions.append(_write_function(tool, losses, own))
    written: dict[str, Any] = {}
    if functions or hosted:
        written["tools"] = [*([{"functionDeclarations": functions}] if functions else []), *hosted]
    config: dict[str, Any] = {
        name.removeprefix("toolConfig."): raw
        for name, raw in own.items()
        if name in ("toolConfig.retrievalConfig", "toolConfig.includeServerSideToolInvocations")
    }
    calling = _write_choice(request.tool_choice, {one["name"] for one in functions}, losses, own)
    if calling:
        config["functionCallingConfig"] = calling
    if config:
        written["toolConfig"] = config
    if request.parallel_tool_calls is False and functions:
        losses.dropped("parallel_tool_calls")
    return written


def _allowed(choice: ToolChoice | None, losses: Losses, own: Fields) -> tuple[str, ...] | None:
    """Where the model may answer in words too, only the tools that it may call are sent. VALIDATED has a field."""
    if choice is None or choice.mode != "auto" or not choice.names or _is_validated(own):
        return None
    losses.changed("tool_choice", "only the tools it allows are sent")
    return choice.names


def _is_validated(own: Fields) -> bool:
    return "toolConfig.functionCallingConfig.mode" in own


def _write_function(tool: Tool, losses: Losses, own: Fields) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.parameters is not None and said(tool.parameters):
        written["parametersJsonSchema"] = tool.parameters
    for name in _SPELLED.values():
        kept = own.get(f"functionDeclarations.{name}")
        value = _decode_object(kept).get(tool.name) if kept is not None else None
        if value is not None:
            written[name] = value
    if tool.strict:
        losses.dropped("tools.strict")
    if tool.cache is not None:
        losses.dropped("cache")
    return written


def _write_choice(choice: ToolChoice | None, sent: set[str], losses: Losses, own: Fields) -> dict[str, Any]:
    streamed = own.get("toolConfig.streamFunctionCallArguments")
    also = {} if streamed is None or not sent else {"streamFunctionCallArguments": streamed}
    if choice is None:
        return also
    if choice.mode != "none" and choice.names and not sent.intersection(choice.names):
        raise losses.refused("tool_choice", f"names no tool that can be sent: {', '.join(choice.names)}")
    if choice.mode == "required" and not sent:
        raise losses.refused("tool_choice", "cannot be kept: none of the tools can be sent")
    if not sent:
        return also
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.mode == "auto":
        mode = "VALIDATED" if _is_validated(own) else "AUTO"
        named = {"allowedFunctionNames": list(choice.names)} if mode == "VALIDATED" and choice.names else {}
        return {"mode": mode, **named, **also}
    names = [name for name in choice.names if name in sent]
    return {"mode": "ANY", **({"allowedFunctionNames": names} if names else {}), **also}
