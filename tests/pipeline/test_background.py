"""Responses that run without their caller, under a clock that jumps."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.pipeline.kept import ACCOUNT, House, body, chunk, decoded, events_of, pieces
from tests.pipeline.scripted import KEY, NOBODY, Reply, ScriptedClient
from tests.pipeline.test_relay import jump
from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound, TrunklineError, Unauthenticated, Unavailable
from trunkline.pipeline.background import Run, Runs
from trunkline.ports.responses import ResponsesOptions
from trunkline.wire.sse import KEEP_ALIVE


@pytest.fixture(autouse=True)
def _held_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(clock, "now_s", lambda: 800_000_000 + asyncio.get_running_loop().time())


class Scene:
    def __init__(self, *script: Reply | Exception, options: ResponsesOptions | None = None) -> None:
        self.house = House(*script, options=options)
        self.runs = Runs(self.house.pipeline, self.house.keeper)

    async def begin(self, credential: str = KEY, **fields: Any) -> Run:
        sent = body(background=True, **fields)
        return await self.runs.begin(self.house.new_call(), ScriptedClient(sent, credential=credential), sent)

    def told(self, run: Run) -> list[dict[str, Any]]:
        """The events in the store."""
        return [decoded(data) for data in self.house.responses.told.get(run.key[1], [])]

    def status(self, run: Run) -> str:
        return self.house.responses.kept[run.key[1]].status

    def kept(self, run: Run) -> dict[str, Any]:
        return decoded(self.house.responses.kept[run.key[1]].response)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()
        # One that was cancelled ends in the next turns of the loop.
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    jump(playing())


async def followed(run: Run, after: int = -1) -> list[dict[str, Any]]:
    return events_of(b"".join([piece async for piece in run.follow(after)]))


def test_it_is_queued_at_once_and_kept_when_it_has_ended() -> None:
    async def scene() -> None:
        played = Scene(pieces("one", " two", gap_s=5))
        run = await played.begin()
        queued = decoded(run.queued.result())
        assert (queued["status"], queued["output"], queued["background"], queued["store"]) == ("queued", [], True, True)
        assert played.status(run) == "queued"
        assert played.runs.find(*run.key) is run
        events = await followed(run)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["type"] for event in events[:3]] == [
            "response.created",
            "response.queued",
            "response.in_progress",
        ]
        assert (played.status(run), played.kept(run)) == ("completed", events[-1]["response"])
        assert played.told(run) == events
        assert played.house.asked()["stream"] is True
        await run.over()
        await asyncio.sleep(0)
        assert played.runs.find(*run.key) is None

    play(scene)


def test_the_end_is_told_when_it_is_kept() -> None:
    async def scene() -> None:
        played = Scene(pieces("one"))
        run = await played.begin()
        async for piece in run.follow(-1):
            if b"response.completed" in piece:
                assert played.status(run) == "completed"
        log = played.house.responses.log
        assert log[-1] == "put completed"
        assert "in_progress" in " ".join(log)

    play(scene)


def test_several_follow_and_each_from_where_it_was() -> None:
    async def scene() -> None:
        played = Scene(pieces("a", "b", "c", gap_s=2))
        run = await played.begin()
        whole, rest = await asyncio.gather(followed(run), followed(run, 4))
        assert rest == whole[5:]
        assert await followed(run, 10_000) == []

    play(scene)


def test_a_silent_one_gives_signs_of_life_to_the_store_and_to_who_follows() -> None:
    async def scene() -> None:
        played = Scene(pieces("one", gap_s=50))
        run = await played.begin()
        times = [asyncio.get_running_loop().time()]
        pieces_told = []
        async for piece in run.follow(-1):
            pieces_told.append(piece)
            times.append(asyncio.get_running_loop().time())
        lasted = times[-1] - times[0]
        assert KEEP_ALIVE in pieces_told
        assert max(after - before for before, after in itertools.pairwise(times)) <= 15
        signs = [entry for entry in played.house.responses.log if entry == "events 0"]
        assert len(signs) >= lasted // 60

    play(scene)


def test_cancelled_here() -> None:
    async def scene() -> None:
        played = Scene(pieces("one", " two", gap_s=100))
        run = await played.begin()
        await asyncio.sleep(10)
        await played.house.responses.set_status(ACCOUNT, run.key[1], "cancelled")
        run.cancel()
        assert await followed(run, 10_000) == []
        assert played.status(run) == "cancelled"
        assert played.house.transport.all_closed()
        assert played.house.ledger.calls[0].error is not None
        run.cancel()

    play(scene)


@pytest.mark.parametrize("gone", [False, True])
def test_cancelled_or_deleted_elsewhere(gone: bool) -> None:
    async def scene() -> None:
        played = Scene(pieces("one", " two", gap_s=100))
        run = await played.begin()
        await asyncio.sleep(10)
        if gone:
            await played.house.responses.delete(ACCOUNT, run.key[1])
        else:
            await played.house.responses.set_status(ACCOUNT, run.key[1], "cancelled")
        began = asyncio.get_running_loop().time()
        await run.over()
        assert asyncio.get_running_loop().time() - began <= 6
        assert played.house.transport.all_closed()

    play(scene)


def test_cancelled_in_its_last_moment() -> None:
    """Whoever cancelled was told `cancelled`: the answer that came then is not told any more."""

    async def scene() -> None:
        played = Scene(pieces("one"))
        run = await played.begin()
        await played.house.responses.set_status(ACCOUNT, run.key[1], "cancelled")
        events = await followed(run)
        assert played.status(run) == "cancelled"
        assert all(event["type"] != "response.completed" for event in events)

    play(scene)


@pytest.mark.parametrize("script", [pieces("one", ends=False), Reply((0, b"no"), status=500)])
def test_what_its_provider_does_to_it_fails_it(script: Reply) -> None:
    async def scene() -> None:
        played = Scene(script)
        run = await played.begin()
        events = await followed(run)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[-1]["type"] == "response.failed"
        assert (played.status(run), played.kept(run)) == ("failed", events[-1]["response"])
        assert played.told(run) == events

    play(scene)


def test_a_process_that_stops_fails_it() -> None:
    async def scene() -> None:
        played = Scene(pieces("one", " two", gap_s=100), pieces("one", gap_s=100))
        first, second = await played.begin(), await played.begin()
        await asyncio.sleep(150)
        await played.runs.stop()
        for run in (first, second):
            assert played.status(run) == "failed"
            assert "stopped" in played.kept(run)["error"]["message"]
            assert played.told(run)[-1]["type"] == "response.failed"
        assert played.house.transport.all_closed()

    play(scene)


def test_what_has_come_to_its_end_is_not_failed_any_more() -> None:
    async def scene() -> None:
        end = chunk({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 1}) + b"data: [DONE]\n\n"
        played = Scene(Reply((0, chunk({"content": "x"})), (0, end), (1e6, b"")))
        run = await played.begin()
        await asyncio.sleep(0.1)  # its provider has not said goodbye yet
        await played.runs.stop()
        assert (played.status(run), played.told(run)[-1]["type"]) == ("completed", "response.completed")

    play(scene)


def test_a_store_that_is_down_is_asked_again() -> None:
    async def scene() -> None:
        played = Scene(pieces("one", " two", gap_s=3))
        run = await played.begin()
        await asyncio.sleep(8)
        played.house.responses.down = 3
        events = await followed(run)
        assert played.status(run) == "completed"
        assert played.told(run) == events

    play(scene)


@pytest.mark.parametrize(
    ("fields", "credential", "kind"),
    [
        ({"model": "nobody/nothing"}, KEY, NotFound),
        ({"previous_response_id": "resp_x"}, KEY, InvalidRequest),
        ({"input": [{"type": "function_call_output"}]}, KEY, InvalidRequest),
        ({}, NOBODY, Unauthenticated),
    ],
)
def test_what_refuses_it_is_told_at_once(fields: dict[str, Any], credential: str, kind: type[TrunklineError]) -> None:
    async def scene() -> None:
        played = Scene()
        with pytest.raises(kind):
            await played.begin(credential, **fields)
        assert played.house.responses.log == []
        await asyncio.sleep(0)
        assert len(played.house.ledger.calls) == 1

    play(scene)


def test_no_more_at_a_time_than_the_setting() -> None:
    async def scene() -> None:
        played = Scene(pieces("x", gap_s=9), pieces("y"), options=ResponsesOptions(background_at_once=1))
        first = await played.begin()
        with pytest.raises(Unavailable) as refused:
            await played.begin()
        assert refused.value.code == "too_many_in_background"
        await first.over()
        await asyncio.sleep(0)
        await (await played.begin()).over()

    play(scene)


def test_it_may_take_longer_than_a_call_that_somebody_waits_for() -> None:
    async def scene() -> None:
        played = Scene(pieces("x"), pieces("y"), options=ResponsesOptions(background_total_s=7000))
        await (await played.begin()).over()
        await played.house.stream()
        assert [request.timers.total_s for request in played.house.transport.requests] == [7000, 600]

    play(scene)


def test_a_caller_who_leaves_before_it_is_queued_ends_it() -> None:
    async def scene() -> None:
        played = Scene(pieces("x", gap_s=100))
        put = played.house.responses.put

        async def slow(response: Any) -> bool:
            await asyncio.sleep(50)
            return await put(response)

        played.house.responses.put = slow  # type: ignore[method-assign]
        waiting = asyncio.create_task(played.begin())
        await asyncio.sleep(10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(1)
        assert played.house.transport.requests == []

    play(scene)
