"""Whole bodies and whole answers, past uvicorn's `receive` and `send`.

`send` checks every header with two patterns, 0.5 us each, and `receive` waits on an event that is set; together about
8 us of a call. Our own headers are made of constants and of values that http/facts.py has cleaned, so nothing is left
to check. Wherever these do not apply (another server, a wrapped `send`, pipelining), the ASGI way is taken.
"""

from __future__ import annotations

from typing import Any

from trunkline.http.asgi import Receive, Scope, Send
from trunkline.http.protocol import CONNECTION, HardenedProtocol

JOINED_LIMIT_BYTES = 65_536
"""A larger body is handed to the socket as it is rather than copied behind its head."""


def take_body(scope: Scope, receive: Receive) -> bytes | None:
    """The request's body when it is here already, to its end; None: use `receive`."""
    cycle: Any = getattr(receive, "__self__", None)
    if (
        cycle is None
        or CONNECTION not in scope
        or cycle.more_body
        or cycle.disconnected
        or cycle.response_complete
        or cycle.waiting_for_100_continue
    ):
        return None
    # Not copied: nobody else has it, and it is never changed again.
    body: bytes = cycle.body
    cycle.body = bytearray()
    cycle.message_event.clear()
    if cycle.flow.read_paused:
        cycle.flow.resume_reading()
    return body


def answer_ok(scope: Scope, send: Send, headers: bytes, body: bytes) -> bool:
    """Answers 200 with `headers`, complete lines, content-length among them. False: nothing was done, use `send`.

    Only for the request that is next to be answered, on a connection that stays open and whose client keeps up.
    """
    cycle: Any = getattr(send, "__self__", None)
    connection = scope.get(CONNECTION)
    if (
        cycle is None
        or not isinstance(connection, HardenedProtocol)
        or cycle is not connection.cycle
        or connection.pipeline
        or connection.flow.write_paused
        or cycle.response_started
        or cycle.disconnected
        or not cycle.keep_alive
    ):
        return False
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    head = b"HTTP/1.1 200 OK\r\ndate: %b\r\n%b\r\n" % (connection.server_state.default_headers[0][1], headers)
    if len(body) <= JOINED_LIMIT_BYTES:
        connection.transport.write(head + body)
    else:
        connection.transport.write(head)
        connection.transport.write(body)
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True
