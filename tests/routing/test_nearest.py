from __future__ import annotations

import difflib
import time

from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.nearest import LONGEST, Nearest

NAMES = ("sandbox/echo", "sandbox/json", "openai/gpt-4o", "openai/gpt-4.1-mini", "anthropic/claude-sonnet-4-5", "Fast")


def test_a_slip_of_the_finger_finds_the_name() -> None:
    near = Nearest(NAMES)
    assert near.to("sandbox/ecoh", 3)[0] == "sandbox/echo"
    assert near.to("gpt4o", 3)[0] == "openai/gpt-4o"
    assert near.to("FSAT", 1) == ("Fast",)
    assert near.to("claude-sonet-4.5", 1) == ("anthropic/claude-sonnet-4-5",)


def test_what_is_like_nothing_finds_nothing() -> None:
    assert Nearest(NAMES).to("zzzzzz", 3) == ()
    assert Nearest(()).to("gpt-4o", 3) == ()


@given(st.text(max_size=300), st.integers(1, 5))
def test_any_name_finds_at_most_so_many_and_each_is_near(asked: str, count: int) -> None:
    found = Nearest(NAMES).to(asked, count)
    assert len(found) <= count
    assert len(set(found)) == len(found)
    wanted = asked.casefold()[:LONGEST]
    for name in found:
        other = name.casefold() if "/" in wanted else name.casefold().rpartition("/")[2]
        assert difflib.SequenceMatcher(a=other[:LONGEST], b=wanted, autojunk=False).ratio() >= 0.6


def test_the_work_does_not_grow_with_the_name() -> None:
    near = Nearest(f"openrouter/vendor-{n}/model-{n % 7}-chat" for n in range(1000))
    near.to("a/b", 3)

    def cost_s(asked: str) -> float:
        began = time.process_time()
        for _ in range(5):
            near.to(asked, 3)
        return time.process_time() - began

    short, long = min(cost_s("vendor/model") for _ in range(3)), min(cost_s("vendor/model" * 5000) for _ in range(3))
    assert long < short * 20 + 0.02
