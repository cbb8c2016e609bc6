"""The speech endpoint: no voice, but tones that carry the text, so that a transcription gives it back.

Source: the `openai` package's types/audio/speech_create_params.py.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import json_body, served, tones, words
from trunkline.providers.sandbox.openai_errors import EVENTS
from trunkline.providers.sandbox.response import Plan, Step
from trunkline.wire import codec, sse

LONGEST_INPUT = 4_096
AUDIO_TOKENS_PER_S = 10
_PIECE_BYTES = 12_288
_TYPES = {"wav": b"audio/wav", "pcm": b"audio/pcm"}


class Voice(msgspec.Struct):
    id: str


class SpeechRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`response_format` is wav when it is left open, because the vendor's mp3 is not made here."""

    model: str
    input: Annotated[str, Meta(min_length=1, max_length=LONGEST_INPUT)]
    voice: str | Voice
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "wav"
    speed: Annotated[float, Meta(ge=0.25, le=4)] = 1.0
    stream_format: Literal["sse", "audio"] = "audio"


class SpeechUsage(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class AudioDelta(msgspec.Struct, tag_field="type", tag="speech.audio.delta"):
    audio: str


class AudioDone(msgspec.Struct, tag_field="type", tag="speech.audio.done"):
    usage: SpeechUsage


_decoder = msgspec.json.Decoder(SpeechRequest)


def answer(body: bytes) -> Plan:
    """Raises InvalidRequest or NotFound. Speed and instructions change nothing: tones have one pace."""
    request = json_body.read(_decoder, body)
    served.model_of(request.model, "/audio/speech")
    if request.response_format not in _TYPES:
        sentence = f"response_format is wav or pcm: the sandbox does not encode {request.response_format}"
        raise InvalidRequest(sentence, param="response_format")
    voice = request.voice if isinstance(request.voice, str) else request.voice.id
    samples = tones.of_text(request.input, voice)
    audio = tones.wav(samples) if request.response_format == "wav" else samples
    if request.stream_format == "sse":
        return Plan(headers=EVENTS, steps=_events(request, samples, audio))
    return Plan(headers=[(b"content-type", _TYPES[request.response_format])], steps=_pieces(audio))


def _pieces(audio: bytes) -> Iterator[bytes]:
    return (audio[at : at + _PIECE_BYTES] for at in range(0, len(audio), _PIECE_BYTES))


def _events(request: SpeechRequest, samples: bytes, audio: bytes) -> Iterator[Step]:
    for piece in _pieces(audio):
        yield sse.frame([codec.encode(AudioDelta(b64encode(piece).decode()))])
    given = max(words.count(request.input), 1)
    spent = audio_tokens(samples)
    yield sse.frame([codec.encode(AudioDone(SpeechUsage(given, spent, given + spent)))])


def audio_tokens(samples: bytes) -> int:
    return max(round(tones.seconds_of(samples) * AUDIO_TOKENS_PER_S), 1)
