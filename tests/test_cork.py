"""Held writes: nothing is lost, nothing overtakes, and the first does not wait for the last."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from trunkline.cork import LARGE_BYTES, MOST_HELD, Cork, corked


class Wire:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing, "written after the close"
        self.told.append(bytes(data))

    def writelines(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def close(self) -> None:
        self.closing = True
        self.told.append("close")

    def abort(self) -> None:
        self.closing = True
        self.told.append("abort")

    def write_eof(self) -> None:
        self.told.append("eof")

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return name, default

    def get_write_buffer_size(self) -> int:
        return 7

    can_write_eof = get_protocol = get_write_buffer_limits = is_reading = lambda self: None
    pause_reading = resume_reading = set_protocol = set_write_buffer_limits = lambda self: None


def made(cork: Cork) -> tuple[Wire, asyncio.Transport]:
    wire = Wire()
    return wire, corked(cast("asyncio.Transport", wire), cork)


async def test_a_turns_writes_go_out_at_its_end_as_one() -> None:
    cork = Cork(asyncio.get_running_loop())
    wire, transport = made(cork)
    transport.write(b"head ")
    transport.writelines([b"bo", b"dy"])
    assert wire.told == []
    await asyncio.sleep(0)
    assert wire.told == [b"head body"]
    transport.write(b"next")
    await asyncio.sleep(0)
    assert wire.told == [b"head body", b"next"]


async def test_closing_sends_what_is_held_and_aborting_does_not() -> None:
    cork = Cork(asyncio.get_running_loop())
    for end, told in (("close", [b"x", "close"]), ("write_eof", [b"x", "eof"]), ("abort", ["abort"])):
        wire, transport = made(cork)
        transport.write(b"x")
        getattr(transport, end)()
        await asyncio.sleep(0)
        assert wire.told == told


async def test_a_connection_that_was_lost_meanwhile_is_left_alone() -> None:
    wire, transport = made(Cork(asyncio.get_running_loop()))
    transport.write(b"x")
    wire.closing = True
    await asyncio.sleep(0)
    assert wire.told == []


async def test_the_first_of_a_long_turn_is_not_kept_for_the_last() -> None:
    cork = Cork(asyncio.get_running_loop())
    wires = []
    for _ in range(MOST_HELD):
        wire, transport = made(cork)
        transport.write(b"x")
        wires.append(wire)
    assert all(wire.told == [b"x"] for wire in wires)
    wire, transport = made(cork)
    transport.write(b"y")
    assert wire.told == []
    await asyncio.sleep(0)
    assert wire.told == [b"y"]


async def test_a_large_write_goes_at_once_behind_what_is_held() -> None:
    wire, transport = made(Cork(asyncio.get_running_loop()))
    transport.write(b"head")
    large = bytes(LARGE_BYTES)
    transport.write(large)
    transport.write(b"tail")
    assert wire.told == [b"head" + large]
    await asyncio.sleep(0)
    assert wire.told == [b"head" + large, b"tail"]
    transport.write(b"more ")
    transport.writelines([b"head", large])
    assert wire.told[2:] == [b"more ", b"head" + large]


async def test_what_is_only_passed_on() -> None:
    _, transport = made(Cork(asyncio.get_running_loop()))
    assert transport.get_extra_info("peername", 3) == ("peername", 3)
    assert transport.get_write_buffer_size() == 7
    assert not transport.is_closing()


def test_without_a_cork_a_transport_stays_as_it_is() -> None:
    wire = cast("asyncio.Transport", Wire())
    assert corked(wire, None) is wire


ACTS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([b"a", b"bc", bytes(LARGE_BYTES), None])), max_size=60)


@given(acts=ACTS, closing=st.booleans())
def test_every_connection_gets_its_bytes_in_order(acts: list[tuple[int, bytes | None]], closing: bool) -> None:
    """`None` ends a turn."""

    async def play() -> None:
        cork = Cork(asyncio.get_running_loop())
        ends = [made(cork) for _ in range(3)]
        written = [b"", b"", b""]
        for which, data in acts:
            if data is None:
                await asyncio.sleep(0)
            else:
                ends[which][1].write(data)
                written[which] += data
        if closing:
            for _, transport in ends:
                transport.close()
        await asyncio.sleep(0)
        assert [b"".join(part for part in wire.told if part != "close") for wire, _ in ends] == written

    asyncio.run(play())
