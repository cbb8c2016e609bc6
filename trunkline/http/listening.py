"""The server's settings, and the sockets and the TLS that come of them. Nothing here imports a server."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from typing import Annotated

import msgspec
from msgspec import Meta

from trunkline.errors import SettingsInvalid
from trunkline.http.forwarded import TrustedProxies


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`"""

    host: Annotated[str, Meta(description="Address to listen on; beyond loopback demands TLS or behind_proxy.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on.")] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Processes that serve the port.")] = 1
    tls_cert: Annotated[str | None, Meta(description="PEM file with the certificate chain; set with tls_key.")] = None
    tls_key: Annotated[str | None, Meta(description="PEM file with the private key.")] = None
    behind_proxy: Annotated[
        bool, Meta(description="A reverse proxy in trusted_proxies ends TLS; loopback then has no privilege.")
    ] = False
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks whose forwarding headers count.")
    ] = ()
    cors_origins: Annotated[tuple[str, ...], Meta(description="Web origins that browsers may call from.")] = ()
    header_prefix: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$", description="Prefix of our own headers.")] = (
        "x-trunkline"
    )
    header_aliases: Annotated[
        tuple[str, ...], Meta(description="Further prefixes that repeat our response headers.")
    ] = ()
    body_limit_bytes: Annotated[int, Meta(ge=1024, description="The largest request body; a larger one is 413.")] = (
        33_554_432
    )
    header_limit_bytes: Annotated[int, Meta(ge=1024, description="The largest request head in total.")] = 65_536
    request_line_limit_bytes: Annotated[int, Meta(ge=256, description="The longest request line.")] = 8_192
    header_timeout_s: Annotated[float, Meta(gt=0, description="To send the whole request head.")] = 10.0
    body_rate_bytes_s: Annotated[
        int, Meta(ge=0, description="The slowest body that is waited for; 0 waits for any.")
    ] = 1_024
    body_grace_s: Annotated[
        float, Meta(gt=0, description="A body's rate is measured over this long before it is judged.")
    ] = 5.0
    write_timeout_s: Annotated[
        float, Meta(gt=0, description="A client that reads nothing of its answer is cut off.")
    ] = 60.0
    keep_alive_s: Annotated[float, Meta(gt=0, description="An unused connection is closed after this long.")] = 75.0
    drain_notice_s: Annotated[
        float,
        Meta(ge=0, description="To go on accepting when stopping, while /readyz tells a load balancer to look away."),
    ] = 0.0
    drain_s: Annotated[float, Meta(ge=0, description="To let calls in flight end when stopping.")] = 30.0
    max_in_flight: Annotated[int, Meta(ge=1, description="Calls at a time; more get 503 with retry-after.")] = 10_000


def check(options: ServerOptions) -> None:
    """Raises SettingsInvalid where settings do not go together, or would send keys over a network in clear."""
    if (options.tls_cert is None) != (options.tls_key is None):
        missing = "server.tls_cert" if options.tls_cert is None else "server.tls_key"
        raise SettingsInvalid(f"{missing} is missing: set tls_cert and tls_key together.", param=missing)
    TrustedProxies(options.trusted_proxies)
    if options.behind_proxy and not options.trusted_proxies:
        raise SettingsInvalid(
            "server.trusted_proxies is empty: with behind_proxy, name the addresses or networks of your proxies.",
            param="server.trusted_proxies",
        )
    if not is_loopback(options.host) and options.tls_cert is None and not options.behind_proxy:
        raise SettingsInvalid(
            f"server.host {options.host} is reached from other machines, so keys would cross the network in clear: "
            "set tls_cert and tls_key, or behind_proxy = true with trusted_proxies.",
            param="server.host",
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listen(options: ServerOptions) -> list[socket.socket]:
    """Bound, not yet listening sockets, one for each address of the host; all on one port. Raises SettingsInvalid."""
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingsInvalid(
            f"server.host {options.host!r} is no address of this machine: {error.strerror}.", param="server.host"
        ) from None
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    port = options.port
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            bound = _bound(family, (address[0], port, *address[2:]))
        except OSError as error:
            failure = error
            # `localhost` often has an IPv6 address that the machine does not.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue
            break
        sockets.append(bound)
        port = bound.getsockname()[1]
    if failure is None or (sockets and failure.errno != errno.EADDRINUSE):
        return sockets
    for bound in sockets:
        bound.close()
    raise _cannot_bind(options, failure)


def _bound(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by what is accepted: an event of a stream must not wait for the ACK of the one before it.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _cannot_bind(options: ServerOptions, failure: OSError) -> SettingsInvalid:
    where = f"{options.host} port {options.port}"
    if failure.errno == errno.EADDRINUSE:
        return SettingsInvalid(
            f"server.port: something already listens on {where}. Stop it, or choose another with port.",
            param="server.port",
        )
    if failure.errno == errno.EACCES:
        return SettingsInvalid(
            f"server.port: this user may not listen on {where}. Choose one above 1023.", param="server.port"
        )
    return SettingsInvalid(f"server.host: cannot listen on {where}: {failure.strerror}.", param="server.host")


def url_of(options: ServerOptions, sockets: list[socket.socket]) -> str:
    """Where calls are served, with the port that was really taken."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "http" if options.tls_cert is None else "https"
    return f"{scheme}://{host}:{sockets[0].getsockname()[1]}"


def tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    """TLS 1.2 or later, HTTP/1.1 only; None without tls_cert. Raises SettingsInvalid."""
    if options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsInvalid(
            f"server.tls_cert and server.tls_key cannot be used together ({error.strerror or 'not a PEM file'}): "
            "tls_cert is a PEM file with the chain, your own certificate first, and tls_key the key it was made with.",
            param="server.tls_cert",
        ) from None
    return context
