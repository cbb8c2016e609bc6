"""The parts of a message's content, both ways. Source: the `openai` package's types/responses/response_input_*_param.py
and response_output_{text,refusal}.py."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Lifetime, Media, Opaque, Part, Refusal, Request, Text
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.asked import PROTOCOL

# OpenAI's protocols name files of one store; another's ids mean nothing to them.
_FILE_STORE = frozenset((PROTOCOL, "openai_chat"))
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[^,;]*)*?;base64,", re.ASCII)
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3"}
_EXTENSIONS = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md", "text/csv": "csv"}
_EMPTY = frozenset((b"", b"[]", b"null"))
TEXTS = frozenset(("input_text", "output_text", "text", "summary_text", "reasoning_text"))


class _Breakpoint(msgspec.Struct, gc=False):
    ttl: str | None = None


class _Audio(msgspec.Struct, gc=False):
    data: str
    format: str


class ContentPart(msgspec.Struct, gc=False):
    """Any part: each has the fields of its type."""

    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: Raw = Raw()
    logprobs: Raw = Raw()
    image_url: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    detail: str | None = None
    input_audio: _Audio | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


Content = str | list[ContentPart]


def read_content(content: Content, where: str) -> list[Part]:
    """Raises InvalidRequest naming the part."""
    if isinstance(content, str):
        return [Text(text=content)]
    return [read_part(part, f"{where}[{index}]") for index, part in enumerate(content)]


def read_part(part: ContentPart, where: str) -> Text | Refusal | Media:
    """Raises InvalidRequest naming the field."""
    if part.type in TEXTS:
        if part.text is None:
            raise _missing(where, "text")
        return Text(text=part.text, citations=citations(part), cache=_lifetime(part))
    if part.type == "refusal":
        if part.refusal is None:
            raise _missing(where, "refusal")
        return Refusal(part.refusal)
    if part.type == "input_image":
        return _image(part, where)
    if part.type == "input_file":
        return _file(part, where)
    if part.type == "input_audio":
        if part.input_audio is None:
            raise _missing(where, "input_audio")
        audio = part.input_audio
        media_type = _AUDIO_TYPES.get(audio.format, f"audio/{audio.format}")
        return Media(kind="audio", media_type=media_type, data=audio.data, cache=_lifetime(part))
    raise InvalidRequest(
        f"'{where}.type' must be input_text, input_image, input_file, input_audio, output_text or refusal.",
        code="invalid_value",
        param=f"{where}.type",
    )


def citations(part: ContentPart) -> Raw | None:
    return None if bytes(part.annotations) in _EMPTY else part.annotations


def _missing(where: str, name: str) -> InvalidRequest:
    return InvalidRequest(f"'{where}.{name}' is required.", code="missing_required_parameter", param=f"{where}.{name}")


def _lifetime(part: ContentPart) -> Lifetime | None:
    """Of OpenAI's two lifetimes, 30 minutes and 12 hours, the longer is the longer one."""
    if part.prompt_cache_breakpoint is None:
        return None
    return "1h" if part.prompt_cache_breakpoint.ttl == "12h" else "5m"


def _image(part: ContentPart, where: str) -> Media:
    detail = part.detail if part.detail != "auto" else None
    made = Media(kind="image", detail=detail, cache=_lifetime(part))
    if part.image_url is not None:
        _take_url(made, part.image_url)
    elif part.file_id is not None:
        made.file_id = part.file_id
    else:
        raise _missing(where, "image_url")
    return made


def _file(part: ContentPart, where: str) -> Media:
    detail = part.detail if part.detail != "auto" else None
    made = Media(kind="document", name=part.filename, detail=detail, cache=_lifetime(part))
    if part.file_data is not None:
        _take_url(made, part.file_data)
        if made.url is not None:
            made.url, made.data = None, part.file_data
    elif part.file_url is not None:
        made.url = part.file_url
    elif part.file_id is not None:
        made.file_id = part.file_id
    else:
        raise _missing(where, "file_data")
    return made


def _take_url(made: Media, url: str) -> None:
    head = _DATA_URL.match(url)
    if head is None:
        made.url = url
    else:
        made.media_type, made.data = head[1], url[head.end() :]


