"""Tools and which of them may be called, both ways.

Source: the `openai` package's types/responses/tool_param.py, namespace_tool_param.py and tool_choice_*_param.py. Tools
in a namespace become plain ones under a name made of both (`asked.flat`), and get theirs back when they are called.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, Request, Tool, ToolChoice
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.asked import PROTOCOL, Asked, flat, refusal, split
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
# What `exchange.Tool` holds of an entry.
_HELD = frozenset(("type", "name", "description", "parameters", "strict", "format"))
_NULL = b"null"

Mode = Literal["auto", "none", "required"]


class _Tool(msgspec.Struct, gc=False):
    """Any tool: each has the fields of its type."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    format: Raw = Raw()
    tools: list[Raw] | None = None


_decode_entries = msgspec.json.Decoder(list[Raw]).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def read_tools(request: Asked, raw: Raw) -> None:
    """Fills `tools`, `namespaces`, `native`, and in `extras` the names of what no other protocol can say of a tool.
    Raises InvalidRequest naming the tool."""
    if bytes(raw) == _NULL:
        return
    try:
        entries = _decode_entries(raw)
    except codec.UNREADABLE as error:
        raise refusal(error, "tools") from None
    tools: list[Tool | Opaque] = []
    for index, entry in enumerate(entries):
        tools += _entry(request, entry, f"tools[{index}]")
    named = [tool.name for tool in tools if isinstance(tool, Tool)]
    if len(set(named)) != len(named):
        again = next(name for name in named if named.count(name) > 1)
        raise InvalidRequest(f"'tools' has two tools called '{again}'.", code="invalid_value", param="tools")
    request.tools = tools
    _know_bare_names(request, set(named))


def _entry(request: Asked, entry: Raw, where: str) -> list[Tool | Opaque]:
    try:
        tool = _decode_tool(entry)
    except codec.UNREADABLE as error:
        raise refusal(error, where) from None
    if tool.type in ("function", "custom"):
        read = _read_tool(tool, where)
        if _says_more(request, entry):
            request.native[read.name] = entry
        return [read]
    if tool.type != "namespace":
        return [Opaque(PROTOCOL, entry, tool.type)]
    if tool.name is None:
        raise _nameless(where)
    return [_read_member(request, tool, entry, at) for at in _members(tool, where)]


def _members(tool: _Tool, where: str) -> list[tuple[Raw, str]]:
    return [(member, f"{where}.tools[{index}]") for index, member in enumerate(tool.tools or ())]


def _read_member(request: Asked, space: _Tool, entry: Raw, at: tuple[Raw, str]) -> Tool:
    member, where = at
    try:
        tool = _decode_tool(member)
    except codec.UNREADABLE as error:
        raise refusal(error, where) from None
    read = _read_tool(tool, where)
    _says_more(request, member)
    assert space.name is not None
    name = flat(space.name, read.name)
    request.namespaces[name] = space.name, read.name
    request.native[name] = entry
    read.name = name
    if space.description:
        read.description = f"{space.description}\n\n{read.description}" if read.description else space.description
    return read


def _read_tool(tool: _Tool, where: str) -> Tool:
    if not tool.name:
        raise _nameless(where)
    if tool.type == "custom":
        return Tool(name=tool.name, description=tool.description, custom=True, format=_given(tool.format))
    return Tool(name=tool.name, description=tool.description, parameters=_given(tool.parameters), strict=tool.strict)


def _given(raw: Raw) -> Raw | None:
    return raw if raw and bytes(raw) != _NULL else None


def _nameless(where: str) -> InvalidRequest:
    return InvalidRequest(f"'{where}.name' is required.", code="missing_required_parameter", param=f"{where}.name")


def _says_more(request: Asked, entry: Raw) -> bool:
    """Whether it has fields that `exchange.Tool` lacks; they are named in `extras`, for other protocols to lose."""
    fields = _decode_fields(entry)
    more = [name for name, value in fields.items() if name not in _HELD and bytes(value) not in (_NULL, b"false")]
    for name in more:
        request.extras[f"tools.{name}"] = fields[name]
    return bool(more)


def _know_bare_names(request: Asked, taken: set[str]) -> None:
    """Models now and then call a tool by its name alone (https://github.com/router-for-me/CLIProxyAPI/issues/4106):
    where only one can be meant, it is."""
    bare: dict[str, list[tuple[str, str]]] = {}
    for pair in request.namespaces.values():
        bare.setdefault(pair[1], []).append(pair)
    for name, pairs in bare.items():
        if name not in taken and len(pairs) == 1:
            request.namespaces.setdefault(name, pairs[0])


class _Choice(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Choice] = []


