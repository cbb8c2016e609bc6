"""Whether a call may be made: what is held for it, which models are left, and what it is told that may not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.pipeline.charged import (
    ACCOUNT,
    AMPLE,
    ANSWERED,
    DEAR,
    FREE,
    INPUT,
    OUTPUT,
    PRICED,
    PRICES,
    SHORT,
    Charged,
    budget,
    hold_clocks,
    play,
    tenancy,
)
from tests.pipeline.scripted import ANSWER, HELLO, KEY, Reply, new_call, refused, whole
from trunkline import errors
from trunkline.catalog.prices import PriceOptions
from trunkline.errors import BudgetExceeded
from trunkline.pipeline.admission import Asking, admitted
from trunkline.policy.metering import Demand
from trunkline.ports.budgets import Budget


@pytest.fixture(autouse=True)
def _held_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_clocks(monkeypatch)


def answer(usage: object = None, **more: Any) -> Reply:
    return whole(msgspec.json.encode({**msgspec.json.decode(ANSWER), "usage": usage, **more}))


@pytest.mark.parametrize(
    ("settings", "body", "error"),
    [
        ({"budgets": [budget(1000)]}, SHORT, BudgetExceeded),
        ({"credit": 1000}, SHORT, BudgetExceeded),
        ({"budgets": [budget(AMPLE)], "prices": {}}, SHORT, errors.InvalidRequest),
        ({"budgets": [budget(AMPLE)]}, SHORT.replace(b'"any"', b'"none/such"'), errors.NotFound),
        ({"budgets": [budget(AMPLE)]}, b"{", errors.InvalidRequest),
        ({"budgets": [budget(AMPLE)], "models": ("other/*",)}, SHORT, errors.Forbidden),
    ],
)
def test_what_is_refused_costs_nothing_and_leaves_nothing(settings: Any, body: bytes, error: type[Exception]) -> None:
    async def scene() -> None:
        charged = await Charged(**settings).run(body)
        assert type(charged.error) is error
        assert charged.journal == []
        charged.all_is_free()

    play(scene)


def test_a_refusal_says_what_is_short() -> None:
    async def scene() -> None:
        charged = Charged(whole(), budgets=[budget(60_000)])
        await charged.run(SHORT.replace(b"10}", b"2}"))
        assert charged.answer is not None
        await charged.run(SHORT)
        error = charged.refused(BudgetExceeded)
        assert (error.scope, error.limit_nanos, error.used_nanos, error.held_nanos) == (
            f"account {ACCOUNT}", 60_000, ANSWERED, 0,
        )  # fmt: skip
        assert (error.code, error.resets_at) == ("budget_exceeded", None)
        wallet = await Charged(credit=10).run(SHORT)
        assert wallet.error is not None
        assert wallet.error.code == "insufficient_credits"

    play(scene)


@pytest.mark.parametrize(
    ("body", "price", "held"),
    [
        (SHORT, PRICED, 10 * OUTPUT),
        (SHORT[:-1] + b',"n":3}', PRICED, 30 * OUTPUT),
        (HELLO, PRICED, 4096 * OUTPUT),
        (SHORT, PriceOptions(input=1.0, output=3.0, request=0.002), 10 * OUTPUT + 2_000_000),
        (SHORT, PriceOptions(input=1.0, output=3.0, reasoning=5.0), 10 * 5000),
    ],
)
def test_what_is_held_is_what_it_may_cost_at_most(body: bytes, price: PriceOptions, held: int) -> None:
    async def scene() -> None:
        prices = dict.fromkeys(PRICES, price)
        for budgets in ((), (budget(AMPLE),)):
            charged = await Charged(whole(), budgets=budgets, prices=prices).run(body)
            input_bound = charged.ended.held_nanos - held
            assert 20 * INPUT < input_bound <= len(body) * INPUT
            assert input_bound % INPUT == 0
            assert charged.ended.cost_nanos <= charged.ended.held_nanos

    play(scene)


def test_a_provider_is_told_what_was_held_for() -> None:
    async def scene() -> None:
        open_ended = await Charged(whole(), budgets=[budget(AMPLE)]).run(HELLO)
        sent = msgspec.json.decode(open_ended.transport.requests[0].body)
        assert 4096 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
        assert open_ended.call.warnings == ["set the maximum of output tokens to 4096, which is what the budget holds"]
        limited = await Charged(whole(), budgets=[budget(AMPLE)]).run(SHORT)
        assert msgspec.json.decode(limited.transport.requests[0].body)["max_tokens"] == 10
        assert limited.call.warnings == []
        free = await Charged(whole()).run(HELLO)
        assert b"max" not in free.transport.requests[0].body

    play(scene)


def test_candidates_that_do_not_fit_are_left_out_with_a_warning() -> None:
    async def scene() -> None:
        prices = {"two/small": DEAR, "three/small": PRICED}
        charged = Charged(refused(500), budgets=[budget(80_000)], prices=prices)
        await charged.run(SHORT)
        assert charged.transport.asked == ["three"]
        assert charged.ended.state == "released"
        assert charged.call.warnings == [
            "skipped one/small: it has no price",
            "skipped two/small: the budget has not enough left for it",
        ]

    play(scene)


def test_a_model_that_lacks_a_price_for_what_is_needed_is_left_out() -> None:
    async def scene() -> None:
        prices = {"one/small": PriceOptions(output=1.0), "two/small": PRICED}
        charged = await Charged(whole(), budgets=[budget(AMPLE)], prices=prices).run(SHORT)
        assert charged.transport.asked == ["two"]
        assert charged.call.warnings[0] == "skipped one/small: it has no price for what this call needs"
        alone = await Charged(budgets=[budget(AMPLE)], prices={"one/small": PriceOptions(output=1.0)}).run(SHORT)
        assert isinstance(alone.error, errors.InvalidRequest)
        assert alone.error.code == "model_not_priced"
        without = await Charged(answer(), prices=prices).run(SHORT)
        assert (without.error, without.ended.cost_nanos, without.ended.held_nanos) == (None, 1000, 0)

    play(scene)


@pytest.mark.parametrize(
    ("prices", "budgets", "answered"),
    [
        ({}, (), True),
        ({}, (budget(AMPLE),), False),
        ({}, (budget(AMPLE, "tag", "mail"),), True),
        (dict.fromkeys(PRICES, FREE), (budget(AMPLE),), True),
        (dict.fromkeys(PRICES, FREE), (budget(0),), True),
    ],
)
def test_a_model_without_a_price(prices: Any, budgets: tuple[Budget, ...], answered: bool) -> None:
    """It is for those who have no budget, unless it is declared free; then no budget is ever in its way."""

    async def scene() -> None:
        charged = await Charged(whole(), budgets=budgets, prices=prices).run(SHORT)
        if not answered:
            assert isinstance(charged.error, errors.InvalidRequest)
            assert (charged.error.code, charged.journal) == ("model_not_priced", [])
            return
        assert charged.journal == ["sent one", "settled 1: 0"]
        assert (charged.ended.input_tokens, charged.ended.output_tokens) == (3, 1)
        assert (charged.ended.price_version == "") is not prices

    play(scene)


def test_a_markup_is_paid_by_the_account_alone() -> None:
    async def scene() -> None:
        charged = await Charged(whole(), budgets=[budget(AMPLE)], markup_millionths=50_000).run(SHORT)
        assert (charged.ended.cost_nanos, charged.ended.upstream_cost_nanos) == (6300, 6000)
        assert charged.store.pots[0].spent == 6300

    play(scene)


def test_a_budget_of_one_model_pays_for_that_alone() -> None:
    async def scene() -> None:
        of_one = budget(AMPLE, "model", "one/small", name="of_one")
        charged = await Charged(refused(500), whole(), budgets=[budget(AMPLE), of_one]).run(SHORT)
        spent = {pot.source: pot.spent for pot in charged.store.pots}
        assert spent == {"budget_1": ANSWERED, "of_one": 0}
        assert charged.ended.model == "two/small"
        assert charged.ended.pots == next(str(pot.id) for pot in charged.store.pots if pot.source == "budget_1")
        charged.all_is_free()

    play(scene)


def test_a_call_without_a_tag_has_that_of_its_account() -> None:
    async def scene() -> None:
        mail = budget(AMPLE, "tag", "mail")
        charged = await Charged(whole(), budgets=[mail], default_tag="mail").run(SHORT)
        assert (charged.ended.tag, charged.store.pots[0].spent) == ("mail", ANSWERED)

    play(scene)


def test_what_is_remembered_of_a_key_ends_with_what_it_rests_on() -> None:
    """Prices, the account's markup, and by which name was asked."""

    async def scene() -> None:
        charged = Charged(*(whole() for _ in range(6)), aliases={"same": ("one/small",)})
        costs = []

        async def cost(model: bytes = b"one/small") -> int:
            await charged.run(SHORT.replace(b'"any"', b'"' + model + b'"'))
            return charged.ended.cost_nanos

        costs += [await cost(), await cost()]
        charged.treasury.follow(tenancy(version=2, markup_millionths=500_000))
        costs.append(await cost())
        of_alias = budget(AMPLE, "model", "same")
        charged.store.budgets[of_alias.id] = (AMPLE, "never", "UTC")
        charged.treasury.follow(tenancy([of_alias], version=3))
        costs.append(await cost())
        costs.append(await cost(b"same"))
        assert [one.pots for one in charged.entries if one.state == "settled"] == [None, None, None, None, "1"]
        settings = charged.pipeline.settings
        charged.pipeline.settings = msgspec.structs.replace(settings, tariffs={("one/small", 0): None})
        costs.append(await cost())
        assert costs == [ANSWERED, ANSWERED, ANSWERED * 3 // 2, ANSWERED, ANSWERED, 0]

    play(scene)


def test_all_candidates_are_told_the_length_that_fits_each() -> None:
    async def scene() -> None:
        charged = Charged(budgets=[budget(AMPLE)])
        call, settings = new_call(), charged.pipeline.settings
        call.route = settings.routes.resolve("any")
        call.key = charged.pipeline.keys.get(KEY)
        candidates = []
        for one, longest in zip(call.route.deployments, (300, 100, 9000), strict=True):
            assert one.model is not None
            model = msgspec.structs.replace(one.model, max_output_tokens=longest)
            candidates.append(msgspec.structs.replace(one, model=model))
        told: list[int] = []
        asking = Asking(call, candidates, settings, Demand(text_bytes=5, open_ended=True), lambda: 2, told.append)
        await admitted(charged.treasury, asking)
        assert told == [100]
        assert call.charge is not None
        held = {name: demand.max_output for name, demand in call.charge.bill.demands.items()}
        assert held == {"one/small": 300, "two/small": 100, "three/small": 4096}
        call.charge.close(None, 200)

    play(scene)


def test_an_archived_account_calls_nobody() -> None:
    async def scene() -> None:
        charged = await Charged(archived=True).run(SHORT)
        assert charged.refused(errors.Forbidden).code == "account_archived"

    play(scene)


def test_a_long_request_is_estimated_by_its_length() -> None:
    async def scene() -> None:
        charged = await Charged(answer()).run(SHORT.replace(b"hello", b"long " * 100_000))
        assert 125_000 < charged.ended.input_tokens < 125_020

    play(scene)
