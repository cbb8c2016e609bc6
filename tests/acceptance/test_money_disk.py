"""Disks that fill up or fail under calls: what costs money waits until it can be written down, what costs nothing goes
on, and no call that a caller was answered is missing afterwards or there twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.asking import CHAT, Process, asked, chat, eventually
from tests.acceptance.books import ENDED, Books, kind_of
from tests.acceptance.disks import Failing, full, small_disk, unsynced
from tests.acceptance.metered import ROUNDS, metered
from tests.acceptance.scripted import say_hello
from tests.acceptance.shop import Shop
from tests.acceptance.spending import KINDS, Told, join
from tests.acceptance.surfaces import post

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

GRATIS = "office/gratis"
PRICE = f'[prices."{GRATIS}"]\ninput = 0\noutput = 0\n'
REFUSED_WITHIN_S = 2.0
SLACK_S = 0.5
"""For a machine that does other things too."""
RECOVERED_WITHIN_S = 5.0
LASTS_S = 3.0
"""Longer than a beat of the ledger."""
SEED, BUSY_CALLS = 7, 60
DATABASE = ("trunkline.db", "trunkline.db-wal", "trunkline.db-shm")
UNKNOWN_KEY = "somebody-elses"
FAILURES = pytest.mark.parametrize("failing", [full, unsynced], ids=["full", "unsynced"])


class DiskShop(Shop):
    """One whose data is on a disk of its own. `gratis` are the numbers of calls that cost nothing; `sent` those priced
    ones that were sent before anybody knew that the disk fails, and whose callers were told so in the end."""

    workers: int
    gratis: list[int]
    sent: list[Told]

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def start(self, port: int | None = None) -> str:
        """All of its workers are ready: one that cannot begin ends them all."""
        url = super().start(port)
        if self.workers > 1:
            eventually(lambda: self.log().count("worker_ready") == self.workers, 15)
        return url

    @property
    def disk(self) -> Path:
        return self.folder / "data"

    def pids(self) -> list[int]:
        return Process(self.process.pid).children() or [self.process.pid]

    def was_sent(self, told: Told) -> bool:
        return any(one.ask == told.ask for one in list(self.till.served))

    def asks_for_nothing(self, key: str) -> None:
        """A call that costs nothing is answered, streamed or not."""
        body = asked(GRATIS, max_tokens=5, stream=len(self.gratis) % 2 == 1)
        reply = post(self.url, key, CHAT, body)
        assert (reply.status, reply.whole) == (200, True), reply
        call_id = reply.header("x-trunkline-call-id")
        assert call_id is not None
        self.gratis.append(int(call_id.removeprefix("call_"), 16))

    def is_refused(self, key: str, stream: int = 0) -> None:
        """A priced call is, in time, and has not reached the provider."""
        began = time.monotonic()
        told = self.send(Told.new(key, KINDS[stream]))
        took_s = time.monotonic() - began
        assert is_refusal(told), told
        assert not self.was_sent(told), told
        assert took_s <= REFUSED_WITHIN_S + SLACK_S, took_s

    def settled(self, *, forgets: bool = False) -> None:
        """It has stopped: books, callers and provider agree, and what cost nothing is in the books as well.

        `forgets`: it was killed with ends of calls in its memory that nobody was told of.
        """
        books = Books.of(self.folder)
        books.check_at_rest()
        calls = books.of_calls()
        for number in self.gratis:
            assert [row["state"] for row in calls[number] if kind_of(row) == ENDED] == ["settled"], calls.get(number)
        priced = [row for row in books.entries if row["model"] != GRATIS]
        assert sum(row["cost_nanos"] for row in priced) == sum(row["cost_nanos"] for row in books.entries)
        refused = {one.ask for one in self.sent}
        told = [one for one in self.told if one.ask not in refused]
        join(told, self.till, Books(priced, books.pots, books.leases, books.holders), self.capped)
        for one in self.sent:
            costs = [row["cost_nanos"] for row in priced if row["end_user"] == f"u{one.ask}" and kind_of(row) == ENDED]
            if one.kind.stream:
                assert costs in ([], [0]), "it could not begin, so that nobody got anything of it"
            else:
                cost = self.till.by_ask()[one.ask].cost_nanos
                assert costs in ([[], [0], [cost]] if forgets else [[cost]]), (one, costs)


@contextmanager
def shop(folder: Path, workers: int = 1) -> Iterator[DiskShop]:
    with metered() as till, small_disk(folder / "data"):
        made = DiskShop(folder, till, workers=workers, settings=PRICE)
        made.workers, made.gratis, made.sent = workers, [], []
        till.provider.scripts["gratis"] = say_hello
        try:
            made.start()
            yield made
        finally:
            made.kill()


def is_refusal(told: Told) -> bool:
    reply = told.reply
    return reply is not None and reply.status == 503 and int(reply.header("retry-after") or 0) >= 1


def recovers(made: DiskShop, keys: Sequence[str]) -> None:
    for key in keys:
        eventually(lambda key=key: made.ask(key).is_whole, RECOVERED_WITHIN_S)  # type: ignore[misc]


@FAILURES
def test_what_costs_money_waits_for_the_disk(tmp_path: Path, failing: Failing) -> None:
    with shop(tmp_path) as made, ThreadPoolExecutor(1) as pool:
        keys = made.free, made.ample
        assert all(made.ask(key).is_whole for key in keys)
        with failing(made.disk, made.pids()):
            failed_at = time.monotonic()
            # Nobody may know of it yet. Of a call under a budget there is nothing on disk, so it is not sent either.
            first = pool.submit(made.ask, made.free)
            made.is_refused(made.ample)
            turn = 0
            while not first.done() or time.monotonic() < failed_at + LASTS_S:
                turn += 1
                for key in keys:
                    made.asks_for_nothing(key)
                    made.is_refused(key, stream=turn % 2)
            assert is_refusal(first.result()), first.result()
            if made.was_sent(first.result()):
                made.sent.append(first.result())
        assert turn > 3
        recovers(made, keys)
        made.asks_for_nothing(made.free)
        made.stop()
        made.settled()


@pytest.mark.parametrize(
    ("failing", "killed"),
    [(full, False), (unsynced, False), (unsynced, True), (full, True)][: 2 + ROUNDS],
    ids=["full", "unsynced", "unsynced-killed", "full-killed"][: 2 + ROUNDS],
)
def test_a_disk_that_fails_under_load_loses_nothing(tmp_path: Path, failing: Failing, *, killed: bool) -> None:
    with shop(tmp_path, workers=1 if killed else 2) as made:
        with made.spending(SEED) as spenders:
            eventually(lambda: sum(one.is_whole for one in list(spenders.told)) > BUSY_CALLS, 4 * LASTS_S)
            with failing(made.disk, made.pids()):
                # There may be room in the log yet, which is written anew from its start.
                eventually(lambda: any(map(is_refusal, list(spenders.told))), 5 * LASTS_S)
                failed_at = time.monotonic()
                if killed:
                    made.kill()
                    spenders.stop()
                else:
                    time.sleep(LASTS_S)
                healed_at = time.monotonic()
            if not killed:
                recovers(made, [made.free, made.ample])
        if killed:
            made.start()
            assert not Books.of(tmp_path).open(), "ready"
            recovers(made, [made.free, made.ample])
        known_at = failed_at + REFUSED_WITHIN_S + SLACK_S
        sent = {one.ask: one.at for one in made.till.served}
        assert not [at for at in sent.values() if known_at <= at < healed_at], "sent, and nobody can write it down"
        # Their ends were due when the disk failed, and it did so for longer than an answer waits.
        made.sent += [one for one in made.told if is_refusal(one) and sent.get(one.ask, known_at) < known_at]
        made.stop()
        made.settled(forgets=killed)


def test_without_its_database_the_gateway_goes_on_with_what_costs_nothing(tmp_path: Path) -> None:
    """Keys that it knows are as good as before; what they spend could not be written down."""
    with shop(tmp_path) as made:
        keys = made.free, made.ample
        assert all(made.ask(key).is_whole for key in keys)
        away = made.disk / "away"
        away.mkdir()
        for file in DATABASE:
            (made.disk / file).rename(away / file)
        gone_at = time.monotonic()
        made.is_refused(made.ample)
        while time.monotonic() < gone_at + LASTS_S:
            for key in keys:
                made.asks_for_nothing(key)
                made.is_refused(key)
            assert chat(made.url, UNKNOWN_KEY, asked(GRATIS)).status == 503, "nobody can tell"
        for file in DATABASE:
            (away / file).rename(made.disk / file)
        recovers(made, keys)
        eventually(lambda: chat(made.url, UNKNOWN_KEY, asked(GRATIS)).status == 401, RECOVERED_WITHIN_S)
        made.stop()
        made.settled()
