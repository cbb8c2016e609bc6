"""A caller's contents, read: each content to a turn, each part to its part."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.gemini import shapes, state
from trunkline.translation.gemini.shapes import Blob, Content, FileData, FunctionCall, FunctionResponse, listed
from trunkline.translation.gemini.vocabulary import PROTOCOL, begins, made_call_id, media_type_of, said
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.gemini import wrong

_decode_contents = msgspec.json.Decoder(list[Content] | Content).decode
_decode_raw_contents = msgspec.json.Decoder(list[Fields] | Fields).decode
_decode_raw_parts = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_instruction = msgspec.json.Decoder(Content | str).decode

OUTPUT_KEYS = ("output", "result", "error")
"""Of a function's response: https://ai.google.dev/api/caching#FunctionResponse. `result` is how the examples of the
documentation call it."""


class Kept:
    """Small fields that only this protocol has, by the name a sentence gives them and by what they belong to: those of
    a picture by its number among the media of the request, those of a call or result by its id. They go into
    `Request.extras` under a dotted name, as an object."""

    def __init__(self) -> None:
        self.media = 0
        self._found: dict[str, dict[str, Raw]] = {}

    def keep(self, name: str, key: object, raw: Raw) -> None:
        if said(raw):
            self._found.setdefault(name, {})[str(key)] = raw

    def extras(self) -> Fields:
        return {name: Raw(encode(found)) for name, found in self._found.items()}


class Contents:
    """Reads the contents of one request; `turns` has one turn for each."""

    def __init__(self, raw: Raw, kept: Kept) -> None:
        self._raw = raw
        self._kept = kept
        self._waiting: list[ToolCall] = []
        self._calls: set[str] = set()
        try:
            contents = listed(_decode_contents(raw))
        except codec.UNREADABLE as error:
            raise wrong(error, "contents") from None
        self.turns = [self._turn(at, content) for at, content in enumerate(contents)]

    def _turn(self, at: int, content: Content) -> Turn:
        """A content without a role is the user's."""
        parts: list[Part] = []
        for number, part in enumerate(listed(content.parts)):
            parts += self._parts(part, at, number)
        return Turn(role="assistant" if content.role == "model" else "user", parts=parts)

    def _parts(self, part: shapes.Part, at: int, number: int) -> list[Part]:
        where = f"contents[{at}].parts[{number}]"
        carried = state.unwrapped(part.thought_signature) if part.thought_signature else None
        if part.function_call is not None:
            return [self._call(part.function_call, carried, (at, number))]
        if part.function_response is not None:
            return [self._result(part.function_response, where)]
        if part.hosted() is not None or (part.thought and part.text is None):
            return [Opaque(PROTOCOL, self._raw_part(at, number), shapes.CAMEL.get(part.hosted() or "", "thought"))]
        if part.inline_data is not None or part.file_data is not None:
            return self._media(part, carried, where)
        if part.text is None:
            raise InvalidRequest(
                f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one initialized field",
                param=where,
            )
        self._kept.keep("parts.partMetadata", where, part.part_metadata)
        if part.thought:
            return _thought(part.text, carried)
        return [Text(text=part.text, state=carried)]

    def _raw_part(self, at: int, number: int) -> Raw:
        contents = listed(_decode_raw_contents(self._raw))
        parts = contents[at]["parts"]
        return _decode_raw_parts(parts)[number] if begins(parts, b"[") else parts

    def _call(self, call: FunctionCall, carried: State | None, place: tuple[int, int]) -> ToolCall:
        where = f"contents[{place[0]}].parts[{place[1]}].functionCall"
        if not call.name:
            raise InvalidRequest(f"* GenerateContentRequest.{where}.name: Name cannot be empty.", param=f"{where}.name")
        arguments = bytes(call.args).decode() if said(call.args) else ""
        made = ToolCall(
            id=call.id or made_call_id(*place, call.name, arguments),
            name=call.name,
            arguments=arguments,
            state=carried if carried is None or carried.data != state.SKIPPED else None,
        )
        self._waiting.append(made)
        self._calls.add(made.id)
        return made

    def _result(self, response: FunctionResponse, where: str) -> ToolResult:
        where = f"{where}.functionResponse"
        if not response.name:
            raise InvalidRequest(f"* GenerateContentRequest.{where}.name: Name cannot be empty.", param=f"{where}.name")
        call_id = self._answered(response, response.name, where)
        self._kept.keep("functionResponse.willContinue", call_id, response.will_continue)
        self._kept.keep("functionResponse.scheduling", call_id, response.scheduling)
        parts, is_error = _output(response.response, where)
        for number, part in enumerate(listed(response.parts)):
            parts.append(_read_media(part.inline_data, part.file_data, f"{where}.parts[{number}]"))
            self._kept.media += 1
        return ToolResult(call_id=call_id, parts=parts, is_error=is_error)

    def _answered(self, response: FunctionResponse, name: str, where: str) -> str:
        """The id of the call it answers: its own, else that of the first call of the name that waits for one."""
        if response.id and response.id in self._calls:
            self._waiting = [call for call in self._waiting if call.id != response.id]
            return response.id
        call = next((call for call in self._waiting if call.name == name), None)
        if call is None:
            if response.id:
                return response.id
            raise InvalidRequest(f"Invalid value at '{where}': it answers no call of '{name[:128]}'.", param=where)
        self._waiting.remove(call)
        return call.id

    def _media(self, part: shapes.Part, carried: State | None, where: str) -> list[Part]:
        media = _read_media(part.inline_data, part.file_data, where)
        number = self._kept.media
        self._kept.media += 1
        for name in ("video_metadata", "media_resolution", "media_processing"):
            first, last = name.split("_")
            self._kept.keep(f"parts.{first}{last.capitalize()}", number, getattr(part, name))
        self._kept.keep("parts.partMetadata", where, part.part_metadata)
        return [media] if carried is None else [media, Reasoning(state=of_media(carried))]


