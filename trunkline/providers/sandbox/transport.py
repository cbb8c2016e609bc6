"""The sandbox as a Transport: what a provider across the network would answer, from inside this process."""

from __future__ import annotations

from trunkline.providers.sandbox import faces
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.response import Plan, SandboxResponse
from trunkline.providers.transport import UpstreamRequest

ACCOUNT_HEADER = b"x-sandbox-account"
"""Tells the accounts apart that `faulty` counts failures for. It is never answered back."""


class SandboxTransport:
    """Fulfils Transport. One for each worker: the counts of `faulty` are its own."""

    __slots__ = ("_counts", "_faces", "_live")

    def __init__(self) -> None:
        self._counts = FaultCounts()
        self._faces = faces.faces()
        self._live = 0

    @property
    def live(self) -> int:
        """Answers begun and neither ended nor closed."""
        return self._live

    async def send(self, request: UpstreamRequest) -> SandboxResponse:
        """Raises UpstreamTimeout when status and headers do not come in time; every refusal is a response."""
        response = SandboxResponse(self._plan(request), request.timers, self._ended)
        self._live += 1
        await response.begin(request.timers.first_byte_s if request.streaming else None)
        return response

    async def close(self) -> None:
        """Nothing is kept open."""

    def _plan(self, request: UpstreamRequest) -> Plan:
        account = next((value for name, value in request.headers if name.lower() == ACCOUNT_HEADER), b"")
        return faces.answer(self._faces, request, account, self._counts)

    def _ended(self) -> None:
        self._live -= 1
