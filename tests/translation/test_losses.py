"""What is lost is said once, in the caller's words; under `strict` it is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trunkline.errors import InvalidRequest
from trunkline.translation.losses import Loss, Losses

NAMES = {"max_tokens": "max_completion_tokens"}
TOLD: list[tuple[Callable[[Losses], None], str]] = [
    (lambda losses: losses.dropped("top_k"), "dropped top_k: not supported by p/m"),
    (lambda losses: losses.clamped("max_tokens", "at most 5"), "clamped max_completion_tokens: at most 5"),
    (lambda losses: losses.changed("reasoning", "a budget"), "changed reasoning: a budget"),
]


@pytest.mark.parametrize(("tell", "warning"), TOLD)
def test_a_loss_is_told_once_in_the_callers_words(tell: Callable[[Losses], None], warning: str) -> None:
    losses = Losses("p/m", NAMES)
    tell(losses)
    tell(losses)
    assert losses.warnings == [warning]


@pytest.mark.parametrize(("tell", "warning"), TOLD)
def test_strict_refuses_the_first(tell: Callable[[Losses], None], warning: str) -> None:
    losses = Losses("p/m", NAMES, strict=True)
    with pytest.raises(InvalidRequest) as refused:
        tell(losses)
    how, name = warning.split(":", maxsplit=1)[0].split(" ")
    assert refused.value.param == name
    assert refused.value.code == "unsupported_parameter"
    assert f"'{name}' would be {how}" in refused.value.message
    assert "[compat] strict" in refused.value.message
    assert losses.warnings == []


def test_a_refusal_is_the_callers_to_raise() -> None:
    error = Losses("p/m", NAMES).refused("max_tokens", "must be less.")
    assert (error.message, error.param) == ("'max_completion_tokens' must be less.", "max_completion_tokens")
    assert error.code == "unsupported_parameter"


def test_a_line_of_the_table_is_of_requests_unless_it_says_otherwise() -> None:
    assert Loss("n", "refused", "one").direction == "request"
