"""Every way in which a connection does not come about has its own plain sentence, and none leaves a socket."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trunkline.errors import SettingsInvalid, UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.providers import dialing
from trunkline.providers.connection import Connection
from trunkline.providers.dialing import dial, refusal_sentence, tls_context
from trunkline.providers.transport import Origin

if TYPE_CHECKING:
    from tests.providers.conftest import Authority, Loopback


class Owner:
    label = "The provider at up.test"

    def release(self, connection: Connection) -> None: ...
    def forget(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


def make() -> Connection:
    return Connection(Owner(), asyncio.get_running_loop())


@pytest.fixture
def no_route() -> Iterator[int]:
    """A port that never answers: its listener's queue is full, so the kernel drops what comes."""
    with closing(socket.socket()) as listener, closing(socket.socket()) as first, closing(socket.socket()) as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def closed(connection: Connection) -> None:
    connection.discard()
    for _ in range(3):
        await asyncio.sleep(0)


async def failure(origin: Origin, tls: ssl.SSLContext | None = None, connect_s: float = 5) -> UpstreamError:
    # uvloop opens a file of its own with the first connection of a loop, and keeps it.
    with pytest.raises(UpstreamError):
        await dial(origin, tls, connect_s, make)
    before = open_files()
    with pytest.raises(UpstreamError) as caught:
        await dial(origin, tls, connect_s, make)
    # Sockets are closed by the loop's next turns.
    async with asyncio.timeout(2):
        while open_files() > before:
            await asyncio.sleep(0)
    return caught.value


async def test_a_connection_sends_small_writes_at_once(loopback: Loopback) -> None:
    origin = await loopback.serve(loopback.silent())
    connection = await dial(origin, None, 5, make)
    sock = connection.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    await closed(connection)


async def test_nobody_listens() -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        error = await failure(Origin("http", "127.0.0.1", port))
    assert type(error) is UpstreamFailed
    assert error.message == f"No connection to 127.0.0.1:{port}: Connection refused."


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "x" * 70 + ".test"])
async def test_a_name_that_cannot_be_resolved(host: str) -> None:
    await asyncio.get_running_loop().run_in_executor(None, int)  # the resolver's thread is no leak
    error = await failure(Origin("http", host, 80))
    assert (type(error), error.message) == (UpstreamFailed, f"The name {host} cannot be resolved.")


async def test_an_address_that_never_answers(no_route: int) -> None:
    error = await failure(Origin("http", "127.0.0.1", no_route), connect_s=0.1)
    assert type(error) is UpstreamTimeout
    assert "connect_s = 0.1 s" in error.message


async def test_the_next_address_is_tried_when_the_first_is_silent(
    loopback: Loopback, no_route: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = await loopback.serve(loopback.silent())

    async def resolve(_: Origin) -> Sequence[dialing.Address]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (no_route, origin.port)]

    monkeypatch.setattr(dialing, "resolve", resolve)
    before = open_files()
    start = asyncio.get_running_loop().time()
    connection = await dial(Origin("http", "two.test", 80), None, 5, make)
    assert connection.transport.get_extra_info("peername")[1] == origin.port
    assert dialing.NEXT_ADDRESS_S <= asyncio.get_running_loop().time() - start < 2
    await closed(connection)
    await loopback.gone()
    assert open_files() <= before


async def test_a_handshake_that_never_ends_is_part_of_connecting(loopback: Loopback, authority: Authority) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    plain = await loopback.serve(mute)
    error = await failure(Origin("https", "localhost", plain.port), tls_context(str(authority.root_file)), 0.1)
    assert type(error) is UpstreamTimeout
    assert "connect_s" in error.message


async def test_a_server_that_does_not_speak_tls(loopback: Loopback, authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    origin = await loopback.serve(plain)
    error = await failure(Origin("https", "localhost", origin.port), tls_context(str(authority.root_file)))
    assert type(error) is UpstreamFailed
    assert error.message.startswith(f"TLS with localhost:{origin.port} failed")


async def test_a_chain_through_an_intermediate_is_accepted(loopback: Loopback, authority: Authority) -> None:
    tls = tls_context(str(authority.root_file))
    for name in ("localhost", "127.0.0.1"):
        origin = await loopback.serve(loopback.silent(), authority.server(name), name)
        connection = await dial(origin, tls, 5, make)
        assert connection.transport.get_extra_info("ssl_object").selected_alpn_protocol() in (None, "http/1.1")
        await closed(connection)


@pytest.mark.parametrize(
    ("name", "age_days", "reason"),
    [
        ("other.test", 0, "Hostname mismatch"),
        ("localhost", 30, "certificate has expired"),
        ("localhost", 0, "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_is_not_accepted(
    loopback: Loopback, authority: Authority, name: str, age_days: int, reason: str
) -> None:
    origin = await loopback.serve(loopback.silent(), authority.server(name, age_days=age_days), "localhost")
    trusted = "issuer" not in reason
    error = await failure(origin, tls_context(str(authority.root_file) if trusted else None))
    assert type(error) is UpstreamFailed
    assert error.message.startswith(f"The certificate of localhost:{origin.port} is not accepted: ")
    assert reason in error.message


def test_verification_cannot_be_left_out() -> None:
    context = tls_context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_a_settings_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsInvalid, match="cannot be used") as caught:
        tls_context(str(path))
    assert caught.value.param == "transport.ca_file"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionResetError(104, "x"), "h:1 closed the connection before it was established."),
        (ConnectionAbortedError("SSL handshake"), "h:1 closed the connection before it was established."),
        (OSError(101, "Network is unreachable"), "No connection to h:1: Network is unreachable."),
        (RuntimeError("odd"), "No connection to h:1: odd."),
        (OSError(), "No connection to h:1: OSError."),
        (ssl.SSLError(), "TLS with h:1 failed: the connection was closed."),
        (socket.gaierror(-2, "Name or service not known"), "The name h cannot be resolved."),
    ],
)
def test_the_sentences(error: Exception, sentence: str) -> None:
    assert refusal_sentence("h:1", "h", error) == sentence
