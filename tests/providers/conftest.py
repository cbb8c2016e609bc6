"""Scripted upstreams on loopback, and certificates for them."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trunkline import clock
from trunkline.providers.transport import Headers, Origin, Timers, UpstreamRequest

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# These speak to sockets, where the two event loops differ.
BOTH_LOOPS = frozenset(("test_dialing.py", "test_pool.py", "test_proxied.py", "test_transport.py"))
HEADERS: Headers = [(b"authorization", b"Bearer sk-secret-of-ours"), (b"content-type", b"application/json")]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    if item.path.name in BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


class Loopback:
    """Upstreams that do what a script says to each connection. A script that returns closes its connection."""

    def __init__(self) -> None:
        self.accepted = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Origin:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted += 1
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client went away, which many tests are about
            finally:
                writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(run(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, limit=1 << 24)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return Origin("http" if tls is None else "https", host, port)

    async def receive(self, reader: asyncio.StreamReader) -> bytes:
        """One request with its body; IncompleteReadError when there is none any more."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = await reader.readexactly(length)
        self.heads.append(head)
        self.bodies.append(body)
        return head

    def answering(self, answer: bytes) -> Script:
        """The same answer to every request, for as long as requests come."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await self.receive(reader)
                writer.write(answer)
                await writer.drain()

        return script

    def silent(self, first: bytes = b"") -> Script:
        """Reads a request, sends `first`, and nothing more until the client goes."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self.receive(reader)
            writer.write(first)
            await reader.read()

        return script

    async def gone(self) -> None:
        """Waits until every client has closed its connections."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):  # the transports' own close callbacks
            await asyncio.sleep(0)


class ConnectProxy:
    """An HTTP proxy that knows CONNECT. `status` is what it says to it; any other host is this machine all the same."""

    def __init__(self, loopback: Loopback) -> None:
        self.asked: list[bytes] = []
        self.status = b"200 Connection established"
        self._loopback = loopback
        self.port = 0

    async def start(self) -> None:
        self.port = (await self._loopback.serve(self._tunnel)).port
        self._loopback.accepted = 0

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._loopback.accepted -= 1  # it is not the upstream
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        if not self.status.startswith(b"200"):
            return
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one end went away: so does the other
    finally:
        writer.close()


@pytest.fixture
async def proxy(loopback: Loopback) -> ConnectProxy:
    server = ConnectProxy(loopback)
    await server.start()
    return server


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    upstream = Loopback()
    yield upstream
    await upstream.close()


@pytest.fixture
def call() -> Callable[..., UpstreamRequest]:
    """A chat call; keyword arguments replace fields."""

    def make(origin: Origin, **fields: object) -> UpstreamRequest:
        given: dict[str, object] = {
            "target": b"/v1/chat/completions",
            "headers": list(HEADERS),
            "body": b'{"model":"m"}',
            "timers": Timers(),
            **fields,
        }
        return UpstreamRequest(origin=origin, **given)  # type: ignore[arg-type]  # the test names real fields

    return make


class Authority:
    """A root, an intermediate and the leaves that it issues, as files for the ssl module."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[tuple[str, int], ssl.SSLContext] = {}
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = _certificate("Test Root", self._root_key, ("Test Root", self._root_key))
        self._intermediate = _certificate("Test Intermediate", self._key, ("Test Root", self._root_key))
        self.root_file = folder / "root.pem"
        self.root_file.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str = "localhost", *, age_days: int = 0) -> ssl.SSLContext:
        """A server for `host` whose certificate of one day was issued `age_days` ago."""
        made = self._servers.get((host, age_days))
        if made is not None:
            return made
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(host, key, ("Test Intermediate", self._key), age_days=age_days, authority=False)
        pem = self._folder / f"{host}-{age_days}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
            + self._intermediate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        self._servers[host, age_days] = context
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[str, ec.EllipticCurvePrivateKey],
    *,
    age_days: int = 0,
    authority: bool = True,
) -> x509.Certificate:
    start = dt.datetime.fromtimestamp(clock.now_s(), dt.UTC) - dt.timedelta(days=age_days, hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[0])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key()), critical=False)
    )
    if authority:
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        return builder.add_extension(usage, critical=True).sign(issuer[1], hashes.SHA256())
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    return builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False).sign(
        issuer[1], hashes.SHA256()
    )
