"""A streamed answer on its way across: the provider's bytes to events, events to the caller's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from trunkline.errors import UpstreamError
from trunkline.translation.exchange import Began, Ended, Event, Used
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

MakeError = Callable[[ErrorFacts], UpstreamError]
"""Makes the error for what a provider says went wrong in the middle of its answer."""


class StreamReader(Protocol):
    """One upstream answer. Incremental and pure: any split of the bytes gives the same events.

    `feed` and `end` raise UpstreamFailed for what makes no sense, StreamCut for an end before the end, and what
    MakeError made. Events that came before the error are lost to the caller of `feed`; `unsent` has them.
    """

    unsent: list[Event]

    @property
    def finished(self) -> bool:
        """All that matters has come: an end of the body now is a good end."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        ...

    def end(self) -> list[Event]:
        """The body has ended. The last event is Ended, unless `feed` gave it before."""
        ...


class StreamWriter(Protocol):
    """One answer to the caller. What it returns are whole events of his protocol, in one piece.

    `holding`: the end of the answer has come but not its usage, which is to go out with it; `release` gives up waiting.
    """

    holding: bool

    def write(self, events: Iterable[Event]) -> bytes: ...
    def release(self) -> bytes: ...


class CrossedStream:
    """A reader and a writer as one editor of a stream, which pipeline/relay.py drives like any other."""

    __slots__ = ("_began", "_reader", "_watch", "_writer", "done", "holds", "unsent", "usage")

    def __init__(
        self, reader: StreamReader, writer: StreamWriter, watch: Callable[[list[Event]], list[Event]] | None = None
    ) -> None:
        """`watch` sees all events and says which are written instead; it may raise UpstreamError too."""
        self._reader = reader
        self._writer = writer
        self._watch = watch
        self._began = False
        self.done = False
        self.holds = 0
        self.unsent = b""
        self.usage: Usage | None = None

    @property
    def finished(self) -> bool:
        return self._reader.finished

    def feed(self, data: bytes) -> bytes:
        return b"" if self.done else self._crossed(self._reader.feed, data)

    def end(self) -> bytes:
        if self.done:
            return b""
        return self._crossed(self._reader.end)

    def release(self) -> bytes:
        return self._writer.release()

    def _crossed(self, step: Callable[..., list[Event]], *given: bytes) -> bytes:
        try:
            events = step(*given)
        except UpstreamError:
            self.unsent = self._written(self._reader.unsent)
            raise
        return self._written(events) if events else b""

    def _written(self, events: list[Event]) -> bytes:
        if not self._began and events:
            self._began = True
            if not isinstance(events[0], Began):
                # A provider that does not begin as its protocol has it; every writer wants to be told who answers.
                events = [Began("", "", 0), *events]
        for event in events:
            kind = type(event)
            if isinstance(event, Used):
                self.usage = event.usage
            elif kind is Ended:
                self.done = True
        if self._watch is not None:
            events = self._watch(events)
        held = self._writer.holding
        written = self._writer.write(events)
        if self._writer.holding and not held:
            self.holds += 1
        return written
