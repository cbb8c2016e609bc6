from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.sandbox.messages_exchange import THINK, TOOLS, ask_for
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_request import (
    VERSIONS,
    CountRequest,
    MessagesRequest,
    Versions,
    check_sampling,
    check_thinking_wish,
    decoded,
    interleaves,
    versions_of,
)

OLD = Versions(VERSIONS[0])
NEW = Versions(VERSIONS[1])
BETA = Versions(VERSIONS[0], frozenset({"context-management-2025-06-27"}))


def read(versions: Versions = OLD, **more: Any) -> MessagesRequest:
    body = {**ask_for("echo", "hi"), **more}
    request = decoded(msgspec.json.encode({name: value for name, value in body.items() if value != "-"}),
                      MessagesRequest, versions)  # fmt: skip
    check_sampling(request)
    check_thinking_wish(request, versions)
    return request


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 0.5, "top_p": 0.9, "top_k": 40},
        {"stop_sequences": ["x"], "stream": False, "metadata": {"user_id": "u"}, "service_tier": "auto"},
        {"system": "be kind"},
        {"system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"thinking": THINK, "temperature": 1, "top_p": 0.97},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "tools": TOOLS, "tool_choice": {"type": "any"}},
        {"thinking": {"type": "disabled"}, "temperature": 0},
        {"output_config": {"effort": "xhigh", "format": {"type": "json_schema", "schema": {}}}},
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
        {"max_tokens": 0},
        {"container": "c", "inference_geo": "eu", "speed": "standard", "cache_control": {"type": "ephemeral"}},
    ],
)
def test_what_anthropic_takes(more: Any) -> None:
    read(**more)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"max_tokens": "-"}, "max_tokens: Field required"),
        ({"model": "-"}, "model: Field required"),
        ({"messages": "-"}, "messages: Field required"),
        ({"max_tokens": "9"}, "max_tokens: Expected `int`"),
        ({"max_tokens": -1}, "max_tokens: Expected `int` >= 0"),
        ({"temperature": 1.5}, "temperature: Expected `float` <= 1"),
        ({"top_p": 2}, "top_p: Expected `float` <= 1"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Invalid enum value 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         "messages.0.content.0.type: Invalid value 'image_url'"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a b"}]}]},
         "messages.0.content.0.tool_use_id: Expected `str` matching"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "id": 1}]}]},
         "messages.0.content.0.id: Extra inputs are not permitted"),
        ({"n": 2}, "n: Extra inputs are not permitted"),
        ({"metadata": {"user": "x"}}, "metadata.user: Extra inputs are not permitted"),
        ({"context_management": {}}, "context_management: Extra inputs are not permitted"),
        ({"tools": [{**TOOLS[0], "parameters": {}}]}, "tools.0.parameters: Extra inputs are not permitted"),
        ({"tools": [{**TOOLS[0], "name": "a.b"}]}, "tools.0.name: Expected `str` matching"),
        ({"stop_sequences": ["x", " "]}, "stop_sequences.1: each stop sequence must contain non-whitespace"),
        ({"system": [{"type": "image"}]}, "system.0.type: Invalid value 'image'"),
        ({"output_config": {"effort": "none"}}, "output_config.effort: Invalid enum value 'none'"),
        ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
        ({"thinking": {"type": "adaptive", "budget_tokens": 2_000}}, "thinking.adaptive.budget_tokens: Extra inputs"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_023}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5_000}}, "`max_tokens` must be greater than"),
        ({"thinking": THINK, "tools": TOOLS, "tool_choice": {"type": "any"}}, "Thinking may not be enabled"),
        ({"thinking": THINK, "temperature": 0.5}, "`temperature` may only be set to 1"),
        ({"thinking": THINK, "top_k": 5}, "`top_k` must be unset"),
        ({"thinking": {"type": "adaptive"}, "top_p": 0.9}, "`top_p` must be greater"),
    ],
)  # fmt: skip
def test_what_anthropic_refuses(more: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**more)
    assert said in caught.value.message
    assert len(caught.value.message) < 600


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_newer_version_has_no_sampling_parameters(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}: Extra inputs are not permitted"):
        read(NEW, **{name: 1})
    with pytest.raises(InvalidRequest, match="Extra inputs"):
        read(Versions(VERSIONS[1], BETA.betas), **{name: None})


def test_a_beta_may_have_fields_of_its_own() -> None:
    read(BETA, context_management={"edits": []}, mcp_servers=[], messages=[{"role": "user", "content": "x", "y": 1}])


def test_interleaved_thinking_may_have_more_budget_than_an_answer() -> None:
    versions = Versions(VERSIONS[0], frozenset({"interleaved-thinking-2025-05-14"}))
    assert interleaves(versions)
    read(versions, thinking={"type": "enabled", "budget_tokens": 50_000})


def test_counting_takes_no_limits() -> None:
    body = ask_for("echo", "hi")
    with pytest.raises(InvalidRequest, match="max_tokens: Extra inputs are not permitted"):
        decoded(msgspec.json.encode(body), CountRequest, OLD)
    del body["max_tokens"]
    assert decoded(msgspec.json.encode(body), CountRequest, OLD).model == "echo"


def test_versions_and_betas() -> None:
    found = versions_of({b"anthropic-version": b"2026-10-21", b"anthropic-beta": b"a-1, b-2,,"})
    assert found == Versions(b"2026-10-21", frozenset({"a-1", "b-2"}))
    for headers in ({}, {b"anthropic-version": b"2024-01-01"}):
        with pytest.raises(InvalidRequest, match="anthropic-version"):
            versions_of(headers)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"model": "\xff"}', b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decoded(body, MessagesRequest, OLD)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decoded(body, MessagesRequest, BETA)
