"""Images, files and sound as the content parts of messages, both ways."""

from __future__ import annotations

import re
from typing import Any

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Media, Refusal, Text
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.shapes import ContentPart, File, Url, lifetime

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_PDF_IN_BASE64 = "JVBERi"
_FORMAT_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_TYPE_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}

ContentRead = Text | Refusal | Media | None


def read_part(part: ContentPart, where: str) -> ContentRead:
    """None for a type that is not known here. Raises InvalidRequest when the part lacks what its type says."""
    cache = lifetime(part.cache_control, part.prompt_cache_breakpoint)
    match part.type:
        case "text":
            return Text(text=_given(part.text, f"{where}.text"), cache=cache)
        case "refusal":
            return Refusal(_given(part.refusal, f"{where}.refusal"))
        case "image_url":
            media = _linked("image", _given(part.image_url, f"{where}.image_url"))
        case "video_url":
            media = _linked("video", _given(part.video_url, f"{where}.video_url"))
        case "file":
            media = _document(_given(part.file, f"{where}.file"), where)
        case "input_audio":
            sound = _given(part.input_audio, f"{where}.input_audio")
            kind = _FORMAT_TYPES.get(sound.format, f"audio/{sound.format}")
            media = Media(kind="audio", media_type=kind, data=sound.data)
        case _:
            return None
    media.cache = cache
    return media


def _given(value: Any, where: str) -> Any:
    if value is None:
        raise InvalidRequest(f"'{where}' is required.", code="missing_required_parameter", param=where)
    return value


def _split_data_url(url: str) -> tuple[str | None, str] | None:
    """(media type, base64), or None when it is no such URL."""
    head = _DATA_URL.match(url)
    if head is None or not head[2].lower().endswith(";base64"):
        return None
    return head[1] or None, url[head.end() :]


def _linked(kind: Any, link: Url | str) -> Media:
    url, detail = (link, None) if isinstance(link, str) else (link.url, link.detail)
    inside = _split_data_url(url)
    if inside is None:
        return Media(kind=kind, url=url, detail=detail)
    return Media(kind=kind, media_type=inside[0], data=inside[1], detail=detail)


def _document(file: File, where: str) -> Media:
    if file.file_data is None:
        return Media(kind="document", file_id=_given(file.file_id, f"{where}.file.file_id"), name=file.filename)
    if file.file_data.startswith(("https://", "http://")):
        return Media(kind="document", url=file.file_data, name=file.filename)
    inside = _split_data_url(file.file_data)
    if inside is None:
        is_pdf = file.file_data.startswith(_PDF_IN_BASE64) or (file.filename or "").lower().endswith(".pdf")
        inside = "application/pdf" if is_pdf else None, file.file_data
    return Media(kind="document", media_type=inside[0], data=inside[1], name=file.filename)


def write_media(media: Media, losses: Losses) -> dict[str, Any]:
    """One content part. Raises InvalidRequest for what the protocol cannot carry."""
    match media.kind:
        case "image":
            return _write_image(media, losses)
        case "document":
            return _write_document(media, losses)
        case "audio":
            return _write_audio(media, losses)
        case _:
            return {"type": "video_url", "video_url": {"url": _link(media, "media.video", losses)}}


def _link(media: Media, name: str, losses: Losses) -> str:
    if media.url is not None:
        return media.url
    if media.data is None:
        raise losses.refused(name, "must be given by URL or as data: a file id means nothing to this provider.")
    if media.media_type is None:
        raise losses.refused(name, "needs its media type, such as image/png.")
    return f"data:{media.media_type};base64,{media.data}"


def _write_image(media: Media, losses: Losses) -> dict[str, Any]:
    link = {"url": _link(media, "media.image", losses)}
    if media.detail is not None:
        link["detail"] = media.detail
    return {"type": "image_url", "image_url": link}


def _write_document(media: Media, losses: Losses) -> dict[str, Any]:
    if media.text is not None:
        # A document of plain text is text; a title tells it from what else is said.
        title = f"{media.name}\n\n" if media.name else ""
        losses.changed("media.document", "a document of plain text is sent as a text part")
        return {"type": "text", "text": title + media.text}
    file: dict[str, str] = {}
    if media.data is not None:
        file["file_data"] = f"data:{media.media_type};base64,{media.data}" if media.media_type else media.data
    elif media.file_id is not None:
        file["file_id"] = media.file_id
    else:
        assert media.url is not None, "media has one source"
        # OpenRouter and its like fetch it; OpenAI says what it does not.
        file["file_data"] = media.url
    if media.name is not None:
        file["filename"] = media.name
    elif media.data is not None:
        # OpenAI wants a name beside data.
        file["filename"] = "document.pdf" if media.media_type == "application/pdf" else "document"
    return {"type": "file", "file": file}


def _write_audio(media: Media, losses: Losses) -> dict[str, Any]:
    if media.data is None:
        raise losses.refused("media.audio", "must be given as base64 data.")
    kind = media.media_type or "audio/wav"
    sound = {"data": media.data, "format": _TYPE_FORMATS.get(kind, kind.removeprefix("audio/"))}
    return {"type": "input_audio", "input_audio": sound}
