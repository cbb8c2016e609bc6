from __future__ import annotations

import struct
import time
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.images import ImageFacts, describe, read_data_url, read_size

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x02\x00\x00\x00"
GIF = b"GIF89a" + struct.pack("<HH", 320, 200) + b"\x00\x00\x00"
EXIF = b"\xff\xe1" + struct.pack(">H", 1_002) + b"e" * 1_000
FRAME = struct.pack(">BBHBHH", 0xFF, 0xC2, 17, 8, 600, 800) + b"\x03"
JPEG = b"\xff\xd8" + EXIF + b"\xff\xff\xff" + FRAME[1:]
WEBP_HEAD = b"RIFF" + struct.pack("<I", 100) + b"WEBP"
LOSSY = WEBP_HEAD + b"VP8 " + struct.pack("<I", 80) + b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 550, 368)
LOSSLESS = WEBP_HEAD + b"VP8L" + struct.pack("<I", 80) + b"\x2f" + struct.pack("<I", 385 | 394 << 14) + b"\x00" * 5
EXTENDED = WEBP_HEAD + b"VP8X" + struct.pack("<I", 10) + b"\x10\x00\x00\x00" + b"\x8f\x01\x00" + b"\x2c\x01\x00"
FILES = [
    (PNG, ("PNG", 640, 480)),
    (GIF, ("GIF", 320, 200)),
    (JPEG, ("JPEG", 800, 600)),
    (LOSSY, ("WebP", 550, 368)),
    (LOSSLESS, ("WebP", 386, 395)),
    (EXTENDED, ("WebP", 400, 301)),
]


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"


@pytest.mark.parametrize(("data", "facts"), FILES)
def test_size_and_type_come_from_the_header(data: bytes, facts: tuple[str, int, int]) -> None:
    assert read_size(data) == facts
    assert read_data_url(data_url(data), "here") == ImageFacts(*facts, len(data))
    padded = data + b"\x00" * 5_000_001
    assert read_data_url(data_url(padded), "here") == ImageFacts(*facts, len(padded))


@pytest.mark.parametrize(("data", "facts"), FILES)
def test_a_cut_header_is_no_image(data: bytes, facts: tuple[str, int, int]) -> None:
    for length in range(len(data)):
        assert read_size(data[:length]) in (None, facts)
    assert read_size(data[:9]) is None


def test_http_urls_are_not_fetched() -> None:
    assert "does not fetch" in describe("https://example.com/a.png", "here")
    assert "does not fetch" in describe("HTTP://example.com/a.png", "here")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "data:text/plain;base64,aGk=",
        "data:image/png,raw",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,aGk",
        "data:image/png;base64,é",
        data_url(b"not an image"),
        data_url(PNG[:20]),
        data_url(PNG.replace(b"IHDR", b"IDAT")),
    ],
)
def test_anything_else_is_refused_by_its_place(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        describe(url, "messages[0].content[1].image_url.url")
    assert caught.value.param == "messages[0].content[1].image_url.url"
    assert caught.value.code == "invalid_image"


@given(st.sampled_from([data for data, _ in FILES]), st.integers(0, 40), st.binary(max_size=20))
def test_damaged_files_are_read_or_refused(data: bytes, at: int, change: bytes) -> None:
    read_size(data[:at] + change + data[at + len(change) :])


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xe1\x00\x02", b"\xff\x01", b"\x00"])
def test_hostile_files_take_bounded_time(filler: bytes) -> None:
    began = time.process_time()
    assert read_size(b"\xff\xd8" + filler * 2_000_000) is None
    assert time.process_time() - began < 0.5
