"""The table of losses: every line of it is met, and nothing else is ever told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.ollama_chat.exchanges import TARGET, ToldLosses, request, target
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningAsked,
    Request,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from trunkline.translation.ollama_chat.losses import LOSSES
from trunkline.translation.ollama_chat.request import write_request
from trunkline.translation.target import Target

TABLE = {(loss.name, loss.how) for loss in LOSSES}
HI = Text(text="Hi")
PICTURE = Media(kind="image", media_type="image/png", data="AAAA", detail="original")
HALF = ToolCall(id="t", name="f", arguments='{"a":"\\ud83d"}')
LOW = ReasoningAsked(effort="low", enabled=True)


def asked(*parts: Any, role: Role = "user", **more: Any) -> Request:
    turns = [Turn(role="user", parts=[HI]), Turn(role=role, parts=list(parts))] if parts else []
    return request(*turns, **more)


MET: dict[tuple[str, str], tuple[Request, Target]] = {
    ("n", "refused"): (asked(n=2), TARGET),
    ("logit_bias", "dropped"): (asked(logit_bias=Raw(b"{}")), TARGET),
    ("verbosity", "dropped"): (asked(verbosity="low"), TARGET),
    ("metadata", "dropped"): (asked(metadata={"a": "b"}), TARGET),
    ("end_user", "dropped"): (asked(end_user="u"), TARGET),
    ("safety_identifier", "dropped"): (asked(safety_identifier="u"), TARGET),
    ("cache", "dropped"): (asked(cache="5m"), TARGET),
    ("cache_key", "dropped"): (asked(cache_key="k"), TARGET),
    ("parallel_tool_calls", "dropped"): (asked(tools=[Tool(name="f")], parallel_tool_calls=False), TARGET),
    ("service_tier", "dropped"): (asked(service_tier="scale"), TARGET),
    ("turns.name", "dropped"): (request(Turn(role="user", parts=[HI], name="n")), TARGET),
    ("turns.order", "changed"): (asked(ToolCall(id="t", name="f"), HI, role="assistant"), TARGET),
    ("tools.custom", "dropped"): (asked(tools=[Tool(name="c", custom=True)]), TARGET),
    ("tools.strict", "dropped"): (asked(tools=[Tool(name="a", strict=True)]), TARGET),
    ("output_format.description", "dropped"): (
        asked(output_format=OutputFormat(kind="json_schema", description="d")), TARGET,
    ),
    ("tool_calls.arguments", "refused"): (asked(ToolCall(id="t", name="f", arguments="1"), role="assistant"), TARGET),
    ("tool_calls.arguments", "changed"): (asked(HALF, role="assistant"), TARGET),
    ("reasoning", "changed"): (asked(reasoning=LOW), TARGET),
    ("reasoning.effort", "clamped"): (asked(reasoning=ReasoningAsked(effort="max")), target(thinking="effort")),
    ("tools.*", "dropped"): (asked(tools=[Opaque("x", Raw(b"{}"), "search")]), TARGET),
    ("tool_choice", "changed"): (
        asked(tools=[Tool(name="f"), Tool(name="g")], tool_choice=ToolChoice(mode="auto", names=("f",))), TARGET,
    ),
    ("tool_choice", "refused"): (asked(tool_choice=ToolChoice(mode="required")), TARGET),
    ("tool_result.is_error", "changed"): (asked(ToolResult(call_id="t", parts=[], is_error=True)), TARGET),
    ("reasoning", "dropped"): (asked(Reasoning(text="hm"), HI, role="assistant"), TARGET),
    ("citations", "dropped"): (asked(Text(text="x", citations=Raw(b"[]"))), TARGET),
    ("media.image", "refused"): (asked(Media(kind="image", url="https://a/b.png")), TARGET),
    ("media.document", "refused"): (asked(Media(kind="document", data="AAAA")), TARGET),
    ("media.document", "changed"): (asked(Media(kind="document", text="x")), TARGET),
    ("media.audio", "refused"): (asked(Media(kind="audio", data="AAAA")), TARGET),
    ("media.video", "refused"): (asked(Media(kind="video", data="AAAA")), TARGET),
    ("media.detail", "dropped"): (asked(PICTURE), TARGET),
    ("opaque", "dropped"): (asked(Opaque("x", Raw(b"{}"), "opaque"), HI), TARGET),
    ("extras", "dropped"): (asked(extras={"extras": Raw(b"1")}), TARGET),
    ("drops", "dropped"): (asked(stop=["x"]), target(drops=("stop",))),
}  # fmt: skip
# Of these the table tells under a name of its own.
CALLED = {("tools.*", "dropped"): ("tools.search", "dropped"), ("drops", "dropped"): ("stop", "dropped")}


@pytest.mark.parametrize("line", sorted(MET))
def test_every_loss_is_told(line: tuple[str, str]) -> None:
    losses = ToldLosses()
    try:
        write_request(*MET[line], losses)
    except InvalidRequest:
        assert line[1] == "refused"
    assert CALLED.get(line, line) in losses.told


def test_the_table_is_whole() -> None:
    # That texts are joined is no warning: nothing is missing (test_messages has it).
    assert MET.keys() | {("turns.parts", "changed")} == TABLE


@settings(max_examples=examples(40))
@given(strategies.requests(strategies.ANYTHING))
def test_nothing_else_is_told(anything: Request) -> None:
    losses = ToldLosses()
    try:
        write_request(anything, TARGET, losses)
    except InvalidRequest:
        assert any(how == "refused" for _, how in losses.told)
    assert losses.told <= TABLE
