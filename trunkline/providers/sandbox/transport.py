"""The sandbox as a Transport: what a provider across the network would answer, from inside this process."""

from __future__ import annotations

import msgspec

from trunkline.errors import BodyTooLarge
from trunkline.providers.sandbox import faces, openai_errors
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.response import Plan, SandboxResponse
from trunkline.providers.transport import UpstreamRequest

ACCOUNT_HEADER = b"x-sandbox-account"
"""Tells the accounts apart that `faulty` counts failures for. It is never answered back."""

MOST_BODY_BYTES = 64 * 1024 * 1024
"""Of a body that comes in pieces, which is read whole before it is answered."""


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
        if request.before_sending is not None:
            request.before_sending()
        response = SandboxResponse(await self._plan(request), request.timers, self._ended)
        self._live += 1
        await response.begin(request.timers.first_byte_s if request.streaming else None)
        return response

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _plan(self, request: UpstreamRequest) -> Plan:
        if request.stream_body is not None:
            body = bytearray()
            async for piece in request.stream_body:
                body += piece
                if len(body) > MOST_BODY_BYTES:
                    return openai_errors.refusal(BodyTooLarge(f"the body is over {MOST_BODY_BYTES} bytes"))
            request = msgspec.structs.replace(request, body=bytes(body), stream_body=None)
        account = next((value for name, value in request.headers if name.lower() == ACCOUNT_HEADER), b"")
        return faces.answer(self._faces, request, account, self._counts)

    def _ended(self) -> None:
        self._live -= 1
