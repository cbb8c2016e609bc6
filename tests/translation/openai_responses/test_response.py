"""The Response object's own fields."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseError

from tests.translation.openai_responses.exchanges import asked, plain, response_of
from trunkline.translation.openai_responses.response import (
    Identity,
    Origin,
    Outcome,
    ResponseObject,
    failure,
    outcome,
    response_id,
)

ORIGIN = Origin(id="msg_01Ab", model="m", created=9)


def written(request: Any, how: Outcome = Outcome("completed"), identity: Identity | None = None) -> dict[str, Any]:  # noqa: B008
    return response_of(ResponseObject(request, ORIGIN, identity).write(how, [], None))


@pytest.mark.parametrize(
    ("provider_id", "expected"),
    [
        ("resp_1-a", "resp_1-a"),
        ("chatcmpl-B4x", "resp_B4x"),
        ("msg_01Ab", "resp_01Ab"),
        ("gen-17-x.y", "resp_gen17xy"),
    ],
)
def test_ids_are_of_this_protocols_form(provider_id: str, expected: str) -> None:
    assert response_id(provider_id) == expected


def test_nothing_makes_an_id_too() -> None:
    assert response_id("") == response_id("")
    assert response_id("") != response_id("resp_")
    assert len(response_id("")) > 20


def test_items_of_one_kind_are_counted() -> None:
    response = ResponseObject(plain(), ORIGIN, None)
    ids = [response.item_id(prefix) for prefix in ("msg", "rs", "msg", "rs.c", "rs")]
    assert ids == ["msg_01Ab000", "rs_01Ab000", "msg_01Ab001", "rs_01Abc000", "rs_01Ab001"]


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", "invalid_prompt", "provider_error", ""])
def test_a_failure_has_a_code_of_this_protocol(code: str) -> None:
    how = failure(code, "broken")
    told = written(plain(), how)
    ResponseError.model_validate(told["error"])
    assert (told["status"], told["error"]["message"], told["usage"]) == ("failed", "broken", None)


def test_outcomes() -> None:
    assert outcome("refusal", refused=True) == Outcome("completed")
    assert outcome("refusal", refused=False) == Outcome("incomplete", "content_filter")
    assert outcome("tool", refused=False) == Outcome("completed")


def test_the_time_of_completion_is_told_when_there_is_a_clock() -> None:
    identity = Identity(response_id="resp_1", created_at=3, now=lambda: 8)
    assert written(plain(), identity=identity)["completed_at"] == 8
    assert written(plain(), Outcome("in_progress"), identity)["completed_at"] is None
    assert written(plain())["completed_at"] is None


def test_nulls_are_not_said_and_user_is_left_out() -> None:
    told = written(asked(metadata=None, temperature=None, text={"format": None, "verbosity": None}, user="u"))
    assert (told["metadata"], told["temperature"], told["text"]) == ({}, 1.0, {"format": {"type": "text"}})
    assert told["user"] == "u"
    assert "user" not in written(asked())


@pytest.mark.parametrize(
    ("said", "asked_for", "shown"),
    [
        (None, None, "default"),
        (None, "auto", "default"),
        ("priority", "auto", "priority"),
        ("standard", "flex", "default"),
        ("batch", None, "default"),
    ],
)
def test_the_tier_is_one_of_this_protocols(said: str | None, asked_for: str | None, shown: str) -> None:
    request = plain()
    request.service_tier = asked_for
    origin = Origin(id="1", model="m", created=1, service_tier=said)
    assert (
        response_of(ResponseObject(request, origin, None).write(Outcome("completed"), [], None))["service_tier"]
        == shown
    )
