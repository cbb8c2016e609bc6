"""Sound that carries a text: each half of a byte is one of sixteen tones, 2 ms long, so that the text can be read back.

The samples are those of OpenAI's raw audio: 24 kHz, 16 bits, little-endian, one channel
(https://platform.openai.com/docs/guides/text-to-speech, supported output formats).
"""

from __future__ import annotations

import math
import struct
import zlib

RATE = 24_000
_TONE_SAMPLES = 48
_SAMPLE_BYTES = 2
_TONE_BYTES = _TONE_SAMPLES * _SAMPLE_BYTES
_SILENCE = bytes(RATE // 10 * _SAMPLE_BYTES)
_MARK = b"text"
_HEAD = struct.Struct("<4sII")
_LOUDNESS = (8_000, 10_000, 12_000, 14_000)


def _tone(number: int, loudness: int) -> bytes:
    """Whole waves of (number + 2) x 500 Hz that begin off zero, so that silence before them can be told."""
    turn = 2 * math.pi * (number + 2) / _TONE_SAMPLES
    wave = (round(loudness * math.sin(turn * at + math.pi / 4)) for at in range(_TONE_SAMPLES))
    return struct.pack(f"<{_TONE_SAMPLES}h", *wave)


_TONES = [[_tone(number, loudness) for number in range(16)] for loudness in _LOUDNESS]
_NUMBERS = {tone: number for tones in _TONES for number, tone in enumerate(tones)}


def of_text(text: str, voice: str) -> bytes:
    """Samples, with a tenth of a second of silence at both ends. The voice says how loud it is."""
    data = text.encode()
    tones = _TONES[zlib.crc32(voice.encode()) % len(_LOUDNESS)]
    framed = _HEAD.pack(_MARK, len(data), zlib.crc32(data)) + data
    return _SILENCE + b"".join(tones[byte >> 4] + tones[byte & 15] for byte in framed) + _SILENCE


def text_of(samples: bytes) -> str | None:
    """The text that `of_text` made samples of, or None."""
    start = len(samples) - len(samples.lstrip(b"\0"))
    start -= start % _SAMPLE_BYTES
    head = _bytes_at(samples, start, _HEAD.size)
    if head is None:
        return None
    mark, length, checksum = _HEAD.unpack(head)
    if mark != _MARK or length > len(samples):
        return None
    data = _bytes_at(samples, start + 2 * _HEAD.size * _TONE_BYTES, length)
    return data.decode() if data is not None and zlib.crc32(data) == checksum else None


def seconds_of(samples: bytes) -> float:
    return len(samples) / (RATE * _SAMPLE_BYTES)


def _bytes_at(samples: bytes, start: int, count: int) -> bytes | None:
    found = bytearray()
    for at in range(start, start + 2 * count * _TONE_BYTES, 2 * _TONE_BYTES):
        high = _NUMBERS.get(samples[at : at + _TONE_BYTES])
        low = _NUMBERS.get(samples[at + _TONE_BYTES : at + 2 * _TONE_BYTES])
        if high is None or low is None:
            return None
        found.append(high << 4 | low)
    return bytes(found)


def wav(samples: bytes) -> bytes:
    """The samples as a RIFF file."""
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * _SAMPLE_BYTES, _SAMPLE_BYTES, 8 * _SAMPLE_BYTES)
    chunks = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", samples)
    return _chunk(b"RIFF", chunks)


def samples_of(file: bytes) -> bytes:
    """Those of a WAV file, be its length unknown (as a streamed file says it), or the file itself as raw samples."""
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        return file
    at = 12
    while at + 8 <= len(file):
        name, size = struct.unpack_from("<4sI", file, at)
        if name == b"data":
            return file[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return b""


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data
