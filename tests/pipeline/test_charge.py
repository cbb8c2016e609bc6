"""What a call costs, however it ends: the rules as tables. What is written is looked at, and what came after what."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.pipeline.charged import (
    ACCOUNT,
    AMPLE,
    ANSWERED,
    DEAR,
    EITHER,
    HELLO_TOKENS,
    INPUT,
    OUTPUT,
    PRICES,
    SHORT,
    SHORT_STREAM,
    Charged,
    Script,
    budget,
    hold_clocks,
    play,
)
from tests.pipeline.scripted import ANSWER, HELLO, Reply, good, refused, whole
from tests.pipeline.test_relay import DONE, FINISH, ROLE, TEXT, USAGE
from trunkline.errors import BudgetExceeded, ClientGone, StoreUnavailable, StreamCut
from trunkline.ids import attempt_of
from trunkline.pipeline import protocols
from trunkline.pipeline.charge import MOST_FENCED
from trunkline.pipeline.treasury import FIRST_RATE
from trunkline.policy.metering import tariff_of
from trunkline.ports.budgets import Budget


@pytest.fixture(autouse=True)
def _held_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_clocks(monkeypatch)


def answer(usage: object = None, **more: Any) -> Reply:
    return whole(msgspec.json.encode({**msgspec.json.decode(ANSWER), "usage": usage, **more}))


def cut(*pieces: bytes) -> Reply:
    return Reply((0, b"".join(pieces)), (1, StreamCut("gone")))


ORDERS: dict[str, tuple[bytes, list[Any], tuple[str, ...], tuple[str, ...]]] = {
    # the body, what providers answer, the journal without a budget, and under one
    "whole": (
        SHORT,
        [whole],
        ("sent one", "settled 1: 6000"),
        ("open 1", "sent one", "settled 1: 6000"),
    ),
    "stream": (
        SHORT_STREAM,
        [good],
        ("sent one", "open 1", "headers", "bytes", "settled 1: 6000", "bytes"),
        ("open 1", "sent one", "headers", "bytes", "settled 1: 6000", "bytes"),
    ),
    "whole, at the second attempt": (
        SHORT,
        [lambda: refused(500), whole],
        ("sent one", "sent two", "released 1, settled 2: 6000"),
        ("open 1", "sent one", "released 1, open 2", "sent two", "settled 2: 6000"),
    ),
    "stream, at the third": (
        SHORT_STREAM,
        [lambda: refused(500), lambda: Reply((0, StreamCut("early"))), good],
        (
            "sent one", "sent two", "sent three", "released 1, released 2, open 3",
            "headers", "bytes", "settled 3: 6000", "bytes",
        ),
        (
            "open 1", "sent one", "released 1, open 2", "sent two", "released 2, open 3", "sent three",
            "headers", "bytes", "settled 3: 6000", "bytes",
        ),
    ),
    "nobody answers": (
        SHORT,
        [lambda: refused(400)],
        ("sent one", "released 1"),
        ("open 1", "sent one", "released 1"),
    ),
    "cut before a word": (
        SHORT_STREAM,
        [lambda: cut(ROLE)],
        ("sent one", "open 1", "headers", "bytes", "released 1"),
        ("open 1", "sent one", "headers", "bytes", "released 1"),
    ),
    "cut behind some": (
        SHORT_STREAM,
        [lambda: cut(ROLE, TEXT, TEXT)],
        ("sent one", "open 1", "headers", "bytes", f"settled 1: {HELLO_TOKENS * INPUT + 2 * OUTPUT}"),
        ("open 1", "sent one", "headers", "bytes", f"settled 1: {HELLO_TOKENS * INPUT + 2 * OUTPUT}"),
    ),
    "an error in the middle": (
        SHORT_STREAM,
        [lambda: Reply((0, ROLE + TEXT), (1, b'data: {"error":{"message":"over","code":500}}\n\n'))],
        ("sent one", "open 1", "headers", "bytes", f"settled 1: {HELLO_TOKENS * INPUT + OUTPUT}"),
        ("open 1", "sent one", "headers", "bytes", f"settled 1: {HELLO_TOKENS * INPUT + OUTPUT}"),
    ),
    "a silence, then another provider": (
        SHORT_STREAM,
        # The headers go out for a sign of life while the first is silent.
        [lambda: Reply((20, StreamCut("late"))), good],
        (
            "sent one", "open 1", "headers", "bytes", "released 1, open 2", "sent two",
            "bytes", "settled 2: 6000", "bytes",
        ),
        (
            "open 1", "sent one", "headers", "bytes", "released 1, open 2", "sent two",
            "bytes", "settled 2: 6000", "bytes",
        ),
    ),
}  # fmt: skip


def long_stream(tokens: int) -> Reply:
    return Reply((0, ROLE), *((0.1, TEXT) for _ in range(tokens)), (0.1, FINISH + DONE))


@EITHER
@pytest.mark.parametrize("case", ORDERS)
def test_what_is_written_when(case: str, budgets: tuple[Budget, ...]) -> None:
    """Opened before a request goes out under a budget, else before a byte goes to the caller; ended before the last."""
    body, script, without, under = ORDERS[case]

    async def scene() -> None:
        charged = await Charged(*(make() for make in script), budgets=budgets).run(body)
        assert charged.journal == list(under if budgets else without)
        assert charged.store.repeated == 0
        charged.all_is_free()
        assert charged.ended.cost_nanos == charged.charge.cost.cost_nanos
        assert [attempt_of(one.entry_id) for one in charged.entries if one.state == "released" and one.cost_nanos] == []
        if budgets:
            [pot] = charged.store.pots
            assert pot.spent == charged.ended.cost_nanos

    play(scene)


def test_an_entry_says_all_of_it() -> None:
    async def scene() -> None:
        charged = Charged(whole(), budgets=[budget(AMPLE)], prices={**PRICES, "one/small": DEAR})
        charged.client.tag = "mail"
        await charged.run(SHORT[:-1] + b',"user":"u-7"}')
        opened, ended = charged.entries
        assert (opened.state, ended.state) == ("open", "settled")
        assert (ended.account_id, ended.key_id, ended.end_user) == (ACCOUNT, "key_1", "u-7")
        assert (ended.model, ended.provider) == ("one/small", "one")
        assert (ended.protocol, ended.endpoint, ended.status) == ("openai_chat", "chat", 200)
        assert (ended.input_tokens, ended.output_tokens, ended.estimated) == (3, 1, False)
        assert ended.held_nanos == opened.held_nanos >= 10 * 2 * OUTPUT
        assert ended.cost_nanos == ended.upstream_cost_nanos == 2 * ANSWERED
        assert ended.price_version == opened.price_version != ""
        assert (opened.settled_at_ms, opened.cost_nanos, opened.output_tokens) == (None, 0, 0)
        assert ended.opened_at_ms == opened.opened_at_ms == 1_800_001_000_000
        assert (ended.pots, [draw.nanos for draw in ended.draws]) == ("1", [2 * ANSWERED])

    play(scene)


def test_the_answer_says_what_it_cost() -> None:
    async def scene() -> None:
        charged = await Charged(whole()).run(SHORT)
        assert charged.answer == ANSWER.replace(b'"completion_tokens":1', b'"completion_tokens":1,"cost":0.000006')
        streamed = await Charged(good()).run(SHORT_STREAM)
        assert b'"cost":0.000006' in streamed.client.written

    play(scene)


@EITHER
@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 1}, (3, 1)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0)),
        (None, None),
        ({}, None),
        ("free", None),
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": "3", "completion_tokens": 1}, None),
        ({"prompt_tokens": 3.0, "completion_tokens": 1}, None),
        ({"prompt_tokens": True, "completion_tokens": 1}, None),
        ({"prompt_tokens": -3, "completion_tokens": 1}, None),
        ({"prompt_tokens": 10_000_001, "completion_tokens": 1}, None),
        ({"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}, None),
    ],
)
def test_usage_that_cannot_be_believed_is_estimated(
    usage: object, counts: tuple[int, int] | None, budgets: tuple[Budget, ...]
) -> None:
    """The caller is shown what he pays for: the provider's figures where they count, else ours."""

    async def scene() -> None:
        charged = await Charged(answer(usage), budgets=budgets).run(SHORT)
        tokens_in, tokens_out = counts or (HELLO_TOKENS, 1)
        ended = charged.ended
        assert (ended.input_tokens, ended.output_tokens, ended.estimated) == (tokens_in, tokens_out, counts is None)
        assert ended.cost_nanos == tokens_in * INPUT + tokens_out * OUTPUT
        shown = msgspec.json.decode(charged.answer or b"")["usage"]
        assert (shown["prompt_tokens"], shown["completion_tokens"]) == (tokens_in, tokens_out)
        assert round(shown["cost"] * 1e9) == ended.cost_nanos

    play(scene)


