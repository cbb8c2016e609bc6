"""Budgets of days, weeks and months under a clock that is set: each begins anew once, at the instant that its zone's
calendar says, and what was spent is in one period, the same in budgets and in reports.

Changes of clocks are those of the IANA time zone database (https://www.iana.org/time-zones).
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.asking import CHAT, Reply, asked, head, send
from tests.acceptance.books import Books, Row
from tests.acceptance.conftest import TRUNKLINE, commanded, free_port, options_of, wait_for
from tests.acceptance.faked_clock import FakedClock, moment
from tests.acceptance.metered import ROUNDS
from tests.acceptance.scripted import Exchange, Provider, providing, say_hello

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

CENT = 10_000_000
CALLS = 3
"""What a period's budget pays for."""
MODEL = "office/m"
KNOWN_AFTER_S = 1.0
"""So long after it was set a budget holds in every process."""
HOUR_S = 3600


@dataclass(frozen=True)
class Turn:
    """A budget of `period` in `zone`, and three instants at which a period of it begins, in UTC. `traps` are moments at
    which it would begin anew for those who forget something; it must not."""

    name: str
    period: str
    zone: str
    first: str
    turn: str
    then: str
    traps: tuple[str, ...]

    @property
    def ends(self) -> list[float]:
        return [moment(self.first), moment(self.turn), moment(self.then)]


TURNS = (
    Turn("a day of 25 hours", "day", "Europe/Berlin", "2027-10-30 22:00", "2027-10-31 23:00", "2027-11-01 23:00",
         ("2027-10-31 00:00", "2027-10-31 22:00:05", "2027-11-01 00:00:05", "2027-11-01 22:00:05")),
    Turn("midnight comes twice", "day", "America/Havana", "2027-11-06 04:00", "2027-11-07 04:00", "2027-11-08 05:00",
         ("2027-11-07 00:00:05", "2027-11-07 05:00:05", "2027-11-08 00:00:05", "2027-11-08 04:00:05")),
    Turn("a leap day", "day", "UTC", "2028-02-28 00:00", "2028-02-29 00:00", "2028-03-01 00:00",
         ("2028-02-28 12:00", "2028-02-28 23:00", "2028-02-29 01:00:05")),
    Turn("a leap day far in the east", "day", "Pacific/Kiritimati", "2028-02-27 10:00", "2028-02-28 10:00",
         "2028-02-29 10:00", ("2028-02-28 00:00:05", "2028-02-29 00:00:05")),
    Turn("a week with a leap day", "week", "UTC", "2028-02-28 00:00", "2028-03-06 00:00", "2028-03-13 00:00",
         ("2028-02-29 00:00:05", "2028-03-01 00:00:05", "2028-03-05 00:00:05")),
    Turn("a week between half hours", "week", "Asia/Kolkata", "2028-02-27 18:30", "2028-03-05 18:30",
         "2028-03-12 18:30", ("2028-03-05 00:00:05", "2028-03-06 00:00:05", "2028-03-06 18:30:05")),
    Turn("a month with a leap day", "month", "UTC", "2028-02-01 00:00", "2028-03-01 00:00", "2028-04-01 00:00",
         ("2028-02-28 00:00:05", "2028-02-29 00:00:05", "2028-03-31 00:00:05")),
    Turn("midnight is skipped", "day", "America/Havana", "2028-03-11 05:00", "2028-03-12 05:00", "2028-03-13 04:00",
         ("2028-03-12 00:00:05", "2028-03-12 04:00:05", "2028-03-13 00:00:05")),
    Turn("a day of 23 hours", "day", "Europe/Berlin", "2028-03-24 23:00", "2028-03-25 23:00", "2028-03-26 22:00",
         ("2028-03-25 22:00:05", "2028-03-26 01:00:05")),
    Turn("a month in which the clocks change", "month", "America/New_York", "2028-02-01 05:00", "2028-03-01 05:00",
         "2028-04-01 04:00", ("2028-03-01 00:00:05", "2028-03-12 07:00:05", "2028-04-01 00:00:05")),
)  # fmt: skip
BEFORE_S = 20


