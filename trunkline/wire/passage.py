"""Requests and answers that cross as they are: images, audio, moderations, rerank. Here is what is read of them.

A request names its model and says whether the answer is to be a stream; of an answer its usage is read, and whether it
hides a failure. All else belongs to the caller and the provider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest, StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error
from trunkline.wire.usage import Count, Usage, believed

MAX_MODEL_NAME = 1024
MAX_EVENT_BYTES = 32 * 1024 * 1024
"""An event may be a whole picture."""
READ = frozenset(("model", "stream", "stream_format"))

_read_text = msgspec.json.Decoder(str).decode
_read_switch = msgspec.json.Decoder(bool | None).decode
_read_any = msgspec.json.Decoder().decode


class PassageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` is the whole top level in the caller's order, each value as he wrote it."""

    fields: Fields
    model: str
    stream: bool = False

    def body(self, model: str) -> bytes:
        """The request for a provider that knows the model as `model`."""
        return encode({**self.fields, "model": Raw(encode(model))})


def read_request(body: bytes, default_model: str | None = None) -> PassageRequest:
    """`default_model` is what a request without a model means. Raises InvalidRequest."""
    fields = codec.fields(body, READ)
    stream = _switch(fields, "stream")
    if "stream_format" in fields:
        # Speech has a word of its own for it: `sse` or `audio`.
        stream = stream or _loosely(fields["stream_format"]) == "sse"
    if default_model is not None and ("model" not in fields or bytes(fields["model"]) == b"null"):
        return PassageRequest(fields=fields, model=default_model, stream=stream)
    return PassageRequest(fields=fields, model=read_model(fields), stream=stream)


def read_model(fields: Fields) -> str:
    """Raises InvalidRequest unless it is a name."""
    raw = fields.get("model")
    if raw is None:
        raise missing_model()
    try:
        model = _read_text(raw)
    except codec.UNREADABLE:
        raise InvalidRequest("'model' must be a string.", code="invalid_type", param="model") from None
    return checked_model(model)


def checked_model(model: str) -> str:
    if not model or len(model) > MAX_MODEL_NAME:
        raise InvalidRequest(f"'model' must be a name of 1 to {MAX_MODEL_NAME:,} characters.", param="model")
    return model


def missing_model() -> InvalidRequest:
    return InvalidRequest(
        "'model' is required: name the model that is to answer.", code="missing_required_parameter", param="model"
    )


def _switch(fields: Fields, name: str) -> bool:
    raw = fields.get(name)
    if raw is None:
        return False
    try:
        return _read_switch(raw) or False
    except codec.UNREADABLE:
        raise InvalidRequest(f"'{name}' must be true or false.", code="invalid_type", param=name) from None


def _loosely(raw: Raw) -> Any:
    try:
        return _read_any(raw)
    except codec.UNREADABLE:
        return None


class _Details(msgspec.Struct, gc=False):
    audio_tokens: Count | None = None
    cached_tokens: Count | None = None
    image_tokens: Count | None = None


class _Counts(msgspec.Struct, gc=False):
    """Images, speech and transcriptions count input and output (transcriptions in `input_token_details`); embeddings
    and moderations prompts; Jina's rerank the total alone. A transcription billed by its seconds has no tokens."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    prompt_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    output_tokens_details: _Details | None = None


_read_counts = msgspec.json.Decoder(_Counts).decode
_NO_DETAILS = _Details()


def read_usage(raw: Raw | None) -> Usage | None:
    """From the `usage` of an answer or an event; None when it counts no tokens, or in a way that makes no sense."""
    if not raw:
        return None
    try:
        said = _read_counts(raw)
    except codec.UNREADABLE:
        return None
    given = (count for count in (said.input_tokens, said.prompt_tokens, said.total_tokens) if count is not None)
    tokens = next(given, None)
    if tokens is None:
        return None
    details = said.input_tokens_details or said.input_token_details or _NO_DETAILS
    made = said.output_tokens_details or _NO_DETAILS
    return believed(
        tokens,
        said.output_tokens or 0,
        cached=details.cached_tokens,
        input_audio=details.audio_tokens,
        input_image=details.image_tokens,
        output_audio=made.audio_tokens,
        output_image=made.image_tokens,
    )


class Passed(msgspec.Struct, frozen=True):
    """A whole JSON answer's facts. `error` is set when the provider hid a failure in an answer of status 200."""

    usage: Usage | None = None
    error: ErrorFacts | None = None


