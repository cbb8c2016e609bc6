"""A provider's chunks as events.

Each chunk is a whole GenerateContentResponse with what is new in it, and usage of all so far. There is no last event:
the body's end is the end, so what finishes an answer is told then; some models name a reason in every chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.exchange import Began, Ended, Event, Finished, TextDelta, Usage, Used
from trunkline.translation.gemini.gathering import Candidate
from trunkline.translation.gemini.logprobs import read_logprobs
from trunkline.translation.gemini.shapes import Content, listed
from trunkline.translation.gemini.vocabulary import FAILED, begins, read_stop
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec, sse
from trunkline.wire.gemini_answer import read_usage
from trunkline.wire.gemini_stream import MAX_EVENT_BYTES, failure_in
from trunkline.wire.provider_errors import error_in, is_error


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: Annotated[int, Meta(ge=0, le=1023)] | None = None
    logprobs_result: Raw = Raw()


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = Raw()
    model_version: str = ""
    response_id: str = ""
    error: Raw = Raw()


class _RawContent(msgspec.Struct):
    parts: Raw = Raw()


class _RawCandidate(msgspec.Struct):
    content: _RawContent | None = None


class _RawChunk(msgspec.Struct):
    candidates: list[_RawCandidate]


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_raw_chunk = msgspec.json.Decoder(_RawChunk).decode
_decode_raw_parts = msgspec.json.Decoder(list[Raw]).decode


class Chunks:
    """Takes chunks, gives events. `out` is what has not been taken yet."""

    __slots__ = ("_blocked", "_candidates", "_id", "_origin", "_usage", "began", "out")

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._id = ""
        self._candidates: dict[int, Candidate] = {}
        self._blocked = False
        self._usage: Usage | None = None
        self.began = False
        self.out: list[Event] = []

    @property
    def finished(self) -> bool:
        """All candidates that began have told why they finished."""
        if not self._candidates:
            return self._blocked
        return all(candidate.reason is not None for candidate in self._candidates.values())

    @property
    def any_said(self) -> bool:
        """There is a candidate, or it was said why there is none."""
        return self._blocked or bool(self._candidates)

    def take(self, payload: bytes, error: MakeError) -> None:
        """Raises UpstreamFailed for what is no chunk, and what `error` made of one that tells of a failure."""
        try:
            if not payload.isascii():
                payload.decode()
            chunk = _decode_chunk(payload)
        except codec.UNREADABLE:
            raise senseless(payload, error) from None
        candidates = chunk.candidates
        if not candidates and (
            is_error(chunk.error)
            or not (chunk.usage_metadata or chunk.prompt_feedback is not None or chunk.response_id)
        ):
            raise senseless(payload, error)
        if chunk.usage_metadata:
            self._usage = read_usage(chunk.usage_metadata) or self._usage
        if not self.began:
            self.began = True
            self._id = chunk.response_id
            self.out.append(Began(chunk.response_id, chunk.model_version, 0, self._usage))
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None:
            self._blocked = True
        for at, said in enumerate(candidates or ()):
            self._candidate(at, said, payload)

    def _candidate(self, at: int, said: _Candidate, payload: bytes) -> None:
        index = at if said.index is None else said.index
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = Candidate(index, self._origin)
        if said.content is not None:
            for number, part in enumerate(listed(said.content.parts)):
                candidate.take(part, self._id, lambda number=number: _raw_part(payload, at, number), self.out)  # type: ignore[misc]
        if said.finish_reason is not None:
            candidate.reason = said.finish_reason
        if said.logprobs_result:
            self._logprobs(candidate, said.logprobs_result)

    def _logprobs(self, candidate: Candidate, raw: Raw) -> None:
        """On the last delta of text that the chunk brought."""
        logprobs = read_logprobs(raw)
        if logprobs is None:
            return
        for event in reversed(self.out):
            if isinstance(event, TextDelta) and event.choice == candidate.index and event.logprobs is None:
                event.logprobs = logprobs
                return

    def used(self) -> list[Event]:
        """The usage that was told last."""
        return [] if self._usage is None else [Used(self._usage)]

    def end(self) -> None:
        """Raises UpstreamFailed where the model's mistake left nothing of the answer."""
        if self._blocked and not self._candidates:
            self.out.append(Finished(0, "filter"))
        for _, candidate in sorted(self._candidates.items()):
            candidate.close(self.out)
            reason = candidate.reason or ""
            if reason in FAILED and not candidate.parts:
                raise UpstreamFailed(f"The model's answer could not be used: {reason}.")
            self.out.append(Finished(candidate.index, read_stop(reason, called=candidate.called)))
        self.out += self.used()
        self.out.append(Ended())


def _raw_part(payload: bytes, at: int, number: int) -> Raw:
    content = _decode_raw_chunk(payload).candidates[at].content
    assert content is not None, "it was read before"
    return _decode_raw_parts(content.parts)[number] if begins(content.parts, b"[") else content.parts


def senseless(payload: bytes, error: MakeError) -> UpstreamError:
    facts = error_in(codec.answer_fields(payload) or {})
    if facts is not None:
        return error(facts)
    return UpstreamFailed("The provider sent an event that is not a chunk of generateContent in UTF-8.")


class Reader:
    """One answer: `feed`, then `end` (translation/streams.py)."""

    __slots__ = ("_chunks", "_done", "_error", "_splitter", "unsent")

    def __init__(self, target: Target, error: MakeError) -> None:
        self._error = error
        self._splitter = sse.Splitter(joint=b" ", max_event_bytes=MAX_EVENT_BYTES)
        self._chunks = Chunks(target.provider_id)
        self._done = False
        self.unsent: list[Event] = []

    @property
    def finished(self) -> bool:
        return self._chunks.finished

    def feed(self, data: bytes) -> list[Event]:
        return self._checked(self._read, data)

    def end(self) -> list[Event]:
        if self._done:
            return []
        self._done = True
        return self._checked(self._read_end)

    def _checked(self, step: Callable[..., None], *given: bytes) -> list[Event]:
        try:
            step(*given)
        except UpstreamError:
            # An answer that broke off has cost something all the same.
            self.unsent = [*self._taken(), *self._chunks.used()]
            raise
        return self._taken()

    def _taken(self) -> list[Event]:
        out, self._chunks.out = self._chunks.out, []
        return out

    def _read(self, data: bytes) -> None:
        for payload in self._splitter.feed(data):
            if payload.strip():
                self._chunks.take(payload, self._error)

    def _read_end(self) -> None:
        rest = self._splitter.rest()
        if not self._chunks.began and (failure := failure_in(rest, self._error)) is not None:
            raise failure
        for payload in self._splitter.end():
            # An event that was cut in the middle is none.
            if codec.answer_fields(payload) is not None:
                self._chunks.take(payload, self._error)
        if not self._chunks.finished:
            raise StreamCut("The provider's answer broke off before it was finished.")
        self._chunks.end()
