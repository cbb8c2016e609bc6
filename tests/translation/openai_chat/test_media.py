"""Images, files and sound as content parts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Media
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.media import read_part, write_media
from trunkline.translation.openai_chat.shapes import ContentPart

BOTH_WAYS: list[tuple[dict[str, Any], Media]] = [
    (
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
        Media(kind="image", url="https://a.example/b.png", detail="low"),
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        Media(kind="image", media_type="image/png", data="AAAA"),
    ),
    (
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        Media(kind="video", media_type="video/mp4", data="AAAA"),
    ),
    (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf"),
    ),
    ({"type": "file", "file": {"file_id": "file-1"}}, Media(kind="document", file_id="file-1")),
    (
        {"type": "file", "file": {"file_data": "https://a.example/b.pdf"}},
        Media(kind="document", url="https://a.example/b.pdf"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        Media(kind="audio", media_type="audio/wav", data="AAAA"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "flac"}},
        Media(kind="audio", media_type="audio/flac", data="AAAA"),
    ),
]


def read(part: dict[str, Any]) -> Any:
    return read_part(msgspec.convert(part, ContentPart), "messages[0].content[0]")


def write(media: Media) -> tuple[dict[str, Any], list[str]]:
    losses = Losses("p/m", {})
    return write_media(media, losses), losses.warnings


@pytest.mark.parametrize(("part", "media"), BOTH_WAYS)
def test_both_ways(part: dict[str, Any], media: Media) -> None:
    assert read(part) == media
    assert write(media) == (part, [])


@pytest.mark.parametrize(
    ("file", "media_type"),
    [
        ({"file_data": "JVBERi0xLjQK"}, "application/pdf"),
        ({"file_data": "AAAA", "filename": "A.PDF"}, "application/pdf"),
        ({"file_data": "AAAA", "filename": "a.csv"}, None),
    ],
)
def test_bare_base64_is_a_pdf_where_it_looks_like_one(file: dict[str, str], media_type: str | None) -> None:
    media = read({"type": "file", "file": file})
    assert (media.media_type, media.data, media.url) == (media_type, file["file_data"], None)


def test_a_url_may_stand_alone_and_a_data_url_need_not_be_base64() -> None:
    assert read({"type": "image_url", "image_url": "https://a.example/b"}) == Media(
        kind="image", url="https://a.example/b"
    )
    for plain in ("data:image/svg+xml,<svg/>", "data:image/svg+xml;charset=utf-8,<svg/>"):
        assert read({"type": "image_url", "image_url": {"url": plain}}).url == plain
    long = "data:image/png;base64," + "A" * 1_000_000
    assert len(read({"type": "image_url", "image_url": {"url": long}}).data) == 1_000_000


def test_data_without_a_name_gets_one() -> None:
    part, _ = write(Media(kind="document", media_type="application/pdf", data="AAAA"))
    assert part["file"]["filename"] == "document.pdf"
    part, _ = write(Media(kind="document", data="AAAA"))
    assert part["file"] == {"file_data": "AAAA", "filename": "document"}


def test_a_document_of_text_is_text() -> None:
    part, warnings = write(Media(kind="document", text="Body", name="Title"))
    assert part == {"type": "text", "text": "Title\n\nBody"}
    assert warnings == ["changed media.document: a document of plain text is sent as a text part"]


@pytest.mark.parametrize(
    ("media", "name"),
    [
        (Media(kind="image", file_id="file-1"), "media.image"),
        (Media(kind="image", data="AAAA"), "media.image"),
        (Media(kind="video", file_id="file-1"), "media.video"),
        (Media(kind="audio", url="https://a.example/b"), "media.audio"),
    ],
)
def test_what_cannot_be_said_is_refused(media: Media, name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        write(media)
    assert refused.value.param == name


@pytest.mark.parametrize("kind", ["text", "refusal", "image_url", "video_url", "file", "input_audio"])
def test_a_part_has_what_its_type_says(kind: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read({"type": kind})
    assert refused.value.param == f"messages[0].content[0].{kind}"
    assert read({"type": "hologram"}) is None
