from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from trunkline.errors import ClientGone, StreamCut, UpstreamFailed, UpstreamTimeout
from trunkline.providers.sandbox.response import Cut, Plan, SandboxResponse, Step, Wait
from trunkline.providers.transport import Timers

NEVER = 3_600.0


class Ended:
    """Counts how often a response says that it is over."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def respond(
    *steps: Step, timers: Timers | None = None, ended: Ended | None = None, first_s: float = 0
) -> SandboxResponse:
    plan = Plan(status=200, headers=[(b"a", b"b")], first_s=first_s, steps=iter(steps))
    return SandboxResponse(plan, timers or Timers(), ended or Ended())


async def test_what_is_ready_comes_joined_and_then_the_end() -> None:
    ended = Ended()
    response = respond(b"one", b"two", ended=ended)
    assert (response.status, response.headers) == (200, [(b"a", b"b")])
    assert await response.chunk() == b"onetwo"
    assert await response.chunk() == b""
    assert await response.chunk() == b""
    response.close()
    assert ended.times == 1


async def test_a_chunk_is_bounded_and_what_is_not_read_is_not_made() -> None:
    made = 0

    def steps() -> Iterator[Step]:
        nonlocal made
        for _ in range(1_000):
            made += 1
            yield b"x" * 1_000

    response = SandboxResponse(Plan(headers=[], steps=steps()), Timers(), Ended())
    assert len(await response.chunk()) == 9_000
    assert made == 9
    response.close()


def let_pass(response: SandboxResponse, seconds: float) -> None:
    """As if so much time had gone by: the response compares moments with now and looks at nothing else."""
    response._due -= seconds
    response._deadline -= seconds


async def test_bytes_before_a_silence_do_not_wait_for_it() -> None:
    response = respond(b"one", Wait(20), b"two", b"three", Wait(20), b"four")
    read = []
    for _ in range(3):
        read.append(await response.chunk())
        let_pass(response, 20)
    assert read == [b"one", b"twothree", b"four"]


async def test_a_silence_is_waited_out() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    response = respond(b"one", Wait(0.02), b"two", Wait(0.02), b"three")
    assert await response.read(100) == b"onetwothree"
    assert loop.time() - began >= 0.039


async def test_silences_run_on_while_nobody_reads() -> None:
    response = respond(b"one", Wait(20), b"two", Wait(20), b"three", Wait(20), b"four")
    assert await response.chunk() == b"one"
    let_pass(response, 50)
    assert await response.chunk() == b"twothree"


async def test_read_gives_the_whole_and_refuses_too_much() -> None:
    assert await respond(b"a", Wait(0.001), b"b").read(2) == b"ab"
    assert await respond().read(2) == b""
    ended = Ended()
    with pytest.raises(UpstreamFailed):
        await respond(b"a" * 20_000, b"b", ended=ended).read(10)
    assert ended.times == 1


async def test_a_cut_lets_out_what_came_before_it() -> None:
    ended = Ended()
    response = respond(b"one", Cut(), ended=ended)
    assert await response.chunk() == b"one"
    for _ in range(2):
        with pytest.raises(StreamCut):
            await response.chunk()
    assert ended.times == 1


async def test_a_cut_before_a_byte_is_no_answer_at_all() -> None:
    with pytest.raises(UpstreamFailed):
        await respond(Wait(0.001), Cut()).chunk()
    later = respond(b"one", Wait(0.001), Cut())
    assert await later.chunk() == b"one"
    with pytest.raises(StreamCut):
        await later.chunk()


async def test_the_idle_timer() -> None:
    ended = Ended()
    response = respond(b"one", Wait(NEVER), b"two", timers=Timers(idle_s=0.01), ended=ended)
    assert await response.chunk() == b"one"
    with pytest.raises(UpstreamTimeout):
        await response.chunk()
    assert ended.times == 1


async def test_the_total_timer_runs_through_short_silences() -> None:
    steps: list[Step] = [Wait(0.004), b"x"] * 1_000
    response = respond(*steps, timers=Timers(total_s=0.03, idle_s=1))
    with pytest.raises(UpstreamTimeout):
        await response.read(10_000)


async def test_the_total_timer_runs_while_nobody_reads() -> None:
    response = respond(b"one", Wait(1), b"two", timers=Timers(total_s=60))
    assert await response.chunk() == b"one"
    let_pass(response, 61)
    with pytest.raises(UpstreamTimeout):
        await response.chunk()


async def test_the_wait_for_headers() -> None:
    ready = respond(b"x", first_s=0.005)
    await ready.begin(1)
    assert await ready.chunk() == b"x"
    ended = Ended()
    with pytest.raises(UpstreamTimeout):
        await respond(b"x", first_s=NEVER, ended=ended).begin(0.005)
    with pytest.raises(UpstreamTimeout):
        await respond(b"x", first_s=NEVER, timers=Timers(total_s=0.005), ended=ended).begin(None)
    assert ended.times == 2


async def test_closing_is_harmless_twice_and_ends_the_answer() -> None:
    ended = Ended()
    response = respond(b"one", Wait(NEVER), b"two", ended=ended)
    assert await response.chunk() == b"one"
    response.close()
    response.close()
    assert ended.times == 1
    with pytest.raises(StreamCut):
        await response.chunk()


async def test_cancel_wakes_the_reader_with_the_error() -> None:
    ended = Ended()
    response = respond(Wait(NEVER), b"x", timers=Timers(idle_s=NEVER, total_s=NEVER), ended=ended)
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    response.cancel(ClientGone("gone"))
    response.cancel(ClientGone("again"))
    with pytest.raises(ClientGone, match="gone"):
        await reading
    assert ended.times == 1


async def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    ended = Ended()
    response = respond(Wait(NEVER), b"x", timers=Timers(idle_s=NEVER, total_s=NEVER), ended=ended)
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ended.times == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_both_ways_at_once_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    response = respond(Wait(NEVER), b"x")
    reading = asyncio.ensure_future(response.chunk())
    await asyncio.sleep(0)
    response.cancel(ClientGone("gone"))
    reading.cancel()
    with pytest.raises((asyncio.CancelledError, ClientGone)):
        await reading
    assert not caplog.records
