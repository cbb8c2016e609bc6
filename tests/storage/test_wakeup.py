from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.ports.ledger import Fenced
from trunkline.ports.recall import Asked, Recall
from trunkline.storage.wakeup import LONGEST_PATH, Wakeups, socket_folder


class Three:
    """Processes with slots 0 to 2, and what each was asked."""

    def __init__(self, database: Path) -> None:
        self.all = [Wakeups(database) for _ in range(3)]
        self.asked: list[list[str]] = [[], [], []]
        for slot, one in enumerate(self.all):
            one.start(slot)
            one.on_asked = self._note(slot)

    def _note(self, slot: int) -> Asked:
        async def note(source: str) -> None:
            self.asked[slot].append(source)

        return note


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    made = Three(tmp_path / "trunkline.db")
    yield made
    for one in made.all:
        one.close()


async def test_all_that_are_asked_answer_once_they_have_given_back(three: Three) -> None:
    asking: Recall = three.all[0]
    given_back = asyncio.Event()

    async def gives_back(source: str) -> None:
        await asyncio.sleep(0.01)
        three.asked[2].append(source)
        given_back.set()

    three.all[2].on_asked = gives_back
    assert await asking.ask([1, 2], "bdg_1", 5.0) == {1, 2}
    assert given_back.is_set()
    assert three.asked == [[], ["bdg_1"], ["bdg_1"]]
    assert asking._pending == {}  # type: ignore[attr-defined]


async def test_answers_are_quick(three: Three) -> None:
    began = clock.monotonic_s()
    for _ in range(20):
        assert await three.all[0].ask([1], "bdg_1", 5.0) == {1}
    assert (clock.monotonic_s() - began) / 20 < 0.1


async def test_whoever_is_not_there_or_silent_or_fails_has_not_answered(three: Three) -> None:
    async def silent(source: str) -> None:
        await asyncio.sleep(3600)

    async def fails(source: str) -> None:
        raise StoreUnavailable("no")

    async def fenced(source: str) -> None:
        raise Fenced

    asking = three.all[0]
    began = clock.monotonic_s()
    assert await asking.ask([7, 0], "bdg_1", 5.0) == frozenset(), "nobody but itself: it does not wait"
    assert clock.monotonic_s() - began < 1.0
    for kept in (silent, fails, fenced):
        three.all[2].on_asked = kept
        assert await asking.ask([1, 2, 7], "bdg_1", 0.05) == {1}
    assert await asking.ask([], "bdg_1", 5.0) == frozenset()


async def test_whoever_has_leased_nothing_yet_answers_at_once(three: Three) -> None:
    three.all[1].on_asked = None
    assert await three.all[0].ask([1], "bdg_1", 5.0) == {1}


async def test_questions_at_the_same_time_are_told_apart(three: Three) -> None:
    sources = [f"bdg_{number}" for number in range(30)]
    answers = await asyncio.gather(*(three.all[0].ask([1, 2], source, 5.0) for source in sources))
    assert answers == [{1, 2}] * 30
    assert sorted(three.asked[1]) == sorted(sources)


async def test_an_answer_that_nobody_waits_for_and_noise_do_no_harm(three: Three, tmp_path: Path) -> None:
    folder = socket_folder(tmp_path / "trunkline.db")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as noise:
        for data in (
            b"",
            b"noise",
            b"\x94\xa8answered\x01\xcd\x03\xe7",
            b"\x94\xa3ask\xcd\xff\xff\x01\xa1b",
            b"\xff" * 5000,
        ):
            noise.sendto(data, str(folder / "0"))
    assert await three.all[1].ask([0], "bdg_1", 5.0) == {0}
    assert three.asked[0] == ["bdg_1"]


async def test_a_new_slot_is_listened_to_and_the_old_one_no_more(three: Three) -> None:
    three.all[1].start(9)
    assert await three.all[0].ask([9], "bdg_1", 5.0) == {9}
    assert await three.all[0].ask([1], "bdg_1", 5.0) == frozenset()


async def test_what_a_dead_process_left_is_no_hindrance(tmp_path: Path) -> None:
    database = tmp_path / "trunkline.db"
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    socket_folder(database).mkdir()
    left.bind(str(socket_folder(database) / "1"))
    left.close()
    one, two = Wakeups(database), Wakeups(database)
    one.start(0)
    assert await one.ask([1], "bdg_1", 5.0) == frozenset()
    two.start(1)
    assert await one.ask([1], "bdg_1", 5.0) == {1}
    one.close()
    two.close()
    two.close()
    assert await one.ask([1], "bdg_1", 5.0) == frozenset()


async def test_only_the_owner_can_reach_the_sockets(tmp_path: Path) -> None:
    folder = socket_folder(tmp_path / "trunkline.db")
    folder.mkdir(mode=0o755)
    one = Wakeups(tmp_path / "trunkline.db")
    one.start(0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    one.close()


async def test_a_folder_that_is_something_else_is_named(tmp_path: Path) -> None:
    socket_folder(tmp_path / "trunkline.db").symlink_to(tmp_path)
    with pytest.raises(StoreUnavailable, match=r"trunkline\.db\.run cannot be used"):
        Wakeups(tmp_path / "trunkline.db").start(0)


async def test_a_path_that_is_too_long_is_gone_round(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    folder = socket_folder(deep / "trunkline.db")
    assert len(os.fsencode(folder / "255")) <= LONGEST_PATH
    assert folder == socket_folder(deep / "trunkline.db") != socket_folder(deep / "other.db")
    one, two = Wakeups(deep / "trunkline.db"), Wakeups(deep / "trunkline.db")
    async with AsyncExitStack() as stack:
        for slot, wakeups in enumerate((one, two)):
            wakeups.start(slot)
            stack.callback(wakeups.close)
        assert await one.ask([1], "bdg_1", 5.0) == {1}
    folder.rmdir()
