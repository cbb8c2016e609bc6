"""Where translating is done: here and now, or beside the event loop when it is so long that others would wait."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from trunkline.wire.inbound import Inbound

LONG_BYTES: Final = 1024 * 1024
"""Some 25 ms to read and 25 ms to write, where it is thousands of messages."""

Result = TypeVar("Result")


def length_of(inbound: Inbound) -> int:
    """Bytes of the values of a request."""
    return sum(map(len, inbound.fields.values()))


async def worked(length: int, work: Callable[[], Result]) -> Result:
    """What `work` gives or raises, which translates so many bytes."""
    if length < LONG_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_thread(), work)


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """One alone: the loop shares the interpreter with it, turn and turn about, and would get less from more."""
    return ThreadPoolExecutor(1, "translating")
