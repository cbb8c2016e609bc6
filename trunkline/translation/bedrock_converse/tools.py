"""Tools and the choice among them: `toolConfig`, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse.blocks import CACHES, Writing
from trunkline.translation.bedrock_converse.vocabulary import PROTOCOL, CachePoint, lifetime
from trunkline.translation.exchange import Opaque, Request, Tool, ToolCall, ToolChoice, ToolResult
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

NOT_NOW = "Do not call any tool in this answer."
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_OBJECT = Raw(b'"object"')


class _Schema(msgspec.Struct):
    json: Raw = Raw()


class _Spec(msgspec.Struct, rename="camel"):
    name: str
    input_schema: _Schema
    description: str | None = None
    strict: bool | None = None


class _Tool(msgspec.Struct, rename="camel"):
    tool_spec: _Spec | None = None
    cache_point: CachePoint | None = None


class _Named(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct):
    auto: Raw = Raw()
    any: Raw = Raw()
    tool: _Named | None = None


class _Config(msgspec.Struct, rename="camel"):
    tools: list[Raw]
    tool_choice: _Choice | None = None


_decode_config = msgspec.json.Decoder(_Config).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_object = msgspec.json.Decoder(Fields).decode


def read_tools(raw: Raw, request: Request) -> None:
    """Into the request. A tool that Bedrock itself runs is opaque."""
    try:
        config = _decode_config(raw)
        told = [_decode_tool(tool) for tool in config.tools]
    except codec.UNREADABLE as error:
        raise InvalidRequest(f"'toolConfig' makes no sense: {error}.", param="toolConfig") from None
    for tool, whole in zip(told, config.tools, strict=True):
        if tool.cache_point is not None:
            if request.tools and isinstance(last := request.tools[-1], Tool):
                last.cache = lifetime(tool.cache_point)
        elif tool.tool_spec is None:
            request.tools.append(Opaque(PROTOCOL, whole, "systemTool"))
        else:
            spec = tool.tool_spec
            schema = spec.input_schema.json
            request.tools.append(
                Tool(name=spec.name, description=spec.description, parameters=schema or None, strict=spec.strict)
            )
    choice = config.tool_choice
    if choice is not None and choice.tool is not None:
        request.tool_choice = ToolChoice(mode="required", names=(choice.tool.name,))
    elif choice is not None:
        request.tool_choice = ToolChoice(mode="required" if choice.any else "auto")


class Written(msgspec.Struct):
    """`config` is None where no tools are sent. `forced`: a call must follow. `instruction` is for the system's
    words."""

    config: dict[str, Any] | None = None
    forced: bool = False
    instruction: str | None = None


def write_tools(writing: Writing) -> Written:
    request = writing.request
    choice = request.tool_choice
    used = _used(request)
    if choice is not None and choice.mode == "none" and not used:
        # The protocol has no such choice.
        if request.tools:
            writing.losses.changed("tool_choice", "'none' cannot be said: the tools are not sent")
        return Written()
    tools = _offered(writing)
    if not any("cachePoint" not in tool for tool in tools):
        if choice is not None and choice.mode == "required":
            raise writing.losses.refused("tool_choice", "cannot be kept: none of the tools can be sent")
        if not used:
            return Written()
        # Bedrock refuses calls and results in a conversation without a toolConfig.
        writing.losses.changed("tools", "those that the conversation calls are sent, with nothing but their names")
        tools = [{"toolSpec": {"name": name, "inputSchema": {"json": _NO_PARAMETERS}}} for name in used]
    written = Written({"tools": tools})
    _write_choice(writing, written)
    if request.parallel_tool_calls is False:
        writing.losses.dropped("parallel_tool_calls")
    return written


def _used(request: Request) -> list[str]:
    """The names of the tools whose calls or results stand in the conversation, in the order of their first call."""
    names = {part.name: None for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)}
    if not names and any(isinstance(part, ToolResult) for turn in request.turns for part in turn.parts):
        return ["tool"]
    return list(names)


def _offered(writing: Writing) -> list[Any]:
    only = _allowed(writing)
    written: list[Any] = []
    for tool in writing.request.tools:
        if isinstance(tool, Opaque):
            if tool.protocol == PROTOCOL:
                written.append(_decode_object(tool.raw))
            else:
                writing.losses.dropped(f"tools.{tool.kind}")
        elif tool.custom:
            writing.losses.dropped("tools.custom")
        elif only is None or tool.name in only:
            written.append({"toolSpec": _write_tool(tool, writing)})
            if writing.maker == "amazon" and tool.cache is not None:
                writing.losses.dropped("cache_control")  # Nova keeps system and messages, but no tools
            elif tool.cache is None or writing.maker in CACHES:
                writing.mark(written, tool.cache)
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
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["inputSchema"] = {"json": _schema(tool.parameters)}
    if tool.strict and writing.target.json_schema is False:
        writing.losses.dropped("tools.strict")
    elif tool.strict or (tool.strict is False and writing.own):
        written["strict"] = tool.strict
    return written


def _schema(parameters: Raw | None) -> Raw:
    """The schema of an object, said to be one."""
    if parameters is None or bytes(parameters) == b"null":
        return _NO_PARAMETERS
    try:
        fields = _decode_object(parameters)
    except codec.UNREADABLE:
        return parameters
    return parameters if "type" in fields else Raw(encode({"type": _OBJECT, **fields}))


def _write_choice(writing: Writing, written: Written) -> None:
    choice = writing.request.tool_choice
    assert written.config is not None, "there are tools"
    if choice is None:
        return
    if choice.mode == "none":
        written.instruction = NOT_NOW
        writing.losses.changed(
            "tool_choice", "'none' cannot be said while the conversation holds calls: the model is told in words"
        )
    elif choice.mode == "auto":
        written.config["toolChoice"] = {"auto": {}}
    else:
        names = [tool["toolSpec"]["name"] for tool in written.config["tools"] if "toolSpec" in tool]
        if choice.names and not set(names).intersection(choice.names):
            raise writing.losses.refused("tool_choice", f"names no tool that can be sent: {', '.join(choice.names)}")
        one = len(choice.names) == 1
        written.config["toolChoice"] = {"tool": {"name": choice.names[0]}} if one else {"any": {}}
        written.forced = True