_decode_choice = msgspec.json.Decoder(Mode | _Choice | None).decode


def read_choice(request: Asked, raw: Raw) -> None:
    """Fills `tool_choice`; one that names a hosted tool stays in `extras`. Raises InvalidRequest."""
    try:
        said = _decode_choice(raw)
    except codec.UNREADABLE:
        raise InvalidRequest(
            "'tool_choice' must be none, auto, required, or an object with a 'type'.",
            code="invalid_value",
            param="tool_choice",
        ) from None
    if said is None:
        return
    if not isinstance(said, _Choice):
        request.tool_choice = ToolChoice(mode=said)
    elif said.type in ("function", "custom"):
        request.tool_choice = ToolChoice(mode="required", names=_names(request, [said], "tool_choice"))
    elif said.type == "allowed_tools" and all(tool.type in ("function", "custom") for tool in said.tools):
        names = _names(request, said.tools, "tool_choice.tools")
        request.tool_choice = ToolChoice(mode=said.mode, names=names)
    else:
        request.extras["tool_choice"] = raw


def _names(request: Asked, chosen: list[_Choice], where: str) -> tuple[str, ...]:
    names = []
    for index, choice in enumerate(chosen):
        if not choice.name:
            raise _nameless(where if len(chosen) == 1 else f"{where}[{index}]")
        pair = request.namespaces.get(choice.name)
        names.append(flat(*pair) if pair is not None else choice.name)
    return tuple(names)


def write_tools(request: Request, losses: Losses) -> list[Any]:
    """The entries of `tools`; what only the caller's protocol knows is told to the Losses."""
    native = request.native if isinstance(request, Asked) else {}
    entries: list[Any] = []
    for tool in request.tools:
        if isinstance(tool, Opaque):
            if tool.protocol == PROTOCOL:
                entries.append(tool.raw)
            else:
                losses.dropped(f"tools.{tool.kind}")
            continue
        if tool.cache is not None:
            losses.changed("cache", "providers of this protocol find what they can reuse by themselves")
        entry = native.get(tool.name)
        if entry is None:
            entries.append(written_tool(tool, own=request.protocol == PROTOCOL))
        elif not any(entry is other for other in entries):
            # The tools of one namespace share its entry.
            entries.append(entry)
    return entries


def written_tool(tool: Tool, *, own: bool = True) -> dict[str, Any]:
    """`own`: the caller speaks this protocol, and what he did not say has its meaning here."""
    if tool.custom:
        entry: dict[str, Any] = {"type": "custom", "name": tool.name}
        if tool.description is not None:
            entry["description"] = tool.description
        if tool.format is not None:
            entry["format"] = _format(tool.format)
        return entry
    entry = {"type": "function", "name": tool.name}
    if tool.description is not None:
        entry["description"] = tool.description
    entry["parameters"] = tool.parameters if tool.parameters is not None else NO_PARAMETERS
    # Not said means false in Chat Completions and Messages, and as far as the schema allows here.
    entry["strict"] = tool.strict if tool.strict is not None or own else False
    return entry


def _format(raw: Raw) -> Raw:
    """Chat Completions has the grammar in an object of its own, this protocol has its fields beside the type."""
    fields = codec.answer_fields(bytes(raw))
    if fields is None or "grammar" not in fields:
        return raw
    grammar = codec.answer_fields(bytes(fields["grammar"])) or {}
    return Raw(encode({"type": fields.get("type", Raw(b'"grammar"')), **grammar}))


def write_choice(request: Request) -> Any:
    """The value of `tool_choice`, None when nothing is to be said."""
    choice = request.tool_choice
    if choice is None:
        return None
    if choice.mode == "none" or not choice.names:
        return choice.mode
    custom = {tool.name for tool in request.tools if isinstance(tool, Tool) and tool.custom}
    chosen = [
        {"type": "custom" if name in custom else "function", "name": split(request, name)[1]} for name in choice.names
    ]
    if choice.mode == "required" and len(chosen) == 1:
        return chosen[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": chosen}


def echo_tools(raw: Raw) -> Raw:
    """The entries as an answer repeats them: every function says its parameters and whether it is strict."""
    try:
        entries = _decode_entries(raw)
        if b'"function"' not in bytes(raw):
            return raw
        return Raw(encode([_echo_tool(entry) for entry in entries]))
    except codec.UNREADABLE:
        return Raw(b"[]")


def _echo_tool(entry: Raw) -> Any:
    fields: Fields = _decode_fields(entry)
    if bytes(fields.get("type", b"")) != b'"function"':
        return entry
    for name in ("description", "parameters", "strict"):
        fields.setdefault(name, Raw(_NULL))
    return fields
