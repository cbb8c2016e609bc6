"""The Images protocol: a prompt is answered with a pattern of squares drawn from its hash, as a real PNG.

Source: the `openai` package's types/image_generate_params.py, image_edit_params.py and images_response.py.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import form_body, images, json_body, png, served, words
from trunkline.providers.sandbox.openai_errors import EVENTS, JSON
from trunkline.providers.sandbox.response import Plan, Step
from trunkline.providers.transport import Headers
from trunkline.wire import codec, sse

MOST_IMAGES = 10
MOST_GIVEN = 16
LONGEST_PROMPT = 32_000
_LEAST_SIDE, _MOST_SIDE = 16, 2_048
_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})", re.ASCII)
_TOKENS = {"low": 272, "medium": 1_056, "high": 4_160}
"""Of an image, by its quality: https://platform.openai.com/docs/guides/image-generation for 1024 x 1024."""
_GIVEN_TOKENS = 100

Quality = Literal["low", "medium", "high", "auto"]


class ImagesRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What generations and edits have in common."""

    prompt: Annotated[str, Meta(min_length=1, max_length=LONGEST_PROMPT)]
    model: str = "paint"
    n: Annotated[int, Meta(ge=1, le=MOST_IMAGES)] | None = None
    size: str | None = None
    quality: Quality | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    output_format: str | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    response_format: str | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    safety_identifier: str | None = None
    user: str | None = None


class GenerationsRequest(ImagesRequest, kw_only=True):
    moderation: Literal["low", "auto"] | None = None


class EditsRequest(ImagesRequest, kw_only=True):
    input_fidelity: Literal["high", "low"] | None = None


class Painted(msgspec.Struct):
    b64_json: str


class InputDetails(msgspec.Struct):
    image_tokens: int
    text_tokens: int


class ImagesUsage(msgspec.Struct):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    total_tokens: int


class ImagesAnswer(msgspec.Struct, kw_only=True):
    created: int
    background: str
    data: list[Painted]
    output_format: str = "png"
    quality: str
    size: str
    usage: ImagesUsage


class ImageEvent(msgspec.Struct, kw_only=True):
    type: str
    b64_json: str
    created_at: int
    background: str
    output_format: str = "png"
    quality: str
    size: str
    partial_image_index: int | UnsetType = UNSET
    usage: ImagesUsage | UnsetType = UNSET


class _Commission(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be painted. `given` are the images that an edit begins with."""

    request: ImagesRequest
    kind: str
    width: int
    height: int
    given: list[bytes] = []

    @property
    def background(self) -> str:
        return "transparent" if self.request.background == "transparent" else "opaque"

    @property
    def quality(self) -> str:
        return self.request.quality if self.request.quality in _TOKENS else "medium"

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    def painted(self, number: int) -> str:
        seed = b"\0".join([self.request.prompt.encode(), str(number).encode(), *self.given])
        data = png.pattern(seed, self.width, self.height, transparent=self.background == "transparent")
        return b64encode(data).decode()

    def usage(self) -> ImagesUsage:
        text, images = max(words.count(self.request.prompt), 1), _GIVEN_TOKENS * len(self.given)
        spent = _TOKENS[self.quality] * (self.request.n or 1)
        return ImagesUsage(text + images, InputDetails(images, text), spent, text + images + spent)


_generations = msgspec.json.Decoder(GenerationsRequest)


def generate(body: bytes) -> Plan:
    """Raises InvalidRequest or NotFound."""
    request = json_body.read(_generations, body)
    width, height = _checked(request, (1_024, 1_024))
    return _answer(_Commission(request=request, kind="image_generation", width=width, height=height))


def edit(headers: Headers, body: bytes) -> Plan:
    """The form has one to sixteen images, a prompt, and perhaps a mask, which must be of the first image's size."""
    form = form_body.read(headers, body)
    request = form.read(EditsRequest)
    for name in form.files:
        if name not in ("image", "mask"):
            raise InvalidRequest(f"Unknown parameter: {name[:60]!r}", code="unknown_parameter", param=name[:200])
    given = form.files.get("image", [])
    if not 1 <= len(given) <= MOST_GIVEN:
        raise InvalidRequest(f"image is 1 to {MOST_GIVEN} files, not {len(given)}", param="image")
    sizes = [_size_of(file, "image") for file in given]
    for mask in form.files.get("mask", []):
        if _size_of(mask, "mask") != sizes[0]:
            raise InvalidRequest("the mask is not of the image's size", code="invalid_image", param="mask")
    usual = sizes[0] if all(_LEAST_SIDE <= side <= _MOST_SIDE for side in sizes[0]) else (1_024, 1_024)
    width, height = _checked(request, usual)
    data = [file.data for files in form.files.values() for file in files]
    return _answer(_Commission(request=request, kind="image_edit", width=width, height=height, given=data))


def _size_of(file: form_body.File, param: str) -> tuple[int, int]:
    found = images.read_size(file.data)
    if found is None:
        raise InvalidRequest("the file is no PNG, JPEG, GIF or WebP image", code="invalid_image", param=param)
    return found[1], found[2]


def _checked(request: ImagesRequest, usual: tuple[int, int]) -> tuple[int, int]:
    """Width and height; `usual` when the caller leaves them open."""
    served.model_of(request.model, "/images")
    if request.response_format not in (None, "b64_json"):
        raise InvalidRequest("response_format is b64_json: nothing is kept to link to", param="response_format")
    if request.output_format not in (None, "png"):
        raise InvalidRequest(f"output_format is png, not {request.output_format[:40]!r}", param="output_format")
    if request.stream and (request.n or 1) > 1:
        raise InvalidRequest("a stream has one image", param="n")
    if request.size in (None, "auto"):
        return usual
    found = _SIZE.fullmatch(request.size)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(_LEAST_SIDE <= side <= _MOST_SIDE for side in (width, height)):
        sentence = f"size is auto or WIDTHxHEIGHT with sides of {_LEAST_SIDE} to {_MOST_SIDE} pixels"
        raise InvalidRequest(sentence, param="size")
    return width, height


def _answer(asked: _Commission) -> Plan:
    if asked.request.stream:
        return Plan(headers=EVENTS, steps=_events(asked))
    answer = ImagesAnswer(
        created=int(clock.now_s()),
        background=asked.background,
        data=[Painted(asked.painted(number)) for number in range(asked.request.n or 1)],
        quality=asked.quality,
        size=asked.size,
        usage=asked.usage(),
    )
    return Plan(headers=JSON, steps=iter((codec.encode(answer),)))


def _events(asked: _Commission) -> Iterator[Step]:
    """Partial images are other patterns: there is no half of one."""
    shared: dict[str, Any] = {
        "created_at": int(clock.now_s()),
        "background": asked.background,
        "quality": asked.quality,
        "size": asked.size,
    }
    for index in range(asked.request.partial_images or 0):
        kind, image = f"{asked.kind}.partial_image", asked.painted(index + 1)
        yield _written(ImageEvent(type=kind, b64_json=image, partial_image_index=index, **shared))
    yield _written(ImageEvent(type=f"{asked.kind}.completed", b64_json=asked.painted(0), usage=asked.usage(), **shared))


def _written(event: ImageEvent) -> bytes:
    return sse.named_event(event.type.encode(), codec.encode(event))
