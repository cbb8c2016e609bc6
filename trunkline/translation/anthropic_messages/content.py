"""A caller's messages, read: each content block to its part."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL, begins, lifetime, said
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Role,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode


class _Block(msgspec.Struct):
    """Every field of every block that is read."""

    type: str
    text: str | None = None
    citations: Raw = Raw()
    cache_control: Raw = Raw()
    source: Raw = Raw()
    title: str | None = None
    context: Raw = Raw()
    transformations: Raw = Raw()
    id: str | None = None
    name: str | None = None
    input: Raw = Raw()
    caller: Raw = Raw()
    toolset_name: Raw = Raw()
    tool_use_id: str | None = None
    tool_name: str | None = None
    content: Raw = Raw()
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class _Source(msgspec.Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = Raw()


class _Message(msgspec.Struct):
    role: Role
    content: Raw = Raw()
    clear_at: Raw = Raw()
    output_config: Raw = Raw()


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_source = msgspec.json.Decoder(_Source).decode
_decode_object = msgspec.json.Decoder(Fields).decode

_PLACE = re.compile(r"(?s)(.*) - at `(?:key in )?\$([^`]*)`")
_MISSING_FIELD = re.compile(r"missing required field `(\w+)`")


def wrong(error: Exception, where: str) -> InvalidRequest:
    """The decoder's sentence with the field's place in front, as Anthropic spells places."""
    place = _PLACE.match(str(error))
    sentence, path = (place[1], place[2]) if place else (str(error), "")
    param = where + re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path)
    if missing := _MISSING_FIELD.search(sentence):
        return _missing(f"{param}.{missing[1]}")
    return InvalidRequest(f"{param}: {sentence}", code="invalid_type", param=param)


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: Field required", code="missing_required_parameter", param=param)


class Kept:
    """Small fields that only this protocol has, by the name a sentence gives them and by what they belong to.

    They go into `Request.extras` under a dotted name, as an object: a tool's by the tool's name, a call's by its id, a
    picture's by its number among the media of the request.
    """

    def __init__(self) -> None:
        self.media = 0
        self._found: dict[str, dict[str, Raw]] = {}

    def keep(self, name: str, key: object, raw: Raw) -> None:
        if said(raw):
            self._found.setdefault(name, {})[str(key)] = raw

    def extras(self) -> Fields:
        return {name: Raw(encode(found)) for name, found in self._found.items()}


def read_messages(raw: Raw, kept: Kept, system_turns: int) -> list[Turn]:
    """`system_turns` came before, of the top-level field."""
    try:
        messages = _decode_messages(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "messages") from None
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        if message.role == "system":
            kept.keep("messages.clear_at", system_turns, message.clear_at)
            kept.keep("messages.output_config", system_turns, message.output_config)
            system_turns += 1
        parts = read_parts(message.content, f"messages.{number}.content", kept) if said(message.content) else []
        turns.append(Turn(role=message.role, parts=parts))
    return turns


def read_parts(raw: Raw, where: str, kept: Kept) -> list[Part]:
    """A string, or a list of blocks."""
    if begins(raw, b'"'):
        return [Text(text=_decode_text(raw))]
    parts: list[Part] = []
    of_calls: dict[str, State] = {}
    for number, (block, whole) in enumerate(_blocks(raw, where)):
        if block.type == "redacted_thinking" and (found := states.belonging(envelope.unwrap(block.data or ""))):
            if found.call_id is not None:
                of_calls[found.call_id] = found.state
            elif parts and isinstance(parts[-1], Text):
                parts[-1].state = found.state
        else:
            parts += _read_block(block, whole, f"{where}.{number}", kept)
    for part in parts:
        if isinstance(part, ToolCall) and part.id in of_calls:
            part.state = of_calls[part.id]
    return parts


def _blocks(raw: Raw, where: str) -> list[tuple[_Block, Raw]]:
    try:
        whole = _decode_list(raw)
    except codec.UNREADABLE:
        raise InvalidRequest(
            f"{where}: Input should be a valid string or a list of content blocks", code="invalid_type", param=where
        ) from None
    found: list[tuple[_Block, Raw]] = []
    for number, one in enumerate(whole):
        try:
            found.append((_decode_block(one), one))
        except codec.UNREADABLE as error:
            raise wrong(error, f"{where}.{number}") from None
    return found


def _read_block(block: _Block, whole: Raw, where: str, kept: Kept) -> list[Part]:
    kind = block.type
    if kind == "text":
        return [_read_text(block, where)]
    if kind in ("image", "document"):
        return [*_read_media(block, where, kept)]
    if kind == "tool_use":
        return [_read_call(block, where, kept)]
    if kind == "tool_result":
        return [_read_result(block, where, kept)]
    if kind == "thinking":
        return [Reasoning(text=_given(block.thinking, f"{where}.thinking"), state=_state(block.signature))]
    if kind == "redacted_thinking":
        return [Reasoning(state=_state(_given(block.data, f"{where}.data")))]
    if kind == "search_result":
        return [_in_words(block, whole)]
    return [Opaque(PROTOCOL, whole, kind)]


def _given(value: str | None, where: str) -> str:
    if value is None:
        raise _missing(where)
    return value


def _state(carried: str | None) -> State | None:
    return envelope.unwrap(carried) if carried else None


def _read_text(block: _Block, where: str) -> Text:
    return Text(
        text=_given(block.text, f"{where}.text"),
        citations=block.citations if said(block.citations) else None,
        cache=lifetime(block.cache_control),
    )


def _in_words(block: _Block, whole: Raw) -> Text:
    """A block that other protocols have no kind for, as text. `citations` holds the block itself, as it came."""
    title = [line for line in (block.title, _source_line(block.source), block.tool_name) if line]
    text = "\n".join((*title, *_texts(block.content))) or bytes(whole).decode()
    return Text(text=text, citations=whole, cache=lifetime(block.cache_control))


def _source_line(raw: Raw) -> str:
    """A search result's source is a string."""
    return _decode_text(raw) if begins(raw, b'"') else ""


