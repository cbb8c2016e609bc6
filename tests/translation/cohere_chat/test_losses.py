"""The table of losses: every line of it is met, and nothing else is ever told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.cohere_chat.exchanges import TARGET, ToldLosses, request, target
from trunkline.errors import InvalidRequest
from trunkline.translation.cohere_chat.losses import LOSSES
from trunkline.translation.cohere_chat.request import write_request
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
from trunkline.translation.target import Target

TABLE = {(loss.name, loss.how) for loss in LOSSES}
HI = Text(text="Hi")
PICTURE = Media(kind="image", media_type="image/png", data="AAAA", detail="original")
LOW = ReasoningAsked(effort="low", enabled=True)


def asked(*parts: Any, role: Role = "user", **more: Any) -> Request:
    turns = [Turn(role="user", parts=[HI]), Turn(role=role, parts=list(parts))] if parts else []
    return request(*turns, **more)


MET: dict[tuple[str, str], tuple[Request, Target]] = {
    ("n", "refused"): (asked(n=2), TARGET),
    ("logit_bias", "dropped"): (asked(logit_bias=Raw(b"{}")), TARGET),
    ("top_logprobs", "dropped"): (asked(top_logprobs=1), TARGET),
    ("verbosity", "dropped"): (asked(verbosity="low"), TARGET),
    ("metadata", "dropped"): (asked(metadata={"a": "b"}), TARGET),
    ("end_user", "dropped"): (asked(end_user="u"), TARGET),
    ("safety_identifier", "dropped"): (asked(safety_identifier="u"), TARGET),
    ("cache", "dropped"): (asked(cache="5m"), TARGET),
    ("cache_key", "dropped"): (asked(cache_key="k"), TARGET),
    ("parallel_tool_calls", "dropped"): (asked(tools=[Tool(name="f")], parallel_tool_calls=False), TARGET),
    ("service_tier", "dropped"): (asked(service_tier="scale"), TARGET),
    ("top_p", "clamped"): (asked(top_p=1), TARGET),
    ("top_k", "clamped"): (asked(top_k=501), TARGET),
    ("frequency_penalty", "clamped"): (asked(frequency_penalty=2.0), TARGET),
    ("presence_penalty", "clamped"): (asked(presence_penalty=-2.0), TARGET),
    ("stop", "clamped"): (asked(stop=list("abcdef")), TARGET),
    ("turns.name", "dropped"): (request(Turn(role="user", parts=[HI], name="n")), TARGET),
    ("turns.order", "changed"): (asked(ToolCall(id="t", name="f"), HI, role="assistant"), TARGET),
    ("output_format.description", "dropped"): (
        asked(output_format=OutputFormat(kind="json_object", description="d")), TARGET,
    ),
    ("tools.custom", "dropped"): (asked(tools=[Tool(name="c", custom=True)]), TARGET),
    ("tools.strict", "changed"): (asked(tools=[Tool(name="a", strict=True), Tool(name="b")]), TARGET),
    ("tools.*", "dropped"): (asked(tools=[Opaque("x", Raw(b"{}"), "search")]), TARGET),
    ("tool_choice", "changed"): (
        asked(tools=[Tool(name="f"), Tool(name="g")], tool_choice=ToolChoice(mode="auto", names=("f",))), TARGET,
    ),
    ("tool_choice", "refused"): (asked(tool_choice=ToolChoice(mode="required")), TARGET),
    ("tool_result.media", "changed"): (asked(ToolResult(call_id="t", parts=[PICTURE])), TARGET),
    ("tool_result.is_error", "changed"): (asked(ToolResult(call_id="t", parts=[], is_error=True)), TARGET),
    ("reasoning", "clamped"): (asked(reasoning=LOW, max_tokens=1000), TARGET),
    ("reasoning", "dropped"): (asked(Reasoning(text="hm"), HI, role="assistant"), TARGET),
    ("citations", "dropped"): (asked(Text(text="x", citations=Raw(b"[]"))), TARGET),
    ("media.image", "refused"): (asked(PICTURE, role="assistant"), TARGET),
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
    # A form that is asked for in words is no warning: the answer is checked (test_request has it).
    assert MET.keys() | {("output_format", "emulated")} == TABLE


@settings(max_examples=examples(40))
@given(strategies.requests(strategies.ANYTHING))
def test_nothing_else_is_told(anything: Request) -> None:
    losses = ToldLosses()
    try:
        write_request(anything, TARGET, losses)
    except InvalidRequest:
        assert any(how == "refused" for _, how in losses.told)
    assert losses.told <= TABLE
