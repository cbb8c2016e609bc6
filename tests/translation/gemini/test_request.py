"""Requests as a whole: what stands at the top, and that Google's rules are kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.gemini.exchanges import GEMINI_3, VERTEX, asked, sent, warnings_of
from tests.translation.strategies import Scope
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import gemini_ask
from trunkline.translation.exchange import Request, Text, Turn
from trunkline.translation.losses import Losses

OTHERS = Scope(media=(), media_sources=("data",), custom_tools=False, errors_in_results=True, summaries=True)


def plain(**more: Any) -> Request:
    request = Request(protocol="openai_chat", model="m", turns=[Turn(role="user", parts=[Text(text="Hi")])])
    return msgspec.structs.replace(request, **more)


@settings(max_examples=examples(100))
@given(strategies.requests(OTHERS))
def test_google_takes_what_is_written(request: Request) -> None:
    """The sandbox refuses what Google refuses: unknown fields, turns out of order, calls without signatures."""
    if request.tool_choice is not None and request.tool_choice.mode == "required" and not request.tools:
        return
    body = msgspec.json.encode(sent(request))
    gemini_ask.read(body, "think")


def test_the_smallest() -> None:
    assert sent(plain()) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_what_is_read_at_the_top() -> None:
    request = asked(
        system_instruction={"parts": [{"text": "s"}]},
        safety_settings=[],
        serviceTier="PRIORITY",
        labels=None,
        model="models/x",
    )
    assert (request.protocol, request.model, request.usage_in_stream, request.service_tier) == (
        "gemini", "m", True, "priority",
    )  # fmt: skip
    assert request.turns[0].role == "system"
    assert request.extras.keys() == {"safetySettings"}


@pytest.mark.parametrize(
    ("sent_tier", "neutral"),
    [("standard", "default"), ("flex", "flex"), ("priority", "priority"), ("unspecified", None), ("new", "new")],
)
def test_tiers_that_are_read(sent_tier: str, neutral: str | None) -> None:
    assert asked(service_tier=sent_tier).service_tier == neutral


@pytest.mark.parametrize(
    ("neutral", "written"),
    [(None, None), ("auto", None), ("default", "standard"), ("standard_only", "standard"), ("flex", "flex")],
)
def test_tiers_that_are_written(neutral: str | None, written: str | None) -> None:
    assert sent(plain(service_tier=neutral)).get("serviceTier") == written


def test_a_tier_must_be_text() -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(serviceTier=1)
    assert caught.value.param == "serviceTier"


def test_what_has_no_field_is_named() -> None:
    request = plain(
        logit_bias=Raw(b"{}"),
        verbosity="low",
        metadata={"a": "b"},
        end_user="u",
        safety_identifier="s",
        cache_key="k",
        cache="5m",
        service_tier="scale",
        extras={"prediction": Raw(b"{}")},
    )
    assert [warning.split(":")[0] for warning in warnings_of(request)] == [
        "dropped service_tier",
        "dropped cache",
        "dropped logit_bias",
        "dropped verbosity",
        "dropped metadata",
        "dropped end_user",
        "dropped safety_identifier",
        "dropped cache_key",
        "dropped prediction",
    ]


def test_what_google_keeps_is_needed() -> None:
    assert asked(cachedContent="cachedContents/x", labels={}).needs == ["cachedContent"]
    assert asked(continuation_token="x").needs == ["continuationToken"]
    assert asked().needs == []


def test_names_of_the_caller() -> None:
    with pytest.raises(InvalidRequest, match="must be at most 8") as caught:
        sent(msgspec.structs.replace(asked(), n=9))
    assert caught.value.param == "generationConfig.candidateCount"


def test_an_empty_conversation_is_refused() -> None:
    for turns in ([], [Turn(role="system", parts=[Text(text="s")])], [Turn(role="user", parts=[Text(text="")])]):
        with pytest.raises(InvalidRequest, match="holds nothing to answer"):
            sent(plain(turns=turns))


def test_what_the_target_refuses_at_the_top() -> None:
    target = msgspec.structs.replace(VERTEX, drops=("serviceTier",))
    request = plain(service_tier="flex")
    assert sent(request, target).keys() == {"contents"}
    assert [warning.split(":")[0] for warning in warnings_of(request, target)] == ["dropped serviceTier"]


def test_strict_refuses_the_first_loss() -> None:
    with pytest.raises(InvalidRequest, match="'verbosity' would be dropped"):
        sent(plain(verbosity="low"), GEMINI_3, Losses("m", {}, strict=True))
