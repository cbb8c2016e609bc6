"""A reader and a writer as one editor: what it holds, what it still may send, when it is done."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.exchange import Began, Ended, Event, Finished, TextDelta, Used
from trunkline.translation.streams import CrossedStream
from trunkline.wire.usage import Usage

USED = Used(Usage(input_tokens=1, output_tokens=2))
BEGAN = Began("a", "m")


class Lines:
    """A protocol of lines: t TEXT, f for the finish, u for usage, e for the end, x for an error."""

    def __init__(self) -> None:
        self.unsent: list[Event] = []
        self.finished = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for line in data.decode().split("\n"):
            match line[:1]:
                case "t":
                    events.append(TextDelta(0, 0, line[1:]))
                case "f":
                    self.finished = True
                    events.append(Finished(0, "end"))
                case "u":
                    events.append(USED)
                case "e":
                    events.append(Ended())
                case "x":
                    self.unsent = events
                    raise UpstreamFailed("said so")
        return events

    def end(self) -> list[Event]:
        if not self.finished:
            raise StreamCut("broke off")
        return [Ended()]


class Words:
    """Writes text as it comes, and the finish with its usage."""

    def __init__(self) -> None:
        self.holding = False

    def write(self, events: Iterable[Event]) -> bytes:
        written = b""
        for event in events:
            if isinstance(event, TextDelta):
                written += event.text.encode()
            elif isinstance(event, Finished):
                self.holding = True
            elif isinstance(event, Used | Ended):
                written += self.release()
        return written

    def release(self) -> bytes:
        held, self.holding = self.holding, False
        return b"." if held else b""


def stream() -> CrossedStream:
    return CrossedStream(Lines(), Words())


def test_bytes_in_bytes_out() -> None:
    crossed = stream()
    assert crossed.feed(b"ta\ntb\n") == b"ab"
    assert crossed.feed(b"") == b""
    assert (crossed.finished, crossed.done, crossed.holds) == (False, False, 0)
    assert crossed.feed(b"f\n") == b""
    assert crossed.finished
    assert crossed.holds == 1
    assert crossed.feed(b"u\n") == b"."
    assert crossed.usage == USED.usage
    assert crossed.feed(b"e\n") == b""
    assert crossed.done
    assert crossed.feed(b"tc\n") == crossed.end() == b""


def test_the_end_of_the_body_may_be_the_end() -> None:
    crossed = stream()
    crossed.feed(b"ta\nf\n")
    assert crossed.end() == b"."
    assert crossed.done


def test_what_is_held_can_be_let_go_once() -> None:
    crossed = stream()
    crossed.feed(b"f\n")
    assert crossed.release() == b"."
    assert crossed.release() == b""


def test_what_came_before_an_error_may_still_be_sent() -> None:
    crossed = stream()
    with pytest.raises(UpstreamFailed):
        crossed.feed(b"ta\nx\ntb\n")
    assert crossed.unsent == b"a"
    assert not crossed.done


def test_a_body_that_breaks_off_has_nothing_more() -> None:
    crossed = stream()
    crossed.feed(b"ta\n")
    with pytest.raises(StreamCut):
        crossed.end()
    assert crossed.unsent == b""


def test_who_watches_says_what_is_written() -> None:
    seen: list[Event] = []

    def watch(events: list[Event]) -> list[Event]:
        seen.extend(events)
        return [TextDelta(0, 0, "*") if isinstance(event, TextDelta) else event for event in events]

    crossed = CrossedStream(Lines(), Words(), watch)
    assert crossed.feed(b"ta\ntb\n") == b"**"
    with pytest.raises(UpstreamError):
        crossed.feed(b"tc\nx\n")
    assert crossed.unsent == b"*"
    assert [event.text for event in seen if isinstance(event, TextDelta)] == ["a", "b", "c"]


@pytest.mark.parametrize("given", [b"ta\n", b"f\n", b"e\n", b"ta\nx\n"])
def test_every_writer_is_told_who_answers_first(given: bytes) -> None:
    """Also where the provider's stream has no beginning."""
    seen: list[Event] = []

    def watch(events: list[Event]) -> list[Event]:
        seen.extend(events)
        return events

    crossed = CrossedStream(Lines(), Words(), watch)
    try:
        crossed.feed(given)
    except UpstreamFailed:
        assert crossed.unsent == b"a"
    crossed.feed(b"tb\n")
    assert isinstance(seen[0], Began)
    assert sum(isinstance(event, Began) for event in seen) == 1


def priced(asked: list[Usage | None]) -> CrossedStream:
    def price(usage: Usage | None) -> Usage:
        asked.append(usage)
        return Usage(input_tokens=9, output_tokens=9, cost_nanos=1)

    return CrossedStream(Lines(), Told(), None, price)


class Told(Words):
    """Writes the finish with the output that was told, and what it cost."""

    def write(self, events: Iterable[Event]) -> bytes:
        written = b""
        for event in events:
            if isinstance(event, Used):
                written += b"%d/%d" % (event.usage.output_tokens, event.usage.cost_nanos or 0)
            written += super().write([event])
        return written


def test_a_price_comes_with_the_end_and_once() -> None:
    asked: list[Usage | None] = []
    crossed = priced(asked)
    assert crossed.feed(b"ta\nu\nf\nu\n") == b"a"
    assert (crossed.usage, asked, crossed.holds) == (USED.usage, [], 1)
    assert crossed.feed(b"e\n") == b"9/1."
    assert asked == [USED.usage]


def test_a_price_where_nobody_counted() -> None:
    asked: list[Usage | None] = []
    crossed = priced(asked)
    assert crossed.feed(b"ta\nf\n") == b"a"
    # Without usage an end is not let go, or it would go without its cost.
    assert crossed.release() == b""
    assert crossed.end() == b"9/1."
    assert asked == [None]


def test_an_end_with_its_usage_can_be_let_go() -> None:
    asked: list[Usage | None] = []
    crossed = priced(asked)
    crossed.feed(b"f\nu\n")
    assert crossed.release() == b"9/1."
    assert crossed.release() == b""
    assert crossed.feed(b"u\ne\n") == b""
    assert asked == [USED.usage]


def test_an_answer_that_fails_has_no_price() -> None:
    asked: list[Usage | None] = []
    crossed = priced(asked)
    with pytest.raises(UpstreamFailed):
        crossed.feed(b"f\nu\nx\n")
    assert crossed.unsent == b"2/0."
    assert asked == []
    assert crossed.usage == USED.usage


def test_what_has_come_is_counted_at_any_time() -> None:
    crossed = stream()
    for number in range(16):
        crossed.feed(b"t hello\n")
        assert crossed.seen_tokens == number + 1


def test_the_start_tells_the_input_until_more_is_known() -> None:
    class Starts(Lines):
        def feed(self, data: bytes) -> list[Event]:
            return [Began("a", "m", 0, USED.usage), *super().feed(data)]

    crossed = CrossedStream(Starts(), Words())
    crossed.feed(b"ta\n")
    assert crossed.usage == USED.usage
    crossed.feed(b"f\ne\n")
    assert crossed.usage is None
