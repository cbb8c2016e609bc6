"""Processes that end at any moment under every kind of call: no answer that a caller had whole is missing in the
ledger, none is there twice, each costs what the provider counted, and nothing stays held."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.asking import Process, eventually, get
from tests.acceptance.books import Books
from tests.acceptance.metered import ROUNDS
from tests.acceptance.shop import Shop, shop
from tests.acceptance.spending import KINDS, summary

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(120 * ROUNDS)]

RECOVERED_WITHIN_S = 5.0


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random()
    open_when_killed = 0
    with shop(tmp_path) as made:
        for seed in range(3 * ROUNDS):
            with made.spending(seed):
                time.sleep(chance.uniform(0.05, 1.0))
                made.kill()
            open_when_killed += len(Books.of(tmp_path).open())
            made.start()
            assert not made.books().open(), "it is ready, and something is held by nobody"
            assert made.ask(made.ample).is_whole
        made.stop()
        check_variety(made, made.books_at_rest())
    print(summary(made.told), "open when killed:", open_when_killed)
    assert open_when_killed, "no call was killed in its middle"


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random()
    open_when_killed = 0
    with shop(tmp_path, workers=2) as made:
        supervisor = Process(made.process.pid)
        for seed in range(3 * ROUNDS):
            eventually(lambda: Books.of(tmp_path).alive() == set(supervisor.children()), 10)
            with made.spending(seed):
                time.sleep(chance.uniform(0.05, 0.8))
                os.kill(chance.choice(supervisor.children()), signal.SIGKILL)
                time.sleep(0.2)
            open_when_killed += len(Books.of(tmp_path).open())
            assert get(made.url, "/readyz").status == 200, "the other worker is there"
            # Nobody asks for anything now, so what is open is the dead one's.
            eventually(lambda: not Books.of(tmp_path).open(), RECOVERED_WITHIN_S)
            made.books()
            assert made.ask(made.ample).is_whole
        made.stop()
        check_variety(made, made.books_at_rest())
    print(summary(made.told), "open when killed:", open_when_killed)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_under_load_leaves_nothing_held(tmp_path: Path, workers: int) -> None:
    """What is under way ends, everything is given back, and the next start serves at once."""
    with shop(tmp_path, workers=workers) as made:
        for seed in range(ROUNDS if workers > 1 else 2 * ROUNDS):
            with made.spending(seed) as spenders:
                time.sleep(0.4)
                made.stop()
            assert not [one for one in spenders.told if one.status == 200 and not one.is_whole], "cut off"
            made.books_at_rest()
            made.start()
            assert made.ask(made.ample).is_whole
        made.stop()
        check_variety(made, made.books_at_rest())
    print(summary(made.told))


def check_variety(made: Shop, books: Books) -> None:
    """The load was what it should be: answers of every kind came whole, and with every key."""
    whole = [one for one in made.told if one.is_whole]
    assert {one.kind for one in whole} == set(KINDS)
    assert {one.key for one in whole} == {made.free, made.ample, made.scarce, made.prepaid}
    assert len(books.pots) == 3
