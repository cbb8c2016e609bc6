from __future__ import annotations

import io
import struct
import wave
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.wire import media_header


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\x00\x00\x00"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 10) + b"\xff\xc0Exif\x00\x00"
    return b"\xff\xd8" + exif + b"\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width) + bytes(8)


def webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + canvas


@pytest.mark.parametrize(
    ("kind", "made"),
    [("PNG", png(300, 200)), ("GIF", gif(300, 200)), ("JPEG", jpeg(300, 200)), ("WebP", webp(300, 200))],
)
def test_sizes_of_pictures(kind: str, made: bytes) -> None:
    assert media_header.image_size(made) == (kind, 300, 200)
    # What follows the header changes nothing; a header that is cut tells nothing.
    assert media_header.image_size(made + b"more") == (kind, 300, 200)
    assert media_header.image_size(made[:9]) is None


def test_the_two_other_kinds_of_webp() -> None:
    lossy = b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(10) + struct.pack("<HH", 300, 200)
    assert media_header.image_size(lossy) == ("WebP", 300, 200)
    bits = (300 - 1) | (200 - 1) << 14
    lossless = b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", bits) + bytes(6)
    assert media_header.image_size(lossless) == ("WebP", 300, 200)


def sound(seconds: float, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(bytes(int(seconds * rate) * 2))
    return file.getvalue()


def test_a_wav_says_how_many_bytes_are_a_second() -> None:
    assert media_header.wav_bytes_per_second(sound(0.1)) == 16_000
    assert media_header.wav_bytes_per_second(sound(0.1, 48_000)[:60]) == 96_000
    assert media_header.wav_bytes_per_second(b"ID3") is None


def film(scale: int, length: int, *, wide: bool) -> bytes:
    head = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
    times = struct.pack(">QQIQ", 1, 1, scale, length) if wide else struct.pack(">IIII", 1, 1, scale, length)
    return head + b"\x00\x00\x00\x6cmoov\x00\x00\x00\x64mvhd" + bytes([wide, 0, 0, 0]) + times + bytes(80)


@pytest.mark.parametrize("wide", [False, True])
def test_a_film_says_how_long_it_is(wide: bool) -> None:
    assert media_header.film_seconds(film(1000, 61_200, wide=wide)) == 62
    assert media_header.film_seconds(film(0, 5, wide=wide)) is None
    assert media_header.film_seconds(b"\x1aE\xdf\xa3") is None


def test_pages_that_are_listed_plainly() -> None:
    pages = b"".join(b"%d 0 obj <</Type /Page /Parent 2 0 R>> endobj\n" % number for number in range(3, 8))
    made = b"%PDF-1.4\n2 0 obj <</Type/Pages /Kids[] /Count 5>> endobj\n" + pages
    assert media_header.document_pages(made) == 5
    assert media_header.document_pages(b"%PDF-1.4\n") is None
    assert media_header.document_pages(b"PK\x03\x04") is None


@given(st.integers(1, 60))
def test_pages_that_are_packed(pages: int) -> None:
    listed = zlib.compress(b"<</Type /Page>> " * pages)
    made = b"%PDF-1.7\n1 0 obj <</Type/ObjStm /N 9 /First 4 /Filter/FlateDecode>>\nstream\n" + listed + b"\nendstream"
    assert media_header.document_pages(made) == pages
    assert media_header.document_pages(made.replace(listed, b"rubbish")) is None


def test_what_is_packed_is_opened_only_so_far() -> None:
    bomb = zlib.compress(bytes(media_header.MOST_INFLATED_BYTES * 20))
    one = b"1 0 obj <</Type/ObjStm /N 9>>\nstream\n" + bomb + b"\nendstream\n"
    assert media_header.document_pages(b"%PDF-1.7\n" + one * 50) is None


@given(st.binary(max_size=300))
def test_rubbish_is_no_picture(data: bytes) -> None:
    for beginning in (b"", b"\xff\xd8", b"RIFF0000WEBP", b"%PDF-", b"0000ftyp"):
        media_header.image_size(beginning + data)
        media_header.document_pages(beginning + data)
        media_header.film_seconds(beginning + data)
        media_header.wav_bytes_per_second(beginning + data)
