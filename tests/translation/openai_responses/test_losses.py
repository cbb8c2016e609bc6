"""The table of losses; test_request.py and test_answer.py meet each of its lines."""

from __future__ import annotations

from trunkline.translation.openai_responses.losses import LOSSES


def test_no_line_stands_twice() -> None:
    lines = [(loss.name, loss.how, loss.direction) for loss in LOSSES]
    assert len(set(lines)) == len(lines)


def test_every_line_says_why() -> None:
    assert all(loss.why and not loss.why.endswith(".") for loss in LOSSES)