def _texts(raw: Raw) -> list[str]:
    if not said(raw):
        return []
    if begins(raw, b'"'):
        return [_decode_text(raw)]
    try:
        blocks = [_decode_block(one) for one in _decode_list(raw)]
    except codec.UNREADABLE:
        return []
    return [block.text for block in blocks if block.text]


def _read_media(block: _Block, where: str, kept: Kept) -> list[Media]:
    if not said(block.source):
        raise _missing(f"{where}.source")
    try:
        source = _decode_source(block.source)
    except codec.UNREADABLE as error:
        raise wrong(error, f"{where}.source") from None
    media = Media(kind="image" if block.type == "image" else "document", name=block.title)
    media.cache = lifetime(block.cache_control)
    number = kept.media
    kept.media += 1
    pictures = _read_source(media, source, f"{where}.source", kept)
    kept.keep(f"{block.type}.transformations", number, block.transformations)
    kept.keep(f"{block.type}.context", number, block.context)
    kept.keep(f"{block.type}.citations", number, block.citations)
    if source.type == "content" and not pictures:
        kept.keep(f"{block.type}.source", number, block.source)
    return [media, *pictures]


def _read_source(media: Media, source: _Source, where: str, kept: Kept) -> list[Media]:
    """Fills the media; a document made of blocks may hold images, which follow it as media of their own."""
    if source.type == "base64":
        media.media_type = _given(source.media_type, f"{where}.media_type")
        media.data = _given(source.data, f"{where}.data")
    elif source.type == "url":
        media.url = _given(source.url, f"{where}.url")
    elif source.type == "file":
        media.file_id = _given(source.file_id, f"{where}.file_id")
    elif source.type == "text" and media.kind == "document":
        media.media_type = "text/plain"
        media.text = _given(source.data, f"{where}.data")
    elif source.type == "content" and media.kind == "document":
        media.media_type = "text/plain"
        parts = read_parts(source.content, f"{where}.content", kept) if said(source.content) else []
        media.text = "\n\n".join(part.text for part in parts if isinstance(part, Text))
        return [part for part in parts if isinstance(part, Media)]
    else:
        raise InvalidRequest(
            f"{where}: Input tag '{source.type[:60]}' found using 'type' does not match any of the expected tags",
            code="invalid_value",
            param=where,
        )
    return []


def _read_call(block: _Block, where: str, kept: Kept) -> ToolCall:
    call_id = _given(block.id, f"{where}.id")
    if not begins(block.input, b"{"):
        raise InvalidRequest(
            f"{where}.input: Input should be a valid dictionary", code="invalid_type", param=f"{where}.input"
        )
    kept.keep("tool_use.caller", call_id, block.caller)
    kept.keep("tool_use.toolset_name", call_id, block.toolset_name)
    return ToolCall(
        id=call_id,
        name=_given(block.name, f"{where}.name"),
        arguments=bytes(block.input).decode(),
        cache=lifetime(block.cache_control),
    )


def _read_result(block: _Block, where: str, kept: Kept) -> ToolResult:
    call_id = _given(block.tool_use_id, f"{where}.tool_use_id")
    kept.keep("tool_result.toolset_name", call_id, block.toolset_name)
    parts: list[Text | Media] = []
    if begins(block.content, b'"'):
        parts.append(Text(text=_decode_text(block.content)))
    elif said(block.content):
        for number, (inner, whole) in enumerate(_blocks(block.content, f"{where}.content")):
            place = f"{where}.content.{number}"
            if inner.type == "text":
                parts.append(_read_text(inner, place))
            elif inner.type in ("image", "document"):
                parts += _read_media(inner, place, kept)
            else:
                parts.append(_in_words(inner, whole))
    return ToolResult(call_id=call_id, parts=parts, is_error=bool(block.is_error), cache=lifetime(block.cache_control))
