"""How many input tokens pictures, documents, sounds and films become, by what each vendor publishes: upper bounds.

| vendor    | picture                                               | page                | second of sound | of film |
|-----------|-------------------------------------------------------|---------------------|-----------------|---------|
| Anthropic | 28 x 28 pixels a token, at most 1,600 or 4,784        | its text, a picture |                 |         |
| OpenAI    | tiles of 512 or patches of 32 pixels, by the model    | its text, a picture | 10              |         |
| Google    | tiles of 768 pixels at 258; since Gemini 3 1,120      | 258, 1,120          | 32              | 300     |
| others    | 16 x 16 pixels a token, at most 16,384                | its text, a picture | 32              | 300     |

https://platform.claude.com/docs/en/build-with-claude/vision and .../pdf-support (3,000 tokens of text a page),
https://developers.openai.com/api/docs/guides/images-vision, https://platform.openai.com/docs/guides/realtime-costs,
https://ai.google.dev/gemini-api/docs/tokens and .../media-resolution. Of the others the hungriest is taken: Qwen2-VL
makes up to 16,384 tokens, Pixtral one of each 16 x 16 pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil
from typing import Final

import msgspec

from trunkline.wire.demand import Medium

_UNKNOWN_SIZES: Final = ((8000, 8000), (8000, 3000))
"""Pixels of a picture of which only the address is known: Anthropic takes none beyond. Long ones have more tiles."""
PAGE_TEXT_TOKENS: Final = 3000
PAGE_WIDTH, PAGE_HEIGHT = 1700, 2200
"""Pixels of a page as a picture: a letter at 200 dots an inch."""
MOST_PAGES: Final = 1000
"""https://ai.google.dev/gemini-api/docs/document-processing; the others take fewer."""
MOST_SECONDS: Final = 34_200
"""9.5 hours, the longest sound that Google takes."""


def _claude(most: int) -> Callable[[int, int, str | None], int]:
    return lambda width, height, detail: min(most, max(_patches(width, height, 28), ceil(width * height / 750)))


def _tiles(base: int, tile: int) -> Callable[[int, int, str | None], int]:
    """The picture is made to fit 2,048 pixels, then its short side 768."""

    def count(width: int, height: int, detail: str | None) -> int:
        if detail == "low":
            return base
        long = min(2048, ceil(768 * max(width, height) / max(1, min(width, height))))
        return base + 2 * ceil(long / 512) * tile

    return count


def _budgeted(most: int, millis: int = 1000, original: int = 0) -> Callable[[int, int, str | None], int]:
    """Patches of 32 pixels, at most so many, each so many thousandths of a token; `original`: what the closest look
    may have."""

    def count(width: int, height: int, detail: str | None) -> int:
        budget = max(most, original) if detail == "original" or (original and not detail) else most
        return -(-min(_patches(width, height, 32), budget) * millis // 1000)

    return count


def _whole(width: int, height: int, detail: str | None) -> int:
    """As it is, without a budget, unless the caller asks for less."""
    patches = _patches(width, height, 32)
    return min(patches, 2500) if detail in ("low", "high") else patches


def _cropped(width: int, height: int, detail: str | None) -> int:
    """258 tokens for a small picture; of a larger one for each tile, whose side is two thirds of the short side, 768 at
    most and 256 at least."""
    if max(width, height) <= 384:
        return 258
    side = min(768, max(256, int(min(width, height) / 1.5)))
    return 258 * ceil(width / side) * ceil(height / side)


def _resolved(width: int, height: int, detail: str | None) -> int:
    return 2240 if detail == "ultra" else 1120


def _others(width: int, height: int, detail: str | None) -> int:
    return max(256, min(16_384, _patches(width, height, 16)))


def _patches(width: int, height: int, side: int) -> int:
    return ceil(width / side) * ceil(height / side)


class Vision(msgspec.Struct, frozen=True):
    """`image` counts the tokens of a picture of this width and height, looked at this closely. A page is a picture and
    its text, or `page` tokens."""

    image: Callable[[int, int, str | None], int]
    page: int | None = None
    sound: int = 32
    film: int = 300


_OTHERS = Vision(_others)
# First match wins. The names are the ones that providers know, with or without a vendor in front.
_MODELS: Final = tuple(
    (re.compile(rf"(?:^|[/.:~@]){names}", re.IGNORECASE), vision)
    for names, vision in (
        (r"claude-(?:[23]|instant|(?:opus|sonnet|haiku)-4(?:[-.][0-6])?(?![\d.]|-[7-9](?!\d)))", Vision(_claude(1600))),
        (r"claude-", Vision(_claude(4784))),
        (r"gpt-4o-mini", Vision(_tiles(2833, 5667), sound=10)),
        (r"gpt-4\.1-mini|gpt-5(?:\.4)?-mini", Vision(_budgeted(1536, 1620), sound=10)),
        (r"gpt-4\.1-nano|gpt-5(?:\.4)?-nano", Vision(_budgeted(1536, 2460), sound=10)),
        (r"o4-mini", Vision(_budgeted(1536, 1720), sound=10)),
        (r"(?:gpt-4|chatgpt-4o|gpt-audio|gpt-realtime)", Vision(_tiles(85, 170), sound=10)),
        (r"o[13](?:-|$)", Vision(_tiles(75, 150), sound=10)),
        (r"computer-use", Vision(_tiles(65, 129), sound=10)),
        (r"gpt-5(?:-chat|-pro|-codex|-\d|$)", Vision(_tiles(70, 140), sound=10)),
        (r"gpt-5\.[0-3]", Vision(_budgeted(1536), sound=10)),
        (r"gpt-5\.[45]", Vision(_budgeted(2500, original=10_000), sound=10)),
        (r"gpt-\d", Vision(_whole, sound=10)),
        (r"gemini-(?:1|2)", Vision(_cropped, page=258)),
        (r"gemini-", Vision(_resolved, page=1120)),
    )
)


def vision_of(model: str) -> Vision:
    """How the model of this name sees and hears."""
    for names, vision in _MODELS:
        if names.search(model):
            return vision
    return _OTHERS


def input_tokens(medium: Medium, vision: Vision, most: int) -> int:
    """What it becomes; `most` is all that the model can read at once, and what a thing of unknown length may be."""
    if medium.kind == "image":
        sizes: tuple[tuple[int, int], ...] = _UNKNOWN_SIZES
        if medium.width is not None and medium.height is not None:
            sizes = ((medium.width, medium.height),)
        tokens = max(vision.image(width, height, medium.detail) for width, height in sizes)
    elif medium.kind == "document":
        page = vision.page or PAGE_TEXT_TOKENS + vision.image(PAGE_WIDTH, PAGE_HEIGHT, None)
        tokens = page * (MOST_PAGES if medium.pages is None else medium.pages)
    else:
        second = vision.sound if medium.kind == "audio" else vision.film
        tokens = second * (MOST_SECONDS if medium.seconds is None else medium.seconds)
    return min(tokens, most)
