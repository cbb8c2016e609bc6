from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.directives import FLAGS, LONGEST_MS, NONE, RANGES, Directives, read

ALL = "status=503 retry_after=2 times=3 stall_after=5 stall_ms=9 cut_after=6 garble_after=7 no_usage no_done"
REFUSING = "error_after=4 cached=5 refuse"


def read_one(text: str, model: str = "faulty") -> tuple[str, Directives]:
    (left,), told = read([text], model, "messages[0].content")
    return left, told


@pytest.mark.parametrize(
    ("text", "left", "told"),
    [
        ("plain", "plain", NONE),
        ("[[tokens=40 delay_ms=50]] Tell a story.", "Tell a story.", Directives(tokens=40, delay_ms=50)),
        ("Tell [[tokens=4]] a story.", "Tell a story.", Directives(tokens=4)),
        ("Tell a story. [[first_ms=7]]", "Tell a story.", Directives(first_ms=7)),
        ("[[tokens=4]][[seed=0]]", "", Directives(tokens=4, seed=0)),
        ("[[tokens=4]] a [[tokens=5]]", "a", Directives(tokens=5)),
        ("[[  no_done\n no_usage ]]", "", Directives(no_done=True, no_usage=True)),
        (f"[[{REFUSING}]] x", "x", Directives(error_after=4, cached=5, refuse=True)),
        ("[[stall_ms=5]] x", "x", Directives(stall_ms=5, stall_after=0)),
        ("[[stall_after=5]] x", "x", Directives(stall_after=5, stall_ms=LONGEST_MS)),
        (
            f"[[{ALL}]] x",
            "x",
            Directives(
                status=503,
                retry_after=2,
                times=3,
                stall_after=5,
                stall_ms=9,
                cut_after=6,
                garble_after=7,
                no_usage=True,
                no_done=True,
            ),
        ),
    ],
)
def test_blocks_are_obeyed_and_removed(text: str, left: str, told: Directives) -> None:
    assert read_one(text) == (left, told)


@pytest.mark.parametrize(
    "text",
    [
        "[[1,2],[3,4]]",
        "see [[Page]] and [[other page]]",
        'if [[ $a == "b" ]]; then',
        "[[]]",
        "[[ ]]",
        "[[tokens=1",
        "a]]",
    ],
)
def test_other_text_in_brackets_stays(text: str) -> None:
    assert read_one(text, "echo") == (text, NONE)


def test_blocks_of_all_parts_count_and_other_parts_are_left_alone() -> None:
    left, told = read(["  a  ", "[[tokens=3]] b", "[[Page]]"], "echo", "messages")
    assert left == ["  a  ", "b", "[[Page]]"]
    assert told == Directives(tokens=3)


@pytest.mark.parametrize(
    ("model", "block", "named"),
    [
        ("echo", "tokenz=3", "tokenz"),
        ("echo", "status=500", "status"),
        ("echo", "no_done", "no_done"),
        ("echo", "redacted refuse", "redacted"),
        ("story", "error_after=1", "error_after"),
        ("echo", "refuse=1", "refuse"),
        ("json", "tokens=5", "tokens"),
        ("story", "calls=2", "calls"),
        ("echo", "tokens=3 Seed=4", "Seed"),
        ("echo", "tokens=", "tokens"),
        ("echo", "tokens=many", "tokens"),
        ("echo", "tokens=1.5", "tokens"),
        ("echo", "tokens=١", "tokens"),
        ("echo", "tokens=0", "tokens"),
        ("echo", "tokens=-4", "tokens"),
        ("echo", "tokens=100001", "tokens"),
        ("echo", "tokens=" + "9" * 400, "tokens"),
        ("echo", "delay_ms=600001", "delay_ms"),
        ("echo", "seed=9223372036854775808", "seed"),
        ("echo", "tokens=3 and more", "and"),
        ("faulty", "status=200", "status"),
        ("faulty", "status=600", "status"),
        ("faulty", "times=2", "times"),
        ("faulty", "retry_after=2", "retry_after"),
        ("faulty", "no_done=1", "no_done"),
        ("tools", "calls=33", "calls"),
    ],
)
def test_bad_directives_are_named(model: str, block: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_one(f"[[{block}]] x", model)
    assert f"{named!r}" in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.param == "messages[0].content"
    assert caught.value.code == "invalid_directive"


@pytest.mark.parametrize("model", list(RANGES))
def test_every_model_takes_its_ranges_ends(model: str) -> None:
    for name, ends in RANGES[model].items():
        more = " status=500" if name in ("times", "retry_after") else ""
        for value in ends:
            _, told = read_one(f"[[{name}={value}{more}]]", model)
            assert getattr(told, name) == value


@pytest.mark.parametrize("model", list(RANGES))
def test_every_model_takes_its_flags(model: str) -> None:
    for name in FLAGS[model]:
        assert getattr(read_one(f"[[{name}]]", model)[1], name) is True


@given(st.text(st.sampled_from("[]=ab1 _\n-"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidRequest):
        left, told = read_one(text)
        assert told != NONE or left == text


@pytest.mark.parametrize("text", ["[" * 500_000, "[[" + "a" * 500_000, "[[a=" * 100_000, "[[a=1]" * 80_000])
def test_hostile_texts_take_linear_time(text: str) -> None:
    began = time.process_time()
    read_one(text, "echo")
    assert time.process_time() - began < 1
