"""One method: a request in, a response with a byte stream out. The network, the sandbox and a test fake are equals."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

Headers = list[tuple[bytes, bytes]]


class Timers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The defaults of every route."""

    connect_s: Annotated[float, Meta(gt=0, description="To connect to a provider, TLS included.")] = 5.0
    first_byte_s: Annotated[
        float, Meta(gt=0, description="To the first byte of a streamed answer; a whole answer has total_s alone.")
    ] = 60.0
    idle_s: Annotated[
        float,
        Meta(gt=0, description="The longest silence inside an answer; a provider's comments and pings count as life."),
    ] = 120.0
    total_s: Annotated[float, Meta(gt=0, description="From sending the request to the last byte of the answer.")] = (
        600.0
    )


class TransportOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[transport]`: connections to providers."""

    connections_per_origin: Annotated[
        int, Meta(ge=1, description="The most connections open to one provider origin at a time.")
    ] = 10_000
    acquire_s: Annotated[float, Meta(gt=0, description="To wait for a free connection when all are in use.")] = 5.0
    keep_alive_s: Annotated[float, Meta(gt=0, description="An unused connection is closed after this long.")] = 55.0
    ca_file: Annotated[
        str | None, Meta(description="PEM file of certificate authorities trusted besides the system's.")
    ] = None


class Origin(msgspec.Struct, frozen=True):
    """Where a credential belongs: it is sent to this scheme, host and port and to no other."""

    scheme: str
    host: str
    port: int


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What HTTPS_PROXY and NO_PROXY say. `url` may hold the proxy's own credential: it is never printed."""

    url: str
    no_proxy: str = ""

    def __repr__(self) -> str:
        return f"ProxySettings(no_proxy={self.no_proxy!r})"

    def covers(self, origin: Origin) -> bool:
        """HTTPS origins go through the proxy unless NO_PROXY names them.

        NO_PROXY is a comma-separated list of `*`, names (a name stands for its subdomains too), addresses and
        networks (10.0.0.0/8), each but the star with an optional `:port`.
        """
        return origin.scheme == "https" and not any(
            _names(entry.strip().lower(), origin) for entry in self.no_proxy.split(",")
        )


def _names(entry: str, origin: Origin) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    try:
        return ipaddress.ip_address(origin.host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # a name on either side, or a port behind the address
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit():
        if int(port) != origin.port:
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*").lstrip(".")
    host = origin.host.lower()
    return host == entry or host.endswith("." + entry)


class UpstreamRequest(msgspec.Struct, kw_only=True):
    """`target` is path and query. `headers` are complete but for host, content-length and connection; they ask for
    `accept-encoding: identity`, because an encoded answer is an error here.

    `streaming` says that the answer is read piece by piece: the first-byte timer runs, and every piece is handed over
    as it arrives. A whole answer may be held back until it is complete. `proxy` allows the way through HTTPS_PROXY.

    `stream_body` takes the place of `body` where that is too large to be held: its pieces are asked for one at a time,
    as fast as the provider takes them, and sent chunked unless `stream_length` says how many bytes they are together.
    Such a request is sent once, over a connection that nobody has used. The timers of the answer begin when its last
    byte has left; until then idle_s bounds the time in which the provider takes nothing. An answer that comes before
    is the answer, and the rest is not asked for. What the iterator raises, `send` raises. Once asked, it is closed.

    `before_sending` is called when a connection is there, just before the first byte goes out on it: what it raises,
    `send` raises, and nothing is sent.
    """

    origin: Origin
    method: bytes = b"POST"
    target: bytes
    headers: Headers
    body: bytes = b""
    stream_body: AsyncIterator[bytes] | None = None
    stream_length: int | None = None
    timers: Timers
    streaming: bool = False
    proxy: bool = False
    before_sending: Callable[[], None] | None = None


class UpstreamResponse(Protocol):
    """Header names come lower-cased. Exactly one of: read to the end, or `close`. One task reads.

    Every wait raises UpstreamTimeout, UpstreamFailed (the connection broke before a byte of the body) or StreamCut
    (it broke in the body); what arrived before the error is handed out first. Cancelling the task that waits closes
    the connection. After an error or `close`, the connection is gone or back in its pool; nothing leaks.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    async def chunk(self) -> bytes:
        """All bytes that have arrived, joined; waits for at least one; b"" is the end of the body."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body; more than `limit` bytes is UpstreamFailed."""
        ...

    def close(self) -> None:
        """Give up: cancels upstream at once when the body has not ended. Harmless after the end, and twice.

        Reading on after it is StreamCut.
        """
        ...

    def cancel(self, error: Exception) -> None:
        """`close`, and a wait in progress raises `error` at once (the client went away)."""
        ...


class Transport(Protocol):
    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Returns when status and headers are here. Cancelling the task that waits closes the connection.

        Raises UpstreamTimeout, UpstreamFailed (no connection, or none that held until the headers were here) and
        Unavailable with code `pool_exhausted`.
        """
        ...

    async def close(self) -> None:
        """Ends every call under way and closes every connection; nothing can be sent afterwards."""
        ...
