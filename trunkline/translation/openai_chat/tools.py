"""Tools, the choice among them and the form of the answer: the fields of a request that have shapes of their own."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, OutputFormat, Request, Tool, ToolChoice
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.shapes import NULL, CacheControl, decoded, lifetime
from trunkline.translation.openai_chat.turns import PROTOCOL
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import encode


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    cache_control: CacheControl | None = None


class _Custom(msgspec.Struct):
    name: str
    description: str | None = None
    format: Raw = Raw()


class _Tool(msgspec.Struct):
    type: str = "function"
    function: _Function | None = None
    custom: _Custom | None = None
    cache_control: CacheControl | None = None


class _Named(msgspec.Struct, frozen=True):
    name: str = ""


class _ChoiceTool(msgspec.Struct):
    type: str = "function"
    function: _Named = _Named()
    custom: _Named = _Named()


class _Allowed(msgspec.Struct):
    mode: Literal["auto", "required"]
    tools: list[_ChoiceTool]


class _Choice(_ChoiceTool):
    allowed_tools: _Allowed | None = None


class _Schema(msgspec.Struct):
    name: str
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class _Grammar(msgspec.Struct):
    syntax: Raw
    definition: Raw


class _CustomFormat(msgspec.Struct):
    """As the Responses protocol writes it, beside the type; chat nests it under `grammar`."""

    type: str
    syntax: Raw = Raw()
    definition: Raw = Raw()


_tools = msgspec.json.Decoder(list[_Tool] | None)
_raw_tools = msgspec.json.Decoder(list[Raw])
_functions = msgspec.json.Decoder(list[_Function] | None)
Mode = Literal["none", "auto", "required"]
_choice: msgspec.json.Decoder[Mode | _Choice | None] = msgspec.json.Decoder(Mode | _Choice | None)
_legacy_choice: msgspec.json.Decoder[Mode | _Named | None] = msgspec.json.Decoder(Mode | _Named | None)
_format = msgspec.json.Decoder(_Format | None)
_custom_format = msgspec.json.Decoder(_CustomFormat)


def _value(raw: Raw) -> Raw | None:
    return raw if raw and bytes(raw) != NULL else None


def read_tools(raw: Raw) -> list[Tool | Opaque]:
    said = decoded(_tools, raw, "tools") or []
    tools: list[Tool | Opaque] = []
    for at, tool in enumerate(said):
        hint = lifetime(tool.cache_control)
        if tool.function is not None and tool.type == "function":
            function = _function(tool.function)
            function.cache = hint or function.cache
            tools.append(function)
        elif tool.custom is not None and tool.type == "custom":
            own = tool.custom
            tools.append(
                Tool(name=own.name, description=own.description, custom=True, format=_value(own.format), cache=hint)
            )
        elif tool.type in ("function", "custom"):
            where = f"tools[{at}].{tool.type}"
            raise InvalidRequest(f"'{where}' is required.", code="missing_required_parameter", param=where)
        else:
            tools.append(Opaque(PROTOCOL, _raw_tools.decode(raw)[at], tool.type))
    return tools


def read_functions(raw: Raw) -> list[Tool | Opaque]:
    return [_function(function) for function in decoded(_functions, raw, "functions") or ()]


def _function(function: _Function) -> Tool:
    return Tool(
        name=function.name,
        description=function.description,
        parameters=_value(function.parameters),
        strict=function.strict,
        cache=lifetime(function.cache_control),
    )


def read_choice(raw: Raw) -> ToolChoice | None:
    said = decoded(_choice, raw, "tool_choice")
    if said is None:
        return None
    if not isinstance(said, _Choice):
        return ToolChoice(mode=said)
    if said.allowed_tools is not None:
        names = tuple(_name(tool, f"allowed_tools.tools[{at}]") for at, tool in enumerate(said.allowed_tools.tools))
        return ToolChoice(mode=said.allowed_tools.mode, names=names)
    return ToolChoice(mode="required", names=(_name(said, ""),))


def _name(tool: _ChoiceTool, place: str) -> str:
    name = tool.custom.name if tool.type == "custom" else tool.function.name
    if not name:
        where = ".".join(filter(None, ("tool_choice", place, tool.type, "name")))
        raise InvalidRequest(f"'{where}' is required.", code="missing_required_parameter", param=where)
    return name


def read_legacy_choice(raw: Raw) -> ToolChoice | None:
    said = decoded(_legacy_choice, raw, "function_call")
    if said is None:
        return None
    if not isinstance(said, _Named):
        return ToolChoice(mode=said)
    return ToolChoice(mode="required", names=(said.name,))


def read_format(raw: Raw) -> OutputFormat | None:
    said = decoded(_format, raw, "response_format")
    if said is None:
        return None
    if said.type != "json_schema":
        return OutputFormat(kind=said.type)
    schema = said.json_schema
    if schema is None:
        where = "response_format.json_schema"
        raise InvalidRequest(f"'{where}' is required.", code="missing_required_parameter", param=where)
    return OutputFormat(
        kind="json_schema",
        name=schema.name,
        description=schema.description,
        schema=_value(schema.schema),
        strict=schema.strict,
    )


def write_tools(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """The fields `tools`, `tool_choice` and `parallel_tool_calls`, or their first form; none where there are no
    tools."""
    choice = request.tool_choice
    offered: list[Tool | Opaque] = []
    filtered = choice is not None and choice.names and "allowed_tools" in target.drops
    for tool in request.tools:
        if isinstance(tool, Opaque) and tool.protocol != PROTOCOL:
            losses.dropped(f"tools.{tool.kind}")
        elif filtered and choice is not None and getattr(tool, "name", None) not in choice.names:
            continue
        else:
            offered.append(tool)
    if not offered:
        return {}
    if request.legacy_functions and request.protocol == PROTOCOL:
        return _write_legacy(offered, choice)
    fields: dict[str, Any] = {"tools": [_write_tool(tool, target, losses) for tool in offered]}
    if choice is not None:
        fields["tool_choice"] = choice.mode if filtered else _write_choice(choice, offered)
    if request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    return fields


def _described(tool: Tool) -> dict[str, Any]:
    said: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    return said


def _write_function(tool: Tool) -> dict[str, Any]:
    said = _described(tool)
    if tool.parameters is not None:
        said["parameters"] = tool.parameters
    if tool.strict is not None:
        said["strict"] = tool.strict
    return said


def _write_tool(tool: Tool | Opaque, target: Target, losses: Losses) -> Any:
    if isinstance(tool, Opaque):
        return tool.raw
    if tool.custom:
        own = _described(tool)
        if tool.format is not None:
            own["format"] = _nested(tool.format)
        said: dict[str, Any] = {"type": "custom", "custom": own}
    else:
        said = {"type": "function", "function": _write_function(tool)}
    if tool.cache is not None:
        if target.takes_cache_control:
            said["cache_control"] = cache_control(tool.cache)
        else:
            losses.dropped("cache")
    return said


def cache_control(hint: str) -> dict[str, str]:
    """Five minutes are what is meant when nothing is said."""
    return {"type": "ephemeral"} if hint == "5m" else {"type": "ephemeral", "ttl": hint}


def _nested(raw: Raw) -> Raw:
    """A grammar as chat writes it."""
    try:
        said = _custom_format.decode(raw)
    except codec.UNREADABLE:
        return raw
    if said.type != "grammar" or not (said.syntax and said.definition):
        return raw
    return Raw(encode({"type": "grammar", "grammar": _Grammar(said.syntax, said.definition)}))


def _write_choice(choice: ToolChoice, offered: list[Tool | Opaque]) -> Any:
    if not choice.names:
        return choice.mode
    custom = {tool.name for tool in offered if isinstance(tool, Tool) and tool.custom}
    chosen: list[dict[str, Any]] = []
    for name in choice.names:
        kind = "custom" if name in custom else "function"
        chosen.append({"type": kind, kind: {"name": name}})
    if choice.mode == "required" and len(chosen) == 1:
        return chosen[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": chosen}}


def _write_legacy(offered: list[Tool | Opaque], choice: ToolChoice | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"functions": [_write_function(tool) for tool in offered if isinstance(tool, Tool)]}
    if choice is not None:
        named = choice.mode == "required" and choice.names
        fields["function_call"] = {"name": choice.names[0]} if named else choice.mode
    return fields


def write_format(form: OutputFormat) -> dict[str, Any]:
    if form.kind != "json_schema":
        return {"type": form.kind}
    schema: dict[str, Any] = {"name": form.name or "answer"}
    if form.description is not None:
        schema["description"] = form.description
    if form.schema is not None:
        schema["schema"] = form.schema
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}
