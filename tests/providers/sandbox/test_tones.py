from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.providers.sandbox import tones

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@settings(max_examples=examples(60))
@given(TEXTS, st.text(max_size=5))
def test_a_text_comes_back(text: str, voice: str) -> None:
    samples = tones.of_text(text, voice)
    assert tones.text_of(samples) == text
    assert tones.samples_of(tones.wav(samples)) == samples
    assert tones.of_text(text, voice) == samples
    assert tones.text_of(samples[4_800:-4_800]) == text, "silence around it may be cut"


def test_voices_differ() -> None:
    assert len({tones.of_text("hi", voice) for voice in ("alloy", "ash", "coral", "sage", "nova", "onyx")}) > 1


def test_a_wav_file_is_one() -> None:
    samples = tones.of_text("hello", "alloy")
    with wave.open(io.BytesIO(tones.wav(samples))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (24_000, 2, 1)
        assert file.readframes(file.getnframes()) == samples
        assert file.getnframes() / file.getframerate() == tones.seconds_of(samples)


def test_a_file_whose_length_is_not_known_yet_and_one_with_other_chunks() -> None:
    samples = tones.of_text("hello", "alloy")
    file = tones.wav(samples)
    streamed = file[:4] + b"\xff" * 4 + file[8:40] + b"\xff" * 4 + file[44:]
    listed = file[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + file[36:]
    assert tones.samples_of(streamed) == tones.samples_of(listed) == samples
    assert tones.samples_of(file[:36]) == b""


@pytest.mark.parametrize("samples", [b"", b"\0" * 1_000, b"\x01\x02" * 5_000, tones.of_text("hi", "a")[:-6_000]])
def test_other_sound_has_no_text(samples: bytes) -> None:
    assert tones.text_of(samples) is None


@settings(max_examples=examples(60))
@given(st.integers(4_800, 6_700), st.integers(1, 255))
def test_a_changed_sample_is_noticed(at: int, change: int) -> None:
    samples = bytearray(tones.of_text("hello", "alloy"))
    samples[at] ^= change
    assert tones.text_of(bytes(samples)) is None


def test_a_tone_in_the_place_of_another_is_noticed() -> None:
    """The text begins behind silence and twelve bytes of two tones each; a tone is 96 bytes."""
    samples = tones.of_text("hello", "alloy")
    at = 4_800 + 12 * 2 * 96
    changed = samples[:at] + samples[at + 96 : at + 192] + samples[at + 96 :]
    assert changed != samples
    assert tones.text_of(changed) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_heard_through(data: bytes) -> None:
    assert tones.text_of(tones.samples_of(data)) is None
    assert tones.text_of(tones.samples_of(b"RIFF\0\0\0\0WAVE" + data)) is None