@EITHER
@pytest.mark.parametrize("stream", [False, True])
def test_an_estimate_is_never_above_what_was_held(stream: bool, budgets: tuple[Budget, ...]) -> None:
    """A provider that goes on and on, and counts nothing."""

    async def scene() -> None:
        text = "word " * 500
        if stream:
            said = b"data: " + msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": text}}]}) + b"\n\n"
            reply = Reply((0, ROLE + said), (1, FINISH + DONE))
        else:
            reply = answer(choices=[{"index": 0, "message": {"content": text}, "finish_reason": "stop"}])
        charged = await Charged(reply, budgets=budgets).run(SHORT_STREAM if stream else SHORT)
        assert charged.error is None
        ended = charged.ended
        assert ended.estimated
        assert ended.output_tokens > 100
        # A stream that goes beyond is held for again, so that it need not end.
        assert ended.cost_nanos <= ended.held_nanos
        assert ended.overshoot_nanos == 0
        assert charged.charge.cost.upstream_cost_nanos >= ended.cost_nanos

    play(scene)


def test_usage_above_the_hold_is_charged_and_the_next_call_refused() -> None:
    async def scene() -> None:
        limit = 200_000
        charged = Charged(answer({"prompt_tokens": 500, "completion_tokens": 100}), budgets=[budget(limit)])
        await charged.run(SHORT)
        assert charged.answer is not None
        ended = charged.ended
        assert ended.cost_nanos == 500 * INPUT + 100 * OUTPUT > limit
        assert ended.overshoot_nanos == ended.cost_nanos - ended.held_nanos > 0
        assert charged.store.pots[0].spent == ended.cost_nanos
        sent = len(charged.journal)
        await charged.run(SHORT)
        assert charged.refused(BudgetExceeded).used_nanos == ended.cost_nanos
        assert len(charged.journal) == sent

    play(scene)