def of_media(carried: State) -> State:
    """The state of a picture or sound, as hidden reasoning that follows it."""
    return State(carried.origin, state.OF_MEDIA + carried.data)


def _thought(text: str, carried: State | None) -> list[Part]:
    return [Reasoning(text=text, state=carried)] if text or carried is not None else []


def read_instruction(raw: Raw) -> Turn:
    """Of the system: text alone."""
    try:
        said_it = _decode_instruction(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "systemInstruction") from None
    if isinstance(said_it, str):
        return Turn(role="system", parts=[Text(text=said_it)])
    parts: list[Part] = []
    for number, part in enumerate(listed(said_it.parts)):
        if part.text is None:
            where = f"systemInstruction.parts[{number}]"
            raise InvalidRequest(f"Invalid value at '{where}': only text is read here.", param=where)
        parts.append(Text(text=part.text))
    return Turn(role="system", parts=parts)


def _output(raw: Raw, where: str) -> tuple[list[Text | Media], bool]:
    """What a function answered, and whether that is an error. An object of several fields is one text."""
    if not said(raw):
        return [], False
    try:
        fields = _decode_object(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, f"{where}.response") from None
    if len(fields) != 1 or (key := next(iter(fields))) not in OUTPUT_KEYS:
        return [Text(text=bytes(raw).decode())], False
    value = fields[key]
    text = _decode_text(value) if begins(value, b'"') else bytes(value).decode()
    return [Text(text=text)] if text else [], key == "error"


def _read_media(blob: Blob | None, file: FileData | None, where: str) -> Media:
    if file is not None:
        if not file.file_uri:
            raise InvalidRequest(f"Invalid value at '{where}.fileData.fileUri': required.", param=f"{where}.fileData")
        media_type = file.mime_type or None
        kind = kind_of(media_type or media_type_of(file.file_uri) or "")
        return Media(kind=kind, media_type=media_type, url=file.file_uri, name=file.display_name)
    if blob is None or not blob.mime_type:
        raise InvalidRequest(f"Invalid value at '{where}.inlineData.mimeType': required.", param=f"{where}.inlineData")
    return media_of(blob)


def media_of(blob: Blob) -> Media:
    """Plain text is read as text."""
    data = standard(blob.data)
    if blob.mime_type == "text/plain":
        try:
            text = b64decode(data, validate=True).decode()
        except ValueError:  # no base64, or no text
            pass
        else:
            return Media(kind="document", media_type=blob.mime_type, text=text, name=blob.display_name)
    return Media(kind=kind_of(blob.mime_type), media_type=blob.mime_type, data=data, name=blob.display_name)


_URL_SAFE = str.maketrans("-_", "+/")


def standard(data: str) -> str:
    """Base64 in its usual alphabet and with its padding; Google takes both."""
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    return data + "=" * (-len(data) % 4)


def kind_of(media_type: str) -> Any:
    kind = media_type.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"
