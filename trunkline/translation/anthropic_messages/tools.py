"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.anthropic_messages.blocks import Writing
from trunkline.translation.anthropic_messages.content import Kept, wrong
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL, lifetime, said
from trunkline.translation.exchange import Opaque, Request, Tool, ToolChoice
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

_KEPT = ("eager_input_streaming", "defer_loading", "allowed_callers", "input_examples")
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_OBJECT = Raw(b'"object"')


class _Tool(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: Raw = Raw()
    strict: bool | None = None
    cache_control: Raw = Raw()
    eager_input_streaming: Raw = Raw()
    defer_loading: Raw = Raw()
    allowed_callers: Raw = Raw()
    input_examples: Raw = Raw()


class _Choice(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_choice = msgspec.json.Decoder(_Choice).decode
_decode_object = msgspec.json.Decoder(Fields).decode


def read_tools(raw: Raw, kept: Kept) -> list[Tool | Opaque]:
    """Tools that Anthropic defines (a `type` other than custom) are opaque."""
    try:
        whole = _decode_list(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "tools") from None
    return [_read_tool(one, f"tools.{number}", kept) for number, one in enumerate(whole)]


def _read_tool(raw: Raw, where: str, kept: Kept) -> Tool | Opaque:
    try:
        tool = _decode_tool(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, where) from None
    if tool.type not in (None, "custom"):
        return Opaque(PROTOCOL, raw, tool.type or "")
    if tool.name is None:
        raise InvalidRequest(f"{where}.name: Field required", param=f"{where}.name")
    if not said(tool.input_schema):
        raise InvalidRequest(f"{where}.input_schema: Field required", param=f"{where}.input_schema")
    for name in _KEPT:
        kept.keep(f"tools.{name}", tool.name, getattr(tool, name))
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        strict=tool.strict,
        cache=lifetime(tool.cache_control),
    )


def read_tool_choice(raw: Raw, request: Request) -> None:
    try:
        choice = _decode_choice(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "tool_choice") from None
    if choice.disable_parallel_tool_use is not None:
        request.parallel_tool_calls = not choice.disable_parallel_tool_use
    if choice.type == "none":
        request.tool_choice = ToolChoice(mode="none")
    elif choice.type == "auto":
        request.tool_choice = ToolChoice(mode="auto")
    elif choice.type == "any":
        request.tool_choice = ToolChoice(mode="required")
    elif choice.name is None:
        raise InvalidRequest("tool_choice.tool.name: Field required", param="tool_choice.name")
    else:
        request.tool_choice = ToolChoice(mode="required", names=(choice.name,))


def write_tools(writing: Writing) -> list[Any]:
    """Of tools and choice what goes into `tools`."""
    written: list[Any] = []
    only = _allowed(writing)
    for tool in writing.request.tools:
        if isinstance(tool, Opaque):
            if tool.protocol == PROTOCOL:
                written.append(tool.raw)
            else:
                writing.losses.dropped(f"tools.{tool.kind}")
        elif tool.custom:
            writing.losses.dropped("tools.custom")
        elif only is None or tool.name in only:
            written.append(_write_tool(tool, writing))
    return written


def _allowed(writing: Writing) -> tuple[str, ...] | None:
    """The names of the only tools to be sent; None for all. A single tool that must be called is chosen by name."""
    choice = writing.request.tool_choice
    if choice is None or not choice.names or choice.mode == "none":
        return None
    if choice.mode == "required" and len(choice.names) == 1:
        return None
    writing.losses.changed("tool_choice", "only the tools it allows are sent")
    return choice.names


def _write_tool(tool: Tool, writing: Writing) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name, "input_schema": _schema(tool.parameters)}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.strict and writing.target.json_schema is False:
        writing.losses.dropped("tools.strict")
    elif tool.strict or (tool.strict is False and writing.own):
        written["strict"] = tool.strict
    for name in _KEPT:
        raw = writing.kept(f"tools.{name}", tool.name)
        if raw is not None:
            written[name] = raw
    writing.mark(written, tool.cache)
    return written


def _schema(parameters: Raw | None) -> Raw:
    """Anthropic wants `type: object` said."""
    if parameters is None or not said(parameters):
        return _NO_PARAMETERS
    try:
        fields = _decode_object(parameters)
    except codec.UNREADABLE:
        return parameters
    return parameters if "type" in fields else Raw(encode({"type": _OBJECT, **fields}))


def write_tool_choice(writing: Writing, tools: list[Any]) -> dict[str, Any] | None:
    """`tools` are those that are sent. Without any there is nothing to choose, and Anthropic takes no choice."""
    request = writing.request
    choice = request.tool_choice
    if not tools:
        if choice is not None and choice.mode == "required":
            raise writing.losses.refused("tool_choice", "cannot be kept: none of the tools can be sent")
        return None
    names = {tool["name"] for tool in tools if isinstance(tool, dict)}
    if choice is not None and choice.names and choice.mode != "none" and not names.intersection(choice.names):
        hosted = any(isinstance(tool, Raw) for tool in tools)
        if not hosted:
            raise writing.losses.refused("tool_choice", f"names no tool that can be sent: {', '.join(choice.names)}")
    written: dict[str, Any] | None = None
    if choice is not None:
        if choice.mode == "none":
            return {"type": "none"}
        if choice.mode == "auto":
            written = {"type": "auto"}
        elif len(choice.names) == 1:
            written = {"type": "tool", "name": choice.names[0]}
        else:
            written = {"type": "any"}
    if request.parallel_tool_calls is False:
        written = {**(written or {"type": "auto"}), "disable_parallel_tool_use": True}
    elif request.parallel_tool_calls and written is not None and writing.own:
        written["disable_parallel_tool_use"] = False
    return written


def forces(choice: dict[str, Any] | None) -> bool:
    return choice is not None and choice["type"] in ("any", "tool")