@dataclass
class House:
    """A gateway whose clock is ours, before a provider whose answers cost a cent each."""

    folder: Path
    provider: Provider
    clock: FakedClock
    workers: int
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = f"[server]\nport = {self.port}\nworkers = {self.workers}\n[discovery]\nlocal = false\n"
        office = f'[providers.office]\nkind = "openai-compatible"\nbase_url = "{self.provider.url}"\napi_key = "k"\n'
        price = "".join(f'[prices."office/{name}"]\ninput = 0\noutput = 0\nrequest = 0.01\n' for name in ("m", "slow"))
        (self.folder / "trunkline.toml").write_text(server + office + price)
        self.admin = commanded("keys", "create", "--admin", *options_of(self.folder))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [TRUNKLINE, "serve", *options_of(self.folder)]
        with (self.folder / "gateway.log").open("ab") as log:
            environment = {**os.environ, **self.clock.environment()}
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        wait_for(f"{self.url}/readyz", self.processes[-1])

    def stop(self) -> None:
        self.processes[-1].terminate()
        assert self.processes[-1].wait(20) == 0

    def end(self) -> None:
        if self.processes and self.processes[-1].poll() is None:
            self.processes[-1].kill()
            self.processes[-1].wait()

    def ask(self, key: str, method: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        data = json.dumps(body).encode() if body is not None else b""
        kind = [("content-type", "application/json"), ("content-length", str(len(data)))] if data else []
        return send(self.url, head(method, path, [("authorization", f"Bearer {key}"), *kind]) + data)

    def told(self, key: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        reply = self.ask(key, method, path, body)
        assert reply.status in (200, 201), reply
        return json.loads(reply.body, parse_float=Decimal)


@contextmanager
def house(folder: Path, at: str, workers: int) -> Iterator[House]:
    clock = FakedClock(folder / "clock", moment(at))
    clock.environment()
    with providing() as provider:
        made = House(folder, provider, clock, workers)
        try:
            made.start()
            yield made
        finally:
            made.end()


class Purse:
    """A key with a budget of three calls in each period."""

    def __init__(self, house: House, period: str, zone: str) -> None:
        self.house = house
        made = house.told(house.admin, "POST", "/v1/keys", {"name": "k"})
        self.key, key_id = made["key"], made["id"]
        wanted = {"scope": "key", "subject": key_id, "limit_cents": CALLS, "period": period, "zone": zone}
        self.budget_id = house.told(house.admin, "POST", "/v1/budgets", wanted)["id"]

    def call(self, model: str = MODEL) -> Reply:
        return self.house.ask(self.key, "POST", CHAT, asked(model, max_tokens=5))

    def calls(self, count: int) -> list[Reply]:
        """At once."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.call(), range(count)))

    def spends_it_all(self, resets_at: float) -> None:
        """The whole of it is there, and not a call more."""
        replies = self.calls(CALLS + 3)
        assert Counter(reply.status for reply in replies) == {200: CALLS, 402: 3}, [one.body for one in replies]
        for reply in replies:
            if reply.status == 402:
                self._check_refusal(reply, resets_at)

    def is_spent(self, resets_at: float) -> None:
        self._check_refusal(self.call(), resets_at)

    def _check_refusal(self, reply: Reply, resets_at: float) -> None:
        assert reply.status == 402, reply
        said = reply.json()["error"]
        assert said["code"] == "budget_exceeded"
        assert said["resets_at"] == resets_at, (said, resets_at)

    def card(self) -> Any:
        return self.house.told(self.house.admin, "GET", f"/v1/budgets/{self.budget_id}")

    def reported(self, start_s: float, end_s: float) -> tuple[Decimal, Decimal]:
        """Calls and cents of a stretch of time, by the report of usage."""
        asked_for = f"/v1/usage?start_time={int(start_s)}&end_time={int(end_s)}"
        summary = self.house.told(self.key, "GET", asked_for)["summary"]
        return Decimal(summary["requests"]), Decimal(summary["cost_usd"]) * 100

    def pots(self, books: Books) -> list[Row]:
        found = [pot for pot in books.pots if pot["source"] == self.budget_id]
        return sorted(found, key=lambda pot: float(pot["period_start"]))

    def check(self, expected: list[tuple[float, float, int]]) -> None:
        """`expected`: start, end and calls of every period that there was. Budget, ledger and reports agree."""
        books = Books.of(self.house.folder)
        books.check()
        pots = self.pots(books)
        assert [(pot["period_start"], pot["period_end"]) for pot in pots] == [span[:2] for span in expected]
        assert [pot["spent_nanos"] for pot in pots] == [calls * CENT for _, _, calls in expected]
        for start_s, end_s, calls in expected:
            assert self.reported(start_s, end_s) == (Decimal(calls),) * 2, (start_s, end_s)
        start_s, end_s = expected[0][0], expected[-1][1]
        assert self.reported(start_s, end_s) == (Decimal(sum(calls for *_, calls in expected)),) * 2
        pot_of = {str(pot["pot_id"]): pot for pot in pots}
        for row in books.entries:
            for pot_id in (row["pots"] or "").split(","):
                if (pot := pot_of.get(pot_id)) is not None:
                    assert pot["period_start"] * 1000 <= row["opened_at_ms"] < pot["period_end"] * 1000, (row, pot)


@pytest.mark.parametrize("workers", [2, 1][:ROUNDS])
def test_each_period_begins_once(tmp_path: Path, workers: int) -> None:
    """All budgets in one walk through half a year: what one does at its turn leaves the others alone."""
    steps: list[tuple[float, str, Turn]] = []
    for turn in TURNS:
        first, reset, then = turn.ends
        steps += [(first + 1, "first", turn), (reset - BEFORE_S, "before", turn), (reset, "turn", turn)]
        steps += [(then - BEFORE_S, "nearly", turn), (then, "then", turn)]
        steps += [(moment(trap), "before" if moment(trap) < reset else "nearly", turn) for trap in turn.traps]
    steps.sort(key=lambda step: step[0])
    with house(tmp_path, "2027-10-01 00:00", workers) as made:
        never = Purse(made, "never", "UTC")
        purses = {turn.name: Purse(made, turn.period, turn.zone) for turn in TURNS}
        time.sleep(KNOWN_AFTER_S)
        assert [reply.status for reply in never.calls(CALLS)] == [200] * CALLS
        for at_s, what, turn in steps:
            made.clock.set(at_s)
            purse, (_, reset, then) = purses[turn.name], turn.ends
            try:
                if what == "first":
                    purse.spends_it_all(reset)
                elif what == "turn":
                    purse.spends_it_all(then)
                elif what == "then":
                    assert purse.call().status == 200
                else:
                    purse.is_spent(reset if what == "before" else then)
                    card = purse.card()
                    assert (card["spent_cents"], card["resets_at"]) == (CALLS, reset if what == "before" else then)
            except AssertionError as error:
                raise AssertionError(f"{turn.name}, {time.strftime('%F %T', time.gmtime(at_s))}: {error}") from error
        assert never.call().status == 402
        for turn in TURNS:
            first, reset, then = turn.ends
            last = purses[turn.name].pots(Books.of(tmp_path))[-1]["period_end"]
            purses[turn.name].check([(first, reset, CALLS), (reset, then, CALLS), (then, last, 1)])
        made.stop()
        Books.of(tmp_path).check_at_rest()


def test_a_call_belongs_to_the_period_in_which_it_began(tmp_path: Path) -> None:
    """It ends in the next one, and costs more there than was held for it."""
    midnight, day = moment("2028-02-29 00:00"), 24 * HOUR_S
    with house(tmp_path, "2028-02-28 12:00", workers=1) as made:
        go_on = threading.Event()

        def slow(exchange: Exchange) -> None:
            go_on.wait(20)
            say_hello(exchange)

        made.provider.scripts["slow"] = slow
        purse = Purse(made, "day", "UTC")
        time.sleep(KNOWN_AFTER_S)
        made.clock.set(midnight - 2)
        with ThreadPoolExecutor(2) as pool:
            begun = [pool.submit(purse.call, "office/slow") for _ in range(2)]
            made.provider.wait_for("slow", 2)
            made.clock.set(midnight)
            purse.spends_it_all(midnight + day)
            go_on.set()
            assert [one.result().status for one in begun] == [200, 200]
        purse.is_spent(midnight + day)
        purse.check([(midnight - day, midnight, 2), (midnight, midnight + day, CALLS)])
        made.clock.set(midnight + day)
        assert purse.call().status == 200
        last = (midnight + day, midnight + 2 * day, 1)
        purse.check([(midnight - day, midnight, 2), (midnight, midnight + day, CALLS), last])
        made.stop()
        Books.of(tmp_path).check_at_rest()


@pytest.mark.parametrize("workers", [1, 2][:ROUNDS])
def test_a_clock_that_is_set_back_begins_nothing_anew(tmp_path: Path, workers: int) -> None:
    """Ten minutes after midnight it goes back by an hour, and the gateway is started again before midnight comes for
    the second time: what is spent from the first midnight on is the new day's."""
    midnight, day = moment("2028-03-01 00:00"), 24 * HOUR_S
    with house(tmp_path, "2028-02-29 12:00", workers) as made:
        daily, monthly = Purse(made, "day", "UTC"), Purse(made, "month", "UTC")
        time.sleep(KNOWN_AFTER_S)
        daily.spends_it_all(midnight)
        monthly.spends_it_all(midnight)
        made.clock.set(midnight + 600)
        assert (daily.call().status, monthly.call().status) == (200, 200)
        made.clock.set(midnight + 600 - HOUR_S)
        assert (daily.call().status, monthly.call().status) == (200, 200)
        made.stop()
        made.start()
        assert (daily.call().status, monthly.call().status) == (200, 200)
        april = moment("2028-04-01 00:00")
        for at_s in (midnight - 60, midnight, midnight + 60, midnight + day - 1800):
            made.clock.set(at_s)
            daily.is_spent(midnight + day)
            monthly.is_spent(april)
        daily.check([(midnight - day, midnight, CALLS), (midnight, midnight + day, CALLS)])
        monthly.check([(moment("2028-02-01 00:00"), midnight, CALLS), (midnight, april, CALLS)])
        made.clock.set(midnight + day)
        daily.spends_it_all(midnight + 2 * day)
        monthly.is_spent(april)
        made.stop()
        Books.of(tmp_path).check_at_rest()
