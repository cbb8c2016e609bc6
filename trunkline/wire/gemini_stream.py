"""The stream of a Gemini answer on pass-through: every chunk checked, its data relayed byte for byte.

A chunk goes on as one event of one data line. What is done to it beyond that:

modelVersion  names another model where the caller is to see another name
before text   comments and empty events are not sent, so that another provider can still answer
end           the protocol has none: an answer is whole when each candidate that began has told why it finished

Pure and synchronous: pipeline/relay.py keeps the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire import codec, sse
from trunkline.wire.gemini_answer import UsageMetadata, read_usage, usage_of, with_model
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error, read_error
from trunkline.wire.seen import Seen, size_of
from trunkline.wire.usage import Usage

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A picture comes whole, in one event."""


class _Part(msgspec.Struct, gc=False, rename="camel"):
    """What of a part can be weighed: a text, or the bytes of a call as it stands."""

    text: str = ""
    function_call: Raw = Raw()


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    index: Annotated[int, Meta(ge=0, le=1023)] | None = None
    finish_reason: str | None = None
    content: _Content | None = None

    def said_size(self) -> int:
        """In bytes."""
        parts = self.content.parts if self.content is not None else ()
        return sum(size_of(part.text) + len(part.function_call) for part in parts)


class _OddCandidate(msgspec.Struct, gc=False, rename="camel"):
    index: Annotated[int, Meta(ge=0, le=1023)] | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: UsageMetadata | msgspec.UnsetType = msgspec.UNSET
    response_id: str | None = None
    error: Raw = Raw()


class _OddChunk(msgspec.Struct, gc=False, rename="camel"):
    """One whose content or usage is not as this protocol has it."""

    candidates: list[_OddCandidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = Raw()
    response_id: str | None = None
    error: Raw = Raw()


_decode_odd_chunk = msgspec.json.Decoder(_OddChunk).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def _reported(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed("The provider reported an error in the middle of its answer.", status=facts.status)


def failure_in(rest: bytes, error: Callable[[ErrorFacts], UpstreamError]) -> UpstreamError | None:
    """What came in place of a stream: an error is answered as plain JSON, or as an array of one. None for events."""
    if not rest.lstrip().startswith((b"{", b"[")):
        return None
    facts = read_error(rest)
    return error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")


class GeminiStream:
    """One answer's editor: `feed` what arrives, write what it returns, then `end`.

    model   the name to show instead of the provider's
    error   makes the error for what the provider says went wrong

    `feed` and `end` raise StreamCut, UpstreamFailed or what `error` made; `unsent` is then what may still be written.
    Nothing is ever held back, so `holds` stays 0. `usage` is what was told last: each time of the whole answer so far.
    `seen_tokens` is an estimate of what has come of it (see Seen).
    """

    __slots__ = ("_begun", "_blocked", "_error", "_finished", "_model", "_splitter", "_text", "began", "done",
                 "finish_reason", "holds", "response_id", "unsent", "usage")  # fmt: skip

    def __init__(self, *, model: str | None = None, error: Callable[[ErrorFacts], UpstreamError] = _reported) -> None:
        self._model = model
        self._error = error
        self._splitter = sse.Splitter(joint=b" ", max_event_bytes=MAX_EVENT_BYTES)
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._blocked = False
        self._text = Seen()
        self.usage: Usage | None = None
        self.response_id: str | None = None
        self.finish_reason: str | None = None
        self.began = False
        self.done = False
        self.holds = 0
        self.unsent = b""

    @property
    def seen_tokens(self) -> int:
        return self._text.tokens

    @property
    def finished(self) -> bool:
        """An end of the body now is a good end."""
        return self._blocked or (bool(self._begun) and self._begun == self._finished)

    def feed(self, data: bytes) -> bytes:
        """The events to write now, in one write; b"" when there are none."""
        return self._written(self._splitter.feed(data))

    def end(self) -> bytes:
        """The upstream's body has ended: the last of what is to be written."""
        if self.done:
            return b""
        rest = self._splitter.rest()
        if not self.began and (failure := failure_in(rest, self._error)) is not None:
            raise failure
        # An event that was cut in the middle is none.
        out = self._written([one for one in self._splitter.end() if codec.answer_fields(one) is not None])
        if not self.finished:
            self.unsent = out
            raise StreamCut("The provider's answer broke off before it was finished.")
        self.done = True
        return out

    def release(self) -> bytes:
        """Nothing is held."""
        return b""

    def _written(self, payloads: list[bytes]) -> bytes:
        out: list[bytes] = []
        try:
            for payload in payloads:
                if payload.strip():
                    self._check(payload)
                    out.append(payload if self._model is None else with_model(payload, self._model))
        except UpstreamError:
            self.unsent = sse.frame(out) if out else b""
            raise
        if not out:
            return b""
        self.began = True
        return sse.frame(out)

    def _check(self, payload: bytes) -> None:
        try:
            if not payload.isascii():
                payload.decode()
            chunk = _decoded(payload)
        except codec.UNREADABLE:
            raise self._senseless(payload) from None
        if chunk.candidates:
            candidates: Sequence[_Candidate | _OddCandidate] = chunk.candidates
            for at, candidate in enumerate(candidates):
                index = at if candidate.index is None else candidate.index
                self._begun.add(index)
                if candidate.finish_reason is not None:
                    self._finished.add(index)
                    self.finish_reason = self.finish_reason or candidate.finish_reason
                if isinstance(candidate, _Candidate):
                    self._text.add_bytes(candidate.said_size())
        elif is_error(chunk.error) or not (chunk.usage_metadata or chunk.prompt_feedback or chunk.response_id):
            raise self._senseless(payload)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None:
            self._blocked = True
        if self.response_id is None:
            self.response_id = chunk.response_id
        told = chunk.usage_metadata
        if told:
            self.usage = (read_usage(told) if isinstance(told, Raw) else usage_of(told)) or self.usage

    def _senseless(self, payload: bytes) -> UpstreamError:
        facts = error_in(codec.answer_fields(payload) or {})
        if facts is not None:
            return self._error(facts)
        return UpstreamFailed("The provider sent an event that is not a chunk of generateContent in UTF-8.")


def _decoded(payload: bytes) -> _Chunk | _OddChunk:
    try:
        return _decode_chunk(payload)
    except codec.UNREADABLE:
        return _decode_odd_chunk(payload)
