"""Long requests are translated beside the loop, short ones on it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from trunkline.errors import InvalidRequest
from trunkline.pipeline.translating import LONG_BYTES, length_of, worked
from trunkline.wire.codec import Raw
from trunkline.wire.inbound import Inbound

SHORT, LONG = LONG_BYTES - 1, LONG_BYTES


def test_a_request_is_as_long_as_its_values() -> None:
    assert length_of(Inbound(fields={"a": Raw(b"[1]"), "b": Raw(b'"xy"')}, model="m")) == 7


async def test_a_short_one_is_done_here() -> None:
    assert await worked(SHORT, threading.current_thread) is threading.current_thread()


async def test_a_long_one_leaves_the_loop_to_others() -> None:
    began, done = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> threading.Thread:
        loop.call_soon_threadsafe(began.set)
        assert done.wait(10)
        return threading.current_thread()

    first, second = asyncio.create_task(worked(LONG, work)), asyncio.create_task(worked(LONG, work))
    async with asyncio.timeout(10):
        await began.wait()
        done.set()
        threads = {await first, await second}
    assert len(threads) == 1
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("length", [SHORT, LONG])
async def test_what_is_wrong_with_it_is_raised(length: int) -> None:
    def work() -> None:
        raise InvalidRequest("no", param="input")

    with pytest.raises(InvalidRequest, match="no"):
        await worked(length, work)