def test_a_fallback_to_a_dearer_model_is_within_the_same_hold() -> None:
    async def scene() -> None:
        prices = {**PRICES, "two/small": DEAR}
        charged = await Charged(refused(500), whole(), budgets=[budget(AMPLE)], prices=prices).run(SHORT)
        assert charged.journal[-1] == f"settled 2: {2 * ANSWERED}"
        held = {entry.held_nanos for entry in charged.entries}
        assert len(held) == 1
        assert held.pop() >= 20 * OUTPUT

    play(scene)


def test_how_it_was_served_decides_the_price() -> None:
    async def scene() -> None:
        charged = Charged(answer({"prompt_tokens": 3, "completion_tokens": 1}, service_tier="priority"))
        model = next(iter(charged.pipeline.settings.routes.resolve("one/small").deployments)).model
        assert model is not None
        assert model.price is not None
        dear = msgspec.structs.replace(model.price, input=9000 * 10**6, output=9000 * 10**6)
        variants = msgspec.structs.replace(model.price, variants={"priority": dear})
        charged.pipeline.settings.tariffs["one/small", 0] = tariff_of(variants)
        await charged.run(SHORT)
        assert (charged.ended.cost_nanos, charged.ended.service_tier) == (4 * 9000, "priority")

    play(scene)


@EITHER
@pytest.mark.parametrize(
    ("script", "tokens_out"),
    [
        (((0.5, ROLE), (100, TEXT)), 0),
        (((0.5, ROLE + TEXT), (100, TEXT)), 1),
        (((0.5, ROLE + TEXT + TEXT + TEXT), (100, FINISH)), 3),
        (((100, ROLE),), 0),
        ((), 0),
    ],
)
def test_a_caller_who_leaves_a_stream_pays_for_what_came(
    script: Script, tokens_out: int, budgets: tuple[Budget, ...]
) -> None:
    """What came from the provider, not what the caller had read by then."""

    async def scene() -> None:
        charged = Charged(Reply(*script, head_s=0 if script else 100), budgets=budgets)
        await charged.left(SHORT_STREAM, 2)
        ended = charged.ended
        assert (ended.state, ended.status, ended.estimated) == ("settled", 499, True)
        assert (ended.input_tokens, ended.output_tokens) == (HELLO_TOKENS, tokens_out)
        assert ended.cost_nanos == HELLO_TOKENS * INPUT + tokens_out * OUTPUT

    play(scene)


