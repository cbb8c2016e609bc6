"""The sandbox as a Transport: what a provider across the network would answer, from inside this process."""

from __future__ import annotations

from trunkline.errors import NotFound
from trunkline.providers.sandbox import chat
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.response import Plan, SandboxResponse
from trunkline.providers.transport import UpstreamRequest

ACCOUNT_HEADER = b"x-sandbox-account"
"""Tells the accounts apart that `faulty` counts failures for. It is never answered back."""


class SandboxTransport:
    """Fulfils Transport. One for each worker: the counts of `faulty` are its own."""

    __slots__ = ("_counts", "_live")

    def __init__(self) -> None:
        self._counts = FaultCounts()
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
        path = request.target.partition(b"?")[0]
        if request.method == b"POST" and path.endswith(b"/chat/completions"):
            account = next((value for name, value in request.headers if name.lower() == ACCOUNT_HEADER), b"")
            return chat.answer(request.body, account, self._counts)
        sentence = f"unknown request URL: {request.method.decode('latin-1')} {path[:200].decode('latin-1')}"
        return chat.refusal(NotFound(sentence, code="unknown_url"))

    def _ended(self) -> None:
        self._live -= 1
