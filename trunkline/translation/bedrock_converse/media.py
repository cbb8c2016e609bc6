"""Images, documents, sound and films as blocks, both ways."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any, Literal

import msgspec

from trunkline.translation.exchange import Media
from trunkline.translation.losses import Losses

Kind = Literal["image", "document", "audio", "video"]

MAX_NAME = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_BLANKS = re.compile(r"\s+")
_FIRST_LETTERS = {"iVBOR": "png", "/9j/": "jpeg", "R0lG": "gif", "UklG": "webp"}
_PDF_LETTERS = "JVBERi"

_OFFICE = "application/vnd.openxmlformats-officedocument"
_FORMATS: dict[Kind, dict[str, str]] = {
    "image": {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        f"{_OFFICE}.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/wav": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/mp4": "mp4",
        "audio/webm": "webm",
        "audio/pcm": "pcm",
        "audio/m4a": "m4a",
    },
    "video": {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
}
_ALSO = {
    "image/jpg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-m4a": "audio/m4a",
    "text/x-markdown": "text/markdown",
}
_UNTOLD = ("", "application/octet-stream")
_TYPES: dict[Kind, dict[str, str]] = {
    kind: {short: long for long, short in known.items()} for kind, known in _FORMATS.items()
}


class _S3Location(msgspec.Struct):
    uri: str


class _Source(msgspec.Struct):
    bytes: str | None = None
    text: str | None = None
    s3Location: _S3Location | None = None  # noqa: N815 - the field's own name


class MediaBlock(msgspec.Struct):
    """`context` and `citations` are read only to know that they are there."""

    source: _Source
    format: str | None = None
    name: str | None = None


def read_media(kind: Kind, block: MediaBlock) -> Media:
    source = block.source
    media = Media(kind=kind, name=block.name)
    if source.text is not None:
        media.text = source.text
        media.media_type = "text/plain"
    elif source.s3Location is not None:
        media.url = source.s3Location.uri
    else:
        media.data = source.bytes
    if media.text is None and block.format is not None:
        media.media_type = _TYPES[kind].get(block.format, f"{kind}/{block.format}")
    return media


class Names:
    """Those of one request's documents. Bedrock wants each to have one, in few letters, and no two the same:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html"""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._taken: set[str] = set()

    def of(self, media: Media, form: str) -> str:
        """An ending that only repeats the format is left out without a word."""
        given = (media.name or "").strip()
        shown = given[: -len(form) - 1] if given.lower().endswith(f".{form}") else given
        plain = _BLANKS.sub(" ", _NOT_IN_NAMES.sub(" ", shown)).strip()[:MAX_NAME].strip()
        name, number = plain or "document", 2
        while name.lower() in self._taken:
            tail = f" ({number})"
            name, number = (plain or "document")[: MAX_NAME - len(tail)] + tail, number + 1
        self._taken.add(name.lower())
        if given and name != shown:
            self._losses.changed("media.name", f"a document is called '{name}': Bedrock takes few letters in names")
        return name


def write_media(media: Media, names: Names, losses: Losses, *, own: bool) -> dict[str, Any]:
    """One block. Raises InvalidRequest for what Bedrock cannot be given."""
    if media.detail not in (None, "auto"):
        losses.dropped("media.detail")
    if media.kind == "document" and media.text is not None:
        return _write_text(media, names, own=own)
    form = _format(media, losses)
    block: dict[str, Any] = {"format": form, "source": _source(media, losses)}
    if media.kind == "document":
        block["name"] = names.of(media, form)
    return {media.kind: block}


def _write_text(media: Media, names: Names, *, own: bool) -> dict[str, Any]:
    """As bytes, which every model that reads documents takes; as text only some."""
    text = media.text or ""
    source = {"text": text} if own else {"bytes": b64encode(text.encode("utf-8", "replace")).decode()}
    return {"document": {"format": "txt", "name": names.of(media, "txt"), "source": source}}


def _source(media: Media, losses: Losses) -> dict[str, Any]:
    if media.data is not None:
        return {"bytes": media.data}
    name = f"media.{media.kind}"
    if media.url is None:
        raise losses.refused(name, "must be given as data: Bedrock does not know other providers' file ids.")
    if not media.url.startswith("s3://"):
        raise losses.refused(name, "must be given as data or with an s3:// address: Bedrock fetches no other URLs.")
    return {"s3Location": {"uri": media.url}}


def _format(media: Media, losses: Losses) -> str:
    kind = media.kind
    known = _FORMATS[kind]
    given = (media.media_type or "").partition(";")[0].strip().lower()
    given = _ALSO.get(given, given)
    form = known.get(given) if given not in _UNTOLD else _by_content(media)
    if form is None and kind == "document" and given.startswith(("text/", "application/json")):
        form = "txt"
    if form is None:
        some = ", ".join(known.values())
        raise losses.refused(f"media.{kind}", f"must be one of {some}, not {media.media_type or 'of unknown type'}.")
    return form


def _by_content(media: Media) -> str | None:
    """Where no type was said: what the data begin with, or how the name or address ends."""
    data = media.data or ""
    if media.kind == "image":
        found = next((form for start, form in _FIRST_LETTERS.items() if data.startswith(start)), None)
        if found is not None:
            return found
    if media.kind == "document" and data.startswith(_PDF_LETTERS):
        return "pdf"
    ending = (media.name or media.url or "").rpartition(".")[2].lower()
    ending = {"jpg": "jpeg", "htm": "html", "markdown": "md", "3gp": "three_gp"}.get(ending, ending)
    return ending if ending in _FORMATS[media.kind].values() else None


def joined(pieces: list[str]) -> str:
    """Pieces of base64, each whole in itself, as one. Raises ValueError."""
    return pieces[0] if len(pieces) == 1 else b64encode(b"".join(map(b64decode, pieces))).decode()
