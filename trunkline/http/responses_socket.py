"""The WebSocket of `/v1/responses`: each frame is a call, its events are frames, and errors leave the socket open.

The key is checked before the upgrade, and again with every call. Calls of one `stream_id`, or of none, follow each
other; those of different ones run beside each other. What a call may go on from is remembered as long as the socket
lives, stored or not. Source: https://developers.openai.com/api/docs/guides/websocket-mode

Our limits on HTTP end with the upgrade, so these hold: the largest frame, frames that wait, silence, calls at a time.
uvicorn pings every 20 s and ends what does not answer in 20 s; frames above 16 MiB end the socket with 1009.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from trunkline.errors import ClientGone, Defect, InvalidRequest, TrunklineError, Unauthenticated, Unavailable
from trunkline.http import carriers, problems
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.draining_socket import SOCKET
from trunkline.http.inference import address_of, request_id_of, tag_of, trace_of, user_agent_of
from trunkline.ids import CallIds
from trunkline.pipeline import protocols
from trunkline.pipeline.call import Call, Pipeline
from trunkline.pipeline.preparation import prepare
from trunkline.pipeline.protocols import Named
from trunkline.pipeline.responses import ResponseKeeper
from trunkline.wire.openai_responses_socket import CreateFrame, error_frame, frames, read_create_frame

MOST_LANES: Final = 8
MOST_WAITING: Final = 32
IDLE_S: Final = 600.0
CLOSE_S: Final = 10.0
GOING_AWAY, POLICY, RESTARTING = 1001, 1008, 1012

Log = Callable[[str, BaseException], None]


class SocketLimits(msgspec.Struct, frozen=True):
    """`frame_bytes` of one frame, and of all that wait together. `tag_headers`: where a tag may stand."""

    frame_bytes: int
    idle_s: float = IDLE_S
    tag_headers: tuple[bytes, ...] = (b"x-trunkline-tag", b"x-aig-tag")


class ResponsesSocketRoute:
    def __init__(
        self, door: Door, pipeline: Pipeline, keeper: ResponseKeeper, limits: SocketLimits, log_defect: Log
    ) -> None:
        self._door = door
        self._pipeline = pipeline
        self._keeper = keeper
        self._limits = limits
        self._log_defect = log_defect
        self._call_ids = CallIds()

    def add_to(self, door: Door) -> None:
        door.add_socket("/v1/responses", self.serve)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        named: dict[bytes, bytes] = dict(scope["headers"])
        await receive()
        try:
            await self._door.identify(scope, named)
            tag = tag_of(scope["headers"], named, self._limits.tag_headers)
        except TrunklineError as error:
            await _refuse(error, receive, send, request_id_of(named, self._call_ids.new()))
            return
        await send({"type": "websocket.accept", "headers": [self._door.request_id(scope)]})
        talk = Talk(self._pipeline, self._keeper.of_connection(), self._limits, self._log_defect)
        await talk.hold(Line(scope, receive, send, tag))


async def _refuse(error: TrunklineError, receive: Receive, send: Send, request_id: str) -> None:
    """Instead of the upgrade, as any request is refused."""
    problem = problems.problem(error, "openai", request_id)
    headers = [*problem.headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
    headers.append((b"content-length", b"%d" % len(problem.body)))
    await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": problem.body})
    with contextlib.suppress(TimeoutError):
        # An application that returns before the connection has ended is taken for one that never answered: it is told
        # of the end once by the answer and once by the connection.
        async with asyncio.timeout(CLOSE_S):
            await receive()
            await receive()


class Line:
    """One open socket."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, tag: str | None) -> None:
        named: dict[bytes, bytes] = dict(scope["headers"])
        self.receive = receive
        self.tag = tag
        self.address = address_of(scope)
        self.user_agent = user_agent_of(named)
        self.credential = carriers.credential(scope["headers"], named, scope["query_string"])
        self.trace: Headers = trace_of(named)
        self._send = send
        self._closed = False
        self._connection: Any = scope.get(SOCKET)

    def on_shutdown(self, call: Callable[[], None] | None) -> None:
        if self._connection is not None:
            self._connection.on_shutdown = call

    async def say(self, frame: bytes) -> None:
        """Raises ClientGone."""
        if self._closed:
            raise ClientGone("The socket is closed.")
        try:
            await self._send({"type": "websocket.send", "text": frame.decode()})
        except OSError:
            raise ClientGone("The client went away.") from None

    async def close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})


class SocketClient:
    """Fulfils pipeline.call.Client for one frame."""

    path: Named | None = None

    def __init__(self, line: Line, frame: CreateFrame) -> None:
        self.gone = False
        self.protocol_headers: Headers = []
        self.spoke = False
        self.tag = line.tag
        self.address = line.address
        self.user_agent = line.user_agent
        self._line = line
        self._frame = frame

    def credential(self) -> str:
        return self._line.credential

    async def body(self) -> bytes:
        return self._frame.body

    async def start(self) -> None:
        """A socket has no headers."""

    async def write(self, data: bytes) -> None:
        for frame in frames(data, self._frame.stream_id):
            self.spoke = True
            await self._line.say(frame)


