"""The socket of Responses over ASGI: frames in, frames out, and how it ends. The clock jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.driver import json_headers
from tests.pipeline.kept import CHAT, House, decoded, pieces, said
from tests.pipeline.scripted import KEY, NOBODY
from tests.pipeline.scripted import Reply as Upstream
from tests.pipeline.test_relay import jump
from trunkline import clock
from trunkline.http.asgi import Message, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.draining_socket import SOCKET
from trunkline.http.responses_socket import MOST_LANES, MOST_WAITING, ResponsesSocketRoute, SocketLimits

IDLE_S = 100.0
ENDS = ("response.completed", "response.failed", "error")


@pytest.fixture(autouse=True)
def _held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    jump(playing())


async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


class Wire:
    """uvicorn's side of a connection, as the application may set it."""

    on_shutdown: Callable[[], None] | None = None


class Socket:
    """A client at the other end."""

    def __init__(self, house: House, key: str | None = KEY) -> None:
        self.house = house
        self.defects: list[str] = []
        self.wire = Wire()
        self.sent: list[Message] = []
        self._to: asyncio.Queue[Message] = asyncio.Queue()
        self._news: asyncio.Queue[Message] = asyncio.Queue()
        self._lost = False
        door = Door(house.pipeline.keys, None, no_lifespan)
        limits = SocketLimits(frame_bytes=2000, idle_s=IDLE_S)
        log = lambda call_id, error: self.defects.append(call_id)  # noqa: E731
        ResponsesSocketRoute(door, house.pipeline, house.keeper, limits, log).add_to(door)
        scope: Scope = {
            "type": "websocket",
            "path": "/v1/responses",
            "query_string": b"",
            "headers": json_headers(key),
            SOCKET: self.wire,
        }
        self._to.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(_serve(door, scope, self._to.get, self._send))

    async def _send(self, message: Message) -> None:
        if self._lost:
            raise OSError("the client is gone")
        self.sent.append(message)
        self._news.put_nowait(message)
        if message["type"] in ("websocket.close", "websocket.http.response.body"):
            self._to.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def next(self) -> Message:
        return await self._news.get()

    def ask(self, **fields: Any) -> None:
        self.say(msgspec.json.encode({"type": "response.create", "model": CHAT, "input": "hello", **fields}).decode())

    def say(self, text: str) -> None:
        self._to.put_nowait({"type": "websocket.receive", "text": text})

    async def event(self) -> dict[str, Any]:
        message = await self.next()
        assert message["type"] == "websocket.send", message
        return decoded(message["text"].encode())

    async def answer(self) -> list[dict[str, Any]]:
        events = [await self.event()]
        while events[-1]["type"] not in ENDS:
            events.append(await self.event())
        return events

    async def leave(self) -> None:
        self._lost = True
        self._to.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await self.task


async def _serve(door: Door, scope: Scope, receive: Receive, send: Send) -> None:
    await door(scope, receive, send)


async def opened(*script: Upstream | Exception) -> Socket:
    socket = Socket(House(*script))
    assert (await socket.next())["type"] == "websocket.accept"
    return socket


@pytest.mark.parametrize("key", [None, NOBODY])
def test_without_a_key_there_is_no_socket(key: str | None) -> None:
    async def scene() -> None:
        socket = Socket(House(), key)
        head, body = await socket.next(), await socket.next()
        assert (head["type"], head["status"]) == ("websocket.http.response.start", 401)
        headers = dict(head["headers"])
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"content-length"] == b"%d" % len(body["body"])
        assert headers[b"x-request-id"]
        assert decoded(body["body"])["error"]["code"] == "invalid_api_key"
        await socket.leave()

    play(scene)


def test_frames_are_the_events_and_calls_follow_each_other() -> None:
    async def scene() -> None:
        socket = await opened(pieces("one"), pieces("two"))
        socket.ask(store=False)
        first = await socket.answer()
        socket.ask(store=False, previous_response_id=first[-1]["response"]["id"], stream_id=None)
        second = await socket.answer()
        assert [event["sequence_number"] for event in first] == list(range(len(first)))
        assert "stream_id" not in first[0]
        assert [turn["content"] for turn in socket.house.asked()["messages"]] == ["hello", "one", "hello"]
        assert second[-1]["type"] == "response.completed"
        assert socket.house.responses.kept == {}
        assert [call.error for call in socket.house.ledger.calls] == [None, None]
        await socket.leave()

    play(scene)


def test_what_is_wrong_is_told_and_the_socket_stays() -> None:
    async def scene() -> None:
        socket = await opened(Upstream((0, b"no"), status=500), pieces("x", ends=False), pieces("fine"))
        told = []
        for text in ("{", "[]", '{"type":"session.update"}', '{"type":"response.create","stream_id":1}', "x" * 2001):
            socket.say(text)
            told.append((await socket.answer())[-1])
        socket.ask(model="nobody/nothing", stream_id="a")
        told.append((await socket.answer())[-1])
        socket.ask()
        told.append((await socket.answer())[-1])
        assert [one["type"] for one in told] == ["error"] * 7
        assert [one["status"] for one in told] == [400, 400, 400, 400, 400, 404, 502]
        assert [one["error"]["param"] for one in told[2:6]] == ["type", "stream_id", None, "model"]
        assert told[5]["stream_id"] == "a"
        socket.ask(stream_id="b")
        failed = await socket.answer()
        assert failed[-1]["type"] == "response.failed"
        assert {event["stream_id"] for event in failed} == {"b"}
        socket.ask()
        assert (await socket.answer())[-1]["type"] == "response.completed"
        assert socket.defects == []
        await socket.leave()

    play(scene)


