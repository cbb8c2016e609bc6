"""The laws of the one method, which hold whichever way a call takes; and who is sent through the proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from trunkline.errors import (
    ClientGone,
    Defect,
    InvalidRequest,
    StreamCut,
    Unavailable,
    UpstreamError,
    UpstreamFailed,
    UpstreamTimeout,
)
from trunkline.providers import pool
from trunkline.providers.dialing import tls_context
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import Origin, ProxySettings, Timers, Transport, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Authority, ConnectProxy, Loopback

Call = Callable[..., UpstreamRequest]
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


def refuse() -> None:
    raise Unavailable("not any more")


async def test_what_must_not_be_sent_any_more_is_not(way: Way) -> None:
    """It is asked when a call has waited for its place; the place serves the next."""
    request = await way.request(way.loopback.answering(OK))
    asked: list[str] = []
    request.before_sending = lambda: asked.append("may")
    assert await (await way.transport.send(request)).read(2) == b"ok"
    refused = msgspec.structs.replace(request, before_sending=refuse)
    for _ in range(6):
        with pytest.raises(Unavailable, match="not any more"):
            await way.transport.send(refused)
    assert await (await way.transport.send(request)).read(2) == b"ok"
    assert (len(asked), len(way.loopback.heads), way.loopback.accepted) == (2, 2, 1)


async def test_nor_is_a_body_in_pieces(way: Way) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"never"

    request = await way.request(way.loopback.answering(OK))
    with pytest.raises(Unavailable, match="not any more"):
        await way.transport.send(
            msgspec.structs.replace(request, body=b"", stream_body=pieces(), before_sending=refuse)
        )
    assert await (await way.transport.send(request)).read(2) == b"ok"
    assert len(way.loopback.heads) == 1


async def test_before_it_is_sent_again_it_is_asked_again(loopback: Loopback, call: Call) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.receive(reader)
        writer.write(OK)
        await reader.readexactly(1)  # the second request comes, and is not read

    def only_once() -> None:
        asked.append(len(loopback.heads))
        if len(asked) > 1:
            refuse()

    asked: list[int] = []
    transport = HttpTransport(TransportOptions())
    origin = await loopback.serve(once)
    assert await (await transport.send(call(origin))).read(2) == b"ok"
    with pytest.raises(Unavailable, match="not any more"):
        await transport.send(call(origin, before_sending=only_once))
    assert (asked, len(loopback.heads)) == ([1, 1], 1)
    await transport.close()


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


class Pieces:
    """A streamed body that tells what became of it. After its pieces it waits, raises, or ends."""

    def __init__(self, *pieces: bytes, then: Exception | asyncio.Event | None = None) -> None:
        self.asked = 0
        self.closed = 0
        self._pieces = list(pieces)
        self._then = then

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        self.asked += 1
        if self._pieces:
            return self._pieces.pop(0)
        if isinstance(self._then, Exception):
            raise self._then
        if self._then is not None:
            await self._then.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


async def read_body(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request, chunked or of known length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" not in head:
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, await reader.readexactly(length)
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return head, body


@pytest.mark.parametrize("length", [None, 700_010])
async def test_a_streamed_body_arrives_whole_and_in_order(way: Way, length: int | None) -> None:
    pieces = [b"0123456789", b"", b"a" * 300_000, b"b" * 400_000]
    got: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            got.append(await read_body(reader))
            writer.write(OK)

    for place in range(2):
        body = Pieces(*pieces)
        request = await way.request(script, body=b"", stream_body=body, stream_length=length)
        assert await (await way.transport.send(request)).read(100) == b"ok"
        head, whole = got[place]
        assert whole == b"".join(pieces)
        assert (b"content-length: 700010\r\n" in head, b"chunked" in head) == (length is not None, length is None)
        assert body.closed


async def test_a_streamed_body_is_asked_for_no_faster_than_it_is_taken(way: Way) -> None:
    given_up = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cast("asyncio.Transport", writer.transport).pause_reading()
        await given_up.wait()

    # 130 MB: more than the buffers of all sockets hold, the tunnel's 32 MB among them.
    body = Pieces(*[b"p" * 65_536] * 2000)
    call = asyncio.create_task(way.transport.send(await way.request(deaf, body=b"", stream_body=body)))
    before = -1
    async with asyncio.timeout(10):
        while body.asked != before:
            before = body.asked
            await asyncio.sleep(0.1)
    assert 1 < body.asked < 1500
    call.cancel()
    await asyncio.wait((call,))
    given_up.set()


@pytest.mark.parametrize("error", [ClientGone("gone"), InvalidRequest("no form"), ZeroDivisionError("ours")])
async def test_what_a_streamed_body_raises_is_what_send_raises(way: Way, error: Exception) -> None:
    body = Pieces(b"a" * 1000, then=error)
    request = await way.request(way.loopback.silent(), body=b"", stream_body=body)
    with pytest.raises(type(error)) as caught:
        await way.transport.send(request)
    assert caught.value is error
    assert body.closed
    async with asyncio.timeout(1):
        await way.loopback.gone()


@pytest.mark.parametrize("length", [999, 1001])
async def test_a_streamed_body_of_another_length_than_was_said(way: Way, length: int) -> None:
    body = Pieces(b"a" * 1000)
    request = await way.request(way.loopback.silent(), body=b"", stream_body=body, stream_length=length)
    with pytest.raises((Defect, UpstreamFailed)):
        await way.transport.send(request)
    async with asyncio.timeout(1):
        await way.loopback.gone()


async def test_an_answer_before_the_end_of_a_streamed_body_is_the_answer(way: Way) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await reader.read()

    body = Pieces(b"a" * 1000, then=asyncio.Event())
    request = await way.request(refuse, body=b"", stream_body=body, streaming=True)
    async with asyncio.timeout(5):
        response = await way.transport.send(request)
        assert body.closed
        assert (response.status, await response.read(100)) == (413, b"big")
        # The connection is not kept: what is missing of the request would be taken from the next one.
        await way.loopback.gone()


async def test_cancelling_an_upload_ends_it_and_its_connection(way: Way) -> None:
    body = Pieces(b"a" * 1000, then=asyncio.Event())
    request = await way.request(way.loopback.silent(), body=b"", stream_body=body)
    call = asyncio.create_task(way.transport.send(request))
    async with asyncio.timeout(5):
        while body.asked < 2:
            await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(1):
        await way.loopback.gone()
        while not body.closed:
            await asyncio.sleep(0)


async def test_a_provider_that_takes_nothing_is_given_up(way: Way) -> None:
    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cast("asyncio.Transport", writer.transport).pause_reading()
        await given_up.wait()

    given_up = asyncio.Event()

    body = Pieces(*[b"p" * 65_536] * 1000)
    request = await way.request(deaf, body=b"", stream_body=body, timers=SOON)
    with pytest.raises(UpstreamTimeout, match="took nothing of the request for idle_s"):
        await way.transport.send(request)
    assert body.closed
    given_up.set()


async def test_the_answer_is_due_when_the_body_has_left(way: Way) -> None:
    turn = asyncio.Event()
    body = Pieces(b"a" * 1000, then=turn)
    request = await way.request(way.loopback.silent(), body=b"", stream_body=body, timers=SOON, streaming=True)
    call = asyncio.create_task(way.transport.send(request))
    # A caller who sends slowly is not the provider's fault.
    assert await asyncio.wait((call,), timeout=3 * SOON.first_byte_s) == (set(), {call})
    turn.set()
    with pytest.raises(UpstreamTimeout, match="first_byte_s"):
        await call


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