class ContentWriter:
    """Parts of one request's turns, as content of this protocol."""

    __slots__ = ("_files_known", "_losses", "_own")

    def __init__(self, request: Request, losses: Losses) -> None:
        self._losses = losses
        self._own = request.protocol == PROTOCOL
        self._files_known = request.protocol in _FILE_STORE

    def given(self, parts: list[Any]) -> str | list[dict[str, Any]]:
        """What is said to the model: a text, or parts."""
        if len(parts) == 1 and isinstance(parts[0], Text) and parts[0].cache is None:
            return parts[0].text
        return [self._given_part(part) for part in parts if not isinstance(part, Opaque)]

    def said(self, parts: list[Text | Refusal]) -> str | list[dict[str, Any]]:
        """What the model said before."""
        if len(parts) == 1 and isinstance(parts[0], Text) and (parts[0].citations is None or not self._own):
            self._lose_citations(parts[0])
            self.lose_cache(parts[0].cache)
            return parts[0].text
        written: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Refusal):
                written.append({"type": "refusal", "refusal": part.text})
                continue
            self._lose_citations(part)
            self.lose_cache(part.cache)
            annotations = part.citations if self._own and part.citations is not None else []
            written.append({"type": "output_text", "text": part.text, "annotations": annotations})
        return written

    def lose_cache(self, cache: Lifetime | None) -> None:
        """For a mark where this protocol has none."""
        if cache is not None:
            self._losses.changed("cache", "providers of this protocol find what they can reuse by themselves")

    def _lose_citations(self, part: Text) -> None:
        if part.citations is not None and not self._own:
            self._losses.dropped("citations")

    def _given_part(self, part: Any) -> dict[str, Any]:
        if isinstance(part, Text):
            written: dict[str, Any] = {"type": "input_text", "text": part.text}
            self._lose_citations(part)
        elif isinstance(part, Media):
            written = self._media(part)
        else:
            assert isinstance(part, Refusal), "results and calls are items"
            return {"type": "input_text", "text": part.text}
        self._mark(written, part.cache)
        return written

    def _mark(self, written: dict[str, Any], cache: Lifetime | None) -> None:
        """Breakpoints are known to OpenAI's newer models only, so no other caller's are made into such."""
        if cache is None:
            return
        if self._own:
            mark = {"mode": "explicit"} if cache == "5m" else {"mode": "explicit", "ttl": "12h"}
            written["prompt_cache_breakpoint"] = mark
        else:
            self.lose_cache(cache)

    def _media(self, part: Media) -> dict[str, Any]:
        if part.file_id is not None and not self._files_known:
            raise self._losses.refused(
                "media.file_id", "names a file of another provider; send its content or its URL."
            )
        if part.kind == "image":
            name, value = "file_id", part.file_id
            if value is None:
                name, value = "image_url", _url_of(part, "image/png")
            return {"type": "input_image", name: value, "detail": part.detail or "auto"}
        if part.kind == "document":
            return self._document(part)
        if part.kind == "audio" and self._own and part.data is not None:
            sound = _AUDIO_FORMATS.get(part.media_type or "", "wav")
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": sound}}
        raise self._losses.refused(f"media.{part.kind}", "cannot be sent: providers of this protocol do not take it.")

    def _document(self, part: Media) -> dict[str, Any]:
        written: dict[str, Any] = {"type": "input_file"}
        if part.file_id is not None:
            written["file_id"] = part.file_id
        elif part.url is not None:
            written["file_url"] = part.url
        else:
            default = "text/plain" if part.text is not None else "application/pdf"
            extension = _EXTENSIONS.get(part.media_type or default, "bin")
            written["filename"] = part.name or f"document.{extension}"
            written["file_data"] = _url_of(part, default)
        if part.detail is not None:
            written["detail"] = part.detail
        return written


def _url_of(part: Media, default: str) -> str:
    """A URL, or the data as one."""
    if part.url is not None:
        return part.url
    data = part.data
    if data is None:
        data = b64encode((part.text or "").encode("utf-8", "replace")).decode()
    return f"data:{part.media_type or default};base64,{data}"
