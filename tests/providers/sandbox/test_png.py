from __future__ import annotations

import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.providers.sandbox.images import read_size
from trunkline.providers.sandbox.png import pattern


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """Each chunk whose checksum holds."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    at, found = 8, []
    while at < len(file):
        length, name = struct.unpack_from(">I4s", file, at)
        data = file[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", file, at + 8 + length) == (zlib.crc32(name + data),)
        found.append((name, data))
        at += 12 + length
    return found


@settings(max_examples=examples(40))
@given(st.binary(max_size=20), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_a_whole_image_of_its_size(seed: bytes, width: int, height: int, transparent: bool) -> None:
    file = pattern(seed, width, height, transparent=transparent)
    assert read_size(file) == ("PNG", width, height)
    found = dict(chunks(file))
    assert list(found) == [b"IHDR", b"PLTE", *([b"tRNS"] if transparent else []), b"IDAT", b"IEND"]
    rows = zlib.decompress(found[b"IDAT"])
    assert len(rows) == height * (width + 1)
    assert set(rows[:: width + 1]) == {0}, "no row is filtered"
    assert max(rows) < len(found[b"PLTE"]) // 3
    assert pattern(seed, width, height, transparent=transparent) == file


def test_other_seeds_paint_other_images() -> None:
    assert len({pattern(bytes([seed]), 64, 64) for seed in range(50)}) == 50


@pytest.mark.parametrize("side", [2_048])
def test_the_largest_takes_bounded_time(side: int) -> None:
    began = time.process_time()
    pattern(b"x", side, side)
    assert time.process_time() - began < 0.5