class _Lane:
    """Calls that follow each other."""

    def __init__(self) -> None:
        self.waiting: deque[CreateFrame] = deque()
        self.client: SocketClient | None = None
        self.task: asyncio.Task[None] | None = None


class Talk:
    """All that is said over one socket."""

    def __init__(self, pipeline: Pipeline, keeper: ResponseKeeper, limits: SocketLimits, log_defect: Log) -> None:
        self._pipeline = pipeline
        self._keeper = keeper
        self._limits = limits
        self._log_defect = log_defect
        self._lanes: dict[str | None, _Lane] = {}
        self._line: Line
        self._reader: asyncio.Task[None] | None = None
        self._stops = False

    async def hold(self, line: Line) -> None:
        """Until the client leaves, is silent for too long, or the server stops."""
        self._line = line
        self._reader = asyncio.create_task(self._read())
        line.on_shutdown(self._stop)
        try:
            await asyncio.wait([self._reader])
            if self._reader.cancelled():
                await line.close(RESTARTING, "The server is stopping.")
            else:
                self._reader.result()
        finally:
            line.on_shutdown(None)
            self._reader.cancel()
            await self._leave()

    def _stop(self) -> None:
        """Nothing more is taken; the socket closes when nothing is being answered."""
        self._stops = True
        for lane in self._lanes.values():
            lane.waiting.clear()
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._stops and not self._lanes and self._reader is not None:
            self._reader.cancel()

    async def _leave(self) -> None:
        tasks = []
        for lane in self._lanes.values():
            if lane.task is not None:
                if lane.client is not None:
                    lane.client.gone = True
                lane.task.cancel()
                tasks.append(lane.task)
        if tasks:
            await asyncio.wait(tasks)

    async def _read(self) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(self._limits.idle_s):
                        message = await self._line.receive()
                except TimeoutError:
                    if self._lanes:
                        continue
                    await self._line.close(GOING_AWAY, "Nothing was asked for too long.")
                    return
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                await self._take(text.encode() if text is not None else message.get("bytes") or b"")
        except ClientGone:
            return

    async def _take(self, said: bytes) -> None:
        """One frame of the client's: it runs, waits for its turn, or is refused."""
        stream_id = None
        try:
            if len(said) > self._limits.frame_bytes:
                raise InvalidRequest(
                    f"A frame has at most {self._limits.frame_bytes:,} bytes here.", code="request_too_large"
                )
            frame = read_create_frame(said)
            stream_id = frame.stream_id
            self._check_room(frame)
        except TrunklineError as error:
            await self._refuse(error, stream_id)
            return
        lane = self._lanes.get(stream_id)
        if lane is None:
            lane = self._lanes[stream_id] = _Lane()
            lane.task = asyncio.create_task(self._serve(lane, stream_id))
        lane.waiting.append(frame)

    def _check_room(self, frame: CreateFrame) -> None:
        if self._stops:
            raise Unavailable("The server is stopping; connect again.")
        waiting = [one for lane in self._lanes.values() for one in lane.waiting]
        size = sum(len(one.body) for one in waiting) + len(frame.body)
        if len(waiting) >= MOST_WAITING or (waiting and size > self._limits.frame_bytes):
            raise Unavailable(f"More than {MOST_WAITING} calls wait for their turn here.", code="too_many_waiting")
        if frame.stream_id not in self._lanes and len(self._lanes) >= MOST_LANES:
            raise Unavailable(f"More than {MOST_LANES} streams are open here.", code="too_many_streams")

    async def _serve(self, lane: _Lane, stream_id: str | None) -> None:
        try:
            while lane.waiting:
                await self._answer(lane, lane.waiting.popleft())
        except ClientGone:
            pass  # the reader meets it too
        finally:
            del self._lanes[stream_id]
            self._close_if_idle()

    async def _answer(self, lane: _Lane, frame: CreateFrame) -> None:
        pipeline = self._pipeline
        call = Call(pipeline.new_number(), protocols.RESPONSES.name, "", self._line.trace, protocols.RESPONSES.endpoint)
        call.keeper = self._keeper
        client = lane.client = SocketClient(self._line, frame)
        try:
            if frame.generate:
                await self._pipeline.run(call, client, protocols.RESPONSES)
            else:
                await client.write(await prepare(self._pipeline, self._keeper, call, client))
        except ClientGone:
            raise
        except TrunklineError as error:
            if isinstance(error, Defect) and error.__cause__ is not None:
                self._log_defect(call.id, error.__cause__)
            if client.spoke and call.last_words is not None:
                shape = problems.shape_of(error)
                await client.write(await call.last_words(shape.openai_type, error.message, error.code))
            else:
                await self._refuse(error, frame.stream_id)
            if isinstance(error, Unauthenticated):
                await self._line.close(POLICY, "The key is not valid any more.")

    async def _refuse(self, error: TrunklineError, stream_id: str | None) -> None:
        problem = problems.problem(error, "openai", "")
        said = error_frame(problem.status, problem.body)
        if stream_id is not None:
            said = said[:-1] + b',"stream_id":' + msgspec.json.encode(stream_id) + b"}"
        await self._line.say(said)
