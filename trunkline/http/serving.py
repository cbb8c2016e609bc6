"""What an application may know about the server it is made for."""

from __future__ import annotations

from collections.abc import Callable, Collection

from trunkline.http.asgi import Application


class Readiness:
    """What /readyz reports. `ready`: calls may come. `draining`: the server is on its way out."""

    __slots__ = ("draining", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.draining = False


class Serving:
    """What an application may know about the server it is made for."""

    def __init__(self) -> None:
        self.readiness = Readiness()
        self.calls: Collection[object] = ()
        self.connections: Collection[object] = ()

    @property
    def in_flight(self) -> int:
        """Calls that the application is working on, WebSockets among them."""
        return len(self.calls)


AppFactory = Callable[[Serving], Application]
