"""Our own headers: what is known under each prefix, and no name of a caller's that could break out of its line."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.pipeline.scripted import new_call
from trunkline.catalog.models import Deployment
from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import UpstreamFailed
from trunkline.http import facts
from trunkline.http.asgi import Headers
from trunkline.http.facts import MEMO_ENTRIES, VALUE_LIMIT, FactHeaders, header_value
from trunkline.pipeline.call import Call
from trunkline.routing.table import Route

# RFC 9110 section 5.5, without the obsolete bytes above ASCII.
FIELD_VALUE = re.compile(rb"[\x20-\x7e]*")


def answered(asked: str = "fast", model_id: str = "openai/gpt-4o") -> Call:
    call = new_call()
    call.deployment = Deployment(
        model_id=model_id, provider_id="openai", provider=PROVIDERS["openai"], upstream="gpt-4o"
    )
    call.route = Route(asked=asked, alias=None, deployments=(call.deployment,))
    call.attempts = 2
    call.read_at, call.answered_at, call.upstream_s = 10.0, 12.5, 2.498
    return call


def test_each_fact_comes_once_under_each_prefix() -> None:
    told = FactHeaders("x-trunkline", ("x-other", "x-third")).of(answered())
    expected = {
        "call-id": b"call_00000000000001",
        "model": b"openai/gpt-4o",
        "alias": b"fast",
        "provider": b"openai",
        "attempts": b"2",
        "overhead-ms": b"2.000",
    }
    assert sorted(told) == sorted(
        [(b"x-request-id", b"request-1")]
        + [
            (f"{prefix}-{fact}".encode(), value)
            for prefix in ("x-trunkline", "x-other", "x-third")
            for fact, value in expected.items()
        ]
    )


def test_the_same_from_memory() -> None:
    headers = FactHeaders("x-trunkline")
    first = headers.of(answered())
    first.append((b"x", b"y"))
    assert headers.of(answered()) == first[:-1]
    assert (b"x-trunkline-model", b"openai/gpt-4o-mini") in headers.of(answered(model_id="openai/gpt-4o-mini"))
    assert (b"x-trunkline-alias", b"slow") in headers.of(answered(asked="slow"))


def test_each_warning_is_a_header_of_its_own() -> None:
    call = answered()
    call.warnings = ["dropped seed", "dropped user, for\r\nx-evil: 1", "é"]
    told = FactHeaders("x-a", ("x-b",)).of(call)
    for name in (b"x-a-warning", b"x-b-warning"):
        assert [value for key, value in told if key == name] == [b"dropped seed", b"dropped user, for??x-evil: 1", b"?"]


def undecided(call: Call) -> Headers:
    return FactHeaders("x-trunkline").of(call)


def test_before_it_is_decided_who_answers_only_the_ids_are_told() -> None:
    ids = [(b"x-request-id", b"request-1"), (b"x-trunkline-call-id", b"call_00000000000001")]
    refused = new_call()
    assert undecided(refused) == ids
    waiting = answered()
    waiting.answered_at = 0.0
    assert undecided(waiting) == ids
    unrouted = answered()
    unrouted.route = None
    assert undecided(unrouted) == ids


def test_a_failure_tells_who_failed() -> None:
    call = answered()
    call.error = UpstreamFailed("broke")
    assert (b"x-trunkline-provider", b"openai") in FactHeaders("x-trunkline").of(call)


HOSTILE = ["a\r\nset-cookie: x", "a\nb", "a\0b", "a\x7fb", "é", "\u2028", "\ud800", "💥", "a\x85b", "\x1b[2J", "", " "]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_breaks_out_of_its_line(text: str) -> None:
    call = answered(asked=text, model_id=f"openai/{text}")
    call.warnings = [text]
    for name, value in FactHeaders("x-trunkline").of(call):
        assert FIELD_VALUE.fullmatch(value), (name, value)


@given(st.text(max_size=40) | st.text(st.characters(max_codepoint=0x9F), max_size=40))
@example("x" * 2 * VALUE_LIMIT)
@example("é" * 2 * VALUE_LIMIT)
def test_a_value_is_short_printable_and_true_where_it_can_be(text: str) -> None:
    value = header_value(text)
    assert FIELD_VALUE.fullmatch(value)
    assert len(value) == min(len(text), VALUE_LIMIT)
    for shown, meant in zip(value.decode(), text, strict=False):
        assert shown == meant or (shown == "?" and not "\x20" <= meant <= "\x7e")


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MEMO_ENTRIES <= 10_000
    monkeypatch.setattr(facts, "MEMO_ENTRIES", 8)
    headers = FactHeaders("x-trunkline")
    for number in range(100):
        told = headers.of(answered(asked=f"name-{number}"))
        assert (b"x-trunkline-alias", b"name-%d" % number) in told
        assert len(headers._memo) <= 8
