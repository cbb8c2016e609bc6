"""The laws of the one method, which hold whichever way a call takes; and who is sent through the proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from trunkline.errors import ClientGone, StreamCut, Unavailable, UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.providers import pool
from trunkline.providers.dialing import tls_context
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import Origin, ProxySettings, Timers, Transport, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Authority, ConnectProxy, Loopback

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ONE = CHUNKED + b"2\r\n:\n\r\n"


class Way:
    """A TLS upstream on loopback, and a transport that reaches it directly or through a proxy."""

    def __init__(self, loopback: Loopback, authority: Authority, transport: Transport) -> None:
        self.loopback = loopback
        self.transport = transport
        self._tls = authority.server()

    async def request(self, script: object, **fields: object) -> UpstreamRequest:
        origin = await self.loopback.serve(script, self._tls, "localhost")  # type: ignore[arg-type]  # a Script
        given: dict[str, object] = {"target": b"/v1/x?y=%20z", "headers": [(b"x-a", b"1")], "body": b"{}", **fields}
        given.setdefault("timers", Timers())
        return UpstreamRequest(origin=origin, proxy=True, **given)  # type: ignore[arg-type]  # the fields are real


@pytest.fixture(scope="module")
def trusting(authority: Authority) -> ssl.SSLContext:
    return tls_context(str(authority.root_file))


@pytest.fixture(params=["direct", "proxied"])
async def way(request: pytest.FixtureRequest, loopback: Loopback, proxy: ConnectProxy) -> AsyncIterator[Way]:
    through = ProxySettings(url=f"http://127.0.0.1:{proxy.port}") if request.param == "proxied" else None
    with pytest.MonkeyPatch.context() as patch:
        # Reading the system's store for each of these tests would take most of their time.
        trusting = request.getfixturevalue("trusting")
        patch.setattr(pool, "tls_context", lambda _: trusting)
        transport = HttpTransport(TransportOptions(connections_per_origin=4, acquire_s=0.1), through)
    yield Way(loopback, request.getfixturevalue("authority"), transport)
    await transport.close()
    # Whatever the test did, no connection outlives the transport.
    async with asyncio.timeout(5):
        await loopback.gone()
    assert bool(proxy.asked) is (request.param == "proxied")


async def test_a_call_and_its_answer(way: Way) -> None:
    request = await way.request(way.loopback.answering(OK))
    for _ in range(3):
        response = await way.transport.send(request)
        assert (response.status, dict(response.headers)[b"content-type"]) == (200, b"text/x")
        assert await response.read(100) == b"ok"
        response.close()
    assert way.loopback.accepted == 1
    head = way.loopback.heads[-1].lower().split(b"\r\n")
    assert head[0] == b"post /v1/x?y=%20z http/1.1"
    assert {b"host: localhost:%d" % request.origin.port, b"x-a: 1", b"content-length: 2"} <= set(head)
    names = {line.partition(b":")[0] for line in head[1:] if line}
    assert names == {b"host", b"x-a", b"content-length"}
    assert way.loopback.bodies == [b"{}"] * 3


async def test_large_bodies_cross_whole_both_ways(way: Way) -> None:
    sent, returned = b"s" * 3_000_000, b"r" * 3_000_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(returned) + returned
    request = await way.request(way.loopback.answering(answer), body=sent)
    for _ in range(2):
        assert await (await way.transport.send(request)).read(len(returned)) == returned
    assert (way.loopback.accepted, way.loopback.bodies) == (1, [sent, sent])


async def test_a_stream_is_handed_over_as_it_comes(way: Way) -> None:
    turn = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await way.loopback.receive(reader)
        writer.write(ONE)
        for piece in (b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n"):
            await turn.wait()
            turn.clear()
            writer.write(piece)
        await reader.read()

    response = await way.transport.send(await way.request(script, streaming=True))
    seen = []
    while piece := await response.chunk():
        seen.append(piece)
        turn.set()
    assert seen == [b":\n", b"abc", b"def"]
    assert await response.chunk() == b""


SOON = Timers(connect_s=2, first_byte_s=0.15, idle_s=0.15, total_s=30)
SHORT = Timers(connect_s=2, first_byte_s=20, idle_s=20, total_s=0.15)


SILENCES: list[tuple[bytes, Timers, bool, str]] = [
    # what arrives before the silence, the timers, streaming, the one that runs out
    (b"", SOON, True, "first_byte_s"),
    (b"", SHORT, True, "total_s"),
    (b"", SHORT, False, "total_s"),
    (ONE, SOON, True, "idle_s"),
    (ONE, SOON, False, "idle_s"),
    (ONE, SHORT, True, "total_s"),
]


async def test_a_silent_provider_is_given_up_at_the_timer(way: Way) -> None:
    async def talk(first: bytes, timers: Timers, streaming: bool) -> str:
        request = await way.request(way.loopback.silent(first), timers=timers, streaming=streaming)
        start = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamTimeout) as caught:
            await (await way.transport.send(request)).read(100)
        took.append(asyncio.get_running_loop().time() - start)
        return caught.value.message

    took: list[float] = []
    messages = await asyncio.gather(*(talk(*case[:3]) for case in SILENCES for _ in range(3)))
    expected = [case[3] for case in SILENCES for _ in range(3)]
    assert [f"{name} = 0.15 s" in message for name, message in zip(expected, messages, strict=True)] == [True] * 18
    assert min(took) >= 0.15
    assert max(took) < 0.15 + 0.5 + 1.0  # half a second by right, one for a busy machine and the handshakes
    async with asyncio.timeout(5):
        await way.loopback.gone()


BROKEN: list[tuple[bytes, type[UpstreamError]]] = [
    (b"", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\nContent-Le", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", StreamCut),
    (ONE, StreamCut),
    (b"garbage\r\n\r\n", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\n" + b"X: 789\r\n" * 20_000 + b"\r\n", UpstreamFailed),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200, UpstreamFailed),  # more than is read
]


@pytest.mark.parametrize(("answer", "error"), BROKEN)
async def test_a_broken_answer_is_an_error_of_its_kind(way: Way, answer: bytes, error: type[UpstreamError]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await way.loopback.receive(reader)
        writer.write(answer)

    request = await way.request(script)
    with pytest.raises(UpstreamError) as caught:
        await (await way.transport.send(request)).read(100)
    assert isinstance(caught.value, error)
    assert caught.value.message.endswith(".")


async def test_a_client_that_goes_away_ends_the_call_upstream(way: Way) -> None:
    request = await way.request(way.loopback.silent(ONE), streaming=True)
    response = await way.transport.send(request)
    assert await response.chunk() == b":\n"
    waiting = asyncio.create_task(response.chunk())
    await asyncio.sleep(0)
    response.cancel(ClientGone("gone"))
    response.cancel(ClientGone("twice"))
    for _ in range(2):
        await asyncio.sleep(0)
    assert waiting.done()  # at once, whatever a closing handshake takes
    with pytest.raises(ClientGone, match=r"^gone$"):
        await waiting
    async with asyncio.timeout(1):
        await way.loopback.gone()


@pytest.mark.parametrize("first", [b"", ONE])
async def test_cancelling_the_task_ends_the_call_upstream(way: Way, first: bytes) -> None:
    request = await way.request(way.loopback.silent(first))

    async def talk() -> None:
        await (await way.transport.send(request)).read(100)

    task = asyncio.create_task(talk())
    async with asyncio.timeout(5):
        while not way.loopback.heads:
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(1):
        await way.loopback.gone()


async def test_every_exit_gives_its_place_back(way: Way) -> None:
    request = await way.request(way.loopback.silent(ONE), streaming=True)
    for _ in range(3):
        held = [await way.transport.send(request) for _ in range(4)]
        with pytest.raises(Unavailable) as refused:
            await way.transport.send(request)
        assert (refused.value.code, refused.value.retry_after_s) == ("pool_exhausted", 1)
        for response in held:
            response.close()
            response.close()
    failing = await way.request(way.loopback.silent(), timers=SHORT)
    for _ in range(2):
        results = await asyncio.gather(*(way.transport.send(failing) for _ in range(4)), return_exceptions=True)
        assert [type(result) for result in results] == [UpstreamTimeout] * 4


HTTPS = Origin("https", "api.openai.com", 443)


@pytest.mark.parametrize(
    ("origin", "no_proxy", "through"),
    [
        (HTTPS, "", True),
        (HTTPS, "*", False),
        (HTTPS, "openai.com", False),
        (HTTPS, ".openai.com", False),
        (HTTPS, "*.openai.com", False),
        (HTTPS, " localhost , API.OpenAI.com ", False),
        (HTTPS, "openai.com:443", False),
        (HTTPS, "openai.com:8443", True),
        (HTTPS, "notopenai.com,ai.com,com.", True),
        (Origin("https", "myopenai.com", 443), "openai.com", True),
        (Origin("http", "api.openai.com", 80), "", False),
        (Origin("https", "10.1.2.3", 443), "10.0.0.0/8", False),
        (Origin("https", "10.1.2.3", 443), "10.1.2.3", False),
        (Origin("https", "10.1.2.3", 443), "10.1.2.3:443", False),
        (Origin("https", "11.1.2.3", 443), "10.0.0.0/8", True),
        (Origin("https", "::1", 443), "::1", False),
        (Origin("https", "::1", 443), "[::1]:443", False),
        (Origin("https", "::1", 443), "10.0.0.0/8,fe80::/10", True),
    ],
)
def test_who_goes_through_the_proxy(origin: Origin, no_proxy: str, *, through: bool) -> None:
    assert ProxySettings(url="http://proxy:3128", no_proxy=no_proxy).covers(origin) is through


def test_the_proxys_credential_is_not_printed() -> None:
    settings = ProxySettings(url="http://user:pass-word@proxy:3128", no_proxy="localhost")
    assert "pass-word" not in f"{settings!r} {settings}"
