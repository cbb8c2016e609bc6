"""The relay under a clock that jumps: real intervals, no waiting. A script says what the provider sends, and when."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from trunkline.errors import ClientGone, StreamCut, TrunklineError, UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.pipeline.relay import Delivery, RelayOptions, relay
from trunkline.providers.transport import Headers
from trunkline.wire.openai_chat_stream import ChatStream

COMMENT = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


class JumpingLoop(asyncio.SelectorEventLoop):
    """Whenever everything waits, the time is that of the next timer."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_NeverWaits(self))

    def time(self) -> float:
        return self.now


class _NeverWaits(selectors.SelectSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits, and no timer is set"
        self._loop.now += max(timeout, 0)
        return super().select(0)


def jump(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(coroutine)


def seconds() -> float:
    return round(asyncio.get_running_loop().time() - 1000.0, 3)


class ScriptedResponse:
    """Sends each piece after so many seconds; an exception is raised in its place. Ends when the script does."""

    status = 200

    def __init__(self, *script: tuple[float, bytes | Exception], endless: bool = False) -> None:
        self.headers: Headers = []
        self._script = list(script)
        self._endless = endless
        self._waiting: asyncio.Future[None] | None = None
        self.ended = False
        self.closed_at: float | None = None

    async def chunk(self) -> bytes:
        if self._script:
            delay, piece = self._script.pop(0)
            await self._wait(delay)
            if isinstance(piece, Exception):
                raise piece
            return piece
        if self._endless:
            await self._wait(1e6)
        self.ended = True
        return b""

    async def _wait(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(delay, self._arrive)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _arrive(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def read(self, limit: int) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = seconds()

    def cancel(self, error: Exception) -> None:
        self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


class RecordingCaller:
    """Keeps (second, bytes); b"" is the headers. `slow_s` is how long each write takes, `gone_s` when it has left."""

    def __init__(self, *, slow_s: float = 0.0, gone_s: float = 1e9) -> None:
        self.log: list[tuple[float, bytes]] = []
        self._slow_s = slow_s
        self._gone_s = gone_s
        self._writing = False

    async def start(self) -> None:
        await self._take(b"")

    async def write(self, data: bytes) -> None:
        await self._take(data)

    async def _take(self, data: bytes) -> None:
        assert not self._writing, "two writes at once"
        if seconds() >= self._gone_s:
            raise ClientGone("gone")
        self.log.append((seconds(), data))
        self._writing = True
        await asyncio.sleep(self._slow_s)
        self._writing = False

    @property
    def written(self) -> bytes:
        return b"".join(data for _, data in self.log)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    chunk = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
TEXT = event({"content": "a"})
FINISH = event({}, "stop")
USAGE = b'data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
FINISH_WITH_USAGE = FINISH[:-3] + b',"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'


def test_headers_go_out_with_the_first_event_and_each_batch_is_one_write() -> None:
    async def play() -> None:
        response = ScriptedResponse((1, ROLE + TEXT), (1, TEXT[:20]), (1, TEXT[20:] + TEXT), (1, FINISH + USAGE + DONE))
        caller = RecordingCaller()
        await relay(response, ChatStream(), caller)
        assert caller.log == [(1, b""), (1, ROLE + TEXT), (3, TEXT + TEXT), (4, FINISH_WITH_USAGE + DONE)]
        assert response.ended

    jump(play())


def test_no_silence_reaches_fifteen_seconds() -> None:
    async def play() -> None:
        response = ScriptedResponse((50, ROLE), (14, TEXT), (29.5, TEXT), (0, FINISH + DONE))
        caller = RecordingCaller()
        await relay(response, ChatStream(), caller)
        assert [(at, data) for at, data in caller.log if data in (b"", COMMENT)] == [
            (14.5, b""),
            (14.5, COMMENT),
            (29.0, COMMENT),
            (43.5, COMMENT),
            (78.5, COMMENT),
            (93.0, COMMENT),
        ]
        times = [at for at, _ in caller.log]
        assert max(later - sooner for sooner, later in zip([0.0, *times], times, strict=False)) <= 15
        assert caller.written.replace(COMMENT, b"") == ROLE + TEXT + TEXT + FINISH + DONE

    jump(play())


def test_silence_counts_from_before_the_first_attempt_and_over_all_of_them() -> None:
    async def play() -> None:
        caller = RecordingCaller()
        with Delivery(caller) as delivery:
            await asyncio.sleep(10)
            first = ScriptedResponse((10, UpstreamFailed("broke")))
            with pytest.raises(UpstreamFailed):
                await relay(first, ChatStream(), delivery)
            assert first.closed_at == 20
            # Headers and a comment have gone; another attempt is still possible.
            assert (delivery.started, delivery.event_out) == (True, False)
            await relay(ScriptedResponse((1, ROLE + FINISH + DONE)), ChatStream(), delivery)
            assert delivery.event_out
            assert delivery.first_event_at > 0
        assert caller.log == [(14.5, b""), (14.5, COMMENT), (21, ROLE + FINISH + DONE)]

    jump(play())


def test_a_finish_chunk_waits_two_seconds_for_its_usage() -> None:
    async def play() -> None:
        caller = RecordingCaller()
        await relay(ScriptedResponse((0, ROLE + FINISH), (5, DONE)), ChatStream(), caller)
        assert caller.log[1:] == [(0, ROLE), (2, FINISH), (5, DONE)]
        caller = RecordingCaller()
        start = seconds()
        await relay(ScriptedResponse((0, ROLE + FINISH), (1.5, USAGE), (5, DONE)), ChatStream(), caller)
        assert [(at - start, data) for at, data in caller.log[1:]] == [
            (0, ROLE),
            (1.5, FINISH_WITH_USAGE),
            (6.5, DONE),
        ]

    jump(play())


def test_a_finish_chunk_alone_counts_as_an_event_when_it_is_released() -> None:
    async def play() -> None:
        caller = RecordingCaller()
        with Delivery(caller) as delivery:
            with pytest.raises(UpstreamFailed):
                await relay(ScriptedResponse((0, FINISH), (5, b"data: nonsense\n\n")), ChatStream(), delivery)
            assert delivery.event_out
        assert caller.log == [(2, b""), (2, FINISH)]

    jump(play())


def test_before_the_first_event_a_failure_is_raised_and_nothing_is_written() -> None:
    async def play() -> None:
        scripts: list[tuple[tuple[float, bytes | Exception], type[TrunklineError]]] = [
            ((1, UpstreamTimeout("slow")), UpstreamTimeout),
            ((1, StreamCut("cut")), StreamCut),
            ((1, b""), StreamCut),
            ((1, DONE), StreamCut),
            ((1, b'data: {"error":"boom"}\n\n'), UpstreamFailed),
            ((1, b"data: nonsense\n\n"), UpstreamFailed),
            # Good events that came together with the bad one have not gone out: the next attempt sends its own.
            ((1, ROLE + TEXT + b"data: nonsense\n\n"), UpstreamFailed),
        ]
        for script, kind in scripts:
            response, caller = ScriptedResponse(script), RecordingCaller()
            with pytest.raises(UpstreamError) as caught:
                await relay(response, ChatStream(), caller)
            assert type(caught.value) is kind
            assert caller.log == []
            assert response.closed_at is not None

    jump(play())


def test_after_the_first_event_what_was_good_is_written_before_the_failure_is_raised() -> None:
    async def play() -> None:
        for bad in (TEXT + b'data: {"error":"boom"}\n\n', TEXT + b"data: nonsense\n\n", TEXT + DONE):
            response, caller = ScriptedResponse((1, ROLE), (1, bad)), RecordingCaller()
            with pytest.raises(UpstreamError):
                await relay(response, ChatStream(), caller)
            assert caller.written == ROLE + TEXT
            assert response.closed_at is not None
        caller = RecordingCaller()
        with pytest.raises(UpstreamTimeout):
            await relay(ScriptedResponse((1, ROLE), (1, UpstreamTimeout("idle"))), ChatStream(), caller)
        assert caller.written == ROLE

    jump(play())


def test_after_the_finish_a_broken_connection_is_a_good_end() -> None:
    async def play() -> None:
        for error in (StreamCut("cut"), UpstreamTimeout("idle")):
            caller = RecordingCaller()
            await relay(ScriptedResponse((1, ROLE + FINISH), (1, error)), ChatStream(), caller)
            assert caller.written == ROLE + FINISH + DONE
        caller = RecordingCaller()
        await relay(ScriptedResponse((1, ROLE + FINISH + USAGE)), ChatStream(), caller)
        assert caller.written == ROLE + FINISH_WITH_USAGE + DONE

    jump(play())


def test_a_provider_that_does_not_end_after_done_is_left() -> None:
    async def play() -> None:
        response = ScriptedResponse((1, ROLE + FINISH + DONE), endless=True)
        await relay(response, ChatStream(), RecordingCaller())
        assert response.closed_at == 1.25
        chatty = ScriptedResponse((0, ROLE + FINISH + DONE), *((0.0, b"x" * 40_000) for _ in range(1000)))
        await relay(chatty, ChatStream(), RecordingCaller())
        assert not chatty.ended
        assert chatty.closed_at is not None

    jump(play())


def test_a_caller_who_has_gone_ends_the_call_at_once() -> None:
    async def play() -> None:
        # Found out by an event, and by a comment while the provider is silent.
        for gone_s, script in ((1.5, [(1.0, ROLE), (1.0, TEXT)]), (5.0, [(4.0, ROLE), (100.0, TEXT)])):
            start = seconds()
            response, caller = ScriptedResponse(*script, endless=True), RecordingCaller(gone_s=start + gone_s)
            with pytest.raises(ClientGone):
                await relay(response, ChatStream(), caller)
            assert response.closed_at == round(start + (2 if gone_s == 1.5 else 18.5), 3)

    jump(play())


def test_a_cancelled_call_closes_the_provider() -> None:
    async def play() -> None:
        response = ScriptedResponse((1, ROLE), (100, TEXT))
        task = asyncio.create_task(relay(response, ChatStream(), RecordingCaller()))
        await asyncio.sleep(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert response.closed_at == 3

    jump(play())


def test_a_slow_caller_is_waited_for_and_never_written_to_twice_at_once() -> None:
    async def play() -> None:
        # Each write takes 20 s, longer than a silence may last; RecordingCaller objects to a second one beside it.
        response, caller = ScriptedResponse((1, ROLE), (1, TEXT), (60, FINISH), (1, DONE)), RecordingCaller(slow_s=20)
        await relay(response, ChatStream(), caller)
        assert caller.written.replace(COMMENT, b"") == ROLE + TEXT + FINISH + DONE

    jump(play())


def test_an_event_that_comes_while_a_comment_is_written_waits_for_it() -> None:
    async def play() -> None:
        response, caller = ScriptedResponse((15, ROLE + FINISH + DONE)), RecordingCaller(slow_s=1)
        await relay(response, ChatStream(), caller)
        assert caller.log == [(14.5, b""), (15.5, COMMENT), (16.5, ROLE + FINISH + DONE)]

    jump(play())


def test_one_timer_serves_a_whole_stream() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        armed = 0
        call_at: Callable[..., asyncio.TimerHandle] = loop.call_at

        def counting(when: float, callback: Callable[..., object], *args: Any, **more: Any) -> asyncio.TimerHandle:
            nonlocal armed
            armed += "Delivery" in getattr(callback, "__qualname__", "")
            return call_at(when, callback, *args, **more)

        loop.call_at = counting  # type: ignore[method-assign, assignment]
        await relay(
            ScriptedResponse(*((0.01, TEXT) for _ in range(1000)), (0, FINISH + DONE)), ChatStream(), RecordingCaller()
        )
        assert armed == 1

    jump(play())


def test_nothing_is_left_behind() -> None:
    async def play() -> None:
        with Delivery(RecordingCaller(slow_s=5), RelayOptions(keep_alive_s=1)):
            await asyncio.sleep(2)
        await asyncio.sleep(100)
        assert len(asyncio.all_tasks()) == 1

    jump(play())