class _Answer(msgspec.Struct, gc=False):
    usage: Raw = Raw()
    error: Raw = Raw()


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Passed:
    """Raises UpstreamFailed when it is not a JSON object."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a JSON object.") from None
    if is_error(said.error):
        return Passed(None, error_in({"error": said.error}))
    return Passed(read_usage(said.usage))


class _Pictures(msgspec.Struct, gc=False):
    data: list[Raw] = []


_decode_pictures = msgspec.json.Decoder(_Pictures).decode


def pictures(body: bytes) -> int:
    """How many a whole answer has; 0 for an answer of another shape."""
    try:
        return len(_decode_pictures(body).data)
    except codec.UNREADABLE:
        return 0


def renamed(body: bytes, model: str) -> bytes:
    """An answer that names `model` in the place of another, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None or "model" not in fields:
        return body
    return encode({**fields, "model": Raw(encode(model))})


# `image_generation.completed`, `transcript.text.done`, `speech.audio.done`: the last events. Some add Chat's `[DONE]`.
_TELLING = (b'"usage"', b'"error"', b".completed", b".done", b"[DONE]")


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    usage: Raw = Raw()
    error: Raw = Raw()


_decode_event = msgspec.json.Decoder(_Event).decode


class EventPassage:
    """A stream of server-sent events on its way through, each of them whole: it fulfils pipeline.relay.EventStream.

    The bytes of an event are the provider's, but for line ends, which become LF. `error` makes of what an event says
    went wrong what is raised; the event itself is not handed on, and `unsent` is what came before it. Raises
    UpstreamFailed when an event is longer than MAX_EVENT_BYTES, and StreamCut when the last one breaks off.
    `seen_tokens` are its events: of sound and pictures nothing else tells before the usage. `completed` are the things
    that it was asked for and has completed, pictures for one.
    """

    __slots__ = (
        "_after_return",
        "_error",
        "_waiting",
        "_waiting_bytes",
        "completed",
        "done",
        "finished",
        "holds",
        "seen_tokens",
        "unsent",
        "usage",
    )

    def __init__(self, error: Callable[[ErrorFacts], UpstreamError]) -> None:
        self._error = error
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._after_return = False
        self.done = False
        self.finished = False
        """All that matters has come; only the end is missing."""
        self.holds = 0
        self.seen_tokens = 0
        self.completed = 0
        self.unsent = b""
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """The events that `data` completes."""
        if self._after_return or b"\r" in data:
            data = self._line_feeds_only(data)
        # The blank line may lie between two pieces.
        seam = self._waiting[-1][-1:] + data if self._waiting else data
        if b"\n\n" not in seam:
            self._wait(data)
            return b""
        whole = b"".join((*self._waiting, data))
        complete, blank_line, rest = whole.rpartition(b"\n\n")
        self._waiting.clear()
        self._waiting_bytes = 0
        if rest:
            self._wait(rest)
        return self._looked_at(complete + blank_line)

    def end(self) -> bytes:
        """The provider has ended the stream."""
        rest = b"".join(self._waiting)
        self._waiting.clear()
        if rest.strip():
            raise StreamCut("The provider's stream broke off in the middle of an event.")
        self.done = True
        return b""

    def release(self) -> bytes:
        """Nothing is ever held back."""
        return b""

    def _wait(self, piece: bytes) -> None:
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > MAX_EVENT_BYTES:
            raise UpstreamFailed(f"The provider sent an event of more than {MAX_EVENT_BYTES:,} bytes.")
        if piece:
            self._waiting.append(piece)

    def _line_feeds_only(self, data: bytes) -> bytes:
        """CR and CRLF become LF. A CR at the end ends its line now; an LF that follows it belongs to it."""
        if self._after_return and data:
            data = data.removeprefix(b"\n")
            self._after_return = False
        if data.endswith(b"\r"):
            self._after_return = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _looked_at(self, events: bytes) -> bytes:
        self.seen_tokens += events.count(b"\n\n")
        # Pictures are long, and only events with one of these words say anything about themselves.
        if not any(word in events for word in _TELLING):
            return events
        sent = 0
        for event in events.split(b"\n\n"):
            self._look_at(event, events[:sent])
            sent += len(event) + 2
        return events

    def _look_at(self, event: bytes, before: bytes) -> None:
        data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        if data == b"[DONE]":
            self.finished = True
            return
        try:
            said = _decode_event(data)
        except codec.UNREADABLE:
            return
        if is_error(said.error) or said.type == "error":
            self.unsent = before
            raise self._error(error_in(codec.answer_fields(data) or {}) or ErrorFacts(message=""))
        self.usage = read_usage(said.usage) or self.usage
        if said.type.endswith((".completed", ".done")):
            self.completed += 1
            self.finished = True
