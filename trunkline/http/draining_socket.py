"""uvicorn's WebSocket protocol, except that a server which stops lets what is being answered come to its end.

The stock class closes at once. Relied upon of uvicorn 0.54: `handle_connect` makes `scope` and the application's task,
and `shutdown` is called once for every connection when the server begins to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

SOCKET: Final = "trunkline.socket"
"""The key in the scope under which an application finds its connection, to set `on_shutdown`."""


class DrainingSocket(WebSocketsSansIOProtocol):
    """`on_shutdown`, if the application sets it, is called instead of closing: the application closes when it can."""

    on_shutdown: Callable[[], None] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope[SOCKET] = self  # type: ignore[typeddict-unknown-key]

    def shutdown(self) -> None:
        if self.on_shutdown is not None and not self.close_sent:
            self.on_shutdown()
        else:
            super().shutdown()
