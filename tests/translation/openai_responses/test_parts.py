"""Content of messages, both ways; test_request.py holds requests to it as a whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.translation.openai_responses.exchanges import plain
from trunkline.translation.exchange import Media, Refusal, Text
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.parts import ContentPart, ContentWriter, read_content


def read(*parts: dict[str, Any]) -> list[Any]:
    return read_content(msgspec.convert(list(parts), list[ContentPart]), "content")


def writer(protocol: str = "openai_responses") -> ContentWriter:
    request = plain()
    request.protocol = protocol
    return ContentWriter(request, Losses("m", {}))


BOTH_WAYS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "input_text", "text": "a"}, Text(text="a")),
    (
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        Text(text="a", cache="5m"),
    ),
    (
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        Text(text="a", cache="1h"),
    ),
    (
        {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"},
        Media(kind="image", url="https://a.example/b.png", detail="low"),
    ),
    (
        {"type": "input_image", "image_url": "data:image/gif;base64,R0lG", "detail": "auto"},
        Media(kind="image", media_type="image/gif", data="R0lG"),
    ),
    ({"type": "input_image", "file_id": "file-1", "detail": "auto"}, Media(kind="image", file_id="file-1")),
    (
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        Media(kind="document", media_type="application/pdf", data="JVBE", name="a.pdf"),
    ),
    ({"type": "input_file", "file_id": "file-1"}, Media(kind="document", file_id="file-1")),
    (
        {"type": "input_file", "file_url": "https://a.example/b", "detail": "high"},
        Media(kind="document", url="https://a.example/b", detail="high"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        Media(kind="audio", media_type="audio/wav", data="AA"),
    ),
]


@pytest.mark.parametrize(("part", "neutral"), BOTH_WAYS, ids=lambda value: str(value)[:40])
def test_parts_cross_both_ways(part: dict[str, Any], neutral: Any) -> None:
    assert read(part) == [neutral]
    assert writer().given([neutral, neutral]) == [part, part]


@pytest.mark.parametrize(
    ("part", "neutral"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "input_file", "file_data": "JVBE"}, Media(kind="document", data="JVBE")),
        (
            {"type": "input_image", "image_url": "data:image/png;charset=x;base64,AA"},
            Media(kind="image", media_type="image/png", data="AA"),
        ),
        ({"type": "input_image", "image_url": "data:image/svg+xml,x"}, Media(kind="image", url="data:image/svg+xml,x")),
    ],
)
def test_other_spellings_are_understood(part: dict[str, Any], neutral: Any) -> None:
    assert read(part) == [neutral]


def test_one_text_is_a_string() -> None:
    assert read_content("a", "content") == [Text(text="a")]
    assert writer().given([Text(text="a")]) == "a"
    assert writer().said([Text(text="a")]) == "a"
    assert writer().said([Text(text="a"), Refusal("b")]) == [
        {"type": "output_text", "text": "a", "annotations": []},
        {"type": "refusal", "refusal": "b"},
    ]


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (Media(kind="document", text="caf\u00e9"), ("document.txt", "data:text/plain;base64,Y2Fmw6k=")),
        (Media(kind="document", data="JVBE"), ("document.pdf", "data:application/pdf;base64,JVBE")),
        (Media(kind="document", media_type="text/csv", data="YQ=="), ("document.csv", "data:text/csv;base64,YQ==")),
        (Media(kind="document", media_type="a/b", data="YQ==", name="n"), ("n", "data:a/b;base64,YQ==")),
    ],
)
def test_documents_of_other_protocols_get_names(media: Media, expected: tuple[str, str]) -> None:
    written = writer("anthropic_messages").given([media])
    assert isinstance(written, list)
    (part,) = written
    assert (part["filename"], part["file_data"]) == expected