def test_a_caller_who_leaves_when_all_has_been_counted_pays_that() -> None:
    async def scene() -> None:
        charged = Charged(Reply((0.5, ROLE + TEXT + FINISH + USAGE), (100, DONE)))
        await charged.left(SHORT_STREAM, 2)
        assert (charged.ended.cost_nanos, charged.ended.estimated) == (ANSWERED, False)

    play(scene)


def test_what_the_provider_counted_so_far_is_taken_for_what_it_is() -> None:
    """Some count in every chunk: their input counts, and their output where it is more than was seen."""

    async def scene() -> None:
        counted = TEXT[:-3] + b',"usage":{"prompt_tokens":30,"completion_tokens":5}}\n\n'
        charged = Charged(Reply((0.5, ROLE + counted), (0.5, TEXT), (100, FINISH)))
        await charged.left(SHORT_STREAM, 2)
        ended = charged.ended
        assert (ended.input_tokens, ended.output_tokens, ended.estimated) == (30, 5, True)
        more = Charged(Reply((0.5, ROLE + counted), (0.5, 6 * TEXT), (100, FINISH)))
        await more.left(SHORT_STREAM, 2)
        assert (more.ended.input_tokens, more.ended.output_tokens) == (30, 7)

    play(scene)


@EITHER
@pytest.mark.parametrize(("stays_s", "body", "tokens_out"), [(0.1, HELLO, 5), (4.0, HELLO, 200), (60.0, SHORT, 10)])
def test_a_caller_who_leaves_before_a_whole_answer_pays_for_the_time(
    stays_s: float, body: bytes, tokens_out: int, budgets: tuple[Budget, ...]
) -> None:
    """Nothing can be seen of it, so it is what the model makes in that time, and no more than was asked for."""

    async def scene() -> None:
        assert FIRST_RATE == 50
        charged = Charged(whole(after_s=500), budgets=budgets)
        await charged.left(body, stays_s)
        ended = charged.ended
        assert (ended.output_tokens, ended.estimated, ended.status) == (tokens_out, True, 499)
        assert ended.cost_nanos == HELLO_TOKENS * INPUT + tokens_out * OUTPUT <= ended.held_nanos

    play(scene)


@EITHER
@pytest.mark.parametrize(
    ("body", "script", "state", "tokens_out"),
    [
        (SHORT, ((500, ANSWER),), "released", 0),
        (SHORT_STREAM, ((0.5, ROLE), (100, TEXT)), "released", 0),
        (SHORT_STREAM, ((0.5, ROLE + TEXT), (100, TEXT)), "settled", 1),
    ],
)
def test_when_the_gateway_stops_only_what_went_out_is_paid(
    body: bytes, script: Script, state: str, tokens_out: int, budgets: tuple[Budget, ...]
) -> None:
    async def scene() -> None:
        charged = Charged(Reply(*script), budgets=budgets)
        await charged.left(body, 2, by_the_caller=False)
        assert (charged.ended.state, charged.ended.output_tokens) == (state, tokens_out)

    play(scene)


def test_a_failed_attempt_says_what_it_cost_us() -> None:
    """An answer that stops before its first word was counted by the provider."""

    async def scene() -> None:
        counted = ROLE[:-3] + b',"usage":{"prompt_tokens":30,"completion_tokens":0}}\n\n'
        charged = await Charged(cut(counted)).run(SHORT_STREAM)
        ended = charged.ended
        assert (ended.state, ended.cost_nanos, ended.upstream_cost_nanos) == ("released", 0, 30 * INPUT)

    play(scene)


@pytest.mark.parametrize("fences", range(MOST_FENCED + 1))
def test_a_lease_that_has_ended_is_leased_again(fences: int) -> None:
    async def scene() -> None:
        charged = Charged(whole(), budgets=[budget(AMPLE)])
        charged.money.fences = fences
        await charged.run(SHORT)
        if fences < MOST_FENCED:
            assert charged.journal == ["open 1", "sent one", f"settled 1: {ANSWERED}"]
        else:
            assert isinstance(charged.error, StoreUnavailable)
            assert charged.error.retry_after_s is not None
            assert charged.journal == []
        charged.all_is_free()

    play(scene)


