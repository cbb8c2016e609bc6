"""However a call ends: one error, told once, recorded once."""

from __future__ import annotations

import asyncio

import pytest

from tests.pipeline.scripted import new_call
from trunkline.errors import ClientGone, Defect, InvalidRequest, TrunklineError, Unavailable
from trunkline.pipeline.call import Call
from trunkline.pipeline.ending import Ending


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
