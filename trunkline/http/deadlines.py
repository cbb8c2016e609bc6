"""How long a client may take: for its head, its body, its next request, and to read its answer.

One sweep looks at every connection, so a call needs no timer of its own; each deadline is held up to SWEEP_S late.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from trunkline.http import refusals
from trunkline.http.listening import ServerOptions
from trunkline.http.refusals import Refusal

SWEEP_S = 0.5


class Flow(Protocol):
    @property
    def read_paused(self) -> bool: ...


class Watched(Protocol):
    """What a connection shows of itself. Times are the loop's, in seconds."""

    transport: asyncio.Transport
    cycle: Any

    is_deaf: bool
    is_body_open: bool
    received_bytes: int

    head_since_s: float | None
    idle_since_s: float
    linger_until_s: float | None
    window_since_s: float | None
    window_bytes: int
    unsent_bytes: int
    unsent_since_s: float

    @property
    def options(self) -> ServerOptions: ...
    @property
    def flow(self) -> Flow: ...
    def owes_answers(self) -> bool: ...
    def refuse(self, refusal: Refusal) -> None: ...
    def cut(self) -> None: ...


def check(connection: Watched, now_s: float) -> None:
    """Ends the connection if it is overdue."""
    check_writing(connection, now_s)
    if connection.linger_until_s is not None:
        if now_s >= connection.linger_until_s:
            connection.cut()
    elif connection.is_deaf or connection.transport.is_closing():
        pass
    elif connection.head_since_s is not None:
        check_head(connection, now_s, connection.head_since_s)
    elif connection.is_body_open:
        check_body_rate(connection, now_s)
    elif now_s - connection.idle_since_s >= connection.options.keep_alive_s and not connection.owes_answers():
        connection.transport.close()


def check_writing(connection: Watched, now_s: float) -> None:
    """Ends a connection whose client takes nothing of what waits for it."""
    unsent_bytes = connection.transport.get_write_buffer_size()
    if unsent_bytes == 0 or unsent_bytes != connection.unsent_bytes:
        connection.unsent_bytes = unsent_bytes
        connection.unsent_since_s = now_s
    elif now_s - connection.unsent_since_s >= connection.options.write_timeout_s:
        connection.cut()


def check_head(connection: Watched, now_s: float, since_s: float) -> None:
    if connection.flow.read_paused:
        connection.head_since_s = now_s  # The client may not send: it waits behind requests of its own.
    elif now_s - since_s >= connection.options.header_timeout_s:
        if connection.received_bytes or connection.cycle is not None:
            connection.refuse(refusals.HEAD_LATE)
        else:
            connection.transport.close()  # Nothing was asked, so nothing is answered.


def check_body_rate(connection: Watched, now_s: float) -> None:
    """Measures over windows of `body_grace_s`. While the client may not send, no window is open."""
    if connection.flow.read_paused or connection.cycle.waiting_for_100_continue:
        connection.window_since_s = None
    elif connection.window_since_s is None:
        connection.window_since_s = now_s
        connection.window_bytes = connection.received_bytes
    elif now_s - connection.window_since_s >= connection.options.body_grace_s:
        arrived = connection.received_bytes - connection.window_bytes
        if arrived < connection.options.body_rate_bytes_s * (now_s - connection.window_since_s):
            connection.refuse(refusals.BODY_LATE)
        connection.window_since_s = now_s
        connection.window_bytes = connection.received_bytes