def test_lanes_run_beside_each_other_and_one_lane_in_order() -> None:
    async def scene() -> None:
        socket = await opened(*(pieces("x", gap_s=gap_s) for gap_s in (10, 1, 1)))
        socket.ask(stream_id="slow", metadata={"n": "0"})
        socket.ask(stream_id="slow", metadata={"n": "1"})
        socket.ask(stream_id="fast", metadata={"n": "2"})
        done: list[str] = []
        while len(done) < 3:
            event = await socket.event()
            if event["type"] == "response.completed":
                done.append(event["response"]["metadata"]["n"])
        assert done == ["2", "0", "1"]
        await socket.leave()

    play(scene)


def test_no_more_waits_and_runs_than_there_is_room_for() -> None:
    async def scene() -> None:
        socket = await opened(*(pieces("x", gap_s=1000) for _ in range(MOST_LANES)))
        for number in range(MOST_LANES + 1):
            socket.ask(stream_id=str(number), store=False)
        refused = await socket.event()
        assert (refused["status"], refused["error"]["code"]) == (503, "too_many_streams")
        for _ in range(MOST_WAITING + 1):
            socket.ask(stream_id="0")
        refused = await socket.event()
        assert (refused["status"], refused["error"]["code"]) == (503, "too_many_waiting")
        await socket.leave()
        assert socket.house.transport.all_closed()
        assert {type(call.error).__name__ for call in socket.house.ledger.calls} == {"ClientGone"}

    play(scene)


def test_bytes_that_wait_are_bounded_too() -> None:
    async def scene() -> None:
        socket = await opened(pieces("x", gap_s=1000))
        for _ in range(4):
            socket.ask(input="x" * 900)
        refused = await socket.event()
        assert refused["error"]["code"] == "too_many_waiting"
        await socket.leave()

    play(scene)


def test_silence_ends_it_but_not_while_something_is_answered() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        socket = await opened(pieces("x", gap_s=IDLE_S))
        socket.ask()
        assert (await socket.answer())[-1]["type"] == "response.completed"
        since = loop.time()
        closed = await socket.next()
        assert (closed["type"], closed["code"]) == ("websocket.close", 1001)
        assert loop.time() - since <= 2 * IDLE_S
        await socket.task

    play(scene)


def test_a_server_that_stops_lets_the_answer_end() -> None:
    async def scene() -> None:
        busy, idle = await opened(pieces("x", gap_s=10), pieces("y")), await opened()
        busy.ask()
        busy.ask()
        assert (await busy.event())["type"] == "response.created"
        for socket in (busy, idle):
            assert socket.wire.on_shutdown is not None
            socket.wire.on_shutdown()
        assert (await idle.next())["code"] == 1012
        busy.ask()
        assert (await busy.event())["type"] in ("error", "response.in_progress")
        events = []
        while (message := await busy.next())["type"] != "websocket.close":
            events.append(decoded(message["text"].encode()))
        assert message["code"] == 1012
        assert [event["type"] for event in events].count("response.completed") == 1
        assert len(busy.house.transport.requests) == 1, "what waited was not begun"
        await asyncio.gather(busy.task, idle.task)
        assert busy.wire.on_shutdown is None

    play(scene)


def test_a_client_who_leaves_ends_what_runs() -> None:
    async def scene() -> None:
        socket = await opened(pieces("x", gap_s=50))
        socket.ask()
        await asyncio.sleep(60)
        await socket.leave()
        assert socket.house.transport.all_closed()
        assert type(socket.house.ledger.calls[0].error).__name__ == "ClientGone"
        assert socket.house.responses.kept == {}

    play(scene)


def test_a_prepared_call_asks_nobody() -> None:
    async def scene() -> None:
        socket = await opened(pieces("one"))
        socket.ask(generate=False, input="long", store=False)
        prepared = (await socket.answer())[-1]
        assert prepared["response"]["output"] == []
        assert socket.house.transport.requests == []
        socket.ask(previous_response_id=prepared["response"]["id"])
        await socket.answer()
        assert [turn["content"] for turn in socket.house.asked()["messages"]] == ["long", "hello"]
        await socket.leave()

    play(scene)


def test_a_key_that_is_not_known_any_more_ends_it() -> None:
    async def scene() -> None:
        socket = await opened(said("never"))
        socket.house.pipeline.keys._replace(2, [], began_at=2e12)
        socket.house.pipeline.keys._misses[KEY.encode().ljust(32, b".")] = float("inf")
        socket.ask()
        refused = await socket.event()
        assert refused["status"] == 401
        assert (await socket.next())["code"] == 1008
        await socket.task

    play(scene)
