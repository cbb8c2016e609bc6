"""However a call ends: one error, told once, recorded once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable

import pytest

from tests.pipeline.charged import (
    AMPLE,
    SHORT,
    SHORT_STREAM,
    Charged,
    ChargedLedger,
    ChargedStore,
    budget,
    hold_clocks,
    play,
    tenancy,
)
from tests.pipeline.kept import House, pieces, said
from tests.pipeline.scripted import Reply, good, new_call, refused, whole
from tests.pipeline.test_relay import ROLE, TEXT
from trunkline.errors import ClientGone, Defect, InvalidRequest, StreamCut, TrunklineError, Unavailable
from trunkline.pipeline.call import Call
from trunkline.pipeline.ending import Ending
from trunkline.pipeline.funds import Funds
from trunkline.pipeline.treasury import BudgetsOptions, LedgerOptions, Treasury


class Caller:
    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone


class Book:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def ended(self, call: Call) -> None:
        self.calls.append(call)

    def status_of(self, error: TrunklineError | None) -> int:
        return 200 if error is None else 500

    def attempt(self, call: Call, error: TrunklineError | None) -> None:
        raise AssertionError("nothing was tried")


def end(error: BaseException | None, *, gone: bool = False) -> tuple[Call, BaseException | None]:
    call, book = new_call(), Book()
    raised: BaseException | None = None
    try:
        with Ending(call, Caller(gone=gone), book):
            if error is not None:
                raise error
    except BaseException as caught:
        raised = caught
    assert book.calls == [call]
    assert call.ended_at > 0
    return call, raised


def test_a_good_end_is_recorded() -> None:
    call, raised = end(None)
    assert raised is None
    assert call.error is None


def test_an_error_of_ours_stays_itself() -> None:
    error = InvalidRequest("x")
    call, raised = end(error)
    assert raised is call.error is error


def test_a_bug_becomes_a_defect_that_knows_its_cause() -> None:
    bug = KeyError("x")
    call, raised = end(bug)
    assert isinstance(raised, Defect)
    assert raised is call.error
    assert raised.__cause__ is bug
    assert "x" not in raised.message.split()


@pytest.mark.parametrize(
    ("gone", "told", "out"), [(True, ClientGone, ClientGone), (False, Unavailable, asyncio.CancelledError)]
)
def test_a_cancelled_call(gone: bool, told: type[TrunklineError], out: type[BaseException]) -> None:
    call, raised = end(asyncio.CancelledError(), gone=gone)
    assert isinstance(call.error, told)
    assert isinstance(raised, out)


def test_the_end_of_the_process_is_nobodys_error() -> None:
    call, raised = end(KeyboardInterrupt())
    assert isinstance(raised, KeyboardInterrupt)
    assert call.error is None


def alive() -> int:
    """How many calls are in memory."""
    gc.collect()
    return sum(type(one) is Call for one in gc.get_objects())


ENDS: dict[str, tuple[bytes, Callable[[], Reply]]] = {
    "whole": (SHORT, whole),
    "stream": (SHORT_STREAM, good),
    "refused": (SHORT, lambda: refused(400)),
    "cut": (SHORT_STREAM, lambda: Reply((0, ROLE + TEXT), (1, StreamCut("gone")))),
    "over budget": (SHORT.replace(b"10}", b"100000000}"), whole),
}


@pytest.mark.parametrize("case", ENDS)
def test_nothing_of_a_call_stays_in_memory(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the collector cannot see (a struct with `gc=False`) must not be part of a circle."""
    hold_clocks(monkeypatch)
    body, reply = ENDS[case]
    before = alive()

    async def scene() -> None:
        for model in (b"any", b"mute"):
            charged = Charged(reply(), budgets=[budget(AMPLE)], aliases={"mute": ("one/small",)})
            await charged.run(body.replace(b'"any"', b'"' + model + b'"'))

    play(scene)
    assert alive() == before


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_response_stays_in_memory(stream: bool, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_clocks(monkeypatch)
    before = alive()

    async def scene() -> None:
        reply = refused(400) if fails else pieces("a", "b") if stream else said("hi")
        house = House(reply)
        ledger = ChargedLedger(ChargedStore({}), 0, asyncio.get_running_loop())
        house.pipeline.treasury = Treasury(ledger, Funds(ledger), tenancy(), BudgetsOptions, LedgerOptions)
        with contextlib.suppress(TrunklineError):
            await (house.stream() if stream else house.run())

    play(scene)
    assert alive() == before
