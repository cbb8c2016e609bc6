"""Bounded, fair, and nothing is lost: every call gives back what it took, whatever becomes of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest

from trunkline.errors import Defect, StreamCut, TrunklineError, Unavailable, UpstreamFailed
from trunkline.providers.connection import UNREAD_LIMIT_BYTES
from trunkline.providers.pool import HttpTransport, OriginPool, PoolStats
from trunkline.providers.transport import Origin, Timers, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

Call = Callable[..., UpstreamRequest]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(TransportOptions())
    yield opened
    await opened.close()


async def whole(transport: HttpTransport, request: UpstreamRequest) -> bytes:
    response = await transport.send(request)
    assert response.status == 200
    return await response.read(1 << 20)


def stats(transport: HttpTransport, origin: Origin) -> PoolStats:
    return transport.stats()[origin]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_the_request_that_arrives_is_the_one_that_was_sent(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    origin = await loopback.serve(loopback.answering(OK))
    assert await whole(transport, call(origin)) == b"ok"
    await whole(transport, call(origin, method=b"GET", target=b"/v1/models?x=1", headers=[], body=b""))
    await whole(transport, call(origin, body=b""))
    host = b"host: 127.0.0.1:%d\r\n" % origin.port
    key = b"authorization: Bearer sk-secret-of-ours\r\ncontent-type: application/json\r\n"
    assert loopback.heads == [
        b"POST /v1/chat/completions HTTP/1.1\r\n" + host + key + b"content-length: 13\r\n\r\n",
        b"GET /v1/models?x=1 HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n" + host + key + b"content-length: 0\r\n\r\n",
    ]
    assert loopback.bodies == [b'{"model":"m"}', b"", b""]
    assert (loopback.accepted, stats(transport, origin)) == (1, PoolStats(in_use=0, idle=1, waiting=0, opened=1))


async def test_the_remembered_head_follows_every_change(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    origin = await loopback.serve(loopback.answering(OK))
    headers = [(b"a", b"1")]
    for value in (b"1", b"1", b"2"):
        headers[0] = (b"a", value)  # the very list that was sent before
        await whole(transport, call(origin, headers=headers))
    await whole(transport, call(origin, headers=headers, target=b"/other"))
    assert [b"a: 2" in head for head in loopback.heads] == [False, False, True, True]
    assert loopback.heads[3].startswith(b"POST /other ")


@pytest.mark.parametrize(
    "fields",
    [
        {"target": b"/a b"},
        {"target": b"/a\r\nX: y"},
        {"headers": [(b"a", b"b\r\nx-evil: 1")]},
        {"headers": [(b"a\n", b"b")]},
        {"method": b"GET /x HTTP/1.1\r\n"},
    ],
)
async def test_nothing_can_begin_a_line_of_its_own(
    loopback: Loopback, call: Call, transport: HttpTransport, fields: dict[str, object]
) -> None:
    origin = await loopback.serve(loopback.answering(OK))
    with pytest.raises(Defect):
        await transport.send(call(origin, **fields))
    assert loopback.heads == []
    assert await whole(transport, call(origin)) == b"ok"
    assert stats(transport, origin).in_use == 0


async def test_the_connection_used_last_is_used_next(loopback: Loopback, call: Call, transport: HttpTransport) -> None:
    served: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = loopback.accepted
        while True:
            await loopback.receive(reader)
            served.append(me)
            writer.write(OK)

    origin = await loopback.serve(script)
    await asyncio.gather(*(whole(transport, call(origin)) for _ in range(3)))
    last = served[-1]
    served.clear()
    for _ in range(4):
        await whole(transport, call(origin))
    assert served == [served[0]] * 4
    assert stats(transport, origin) == PoolStats(in_use=0, idle=3, waiting=0, opened=3)
    assert last in (1, 2, 3)


async def test_beyond_the_cap_calls_wait_in_their_order(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=1))
    origin = await loopback.serve(loopback.answering(OK))
    served: list[int] = []

    async def one(number: int) -> None:
        await whole(transport, call(origin))
        served.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(20)]
    await asyncio.sleep(0)
    assert stats(transport, origin).waiting == 19
    await asyncio.gather(*tasks)
    assert served == list(range(20))
    assert loopback.accepted == 1
    assert stats(transport, origin) == PoolStats(in_use=0, idle=1, waiting=0, opened=1)
    await transport.close()


async def test_who_waits_too_long_is_told_when_to_come_back(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=1, acquire_s=0.05))
    origin = await loopback.serve(loopback.silent(ENDLESS))
    held = await transport.send(call(origin, streaming=True))
    with pytest.raises(Unavailable, match="All 1 connections") as refused:
        await transport.send(call(origin))
    assert (refused.value.code, refused.value.retry_after_s) == ("pool_exhausted", 1)
    assert stats(transport, origin) == PoolStats(in_use=1, idle=0, waiting=0, opened=1)
    held.close()
    await transport.close()


async def test_a_place_that_comes_free_goes_to_who_waits(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=1))
    origin = await loopback.serve(loopback.silent(ENDLESS))
    held = await transport.send(call(origin, streaming=True))
    next_call = asyncio.create_task(transport.send(call(origin, streaming=True)))
    await until(lambda: stats(transport, origin).waiting == 1)
    held.close()  # closed, not returned: what is handed on is the place
    response = await next_call
    assert loopback.accepted == 2
    response.close()
    assert stats(transport, origin) == PoolStats(in_use=0, idle=0, waiting=0, opened=2)
    await transport.close()


async def test_a_call_cancelled_with_a_place_in_its_hand_passes_it_on(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=1))
    origin = await loopback.serve(loopback.silent(ENDLESS))
    held = await transport.send(call(origin, streaming=True))
    first, second = (asyncio.create_task(transport.send(call(origin, streaming=True))) for _ in range(2))
    await until(lambda: stats(transport, origin).waiting == 2)
    held.close()
    first.cancel()  # before it could know that the place is its own
    response = await second
    with pytest.raises(asyncio.CancelledError):
        await first
    response.close()
    await transport.close()


async def test_a_fresh_connection_takes_the_place_of_the_one_it_was_handed(loopback: Loopback, call: Call) -> None:
    origin = await loopback.serve(loopback.answering(OK))
    pool = OriginPool(origin, TransportOptions(connections_per_origin=1), None)
    first = await pool.acquire(Timers())
    fresh = asyncio.create_task(pool.open_fresh(Timers()))
    next_one = asyncio.create_task(pool.acquire(Timers()))
    await until(lambda: pool.stats().waiting == 2)
    pool.release(first)
    second = await fresh
    assert (first.closed, second.closed, next_one.done()) == (True, False, False)
    assert pool.stats() == PoolStats(in_use=1, idle=0, waiting=1, opened=2)
    pool.release(second)
    assert await next_one is second
    pool.close()
    await loopback.gone()


async def test_a_failed_dial_gives_its_place_to_the_next(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=1))
    origin = Origin("http", "127.0.0.1", 1)
    results = await asyncio.gather(*(transport.send(call(origin)) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [UpstreamFailed] * 5
    assert stats(transport, origin) == PoolStats(in_use=0, idle=0, waiting=0, opened=0)
    await transport.close()


@pytest.mark.parametrize("seed", range(4))
async def test_a_cancelled_waiter_never_loses_a_connection(loopback: Loopback, call: Call, seed: int) -> None:
    dice = random.Random(seed)
    transport = HttpTransport(TransportOptions(connections_per_origin=3))
    origin = await loopback.serve(loopback.answering(OK))
    tasks = [asyncio.create_task(whole(transport, call(origin))) for _ in range(150)]
    for _ in tasks:
        if dice.random() < 0.5:
            await asyncio.sleep(0)
        if dice.random() < 0.6:
            dice.choice(tasks).cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result == b"ok" or isinstance(result, asyncio.CancelledError) for result in results)
    after = stats(transport, origin)
    assert (after.in_use, after.waiting) == (0, 0)
    await asyncio.gather(*(whole(transport, call(origin)) for _ in range(3)))
    assert stats(transport, origin).idle == 3
    await transport.close()


async def test_a_thousand_streams_given_up_anywhere_leave_nothing(loopback: Loopback, call: Call) -> None:
    dice = random.Random(7)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await loopback.receive(reader)
            writer.write(ENDLESS)
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
                writer.write(b"6\r\ndata:\n\r\n")
                await writer.drain()
            if dice.random() < 0.3:
                return
            writer.write(b"0\r\n\r\n")

    async def stream() -> None:
        response = await transport.send(call(origin, streaming=True))
        for _ in range(dice.randrange(5)):
            if not await response.chunk():
                return
        if dice.random() < 0.5:
            response.close()
        else:
            response.cancel(StreamCut("enough"))

    transport = HttpTransport(TransportOptions(connections_per_origin=20))
    origin = await loopback.serve(script)
    for _ in range(20):
        tasks = [asyncio.create_task(stream()) for _ in range(50)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            if dice.random() < 0.2:
                dice.choice(tasks).cancel()
        for task in tasks:
            assert task.cancelled() or isinstance(task.exception(), TrunklineError | None)
    after = stats(transport, origin)
    assert (after.in_use, after.waiting) == (0, 0)
    await transport.close()
    await loopback.gone()


@pytest.mark.parametrize("body", [b"{}", b"b" * 1_000_000])
async def test_a_request_that_met_a_close_is_sent_again_once(
    loopback: Loopback, call: Call, transport: HttpTransport, body: bytes
) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.receive(reader)
        writer.write(OK)
        if loopback.accepted == 1:
            await reader.readexactly(1)  # the second request comes, and is not read
            return
        await loopback.receive(reader)

    origin = await loopback.serve(once)
    assert await whole(transport, call(origin)) == b"ok"
    assert await whole(transport, call(origin, body=body)) == b"ok"
    assert loopback.accepted == 2
    assert loopback.bodies[1:] == [body]


async def test_it_is_sent_again_only_once(loopback: Loopback, call: Call, transport: HttpTransport) -> None:
    async def first_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if loopback.accepted == 1:
            await loopback.receive(reader)
            writer.write(OK)
        await reader.readexactly(1)

    origin = await loopback.serve(first_only)
    await whole(transport, call(origin))
    with pytest.raises(UpstreamFailed, match="without an answer"):
        await transport.send(call(origin))
    assert loopback.accepted == 2
    assert stats(transport, origin).in_use == 0


async def test_a_fresh_connection_is_not_tried_twice(loopback: Loopback, call: Call, transport: HttpTransport) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.receive(reader)

    origin = await loopback.serve(never)
    with pytest.raises(UpstreamFailed, match="without an answer"):
        await transport.send(call(origin))
    assert loopback.accepted == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 100 Continue\r\n\r\n", b"H", b"HTTP/1.1 200 OK\r\n\r"])
async def test_after_one_byte_of_answer_it_is_not_sent_again(
    loopback: Loopback, call: Call, transport: HttpTransport, answer: bytes
) -> None:
    async def second_breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.receive(reader)
        writer.write(OK)
        await loopback.receive(reader)
        writer.write(answer)

    origin = await loopback.serve(second_breaks)
    await whole(transport, call(origin))
    with pytest.raises(UpstreamFailed, match="in the middle"):
        await transport.send(call(origin))
    assert loopback.accepted == 1


async def test_a_server_that_dies_over_a_request_is_not_asked_again(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    die = asyncio.Event()

    async def thinks_and_dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.receive(reader)
        writer.write(OK)
        await loopback.receive(reader)
        await die.wait()

    origin = await loopback.serve(thinks_and_dies)
    await whole(transport, call(origin))
    asyncio.get_running_loop().call_later(0.2, die.set)
    with pytest.raises(UpstreamFailed, match="without an answer"):
        await transport.send(call(origin, timers=Timers(connect_s=0.1)))
    assert loopback.accepted == 1


async def test_sending_again_makes_room_at_the_cap(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=2))
    together = asyncio.Barrier(2)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = loopback.accepted
        await loopback.receive(reader)
        if me <= 2:
            await together.wait()
        writer.write(OK)
        await reader.read(1)
        if me > 2:
            await reader.read()

    origin = await loopback.serve(script)
    await asyncio.gather(whole(transport, call(origin)), whole(transport, call(origin)))
    assert await whole(transport, call(origin)) == b"ok"
    assert loopback.accepted == 3
    after = stats(transport, origin)
    assert (after.in_use, after.waiting) == (0, 0)
    assert after.idle <= 2
    await transport.close()


async def test_a_slow_reader_stops_the_provider(loopback: Loopback, call: Call, transport: HttpTransport) -> None:
    sent = 0
    total = 50_000_000

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await loopback.receive(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(b"x" * 50_000)
            sent += 50_000
            await writer.drain()
        await reader.read()

    origin = await loopback.serve(flood)
    response = await transport.send(call(origin, streaming=True))
    for _ in range(200):
        await asyncio.sleep(0)
    stalled = sent
    for _ in range(200):
        await asyncio.sleep(0)
    assert sent == stalled < total  # the rest is in the sockets' buffers, not here
    taken = len(await response.chunk())
    assert taken <= UNREAD_LIMIT_BYTES + (1 << 18)
    while piece := await response.chunk():
        taken += len(piece)
        assert len(piece) <= UNREAD_LIMIT_BYTES + (1 << 18)
    assert (taken, sent) == (total, total)
    assert stats(transport, origin).idle == 1


async def test_a_slow_provider_stops_the_upload_and_nobody_else(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    read_on = asyncio.Event()
    body = random.Random(1).randbytes(20_000_000)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_on.wait()
        await loopback.receive(reader)
        writer.write(OK)
        await reader.read()

    busy = await loopback.serve(slow)
    free = await loopback.serve(loopback.answering(OK))
    upload = asyncio.create_task(whole(transport, call(busy, body=body)))
    for _ in range(20):
        assert await whole(transport, call(free)) == b"ok"
    assert not upload.done()
    read_on.set()
    assert await upload == b"ok"
    assert loopback.bodies[-1] == body
    assert stats(transport, busy).idle == 1


async def test_an_early_refusal_of_a_large_body_is_heard(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await reader.read()

    origin = await loopback.serve(refuse)
    response = await transport.send(call(origin, body=b"b" * 30_000_000))
    assert (response.status, await response.read(100)) == (413, b"big")
    assert stats(transport, origin) == PoolStats(in_use=0, idle=0, waiting=0, opened=1)
    await loopback.gone()


async def test_cancelling_a_call_closes_its_connection(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    origin = await loopback.serve(loopback.silent())
    for body in (b"{}", b"b" * 30_000_000):
        waiting = asyncio.create_task(transport.send(call(origin, body=body)))
        await until(lambda: origin in transport.stats() and stats(transport, origin).in_use == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert stats(transport, origin).in_use == 0
    await loopback.gone()


async def test_a_connection_that_the_server_closed_while_idle_is_not_used(
    loopback: Loopback, call: Call, transport: HttpTransport
) -> None:
    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await loopback.receive(reader)
        writer.write(OK)

    origin = await loopback.serve(one_each)
    for number in range(1, 4):
        await whole(transport, call(origin))
        await until(lambda: stats(transport, origin).idle == 0)
        assert loopback.accepted == number


async def test_close_ends_everything(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(connections_per_origin=3))
    origin = await loopback.serve(loopback.silent(ENDLESS))
    kept = await loopback.serve(loopback.answering(OK))
    await whole(transport, call(kept))
    reading = await transport.send(call(origin, streaming=True))
    chunk = asyncio.create_task(reading.chunk())
    waiting = [asyncio.create_task(transport.send(call(origin))) for _ in range(5)]
    await until(lambda: stats(transport, origin).waiting == 3)
    await transport.close()
    results = await asyncio.gather(chunk, *waiting, return_exceptions=True)
    assert [type(result) for result in results] == [UpstreamFailed] * 6
    assert {stats(transport, o).in_use + stats(transport, o).idle for o in (origin, kept)} == {0}
    with pytest.raises(Unavailable):
        await transport.send(call(Origin("http", "127.0.0.1", 9)))
    with pytest.raises((Unavailable, UpstreamFailed)):
        await transport.send(call(kept))
    await loopback.gone()


async def test_an_unused_connection_is_closed_in_time(loopback: Loopback, call: Call) -> None:
    transport = HttpTransport(TransportOptions(keep_alive_s=0.1))
    origin = await loopback.serve(loopback.answering(OK))
    await whole(transport, call(origin))
    await loopback.gone()
    assert stats(transport, origin).idle == 0
    assert await whole(transport, call(origin)) == b"ok"
    await transport.close()
