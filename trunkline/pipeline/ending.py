"""The end of a call, however it comes: an error that the caller can be told, settled once, recorded once."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from trunkline import clock
from trunkline.errors import ClientGone, Defect, TrunklineError, Unavailable
from trunkline.pipeline.progress import Call
from trunkline.pipeline.treasury import Treasury


class Leaving(Protocol):
    """Who called: `gone` when he has left, which cancels the task of his call."""

    gone: bool


class Record(Protocol):
    """The last step, as pipeline/record.py fulfils it."""

    def ended(self, call: Call) -> None: ...

    def attempt(self, call: Call, error: TrunklineError | None) -> None: ...

    def status_of(self, error: TrunklineError | None) -> int: ...


class Ending:
    """A context manager around all of a call. What is raised inside comes out as a TrunklineError, or as the
    cancellation of a process that stops."""

    __slots__ = ("_call", "_client", "_record", "_treasury")

    def __init__(self, call: Call, client: Leaving, record: Record, treasury: Treasury | None = None) -> None:
        self._call = call
        self._client = client
        self._record = record
        self._treasury = treasury

    def __enter__(self) -> None:
        if self._treasury is not None:
            self._treasury.under_way[self._call.number] = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        call = self._call
        if error is not None:
            call.error = self._told(error)
        if self._treasury is not None:
            if call.charge is not None:
                call.charge.close(call.error, self._record.status_of(call.error))
            del self._treasury.under_way[call.number]
        # What the call used is known now; the record counts it.
        call.ended_at = clock.monotonic_s()
        call.overhead_s = call.overhead_until(call.ended_at)
        self._record.ended(call)
        if call.error is None or call.error is error:
            return
        if isinstance(call.error, Defect):
            raise call.error from error
        if isinstance(call.error, ClientGone):
            raise call.error from None

    def _told(self, error: BaseException) -> TrunklineError | None:
        if isinstance(error, TrunklineError):
            return error
        if isinstance(error, asyncio.CancelledError):
            if self._client.gone:
                return ClientGone("The client went away.")
            return Unavailable("The gateway stopped before the call had ended.")
        if isinstance(error, Exception):
            # A bug of ours must still answer the caller, and be counted and logged.
            return Defect("Something went wrong inside the gateway; it has been logged under this call's id.")
        return None
