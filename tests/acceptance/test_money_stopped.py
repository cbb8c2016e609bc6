"""Processes that stand still past the life of their leases, while another takes these over and spends them: when they
go on, nothing is sent for calls that were only held, what was under way is settled for what it cost, and sums are
exact."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.asking import eventually, metrics
from tests.acceptance.books import ADJUSTED, Books, can_be_written, kind_of, nobody_else_writes
from tests.acceptance.conftest import free_port
from tests.acceptance.shop import Shop, shop
from tests.acceptance.spending import KINDS, Refused, Told

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

PLACES = 7
# Calls beyond those that the provider has wait for a connection, for longer than the process stands still.
SETTINGS = f"[transport]\nconnections_per_origin = {PLACES}\nacquire_s = 100\n"
RECOVERED_WITHIN_S = 15.0


class Kept:
    """Calls to one process, of which the provider ends none before it is told to."""

    def __init__(self, made: Shop, callers: ThreadPoolExecutor, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process
        self._made = made
        self._callers = callers

    def ask(self, count: int) -> list[Future[Told]]:
        calls = [Told.new(self._made.scarce, KINDS[at % len(KINDS)]) for at in range(count)]
        self._made.till.kept |= {one.ask for one in calls}
        return [self._callers.submit(self._made.send, one, self.url) for one in calls]

    def in_flight(self) -> int:
        """Calls that it is at work for, as it says."""
        return int(metrics(self.url)["trunkline_calls_in_flight"]) - 1


def test_a_stopped_process_spends_nothing_more(tmp_path: Path) -> None:
    with ThreadPoolExecutor(40) as callers, shop(tmp_path, settings=SETTINGS) as made:
        first = Kept(made, callers, made.url, made.process)
        second = Kept(made, callers, made.start(free_port()), made.process)
        other_url = made.start(free_port())
        # What the second one has leased is enough for many more.
        assert made.ask(made.scarce, second.url).is_whole
        under_way = first.ask(PLACES)
        eventually(lambda: len(served_to(made, made.till.kept)) == PLACES, 10)
        waiting = first.ask(6)
        eventually(lambda: len(Books.of(tmp_path).open()) == PLACES + 6, 5)
        stop_between_writes(made, first.process)
        with nobody_else_writes(tmp_path):
            held = second.ask(6)
            eventually(lambda: second.in_flight() == 6, 1.0, 0.01)
            stop(second.process)
        unread = [*first.ask(3), *second.ask(3)]
        took_s = eventually(lambda: len(Books.of(tmp_path).alive()) == 1, RECOVERED_WITHIN_S, 0.1)
        assert not Books.of(tmp_path).open()
        spend_all(made, other_url)
        before = {one.ask for one in made.till.served}
        for stopped in (first, second):
            stopped.process.send_signal(signal.SIGCONT)
        # Who waits gets his turn when both are among the living again.
        eventually(lambda: len(Books.of(tmp_path).alive()) == 3, 5)
        made.till.open.set()
        for call in (*under_way, *waiting, *held, *unread):
            call.result(30)
        print(f"recovered after {took_s:.1f} s:", [call.result().status for call in (*waiting, *held, *unread)])
        assert {one.ask for one in made.till.served} == before, "sent after all"
        assert all(call.result().is_whole for call in under_way)
        assert not any(call.result().is_whole for call in (*waiting, *held, *unread))
        for url in (first.url, second.url):
            assert made.ask(made.ample, url).is_whole
            assert made.ask(made.scarce, url).status == 402
        made.stop()
        check_sums(made, under_way, waiting)
        users = {row["end_user"] for row in Books.of(tmp_path).entries}
        assert not users & {f"u{call.result().ask}" for call in (*held, *unread)}, (
            "its leases were not its own any more"
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """None of its threads runs any more when this ends."""
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task")
    eventually(lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads.glob("*/stat")), 5)


def stop_between_writes(made: Shop, process: subprocess.Popen[bytes]) -> None:
    """One that stands still in the middle of a transaction keeps everybody from writing, as SQLite has one writer: then
    nobody spends anything, which is not what is to be seen here."""
    for _ in range(100):
        stop(process)
        if can_be_written(made.folder):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.003)
    pytest.fail("it writes all the time")


def served_to(made: Shop, asks: set[int]) -> set[int]:
    return {one.ask for one in made.till.served} & asks


def spend_all(made: Shop, url: str) -> None:
    """Everything that other processes had leased is there, to the last call of the cheapest kind that fits."""
    calls = 0
    for kind in (KINDS[0], KINDS[4], KINDS[6]):
        while (told := made.send(Told.new(made.scarce, kind), url)).status == 200:
            calls += 1
        refused = Refused.of(told)
        assert refused.is_true
        assert refused.held == 0
    assert calls > 20


def check_sums(made: Shop, under_way: list[Future[Told]], waiting: list[Future[Told]]) -> None:
    """What was learnt too late is an adjustment, and may go beyond a limit; nothing else does."""
    late = Books.of(made.folder)
    books = made.books_at_rest(over_nanos=max(late.adjusted_nanos(pot["pot_id"]) for pot in late.pots))
    calls = books.of_calls()
    for call in under_way:
        assert [row["state"] for row in calls[call.result().number]] == ["open", "released", "adjusted"]
    for call in waiting:
        rows = calls[call.result().number]
        assert not sum(row["cost_nanos"] for row in rows)
        assert not sum(row["upstream_cost_nanos"] for row in rows), "it was never sent"
    assert sum(kind_of(row) == ADJUSTED for row in books.entries) == len(under_way) + len(waiting)
