"""Writes of one turn of the event loop, held until its end and sent back to back.

A send to a peer that sleeps costs twice one to a peer that is awake: the kernel has to wake it. When sixteen calls are
ready in one turn, their sixteen sends come after each other instead of 20 us apart, and only the first one wakes
anybody (docs/decisions/0003-corked-writes.md). What a connection writes in pieces goes out as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

MOST_HELD = 32
"""So many connections wait for the end of the turn at the most: the first of a long turn is not kept for the last."""
LARGE_BYTES = 65_536
"""From this size on a write is sent as it is: to wait would gain nothing, to join would copy it."""


class Cork:
    """What one loop's connections share."""

    __slots__ = ("_loop", "held")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.held: list[CorkedTransport] = []

    def hold(self, transport: CorkedTransport) -> None:
        held = self.held
        held.append(transport)
        if len(held) == 1:
            self._loop.call_soon(self.flush)
        elif len(held) >= MOST_HELD:
            self.flush()

    def flush(self) -> None:
        held, self.held = self.held, []
        for transport in held:
            # `transport.flush()`, spelled out: it runs twice for every call.
            parts = transport.parts
            if parts and not transport.is_closing():
                transport.send(parts[0] if len(parts) == 1 else b"".join(parts))
            parts.clear()


class CorkedTransport:
    """A transport like the one inside, but for when its writes are sent. Their order is kept; closing sends them.

    What it only passes on is the inner transport's own method, so that passing on costs nothing.
    """

    __slots__ = (
        "_cork", "_inner", "can_write_eof", "get_extra_info", "get_protocol", "get_write_buffer_limits",
        "get_write_buffer_size", "is_closing", "is_reading", "parts", "pause_reading", "resume_reading", "send",
        "set_protocol", "set_write_buffer_limits",
    )  # fmt: skip

    def __init__(self, inner: asyncio.Transport, cork: Cork) -> None:
        self._cork = cork
        self._inner = inner
        self.parts: list[bytes | bytearray | memoryview] = []
        self.send = inner.write
        self.can_write_eof = inner.can_write_eof
        self.get_extra_info = inner.get_extra_info
        self.get_protocol = inner.get_protocol
        self.get_write_buffer_limits = inner.get_write_buffer_limits
        # What is held counts as sent: it is gone when the turn ends.
        self.get_write_buffer_size = inner.get_write_buffer_size
        self.is_closing = inner.is_closing
        self.is_reading = inner.is_reading
        self.pause_reading = inner.pause_reading
        self.resume_reading = inner.resume_reading
        self.set_protocol = inner.set_protocol
        self.set_write_buffer_limits = inner.set_write_buffer_limits

    def write(self, data: bytes | bytearray | memoryview) -> None:
        parts = self.parts
        if parts:
            parts.append(data)
            if len(data) >= LARGE_BYTES:
                self.flush()
        elif len(data) >= LARGE_BYTES:
            self.send(data)
        else:
            parts.append(data)
            self._cork.hold(self)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        data = list(list_of_data)
        if sum(map(len, data)) < LARGE_BYTES:
            self.write(b"".join(data))
        else:
            self.flush()
            self._inner.writelines(data)

    def flush(self) -> None:
        """Sends what is held. Harmless when nothing is, and when the connection has gone meanwhile."""
        parts = self.parts
        if parts and not self.is_closing():
            self.send(b"".join(parts))
        parts.clear()

    def close(self) -> None:
        self.flush()
        self._inner.close()

    def abort(self) -> None:
        self.parts.clear()
        self._inner.abort()

    def write_eof(self) -> None:
        self.flush()
        self._inner.write_eof()


def corked(transport: asyncio.Transport, cork: Cork | None) -> asyncio.Transport:
    """`transport` behind the cork, for whoever takes a transport; as it is when there is none."""
    return transport if cork is None else cast("asyncio.Transport", CorkedTransport(transport, cork))
