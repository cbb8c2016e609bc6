"""What an answer cost is shown once, in its last usage, whole or streamed, passed or crossed; nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pairs import upstreams
from tests.pairs.callers import CALLERS, Caller
from tests.pairs.crossing import CREATED, EVERY_PAIR, reread, reread_stream, settled
from tests.pairs.upstreams import UPSTREAMS, Upstream, said
from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.errors import UpstreamError
from trunkline.translation.exchange import Answer, Began, Choice, Ended, Event, Finished, Text, TextDelta, Used
from trunkline.translation.streams import CrossedStream
from trunkline.wire.anthropic_messages_stream import MessagesStream
from trunkline.wire.openai_chat_stream import ChatStream
from trunkline.wire.openai_responses_stream import ResponsesStream
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parent.parent / "corpus"
COST = b"0.012345679"
COST_NANOS = 12_345_679
OURS = Usage(input_tokens=101, output_tokens=103)


class Till:
    """Prices, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Usage | None] = []

    def price(self, usage: Usage | None) -> Usage:
        self.asked.append(usage)
        return msgspec.structs.replace(usage or OURS, cost_nanos=COST_NANOS)


Editor = ChatStream | MessagesStream | ResponsesStream


def editor(protocol: str, name: str, till: Till | None) -> Editor:
    price = till.price if till is not None else None
    if protocol == "openai_chat":
        return ChatStream(
            include_usage=name.endswith("+"),
            n=2 if name.startswith("openai_two_choices") else 1,
            role_in_every_chunk=name.startswith(("mlx_lm", "openrouter")),
            error=said,
            price=price,
        )
    if protocol == "anthropic_messages":
        return MessagesStream(error=said, price=price)
    return ResponsesStream(error=said, price=price)


def recorded() -> Iterable[Any]:
    for protocol, ending in (("openai_chat", ".upstream.sse"), ("anthropic_messages", ".upstream.sse")):
        for path in sorted((CORPUS / protocol).glob(f"*{ending}")):
            name = path.name.removesuffix(ending)
            for asked in ("", "+") if protocol == "openai_chat" else ("",):
                yield pytest.param(protocol, name + asked, path, id=f"{protocol}-{name}{asked}")
    for path in sorted((CORPUS / "openai_responses").glob("*.sse")):
        yield pytest.param("openai_responses", path.stem, path, id=f"openai_responses-{path.stem}")


def run(stream: Editor | CrossedStream, pieces: Iterable[bytes]) -> tuple[bytes, bool]:
    """Everything that was written, and whether it came to a good end."""
    written = b""
    try:
        for piece in pieces:
            written += stream.feed(piece)
        return written + stream.end(), True
    except UpstreamError:
        return written + stream.unsent, False


