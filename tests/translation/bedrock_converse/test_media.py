"""Images, documents, sound and films: kinds, sources, and the names that Bedrock wants."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from tests.translation.bedrock_converse.exchanges import ToldLosses, read, request, written
from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse.media import Names, joined, write_media
from trunkline.translation.exchange import Media, Text, Turn
from trunkline.translation.losses import Losses


def block(media: Media, losses: Losses | None = None, *, own: bool = False) -> dict[str, Any]:
    losses = losses or Losses("m", {})
    return write_media(media, Names(losses), losses, own=own)


@pytest.mark.parametrize(
    ("media", "kind", "form"),
    [
        (Media(kind="image", media_type="image/png", data="AAAA"), "image", "png"),
        (Media(kind="image", media_type="image/jpg", data="AAAA"), "image", "jpeg"),
        (Media(kind="image", data="iVBORw0KGgo="), "image", "png"),
        (Media(kind="image", url="s3://bucket/picture.WEBP"), "image", "webp"),
        (Media(kind="document", media_type="application/pdf", data="AAAA"), "document", "pdf"),
        (Media(kind="document", data="JVBERi0xLjQK"), "document", "pdf"),
        (Media(kind="document", media_type="text/csv; charset=utf-8", data="AAAA"), "document", "csv"),
        (Media(kind="document", media_type="application/json", data="AAAA"), "document", "txt"),
        (Media(kind="document", media_type="application/octet-stream", data="AAAA", name="a.docx"), "document", "docx"),
        (Media(kind="audio", media_type="audio/mp3", data="AAAA"), "audio", "mp3"),
        (Media(kind="video", media_type="video/3gpp", data="AAAA"), "video", "three_gp"),
        (Media(kind="video", url="s3://bucket/film.mkv"), "video", "mkv"),
    ],
)
def test_the_format_is_known_by_type_content_or_ending(media: Media, kind: str, form: str) -> None:
    ((found, inner),) = block(media).items()
    assert (found, inner["format"]) == (kind, form)
    expected = {"s3Location": {"uri": media.url}} if media.url else {"bytes": media.data}
    assert inner["source"] == expected


@pytest.mark.parametrize(
    ("media", "sentence"),
    [
        (
            Media(kind="image", media_type="image/bmp", data="AAAA"),
            "must be one of png, jpeg, gif, webp, not image/bmp",
        ),
        (Media(kind="image", data="AAAA"), "not of unknown type"),
        (Media(kind="image", media_type="image/png", url="https://a/b.png"), "Bedrock fetches no other URLs"),
        (Media(kind="document", media_type="application/pdf", file_id="file-1"), "other providers' file ids"),
        (Media(kind="audio", media_type="audio/midi", data="AAAA"), "must be one of mp3"),
    ],
)
def test_what_bedrock_cannot_be_given_is_refused_by_name(media: Media, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match="'media") as caught:
        block(media)
    assert sentence in caught.value.message


def test_text_goes_as_bytes_which_every_model_takes_but_back_as_it_came() -> None:
    media = Media(kind="document", text="Zeile 1\u2028", media_type="text/plain", name="notes.txt")
    told = block(media)["document"]
    assert b64decode(told["source"]["bytes"]).decode() == media.text
    assert (told["format"], told["name"]) == ("txt", "notes")
    assert block(media, own=True)["document"]["source"] == {"text": media.text}


@pytest.mark.parametrize(
    ("name", "sent", "changed"),
    [
        ("report.pdf", "report", False),
        ("Report (final) [2].PDF", "Report (final) [2]", False),
        (None, "document", False),
        ("a_b  c.v2.pdf", "a b c v2", True),
        ("四半期.pdf", "document", True),
        ("x" * 300, "x" * 200, True),
    ],
)
def test_names_have_few_letters(name: str | None, sent: str, changed: bool) -> None:
    losses = ToldLosses()
    media = Media(kind="document", media_type="application/pdf", data="AAAA", name=name)
    assert block(media, losses)["document"]["name"] == sent
    assert losses.told == ({("media.name", "changed")} if changed else set())


def test_no_two_documents_of_a_request_have_one_name() -> None:
    pdf = Media(kind="document", media_type="application/pdf", data="AAAA")
    named = Media(kind="document", media_type="application/pdf", data="AAAA", name="Document.pdf")
    turns = [Turn(role="user", parts=[Text(text="?"), pdf, named]), Turn(role="user", parts=[pdf])]
    content = written(request(*turns))["messages"][0]["content"]
    names = [one["document"]["name"] for one in content if "document" in one]
    assert names == ["document", "Document (2)", "document (3)"]


def test_blocks_are_read_as_they_were_meant() -> None:
    content: list[dict[str, Any]] = [
        {"image": {"format": "gif", "source": {"bytes": "AAAA"}}},
        {"document": {"format": "pdf", "name": "a", "source": {"s3Location": {"uri": "s3://b/c.pdf"}}}},
        {"document": {"name": "b", "source": {"text": "words"}}},
        {"video": {"format": "three_gp", "source": {"bytes": "AAAA"}}},
    ]
    (turn,) = read(messages=[{"role": "user", "content": content}]).turns
    assert turn.parts == [
        Media(kind="image", media_type="image/gif", data="AAAA"),
        Media(kind="document", media_type="application/pdf", url="s3://b/c.pdf", name="a"),
        Media(kind="document", media_type="text/plain", text="words", name="b"),
        Media(kind="video", media_type="video/3gpp", data="AAAA"),
    ]


def test_pieces_of_base64_are_one() -> None:
    assert joined(["iVBORw=="]) == "iVBORw=="
    assert b64decode(joined(["iVBORw==", "DQo="])) == b64decode("iVBORw==") + b"\r\n"
