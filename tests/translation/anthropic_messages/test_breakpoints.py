"""Breakpoints of the prompt's cache: not too many, and the longer-lived first."""

from __future__ import annotations

import msgspec
import pytest

from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import request, written
from trunkline.translation.exchange import Lifetime, Text, Tool, ToolCall, ToolResult, Turn


@pytest.mark.parametrize(("auto", "kept"), [(None, ["3", "4", "5"]), ("5m", ["4", "5"])])
def test_of_too_many_the_first_and_the_last_stay(auto: Lifetime | None, kept: list[str]) -> None:
    losses = ToldLosses()
    body = written(
        request(
            Turn(role="system", parts=[Text(text="s", cache="1h")]),
            *(Turn(role="user", parts=[Text(text=str(n), cache="5m")]) for n in range(6)),
            tools=[Tool(name="t", cache="1h"), Tool(name="u")],
            cache=auto,
        ),
        losses=losses,
    )
    assert "cache_control" in body["tools"][0]
    assert body["system"] == "s"
    assert [block["text"] for block in body["messages"][0]["content"] if "cache_control" in block] == kept
    assert body.get("cache_control") == (None if auto is None else {"type": "ephemeral"})
    assert losses.told == {("cache_control", "dropped")}
    sdk.asked(msgspec.json.encode(body))


def test_an_hour_does_not_come_after_five_minutes() -> None:
    losses = ToldLosses()
    body = written(
        request(
            Turn(role="user", parts=[Text(text="a", cache="5m")]),
            Turn(role="assistant", parts=[ToolCall(id="t", name="n", cache="1h")]),
            Turn(role="user", parts=[ToolResult(call_id="t", parts=[Text(text="x", cache="1h")])]),
            tools=[Tool(name="n", cache="1h")],
        ),
        losses=losses,
    )
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][2]["content"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert losses.told == {("cache_control", "changed")}
    sdk.asked(msgspec.json.encode(body))


def test_four_are_as_many_as_it_takes() -> None:
    losses = ToldLosses()
    body = written(request(*(Turn(role="user", parts=[Text(text="a", cache="5m")]) for _ in range(4))), losses=losses)
    assert msgspec.json.encode(body).count(b"cache_control") == 4
    assert losses.told == set()
