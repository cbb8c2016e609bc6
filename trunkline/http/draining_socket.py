"""uvicorn's WebSocket protocol, except that a server which stops lets what is being answered come to its end, and that
the client of a trusted proxy is whom the proxy names.

The stock class closes at once, and its client is always the peer. Relied upon of uvicorn 0.54: `handle_connect` makes
`scope` and the application's task, which begins later, and `shutdown` is called once for every connection when the
server begins to stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from trunkline.http.forwarded import TrustedProxies

SOCKET: Final = "trunkline.socket"
"""The key in the scope under which an application finds its connection, to set `on_shutdown`."""


class DrainingSocket(WebSocketsSansIOProtocol):
    """`on_shutdown`, if the application sets it, is called instead of closing: the application closes when it can."""

    on_shutdown: Callable[[], None] | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._proxies: TrustedProxies | None = getattr(server_state, "trusted", None)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not hasattr(self, "scope"):
            return
        scope: Any = self.scope
        scope[SOCKET] = self
        if self._proxies is not None and self.client is not None and self._proxies.trusts(self.client[0]):
            self._proxies.apply(scope)
            scope["scheme"] = {"http": "ws", "https": "wss"}.get(scope["scheme"], scope["scheme"])

    def shutdown(self) -> None:
        if self.on_shutdown is not None and not self.close_sent:
            self.on_shutdown()
        else:
            super().shutdown()
