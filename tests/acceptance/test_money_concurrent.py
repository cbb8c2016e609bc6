"""Five hundred calls at once on a budget that is worth fifty: never over, all of it is used, every refusal is true, and
what is left serves to the last call that fits, whichever process has leased it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tests.acceptance.asking import CHAT, eventually
from tests.acceptance.books import Books, Row
from tests.acceptance.conftest import free_port
from tests.acceptance.metered import CENT, FLAT, ROUNDS
from tests.acceptance.shop import Shop, shop
from tests.acceptance.spending import KINDS, Kind, Refused, Told

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

CALLS, WORTH = 500, 50
OF_A_CENT = Kind(CHAT, stream=False, model=FLAT)
RECALLED_WITHIN_S = 2.0
"""Well below the five seconds after which a process gives back by itself what it does not use."""


def at_once(made: Shop, key: str, kinds: Sequence[Kind]) -> list[Told]:
    start = Barrier(CALLS)

    def call(at: int) -> Told:
        start.wait(30)
        return made.send(Told.new(key, kinds[at % len(kinds)]))

    with ThreadPoolExecutor(CALLS) as callers:
        return list(callers.map(call, range(CALLS)))


def use_up(made: Shop, key: str, kind: Kind, url: str | None = None) -> tuple[int, Refused]:
    """One call after the other until one is refused: how many there were, and the refusal."""
    for served in range(CALLS):
        told = made.send(Told.new(key, kind), url)
        if not told.is_whole:
            return served, Refused.of(told)
    pytest.fail("it never ends")


def pot_of(made: Shop, told: Sequence[Told]) -> Row:
    """The one pot that paid for these calls."""
    books = Books.of(made.folder)
    calls = books.of_calls()
    [pot_id] = {row["pots"] for one in told if one.is_whole for row in calls[one.number]}
    return next(pot for pot in books.pots if str(pot["pot_id"]) == pot_id)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.timeout(120 * ROUNDS)
def test_five_hundred_calls_on_a_budget_worth_fifty(tmp_path: Path, workers: int) -> None:
    with shop(tmp_path, workers=workers) as made:
        if workers > 1:
            eventually(lambda: len(Books.of(tmp_path).alive()) == workers, 15)
        budget, credit, chats = made.fifties
        for key in (budget, credit):
            check_cents(made, key)
        check_chats(made, chats)
        assert len({one.number >> 8 & 0xFF for one in made.told}) == workers, "all of them were asked"
        made.stop()
        made.books_at_rest()


def check_cents(made: Shop, key: str) -> None:
    """Each call costs exactly what it may."""
    began = time.monotonic()
    told = at_once(made, key, [OF_A_CENT])
    took_s = time.monotonic() - began
    served = sum(one.is_whole for one in told)
    refused = [Refused.of(one) for one in told if not one.is_whole]
    assert WORTH - 1 <= served <= WORTH, served
    assert all(one.is_true for one in refused)
    more, last = use_up(made, key, OF_A_CENT)
    assert served + more == WORTH
    assert (last.used, last.held, last.limit) == (WORTH * CENT, 0, WORTH * CENT)
    pot = pot_of(made, told)
    assert (pot["spent_nanos"], pot["limit_nanos"]) == (WORTH * CENT, WORTH * CENT)
    print(f"{served} of {CALLS} in {took_s:.1f} s, {more} more")


def check_chats(made: Shop, key: str) -> None:
    """They cost less than they hold, so that others fit when they have ended."""
    told = at_once(made, key, KINDS[:2])
    served = sum(one.is_whole for one in told)
    refused = [Refused.of(one) for one in told if not one.is_whole]
    assert served >= WORTH - 1
    assert refused
    assert all(one.is_true for one in refused)
    more, last = use_up(made, key, KINDS[0])
    assert last.held == 0
    assert last.limit - last.used < last.needed, "one more would have fitted"
    assert pot_of(made, told)["spent_nanos"] == last.used
    print(
        f"{served} of {CALLS} chats, {more} more, {last.limit - last.used} of {last.limit} left, {last.needed} needed"
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_what_has_come_free_is_there_at_once(tmp_path: Path, processes: int) -> None:
    """Though a call was refused a moment before, in another process even."""
    with shop(tmp_path) as made, ThreadPoolExecutor(2) as callers:
        url = made.start(free_port()) if processes == 2 else made.url
        holding = [Told.new(made.two_chats, KINDS[0]) for _ in range(2)]
        made.till.kept = {one.ask for one in holding}
        calls = [callers.submit(made.send, one) for one in holding]
        eventually(lambda: set(made.till.by_ask()) == made.till.kept, 5)
        time.sleep(0.1)
        refused = Refused.of(made.ask(made.two_chats, url))
        made.till.open.set()
        assert all(call.result(10).is_whole for call in calls)
        again = made.ask(made.two_chats, url)
        assert again.is_whole, (refused, again.reply)
        assert refused.is_true
        made.stop()
        made.books_at_rest()


def test_what_one_process_has_idle_another_can_use(tmp_path: Path) -> None:
    """At once, and to the last call."""
    with shop(tmp_path) as made:
        other_url = made.start(free_port())
        for key in made.fifties[:2]:
            idle = made.send(Told.new(key, OF_A_CENT))
            assert idle.is_whole
            pot = pot_of(made, [idle])
            assert pot["leased_nanos"] >= CENT, "it has leased more than it needs"
            began = time.monotonic()
            served, refused = use_up(made, key, OF_A_CENT, other_url)
            assert served == WORTH - 1
            assert (refused.used, refused.held) == (WORTH * CENT, 0)
            print(f"the last of {served} after {time.monotonic() - began:.2f} s")
            assert time.monotonic() - began < served * 0.1 + RECALLED_WITHIN_S
        made.stop()
        made.books_at_rest()
