"""Is the process up, is it ready, and what are its figures. Nothing here knows a framework."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from trunkline.http.asgi import Headers
from trunkline.policy import keys as key_policy
from trunkline.ports.keys import KeyRecord

FORWARDING_HEADERS = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)
JSON_HEADERS: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


class Readiness(Protocol):
    """`ready`: keys have been loaded and traffic may come. `draining`: the process is on its way out."""

    @property
    def ready(self) -> bool: ...

    @property
    def draining(self) -> bool: ...


class Scraper(msgspec.Struct, frozen=True):
    """Who asks for the metrics: `peer` is the address of the connection, `named` its headers by lower-case name."""

    peer: str | None
    named: Mapping[bytes, bytes]
    behind_proxy: bool

    @property
    def is_local(self) -> bool:
        """From this machine for certain. Behind a proxy, or in a forwarded request, the address proves nothing."""
        if self.behind_proxy or self.peer is None or not FORWARDING_HEADERS.isdisjoint(self.named):
            return False
        try:
            address = ipaddress.ip_address(self.peer)
        except ValueError:
            return False
        # A socket that listens on both families shows ::ffff:127.0.0.1 for a caller on 127.0.0.1.
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def healthz() -> Answer:
    """The process answers. Says nothing of databases or providers, so that no restart is tried for their sake."""
    return Answer(200, JSON_HEADERS, b'{"status":"ok"}')


def readyz(readiness: Readiness) -> Answer:
    """200 when calls may come; 503 with the reason when a load balancer should send them elsewhere."""
    if readiness.draining:
        return Answer(503, JSON_HEADERS, b'{"status":"draining"}')
    if not readiness.ready:
        return Answer(503, JSON_HEADERS, b'{"status":"starting"}')
    return Answer(200, JSON_HEADERS, b'{"status":"ready"}')


async def metrics(
    scraper: Scraper, identify: Callable[[], Awaitable[KeyRecord]], render: Callable[[], bytes]
) -> Answer:
    """The figures in Prometheus' text format. Raises Forbidden, and what `identify` raises."""
    if not scraper.is_local:
        key_policy.require_operator(await identify())
    return Answer(
        200, [(b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()), (b"cache-control", b"no-store")], render()
    )
