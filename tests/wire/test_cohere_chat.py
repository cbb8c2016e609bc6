"""Cohere's counts and failures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.wire import cohere_chat
from trunkline.wire.usage import Usage

BILLED = {"input_tokens": 5, "output_tokens": 7}
WITH_TEMPLATE = {"input_tokens": 205.0, "output_tokens": 7.0}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"billed_units": BILLED, "tokens": WITH_TEMPLATE}, Usage(input_tokens=5, output_tokens=7)),
        ({"tokens": WITH_TEMPLATE}, Usage(input_tokens=205, output_tokens=7)),
        ({"billed_units": {"search_units": 1}, "tokens": WITH_TEMPLATE}, Usage(input_tokens=205, output_tokens=7)),
        ({"billed_units": BILLED, "cached_tokens": 3}, Usage(input_tokens=5, output_tokens=7, cached_input_tokens=3)),
        ({"billed_units": BILLED, "cached_tokens": 90}, None),
        (
            {"billed_units": BILLED, "tokens": WITH_TEMPLATE, "cached_tokens": 90},
            Usage(input_tokens=5, output_tokens=7, cached_input_tokens=5),
        ),
        ({"billed_units": {"input_tokens": -5, "output_tokens": 7}}, None),
        ({"billed_units": {"input_tokens": 5}}, None),
        ({}, None),
        ([], None),
    ],
)
def test_usage_is_what_is_billed(said: Any, usage: Usage | None) -> None:
    assert cohere_chat.read_usage(Raw(msgspec.json.encode(said))) == usage


@pytest.mark.parametrize(("reason", "status"), [("ERROR", 500), ("TIMEOUT", 504)])
def test_an_answer_may_finish_with_a_failure(reason: str, status: int) -> None:
    facts = cohere_chat.failure(reason, "why")
    assert facts is not None
    assert (facts.message, facts.code, facts.status) == ("why", reason, status)
    untold = cohere_chat.failure(reason, None)
    assert untold is not None
    assert reason in untold.message


@pytest.mark.parametrize("reason", ["COMPLETE", "MAX_TOKENS", None, "SOMETHING"])
def test_other_reasons_are_none(reason: str | None) -> None:
    assert cohere_chat.failure(reason, "why") is None
