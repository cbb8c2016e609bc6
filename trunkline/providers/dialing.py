"""A new connection to an origin: name, address, TCP, TLS; and a plain sentence for each way it fails."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Sequence

import aiohappyeyeballs

from trunkline.errors import SettingsInvalid, UpstreamFailed, UpstreamTimeout
from trunkline.providers.connection import Connection
from trunkline.providers.transport import Origin

Address = aiohappyeyeballs.AddrInfoType

# RFC 8305 section 5: the next address is tried when the last one has not answered after 250 ms.
NEXT_ADDRESS_S = 0.25


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities and those of `ca_file`; certificate and host name are verified."""
    if ca_file is None:
        return _system_context()
    context = _context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsInvalid(
            f"transport.ca_file = {ca_file!r} cannot be used: {reason}.", param="transport.ca_file"
        ) from error
    return context


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


# Reading the system's store takes 20 ms, too long to be done twice and much too long to be done while serving.
_system_context = functools.cache(_context)


async def dial(
    origin: Origin, tls: ssl.SSLContext | None, connect_s: float, make: Callable[[], Connection]
) -> Connection:
    """Raises UpstreamTimeout after `connect_s`, UpstreamFailed for everything else."""
    place = f"{origin.host}:{origin.port}"
    try:
        async with asyncio.timeout(connect_s):
            if _is_address(origin.host):
                return await _open_at(origin, tls, make)
            return await _open(await _connect(origin), origin, tls, make)
    except TimeoutError as error:
        # ETIMEDOUT of the kernel is a TimeoutError too.
        raise UpstreamTimeout(f"No connection to {place} within connect_s = {connect_s:g} s.") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise UpstreamFailed(refusal_sentence(place, origin.host, error)) from error


async def resolve(origin: Origin) -> Sequence[Address]:
    return await asyncio.get_running_loop().getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)


@functools.cache
def _is_address(host: str) -> bool:
    """Nothing to resolve and nothing to choose from: half of what a new connection costs. Hosts come from settings."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _open_at(origin: Origin, tls: ssl.SSLContext | None, make: Callable[[], Connection]) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        make, origin.host, origin.port, ssl=tls, server_hostname=None if tls is None else origin.host
    )
    return connection


async def _connect(origin: Origin) -> socket.socket:
    loop = asyncio.get_running_loop()
    addresses = await resolve(origin)
    # Not the loop's own way: uvloop's create_connection has no happy eyeballs.
    return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, loop=loop)


async def _open(
    sock: socket.socket, origin: Origin, tls: ssl.SSLContext | None, make: Callable[[], Connection]
) -> Connection:
    # From here on the loop owns the socket and closes it; it also sets TCP_NODELAY.
    _, connection = await asyncio.get_running_loop().create_connection(
        make, sock=sock, ssl=tls, server_hostname=None if tls is None else origin.host
    )
    return connection


def refusal_sentence(place: str, host: str, error: Exception) -> str:
    """What went wrong, for the caller and for the one who runs the gateway."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {place} is not accepted: {error.verify_message}. "
            "A private certificate authority is named by transport.ca_file."
        )
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None)  # an SSLError made outside of OpenSSL has none
        return f"TLS with {place} failed: {reason or 'the connection was closed'}."
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"The name {host} cannot be resolved."
    if isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return f"{place} closed the connection before it was established."
    what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return f"No connection to {place}: {what or type(error).__name__}."
