"""Calls of several processes on budgets, in any order, with crashes, pauses, changes and full disks in between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.policy.reference_process import Process, seen
from tests.policy.reference_store import Pot, Store
from trunkline import clock
from trunkline.errors import BudgetExceeded, BudgetUnavailable, StoreUnavailable
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, AccountId, KeyId, entry_id
from trunkline.pipeline.holds import Hold
from trunkline.pipeline.purses import RECALL_S
from trunkline.pipeline.scopes import Funding, Source
from trunkline.policy.budgets import LOST, Slice
from trunkline.ports.budgets import Period
from trunkline.ports.ledger import Draw, Entry, Fenced

PERIODS: dict[str, Period] = {"all": "never", "daily": "day", "model": "week"}
SOURCES = (Source("all", "all"), Source("daily", "daily"), Source("model", "model", frozenset({"m1"})))
FUNDINGS = tuple(
    Funding(tuple(source for at, source in enumerate(SOURCES) if chosen >> at & 1)) for chosen in (1, 2, 3, 5, 6, 7)
)
AMOUNTS = st.integers(1, 40)
MONDAY = 1_767_571_200.0
"""2026-01-05T00:00:00Z"""
STEP_S = 0.1


class Call:
    """`state`: waiting for its hold, held, opening, open, extending, ending. `unwritten`: the end of an attempt, with
    the next entry to be."""

    def __init__(self, process: Process, number: int, funding: Funding, needs: dict[str, int]) -> None:
        self.process = process
        self.number = number
        self.funding = funding
        self.needs = needs
        self.attempt = 1
        self.state = "waiting"
        self.more = 0
        self.since_s = 0.0
        self.fenced: set[Slice] = set()
        self.hold: Hold | None = None
        self.doing: asyncio.Future[Any] | None = None
        self.unwritten: list[Entry] = []

    def entry(self, kind: int, draws: tuple[Draw, ...] = ()) -> Entry:
        return Entry(
            entry_id=entry_id(self.number, self.attempt, kind),
            state="open" if kind == ENTRY_OPENED else "settled",
            account_id=AccountId("acct_1"),
            key_id=KeyId("key_1"),
            draws=draws,
        )

    @property
    def held(self) -> Hold:
        assert self.hold is not None
        return self.hold


class BudgetMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clocks = clock.now_s, clock.monotonic_s
        self.now_s, self.ticks_s = MONDAY, 1000.0
        clock.now_s, clock.monotonic_s = lambda: self.now_s, lambda: self.ticks_s
        self.loop = asyncio.new_event_loop()
        asyncio._set_running_loop(self.loop)
        self.over: asyncio.Future[None] = self.loop.create_future()
        self.store = Store({}, on_refused=self.on_refused)
        self.room: dict[tuple[int, int], int] = {}
        self.processes: list[Process] = []
        self.calls: list[Call] = []
        self.slots = self.numbers = 0
        self.is_calm = True
        self.is_settling = False

    @initialize(limits=st.lists(st.integers(0, 400), min_size=3, max_size=3), count=st.integers(1, 3))
    def begin(self, limits: list[int], count: int) -> None:
        for (source, period), limit in zip(PERIODS.items(), limits, strict=True):
            self.store.budgets[source] = limit, period, "UTC"
        for _ in range(count):
            self.new_process()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.end_all()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.spin()
            asyncio._set_running_loop(None)
            self.loop.close()
            clock.now_s, clock.monotonic_s = self.clocks

    # Calls.

    @rule(data=st.data(), funding=st.sampled_from(FUNDINGS), nanos=AMOUNTS, times=st.sampled_from((1, 1, 3)))
    def begin_call(self, data: st.DataObject, funding: Funding, nanos: int, times: int) -> None:
        process = data.draw(st.sampled_from(self.processes))
        for _ in range(0 if process.is_paused else times):
            needs = {source.id: nanos for source in funding.sources}
            self.do(self.new_call(process, funding, needs), "waiting", process.funds.hold(funding, nanos))

    @rule(data=st.data(), funding=st.sampled_from(FUNDINGS), first=AMOUNTS, second=AMOUNTS)
    def begin_call_of_two_models(self, data: st.DataObject, funding: Funding, first: int, second: int) -> None:
        process = data.draw(st.sampled_from(self.processes))
        if not process.is_paused:
            needs = {source.id: first if source.models else max(first, second) for source in funding.sources}
            demands = (("m1", first), ("m2", second))
            self.do(self.new_call(process, funding, needs), "waiting", process.funds.hold_most(funding, demands))

    @precondition(lambda self: self.of("held"))
    @rule(data=st.data())
    def open_entry(self, data: st.DataObject) -> None:
        call = self.one(data, "held")
        self.hand_over(call, "opening", [*call.unwritten, call.entry(ENTRY_OPENED, call.held.draws())])

    @precondition(lambda self: self.of("held"))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.give_up(self.one(data, "held"))

    @precondition(lambda self: self.of("waiting"))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        call = self.one(data, "waiting")
        assert call.doing is not None
        call.doing.cancel()
        self.settle_down()

    @precondition(lambda self: self.of("open"))
    @rule(
        data=st.data(), share=st.sampled_from((0, 10, 60, 100, 100, 100, 130, 900)), model=st.sampled_from(("m1", "m2"))
    )
    def settle(self, data: st.DataObject, share: int, model: str) -> None:
        self.end(self.one(data, "open"), share, model)

    @precondition(lambda self: self.of("open"))
    @rule(data=st.data())
    def next_attempt(self, data: st.DataObject) -> None:
        call = self.one(data, "open")
        call.unwritten = [call.entry(ENTRY_ENDED)]
        call.attempt += 1
        self.hand_over(call, "opening", [*call.unwritten, call.entry(ENTRY_OPENED, call.held.draws())])

    @precondition(lambda self: self.of("open"))
    @rule(data=st.data(), nanos=AMOUNTS)
    def extend(self, data: st.DataObject, nanos: int) -> None:
        call = self.one(data, "open")
        call.more = nanos
        self.do(call, "extending", call.process.funds.extend(call.held, nanos))

    # What happens to processes and budgets.

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from(self.processes))
        if not process.is_paused:
            process.write()
        self.settle_down()

    @rule(rounds=st.integers(1, 4))
    def write_all(self, rounds: int) -> None:
        for _ in range(rounds):
            for process in self.processes:
                if not process.is_paused:
                    process.write()
                self.settle_down()

    @rule(
        data=st.data(), what=st.sampled_from(("asks", "sweep", "time", "limit", "crash", "pause", "resume", "failure"))
    )
    def trouble(self, data: st.DataObject, what: str) -> None:
        process = data.draw(st.sampled_from(self.processes))
        if what == "asks":
            self.time_out()
        elif what == "sweep":
            process.funds.purses.sweep()
        elif what == "time":
            self.now_s += data.draw(st.sampled_from((1, 8, 24, 24 * 7))) * 3600
        elif what == "limit":
            self.set_limit(data.draw(st.sampled_from(sorted(PERIODS))), data.draw(st.integers(0, 400)))
        elif what == "resume":
            self.resume(process, expired=data.draw(st.booleans()))
        else:
            self.is_calm = False
            if what == "pause":
                process.is_paused = True
            elif what == "crash":
                self.end_process(process)
                self.new_process()
            elif not process.is_paused:
                process.ledger.is_failing = True
                process.write()
                self.settle_down()
                process.ledger.is_failing = False
        if data.draw(st.booleans()):
            self.recover()
        self.settle_down()

    def set_limit(self, source: str, limit: int) -> None:
        """Of a lower one every second process hears otherwise than by its leases."""
        lowered = limit < self.store.pot(source).limit
        self.store.set_limit(source, limit)
        for process in self.processes[::2] if lowered else []:
            process.funds.drop([source])

    def resume(self, process: Process, *, expired: bool) -> None:
        if process.is_paused and expired and not process.is_dead:
            self.store.expire(process.ledger.holder)
        process.is_paused = False

    def recover(self) -> None:
        living = {process.ledger.holder for process in self.processes}
        for holder in self.store.holders.keys() - living - self.store.dead:
            self.store.expire(holder)

    # What holds between any two steps.

    @invariant()
    def balances(self) -> None:
        self.store.check()
        self.ticks_s += STEP_S
        for process in self.processes:
            self.check_slices(process)

    def check_slices(self, process: Process) -> None:
        held: dict[Slice, int] = {}
        for call in self.calls:
            if call.process is process and call.hold is not None and call.hold.is_open:
                for part in call.hold.parts():
                    held[part.piece] = held.get(part.piece, 0) + part.nanos
        pieces = [piece for source in PERIODS if (piece := process.piece(source)) is not None]
        process.slices = list(dict.fromkeys([*process.slices, *pieces, *held]))
        leased: dict[int, int] = {}
        for piece in process.slices:
            assert piece.held == held.get(piece, 0), "free and held are not what was granted"
            if piece.state is not LOST:
                leased[piece.lease_id] = leased.get(piece.lease_id, 0) + piece.granted
        if not process.ledger.queue and not process.is_dead:
            for lease in self.store.leases.values():
                if lease.holder == process.ledger.holder:
                    assert lease.granted == leased.get(lease.id, 0), "the store and the process disagree"

    # How it works.

    def new_process(self) -> None:
        self.processes.append(Process(self, self.slots))
        self.slots += 1

    def new_call(self, process: Process, funding: Funding, needs: dict[str, int]) -> Call:
        self.numbers += 1
        call = Call(process, self.numbers, funding, needs)
        self.calls.append(call)
        return call

    def of(self, state: str) -> list[Call]:
        return [call for call in self.calls if call.state == state and not call.process.is_paused]

    def one(self, data: st.DataObject, state: str) -> Call:
        return data.draw(st.sampled_from(self.of(state)))

    def do(self, call: Call, state: str, doing: Coroutine[Any, Any, Any]) -> None:
        call.state, call.since_s = state, self.ticks_s
        call.doing = self.loop.create_task(doing)
        call.doing.add_done_callback(seen)
        self.settle_down()

    def hand_over(self, call: Call, state: str, entries: Sequence[Entry]) -> None:
        call.state, call.doing = state, asyncio.ensure_future(call.process.ledger.append(entries), loop=self.loop)
        self.settle_down()

    def end(self, call: Call, share: int, model: str) -> None:
        """`share`: percent of the hold that it costs."""
        held: dict[int, int] = {}
        for part in call.held.parts():
            held[part.piece.pot_id] = held.get(part.piece.pot_id, 0) + part.nanos
        cost = max(held.values()) * share // 100
        entry = call.entry(ENTRY_ENDED, call.held.settled(cost, model))
        self.store.held[entry.entry_id] = held
        self.hand_over(call, "ending", [entry])

    def give_up(self, call: Call) -> None:
        """Before its attempt was opened."""
        if call.hold is not None:
            call.process.funds.release(call.hold)
            call.process.funds.release(call.hold)
            call.hold = None
        if call.unwritten:
            self.hand_over(call, "closing", call.unwritten)
        else:
            self.calls.remove(call)
            self.settle_down()

    def close_attempt(self, call: Call) -> None:
        """What its hold has is free from here on, so the attempt that it was opened for must end before."""
        if call.unwritten:
            closing = Call(call.process, call.number, call.funding, {})
            closing.unwritten, call.unwritten = call.unwritten, []
            self.calls.append(closing)
            self.hand_over(closing, "closing", closing.unwritten)

    def time_out(self) -> None:
        self.is_calm = False
        self.over.set_result(None)
        self.ticks_s += 1.0
        self.spin()
        self.over = self.loop.create_future()
        self.settle_down()

    def spin(self) -> None:
        """Until nothing is left to do on the loop."""
        ready: Any = getattr(self.loop, "_ready")  # noqa: B009 - no type knows it
        # The steps of the machine are taken as if they were on the loop.
        asyncio._set_running_loop(None)
        while ready:
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        asyncio._set_running_loop(self.loop)

    def settle_down(self) -> None:
        """Until every call has taken note of what it waited for."""
        self.spin()
        while not self.is_settling and (moved := [call for call in self.calls if call.doing and call.doing.done()]):
            self.is_settling = True
            if any(self.ticks_s >= call.since_s + RECALL_S for call in moved):
                self.is_calm = False
            for call in moved:
                doing, call.doing = call.doing, None
                assert doing is not None
                self.moved(call, doing)
            self.is_settling = False

    def moved(self, call: Call, doing: asyncio.Future[Any]) -> None:
        error = None if doing.cancelled() else doing.exception()
        if doing.cancelled():
            self.give_up(call)
        elif error is None:
            self.succeeded(call, doing.result())
        elif isinstance(error, Fenced):
            assert call.state == "opening"
            ended = [part.piece for part in call.held.parts() if part.piece.lease_id in error.lease_ids]
            assert not any(self.store.leases[piece.lease_id].state == "live" for piece in ended), "in a wrong epoch"
            call.fenced.update(ended)
            self.close_attempt(call)
            self.do(call, "waiting", call.process.funds.again(call.held, error))
        elif isinstance(error, StoreUnavailable | BudgetUnavailable | BudgetExceeded):
            if isinstance(error, BudgetExceeded):
                self.check_refusal(call, error)
            elif self.is_calm:
                raise error
            self.failed(call)
        else:
            raise error

    def succeeded(self, call: Call, result: Any) -> None:
        if call.state == "waiting":
            call.hold = result[0] if isinstance(result, tuple) else result
            call.state = "held"
            for part in call.held.parts():
                assert part.piece.pot_id == self.store.pot(part.source.id).id, "held in another period"
                assert part.piece not in call.fenced, "held from a lease that is known to have ended"
        elif call.state == "extending":
            call.state = "open"
            call.needs = {source: nanos + call.more for source, nanos in call.needs.items()}
        elif call.state == "opening":
            call.state, call.unwritten = "open", []
        else:
            self.calls.remove(call)

    def failed(self, call: Call) -> None:
        if call.state == "extending":
            call.state = "open"
        elif call.state == "ending":
            self.excuse(call)
            call.held.reopen()
            call.state = "open"
        elif call.state == "closing":
            self.excuse(call)
            self.hand_over(call, "closing", call.unwritten)
        elif call.state == "opening" and call.unwritten:
            call.attempt, call.unwritten, call.state = call.attempt - 1, [], "open"
        else:
            self.give_up(call)

    def on_refused(self, holder: int, pots: Sequence[Pot]) -> None:
        """What a call could have held then, had all that is idle anywhere been given back."""
        for pot in pots:
            free = [(process.ledger.holder, process.free(pot)) for process in self.processes if process.is_heard]
            # Calls of the same process that cost more than they held come first.
            self.room[holder, pot.id] = pot.left + sum(nanos for one, nanos in free if nanos > 0 or one == holder)

    def excuse(self, call: Call) -> None:
        """An end that could not be written: somebody may hold already what was free for a moment."""
        for entry in call.unwritten or [call.entry(ENTRY_ENDED)]:
            self.store.excuse(entry.entry_id)

    def check_refusal(self, call: Call, error: BudgetExceeded) -> None:
        """Nothing was idle anywhere that would have made room."""
        if "ended while" in error.message:
            return
        needed = call.more if call.state == "extending" else call.needs[error.scope]
        pot = self.store.pot(error.scope)
        assert self.room[call.process.ledger.holder, pot.id] < needed, "refused though there was room"
        # The figures are of the moment in which the store was asked; what ended behind that has been written too.
        assert (error.limit_nanos, error.resets_at) == (pot.limit, pot.end)
        limit, spent, held = error.limit_nanos, error.used_nanos, error.held_nanos
        assert limit is not None
        assert spent is not None
        assert held is not None
        assert 0 <= spent <= pot.spent
        assert held >= 0
        assert limit - spent - held < needed

    def end_process(self, process: Process) -> None:
        self.processes.remove(process)
        for call in [call for call in self.calls if call.process is process]:
            if call.doing is not None:
                call.doing.cancel()
            self.calls.remove(call)
        for future, _, _ in process.ledger.queue:
            future.cancel()
        process.ledger.queue.clear()
        process.funds.purses.stop()
        self.settle_down()

    def end_all(self) -> None:
        """All calls end and all processes go: nothing is leased, and another may hold all that is left."""
        for process in self.processes:
            process.is_paused = False
        self.recover()
        for _ in range(200):
            for call in list(self.calls):
                if call.state == "held":
                    self.give_up(call)
                elif call.state == "open":
                    self.end(call, 50, "m1")
            self.write_all(4)
            if not self.calls:
                break
            self.time_out()
        assert not self.calls, "a call never ends"
        for process in self.processes:
            closing = self.loop.create_task(process.funds.close())
            for _ in range(3):
                self.settle_down()
                process.write()
            self.settle_down()
            assert closing.done()
        self.balances()
        assert not any(pot.leased for pot in self.store.pots), "something is leased to nobody"
        assert all(lease.is_over for lease in self.store.leases.values()), "a lease is never closed"
        assert not self.store.opened
        self.processes.clear()
        self.new_process()
        for source in PERIODS:
            self.hold_the_rest(self.store.pot(source))

    def hold_the_rest(self, pot: Pot) -> None:
        funding = Funding((Source(pot.source, pot.source),))
        left = pot.left
        for nanos in (left + 1, left):
            if nanos > 0:
                self.ticks_s += 1.0
                task = self.loop.create_task(self.processes[0].funds.hold(funding, nanos))
                for _ in range(3):
                    self.spin()
                    self.processes[0].write()
                self.spin()
                assert (task.exception() is None) == (nanos == left), "the rest of a budget cannot be held"