def usages_in(told: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of whole answers, or of events, in which one may stand in the response that they carry."""
    found = [one.get("usage") or one.get("response", {}).get("usage") for one in told]
    return [usage for usage in found if usage is not None]


def data_in(stream: bytes) -> list[bytes]:
    """Of each event, in one line. What else stands beside it is lost where an event is edited."""
    events = [
        b" ".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        for event in stream.split(b"\n\n")
    ]
    return [data for data in events if data]


def events_in(stream: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(data) for data in data_in(stream) if data != b"[DONE]"]


@pytest.mark.parametrize(("protocol", "name", "path"), list(recorded()))
def test_a_recorded_stream_tells_what_it_cost(protocol: str, name: str, path: Path) -> None:
    data = path.read_bytes()
    till = Till()
    stream = editor(protocol, name, till)
    written, good = run(stream, [data])
    plain, _ = run(editor(protocol, name, None), [data])
    for place in range(1, len(data), 23):
        # A failure at once is an error; behind what is out it is an event.
        if name != "failed":
            assert run(editor(protocol, name, Till()), [data[:place], data[place:]]) == (written, good), place
    if not good:
        assert till.asked == []
        assert b'"cost":' not in written
        return
    assert till.asked == [stream.usage]
    assert written.count(b'"cost":' + COST) == 1
    shown = usages_in(events_in(written))[-1]
    assert shown["cost"] == float(COST)
    assert shown.get("output_tokens", shown.get("completion_tokens")) == (stream.usage or OURS).output_tokens
    if b'"cost"' in data:
        # A provider with prices of its own is not heard.
        assert written.count(b'"cost":') == 1
    elif stream.usage is not None:
        assert data_in(written.replace(b',"cost":' + COST, b"")) == data_in(plain)
    elif protocol != "openai_chat":
        assert [event["type"] for event in events_in(written)] == [event["type"] for event in events_in(plain)]


def crossed(caller: Caller, upstream: Upstream, till: Till | None) -> CrossedStream:
    return CrossedStream(
        upstream.translator.reader(upstream.target(), said),
        caller.translator.writer(caller.read(caller.asks(True))),
        _identified,
        till.price if till is not None else None,
    )


def _identified(events: list[Event]) -> list[Event]:
    for event in events:
        if isinstance(event, Began):
            event.id, event.model, event.created = event.id or "id", event.model or "m", event.created or CREATED
    return events


def check(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    answer, events = data.draw(upstreams.told(upstream))
    stream = upstream.streamed(answer, events)
    till = Till()
    priced = crossed(caller, upstream, till)
    streamed, good = run(priced, [stream])
    assert good
    assert till.asked == [priced.usage]
    again = run(crossed(caller, upstream, Till()), data.draw(strategies.splits(stream)))
    assert again == (streamed, True)
    read = upstream.translator.read_answer(upstream.whole(answer), upstream.target())
    read.id, read.model, read.created = read.id or "id", read.model or "m", read.created or CREATED
    told = read.usage is not None
    read.usage = Till().price(read.usage)
    body = caller.translator.write_answer(read, caller.read(caller.asks(True)))
    caller.whole(body)
    caller.streamed(streamed)
    assert settled(reread_stream(caller, streamed)) == settled(reread(caller, body))
    costs = 0 if caller.protocol == "gemini" else 1
    assert streamed.count(b'"cost":' + COST) == body.count(b'"cost":' + COST) == costs
    if costs:
        assert usages_in(events_in(streamed))[-1]["cost"] == usages_in([msgspec.json.decode(body)])[-1]["cost"]
    if told:
        plain = run(crossed(caller, upstream, None), [stream])[0]
        assert streamed.replace(b',"cost":' + COST, b"") == plain


COUNTS = re.compile(
    rb'"(prompt_tokens|completion_tokens|input_tokens|output_tokens|promptTokenCount|prompt_eval_count|eval_count)":[\d.]+'
)


UNFRAMED = [one for one in UPSTREAMS.values() if not one.framed]


@pytest.mark.parametrize("upstream", UNFRAMED, ids=lambda one: one.protocol)
@pytest.mark.parametrize("wrong", [b'"9"', b"9.5", b"true", b"-1", b"10000001"])
def test_usage_that_cannot_be_believed_ends_no_answer(upstream: Upstream, wrong: bytes) -> None:
    usage = Usage(input_tokens=7, output_tokens=5)
    answer = Answer(id="id", model="m", choices=[Choice(parts=[Text(text="Hello")], stop="end")], usage=usage)
    events: list[Event] = [Began("id", "m"), TextDelta(0, 0, "Hello"), Finished(0, "end"), Used(usage), Ended()]
    whole = COUNTS.sub(rb'"\1":' + wrong, upstream.whole(answer))
    stream = COUNTS.sub(rb'"\1":' + wrong, upstream.streamed(answer, events))
    assert upstream.translator.read_answer(whole, upstream.target()).usage is None
    for caller in CALLERS.values():
        till = Till()
        priced = crossed(caller, upstream, till)
        written, good = run(priced, [stream])
        assert good
        assert till.asked == [None]
        assert priced.usage is None
        assert priced.seen_tokens == 1
        counts = reread_stream(caller, written).usage
        assert counts is not None
        assert (counts.input_tokens, counts.output_tokens) == (OURS.input_tokens, OURS.output_tokens)


@EVERY_PAIR
@settings(max_examples=examples(10))
@given(data=st.data())
def test_an_answer_that_crosses_tells_what_it_cost(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    check(caller, upstream, data)


@pytest.mark.slow
@EVERY_PAIR
@settings(max_examples=examples(400))
@given(data=st.data())
def test_many_answers_tell_what_they_cost(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    check(caller, upstream, data)
