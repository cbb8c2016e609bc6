"""A streamed answer on its way across: the provider's bytes to events, events to the caller's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from trunkline.errors import UpstreamError
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    Ended,
    Event,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    Used,
)
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.seen import Seen
from trunkline.wire.usage import Price, Usage, tier_of

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


_Said = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta


class CrossedStream:
    """A reader and a writer as one editor of a stream, which pipeline/relay.py drives like any other."""

    __slots__ = (
        "_began",
        "_price",
        "_priced",
        "_reader",
        "_text",
        "_tier",
        "_used",
        "_watch",
        "_writer",
        "done",
        "first_written",
        "holds",
        "unsent",
        "usage",
    )

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        watch: Callable[[list[Event]], list[Event]] | None = None,
        price: Price | None = None,
    ) -> None:
        """`watch` sees all events and says which are written instead; it may raise UpstreamError too. With a `price`
        the usage that is written is what it made, and that is written with the end, not before. `first_written` is what
        went out first: the answer's id stands there."""
        self._reader = reader
        self._writer = writer
        self._watch = watch
        self._price = price
        self._priced = False
        self._text = Seen()
        self._used: Usage | None = None
        self._tier: str | None = None
        self._began = False
        self.first_written = b""
        self.done = False
        self.holds = 0
        self.unsent = b""
        self.usage: Usage | None = None

    @property
    def finished(self) -> bool:
        return self._reader.finished

    @property
    def seen_tokens(self) -> int:
        """An estimate of what has come of the answer."""
        return self._text.tokens

    def feed(self, data: bytes) -> bytes:
        return b"" if self.done else self._crossed(self._reader.feed, data)

    def end(self) -> bytes:
        if self.done:
            return b""
        return self._crossed(self._reader.end)

    def release(self) -> bytes:
        """With a price, an end that has no usage yet waits for that, or for the provider's own end."""
        if self._price is None:
            return self._writer.release()
        if self._used is None or self._priced or not self._writer.holding:
            return b""
        return self._writer.write([self._settled(self._price)])

    def _crossed(self, step: Callable[..., list[Event]], *given: bytes) -> bytes:
        try:
            events = step(*given)
        except UpstreamError:
            self.unsent = self._written(self._reader.unsent, failed=True)
            raise
        return self._written(events) if events else b""

    def _written(self, events: list[Event], *, failed: bool = False) -> bytes:
        if not self._began and events:
            self._began = True
            if not isinstance(events[0], Began):
                # A provider that does not begin as its protocol has it; every writer wants to be told who answers.
                events = [Began("", "", 0), *events]
        for event in events:
            if isinstance(event, _Said):
                self._text.add(event.text)
            elif isinstance(event, Used):
                self._used = self.usage = event.usage
                if self._used.service_tier is None:
                    self._used.service_tier = self._tier
            elif isinstance(event, Began):
                self.usage = event.usage
                self._tier = tier_of(event.service_tier)
            elif isinstance(event, Ended):
                self.usage = self._used
                self.done = True
        if self._watch is not None:
            events = self._watch(events)
        if self._price is not None:
            events = self._with_price(events, self._price, failed=failed)
        held = self._writer.holding
        written = self._writer.write(events)
        if self._writer.holding and not held:
            self.holds += 1
        self.first_written = self.first_written or written
        return written

    def _with_price(self, events: list[Event], price: Price, *, failed: bool) -> list[Event]:
        """Usage only before the end, when it is certain: what is told of it earlier is of the answer so far. An answer
        that failed costs what others make of it."""
        events = [event for event in events if not isinstance(event, Used)]
        if self._priced:
            return events
        if failed and self._used is not None:
            events.append(Used(self._used))
        elif self.done:
            end = next((at for at, event in enumerate(events) if isinstance(event, Ended)), len(events))
            events.insert(end, self._settled(price))
        return events

    def _settled(self, price: Price) -> Used:
        self._priced = True
        return Used(price(self._used))
