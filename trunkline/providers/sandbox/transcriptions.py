"""Transcriptions and translations of what `speech` says: the text that its tones carry. Other sound is refused.

Sources: the `openai` package's types/audio/transcription_create_params.py, transcription_verbose.py and
transcription_stream_event.py; for subtitles https://www.w3.org/TR/webvtt1/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import form_body, served, tones, words
from trunkline.providers.sandbox.openai_errors import EVENTS, JSON
from trunkline.providers.sandbox.response import Plan, Step
from trunkline.providers.sandbox.speech import audio_tokens
from trunkline.providers.transport import Headers
from trunkline.wire import codec, sse

_PLAIN: Headers = [(b"content-type", b"text/plain; charset=utf-8")]
_NOT_READ = ("diarized_json",)


class TranslationRequest(msgspec.Struct, kw_only=True):
    model: str
    prompt: str | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.0


class TranscriptionRequest(TranslationRequest, kw_only=True):
    language: str = "en"
    languages: list[str] = []
    keywords: list[str] = []
    include: list[Literal["logprobs"]] = []
    timestamp_granularities: list[Literal["word", "segment"]] = []
    chunking_strategy: str | None = None
    known_speaker_names: list[str] = []
    known_speaker_references: list[str] = []
    stream: bool = False


class AudioDetails(msgspec.Struct):
    audio_tokens: int
    text_tokens: int


class TokenUsage(msgspec.Struct, tag_field="type", tag="tokens"):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: AudioDetails


class DurationUsage(msgspec.Struct, tag_field="type", tag="duration"):
    seconds: float


class Transcription(msgspec.Struct):
    text: str
    usage: TokenUsage | UnsetType = UNSET


class Segment(msgspec.Struct, kw_only=True):
    id: int = 0
    seek: int = 0
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float
    avg_logprob: float = 0.0
    compression_ratio: float = 1.0
    no_speech_prob: float = 0.0


class Word(msgspec.Struct):
    word: str
    start: float
    end: float


class VerboseTranscription(msgspec.Struct, kw_only=True):
    task: str
    language: str
    duration: float
    text: str
    segments: list[Segment] | UnsetType = UNSET
    words: list[Word] | UnsetType = UNSET
    usage: DurationUsage


class TextDelta(msgspec.Struct, tag_field="type", tag="transcript.text.delta"):
    delta: str


class TextDone(msgspec.Struct, tag_field="type", tag="transcript.text.done"):
    text: str
    usage: TokenUsage


class _Heard(msgspec.Struct, frozen=True):
    text: str
    seconds: float
    usage: TokenUsage


def transcribe(headers: Headers, body: bytes) -> Plan:
    """Raises InvalidRequest or NotFound."""
    form = form_body.read(headers, body)
    request = form.read(TranscriptionRequest)
    heard = _heard(form, request)
    if request.stream:
        return Plan(headers=EVENTS, steps=_events(heard))
    return _answer(request, heard, task="transcribe", language=request.language)


def translate(headers: Headers, body: bytes) -> Plan:
    """The text as it is: the sandbox knows no languages."""
    form = form_body.read(headers, body)
    request = form.read(TranslationRequest)
    return _answer(request, _heard(form, request), task="translate", language="english")


def _heard(form: form_body.Form, request: TranslationRequest) -> _Heard:
    served.model_of(request.model, "/audio/transcriptions")
    if request.response_format in _NOT_READ:
        raise InvalidRequest("the sandbox does not tell speakers apart", param="response_format")
    samples = tones.samples_of(form.file("file").data)
    text = tones.text_of(samples)
    if text is None:
        sentence = "the file holds none of the tones that the sandbox's speech is made of (WAV, or raw 24 kHz samples)"
        raise InvalidRequest(sentence, code="invalid_audio", param="file")
    sound, asked, said = audio_tokens(samples), words.count(request.prompt or ""), max(words.count(text), 1)
    usage = TokenUsage(sound + asked, said, sound + asked + said, AudioDetails(sound, asked))
    return _Heard(text, round(tones.seconds_of(samples), 3), usage)


def _answer(request: TranslationRequest, heard: _Heard, *, task: str, language: str) -> Plan:
    kind = request.response_format
    if kind == "json":
        body = codec.encode(Transcription(heard.text, heard.usage if task == "transcribe" else UNSET))
    elif kind == "verbose_json":
        body = codec.encode(_verbose(request, heard, task=task, language=language))
    elif kind == "text":
        body = f"{heard.text}\n".encode()
    elif kind == "srt":
        body = f"1\n{_time(0, ',')} --> {_time(heard.seconds, ',')}\n{heard.text}\n\n".encode()
    else:
        body = f"WEBVTT\n\n{_time(0, '.')} --> {_time(heard.seconds, '.')}\n{heard.text}\n\n".encode()
    return Plan(headers=JSON if kind.endswith("json") else _PLAIN, steps=iter((body,)))


def _verbose(request: TranslationRequest, heard: _Heard, *, task: str, language: str) -> VerboseTranscription:
    wanted: list[Any] = ["segment"]
    if isinstance(request, TranscriptionRequest) and request.timestamp_granularities:
        wanted = list(request.timestamp_granularities)
    segment = Segment(start=0.0, end=heard.seconds, text=heard.text, temperature=request.temperature)
    return VerboseTranscription(
        task=task,
        language=language,
        duration=heard.seconds,
        text=heard.text,
        segments=[segment] if "segment" in wanted else UNSET,
        words=_words(heard) if "word" in wanted else UNSET,
        usage=DurationUsage(heard.seconds),
    )


def _words(heard: _Heard) -> list[Word]:
    """Each as long as the others."""
    found = heard.text.split()
    share = heard.seconds / max(len(found), 1)
    return [Word(word, round(at * share, 3), round((at + 1) * share, 3)) for at, word in enumerate(found)]


def _events(heard: _Heard) -> Iterator[Step]:
    for piece in words.pieces(heard.text):
        yield sse.frame([codec.encode(TextDelta(piece))])
    yield sse.frame([codec.encode(TextDone(heard.text, heard.usage))])


def _time(seconds: float, point: str) -> str:
    whole, rest = divmod(round(seconds * 1_000), 1_000)
    return f"{whole // 3_600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{rest:03d}"
