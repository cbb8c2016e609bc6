"""Published examples, and bounds that hold for whatever is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.translation import media_tokens
from trunkline.wire.demand import Medium

MODELS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5.4", "gpt-5.5", "gpt-6-sol", "o3", "o4-mini",
    "claude-3-5-sonnet-20241022", "claude-opus-4-1", "claude-opus-4-8", "claude-fable-5", "gemini-2.5-flash",
    "gemini-3-pro-preview", "qwen2-vl-7b",
)  # fmt: skip
SIDES = st.integers(1, 8000)


def image(model: str, width: int | None, height: int | None, detail: str | None = None) -> int:
    medium = Medium(kind="image", width=width, height=height, detail=detail)
    return media_tokens.input_tokens(medium, media_tokens.vision_of(model), 10**6)


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        ("gpt-4o", 1024, 1024, "high", 765),
        ("gpt-4o", 2048, 4096, "high", 1105),
        ("openai/gpt-4o-2024-08-06", 4096, 8192, "low", 85),
        ("gpt-4o-mini", 1024, 1024, None, 2833 + 4 * 5667),
        ("gpt-5-mini", 1024, 1024, None, 1659),
        ("gpt-4.1-nano", 4000, 4000, None, 3779),
        ("o4-mini", 1024, 1024, None, 1762),
        ("gpt-5.4", 6000, 6000, "high", 2500),
        ("gpt-5.4", 6000, 6000, "original", 10_000),
        ("gpt-6-sol", 3200, 3200, None, 10_000),
        ("claude-3-5-sonnet-20241022", 1000, 1000, None, 1334),
        ("claude-sonnet-4-5-20250929", 4000, 4000, None, 1600),
        ("claude-sonnet-4-20250514", 4000, 4000, None, 1600),
        ("claude-opus-4-7", 4000, 4000, None, 4784),
        ("anthropic/claude-opus-4.7", 4000, 4000, None, 4784),
        ("us.anthropic.claude-sonnet-5-5-v1:0", 200, 200, None, 64),
        ("gemini-2.5-flash", 384, 384, None, 258),
        ("gemini-2.0-flash", 960, 540, None, 6 * 258),
        ("google/gemini-3-pro-preview", 4000, 4000, None, 1120),
        ("gemini-3-pro-preview", 4000, 4000, "ultra", 2240),
        ("pixtral-large", 1024, 1024, None, 4096),
    ],
)
def test_pictures(model: str, width: int, height: int, detail: str | None, tokens: int) -> None:
    assert image(model, width, height, detail) == tokens


@pytest.mark.parametrize("model", MODELS)
@given(width=SIDES, height=SIDES, detail=st.sampled_from([None, "low", "high", "auto"]))
def test_a_picture_of_unknown_size_is_the_largest(model: str, width: int, height: int, detail: str | None) -> None:
    assert 0 < image(model, width, height, detail) <= image(model, None, None, detail)


@pytest.mark.parametrize(
    ("medium", "model", "tokens"),
    [
        (Medium(kind="audio", seconds=60), "gpt-audio", 600),
        (Medium(kind="audio", seconds=60), "gemini-2.5-flash", 1920),
        (Medium(kind="video", seconds=60), "gemini-2.5-flash", 18_000),
        (Medium(kind="document", pages=10), "gemini-2.5-flash", 2580),
        (Medium(kind="document", pages=10), "claude-opus-4-1", 46_000),
        (Medium(kind="document"), "claude-opus-4-1", 200_000),
        (Medium(kind="audio"), "gemini-3-pro-preview", 200_000),
    ],
)
def test_other_media(medium: Medium, model: str, tokens: int) -> None:
    assert media_tokens.input_tokens(medium, media_tokens.vision_of(model), 200_000) == tokens
