"""What a request to an endpoint beside the conversations may use at most: embeddings, pictures, sound, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trunkline.wire import codec
from trunkline.wire.codec import Fields, Raw
from trunkline.wire.demand import Demand
from trunkline.wire.multipart import LONGEST_VALUE_BYTES

MOST_IMAGES: Final = 10
"""Of one request: https://platform.openai.com/docs/api-reference/images/create"""
MOST_GIVEN_IMAGES: Final = 16
"""https://platform.openai.com/docs/api-reference/images/createEdit"""
IMAGE_TOKENS: Final = 6240
IMAGE_PIXELS: Final = 1024 * 1536
"""The dearest picture of the published ones, of high quality and this size; a larger one in proportion:
https://developers.openai.com/api/docs/guides/image-generation#cost-and-latency"""
PARTIAL_IMAGE_TOKENS: Final = 100
"""More for each picture on the way to the last one, same page."""
GIVEN_IMAGE_TOKENS: Final = 65 + 4 * 129 + 6240
"""A picture to be edited, at high fidelity: https://developers.openai.com/api/docs/guides/images-vision"""
SPEECH_TOKENS: Final = 4
"""Of sound for a byte of text. A second is 20 tokens (https://platform.openai.com/docs/guides/realtime-costs), and
nobody is known to speak fewer than 5 letters in one."""
LEAST_SOUND_BYTES: Final = 750
"""Of a second of recorded sound: Opus goes down to 6 kbit/s (RFC 6716, 2.1.1)."""
SOUND_TOKENS: Final = 10
TRANSCRIBED_TOKENS: Final = 16_000
TRANSCRIPT_TOKENS: Final = 2000
"""What a transcriber reads and writes at once: https://platform.openai.com/docs/models/gpt-4o-transcribe"""

_read_count = msgspec.json.Decoder(Annotated[float, Meta(ge=0, le=1000)] | None).decode
_read_text = msgspec.json.Decoder(str | None).decode
_read_list = msgspec.json.Decoder(list[Raw]).decode


def demand(endpoint: str, fields: Fields) -> Demand:
    """Of a JSON request, whose fields are as the caller wrote them."""
    return _BODIES[endpoint](fields)


def form_demand(
    endpoint: str, values: Mapping[str, str], *, length: int | None = None, files: int | None = None
) -> Demand:
    """Of a form with files: the values that are known of its fields, and once it has ended its length in bytes and how
    many files it has. What may still come is counted as the most that it can be."""
    text = sum(len(value.encode()) for value in values.values())
    ended = files is not None or length is not None
    if not ended and "prompt" not in values:
        text += LONGEST_VALUE_BYTES
    if endpoint == "image_edits":
        unsaid = {"n": "1", "partial_images": "0"} if ended else {}
        said = {**unsaid, **values}
        n, partial = _whole(said.get("n"), MOST_IMAGES), _whole(said.get("partial_images"), 3)
        given = MOST_GIVEN_IMAGES if files is None else files
        return Demand(
            text_bytes=text,
            media_tokens=given * GIVEN_IMAGE_TOKENS,
            images=n,
            n=n,
            max_output=_image_tokens(values.get("size"), partial),
        )
    heard = TRANSCRIBED_TOKENS if length is None else ceil(length / LEAST_SOUND_BYTES) * SOUND_TOKENS
    return Demand(text_bytes=text, audio_tokens=min(heard, TRANSCRIBED_TOKENS), max_output=TRANSCRIPT_TOKENS)


def _whole(value: str | None, unknown: int) -> int:
    return int(value) if value is not None and value.isascii() and value.isdecimal() and len(value) < 4 else unknown


def _bytes(fields: Fields) -> int:
    return sum(map(len, fields.values()))


def _of_text(fields: Fields) -> Demand:
    return Demand(text_bytes=_bytes(fields))


def _of_embeddings(fields: Fields) -> Demand:
    """A token that is given as a number takes two bytes at least."""
    return Demand(text_bytes=len(fields["input"]))


def _of_images(fields: Fields) -> Demand:
    n = _count(fields, "n", 1)
    partial = _count(fields, "partial_images", 0)
    size = _text(fields, "size")
    return Demand(text_bytes=_bytes(fields), images=n, n=n, max_output=_image_tokens(size, partial))


def _of_edits(fields: Fields) -> Demand:
    """The pictures that are given may be mere addresses: https://platform.openai.com/docs/api-reference/images/edits"""
    given = _length(fields, "images") + ("image" in fields) + ("mask" in fields)
    return msgspec.structs.replace(_of_images(fields), media_tokens=given * GIVEN_IMAGE_TOKENS)


def _of_speech(fields: Fields) -> Demand:
    text = len(fields["input"]) if "input" in fields else 0
    return Demand(text_bytes=_bytes(fields), max_output=SPEECH_TOKENS * text, audio_output=True)


def _of_rerank(fields: Fields) -> Demand:
    """The question is read once for each document: https://docs.voyageai.com/docs/pricing"""
    count = _length(fields, "documents")
    question = len(fields["query"]) if "query" in fields else 0
    return Demand(text_bytes=_bytes(fields) + question * max(0, count - 1))


def _image_tokens(size: str | None, partial: int) -> int:
    width, _, height = (size or "").partition("x")
    tokens = IMAGE_TOKENS
    if width.isascii() and width.isdecimal() and height.isascii() and height.isdecimal() and len(size or "") < 16:
        tokens = max(tokens, ceil(IMAGE_TOKENS * int(width) * int(height) / IMAGE_PIXELS))
    return tokens + partial * PARTIAL_IMAGE_TOKENS


def _count(fields: Fields, name: str, unsaid: int) -> int:
    """What cannot be read is for the provider to refuse; until then it is `unsaid`."""
    if name not in fields:
        return unsaid
    try:
        value = _read_count(fields[name])
    except codec.UNREADABLE:
        return unsaid
    return unsaid if value is None else ceil(value)


def _length(fields: Fields, name: str) -> int:
    """Of a list; 0 for what is none."""
    try:
        return len(_read_list(fields[name])) if name in fields else 0
    except codec.UNREADABLE:
        return 0


def _text(fields: Fields, name: str) -> str | None:
    if name not in fields:
        return None
    try:
        found: str | None = _read_text(fields[name])
    except codec.UNREADABLE:
        return None
    return found


_BODIES: Mapping[str, Callable[[Fields], Demand]] = {
    "embeddings": _of_embeddings,
    "images": _of_images,
    "image_edits": _of_edits,
    "speech": _of_speech,
    "transcriptions": _of_text,
    "translations": _of_text,
    "moderations": _of_text,
    "rerank": _of_rerank,
}