def test_what_was_opened_under_another_slot_is_not_sent() -> None:
    """This process was taken for dead and registered anew while the call waited for a connection."""

    async def scene() -> None:
        charged = Charged(whole(), budgets=[budget(AMPLE)])
        asyncio.get_running_loop().call_later(1, charged.treasury.registered, 3, 0)
        charged.provider.dials_s = 2.0
        await charged.run(SHORT)
        charged.refused(StoreUnavailable)
        assert charged.journal == ["open 1", "released 1"]
        free = Charged(whole())
        asyncio.get_running_loop().call_later(1, free.treasury.registered, 3, 0)
        free.provider.dials_s = 2.0
        await free.run(SHORT)
        assert free.journal == ["sent one", f"settled 1: {ANSWERED}"]

    play(scene)


def test_a_process_that_stood_still_sends_nothing() -> None:
    async def scene() -> None:
        for stream in (SHORT, SHORT_STREAM):
            charged = Charged(whole(), budgets=[budget(AMPLE)])
            charged.money.live_s = 0.0
            await charged.run(stream)
            assert isinstance(charged.error, StoreUnavailable)
            assert charged.journal == ["open 1", "released 1"]
            charged.all_is_free()

    play(scene)


@EITHER
def test_a_stream_of_a_process_that_was_taken_for_dead_does_not_begin(budgets: tuple[Budget, ...]) -> None:
    async def scene() -> None:
        charged = Charged(good(), budgets=budgets)
        charged.money.fences = MOST_FENCED
        await charged.run(SHORT_STREAM)
        assert isinstance(charged.error, StoreUnavailable)
        assert "headers" not in charged.journal
        assert {entry.state for entry in charged.entries} <= {"released"}
        charged.all_is_free()

    play(scene)


def test_a_caller_who_leaves_while_his_call_is_opened_leaves_nothing_open() -> None:
    async def scene() -> None:
        charged = Charged(whole(), budgets=[budget(AMPLE)])
        await charged.run(SHORT)
        charged.money.stands_still = True
        charged.call = type(charged.call)(2, "openai_chat", "", [], "chat")
        asyncio.get_running_loop().call_later(2, setattr, charged.money, "stands_still", False)
        task = asyncio.create_task(charged.pipeline.run(charged.call, charged.client, protocols.CHAT))
        await asyncio.sleep(1)
        charged.client.gone = True
        task.cancel()
        with pytest.raises(ClientGone):
            await task
        await asyncio.sleep(2)
        charged.money.write()
        await charged.settled()
        assert charged.journal[3:] == ["open 1", "released 1"]
        assert charged.transport.asked == ["one"]
        charged.all_is_free()

    play(scene)


def test_a_stream_that_is_beyond_its_hold_at_once_is_nobodys() -> None:
    """None of it went out."""

    async def scene() -> None:
        charged = await Charged(Reply((0, ROLE + 11 * TEXT), (1, FINISH)), budgets=[budget(90_000)]).run(SHORT_STREAM)
        charged.refused(BudgetExceeded)
        assert charged.journal == ["open 1", "sent one", "released 1"]
        assert charged.client.log == []

    play(scene)


def test_a_stream_beyond_its_hold_is_held_for_again_or_ends() -> None:
    async def scene() -> None:
        ample = await Charged(long_stream(35), budgets=[budget(AMPLE)]).run(SHORT_STREAM)
        assert ample.error is None
        held = ample.entries[0].held_nanos
        assert ample.ended.held_nanos == held + 3 * 10 * OUTPUT
        assert (ample.ended.output_tokens, ample.ended.overshoot_nanos) == (35, 0)
        tight = await Charged(long_stream(35), budgets=[budget(held + 10 * OUTPUT + 5)]).run(SHORT_STREAM)
        assert isinstance(tight.error, BudgetExceeded)
        assert tight.client.written.count(TEXT) == 20
        assert tight.ended.cost_nanos <= tight.ended.held_nanos == held + 10 * OUTPUT
        tight.all_is_free()

    play(scene)
