"""The table of losses: every line of it is met, and nothing else is ever told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.bedrock_converse.exchanges import CLAUDE, LLAMA, NOVA, ToldLosses, request, target
from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse.losses import LOSSES
from trunkline.translation.bedrock_converse.request import write_request
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

TABLE = {(loss.name, loss.how) for loss in LOSSES if loss.direction == "request"}
BUDGET, NEVER, ADAPTIVE = target(thinking="budget"), target(thinking="never"), target(thinking="adaptive")
EFFORT = ReasoningAsked(effort="low", enabled=True)
HI = Text(text="Hi")


def asked(*parts: Any, role: Role = "user", **more: Any) -> Request:
    turns = [Turn(role="user", parts=[HI]), Turn(role=role, parts=list(parts))] if parts else []
    return request(*turns, **more)


def media(kind: Any, **more: Any) -> Media:
    return Media(kind=kind, **more)


PDF = media("document", media_type="application/pdf", data="AAAA", name="a_b.pdf")
CALL = ToolCall(id="t", name="f", arguments='{"a":"\\ud83d"}')
MET: dict[tuple[str, str], tuple[Request, Target]] = {
    ("n", "refused"): (asked(n=2), CLAUDE),
    ("presence_penalty", "dropped"): (asked(presence_penalty=1.0), CLAUDE),
    ("frequency_penalty", "dropped"): (asked(frequency_penalty=1.0), CLAUDE),
    ("logit_bias", "dropped"): (asked(logit_bias=Raw(b"{}")), CLAUDE),
    ("logprobs", "dropped"): (asked(logprobs=True), CLAUDE),
    ("top_logprobs", "dropped"): (asked(top_logprobs=1), CLAUDE),
    ("seed", "dropped"): (asked(seed=0), CLAUDE),
    ("verbosity", "dropped"): (asked(verbosity="low"), CLAUDE),
    ("end_user", "dropped"): (asked(end_user="u"), CLAUDE),
    ("safety_identifier", "dropped"): (asked(safety_identifier="u"), CLAUDE),
    ("cache_key", "dropped"): (asked(cache_key="k"), CLAUDE),
    ("parallel_tool_calls", "dropped"): (asked(tools=[Tool(name="f")], parallel_tool_calls=False), CLAUDE),
    ("metadata", "changed"): (asked(metadata={"é": "b"}), CLAUDE),
    ("service_tier", "dropped"): (asked(service_tier="scale"), CLAUDE),
    ("max_tokens", "clamped"): (asked(max_tokens=50), target(max_output_tokens=10)),
    ("temperature", "clamped"): (asked(temperature=1.5), CLAUDE),
    ("temperature", "changed"): (asked(temperature=0.5, reasoning=EFFORT), BUDGET),
    ("top_p", "changed"): (asked(temperature=0.5, top_p=0.5), CLAUDE),
    ("top_k", "changed"): (asked(top_k=1, reasoning=EFFORT), BUDGET),
    ("top_k", "dropped"): (asked(top_k=1), LLAMA),
    ("stop", "changed"): (asked(stop=[" "]), CLAUDE),
    ("turns", "changed"): (asked(HI, role="developer"), CLAUDE),
    ("turns.name", "dropped"): (request(Turn(role="user", parts=[HI], name="n")), CLAUDE),
    ("tools", "changed"): (asked(CALL, role="assistant"), CLAUDE),
    ("tools.custom", "dropped"): (asked(tools=[Tool(name="c", custom=True)]), CLAUDE),
    ("tools.strict", "dropped"): (asked(tools=[Tool(name="c", strict=True)]), target(json_schema=False)),
    ("tools.*", "dropped"): (asked(tools=[Opaque("x", Raw(b"{}"), "search")]), CLAUDE),
    ("tool_choice", "changed"): (asked(tools=[Tool(name="f")], tool_choice=ToolChoice(mode="none")), CLAUDE),
    ("tool_choice", "refused"): (asked(tool_choice=ToolChoice(mode="required")), CLAUDE),
    ("tool_calls.arguments", "refused"): (asked(ToolCall(id="t", name="f", arguments="1"), role="assistant"), CLAUDE),
    ("tool_calls.arguments", "changed"): (asked(CALL, role="assistant"), CLAUDE),
    ("tool_result.is_error", "changed"): (asked(ToolResult(call_id="t", parts=[], is_error=True)), LLAMA),
    ("reasoning", "changed"): (asked(Reasoning(text="hm"), HI, role="assistant"), CLAUDE),
    ("reasoning", "clamped"): (asked(reasoning=EFFORT, max_tokens=2500), BUDGET),
    ("reasoning", "dropped"): (asked(reasoning=EFFORT), NEVER),
    ("reasoning.effort", "clamped"): (asked(reasoning=ReasoningAsked(effort="minimal")), NOVA),
    ("reasoning.effort", "dropped"): (
        asked(reasoning=ReasoningAsked(effort="low"), protocol="anthropic_messages"), BUDGET,
    ),
    ("cache_control", "dropped"): (asked(Text(text="x", cache="5m")), LLAMA),
    ("citations", "dropped"): (asked(Text(text="x", citations=Raw(b"[]"))), CLAUDE),
    ("media.image", "refused"): (asked(media("image", url="https://a/b.png")), CLAUDE),
    ("media.document", "refused"): (asked(media("document", file_id="f")), CLAUDE),
    ("media.document", "changed"): (request(Turn(role="user", parts=[PDF])), CLAUDE),
    ("media.audio", "refused"): (
        asked(ToolResult(call_id="t", parts=[media("audio", media_type="audio/wav", data="AAAA")])), CLAUDE,
    ),
    ("media.video", "refused"): (asked(media("video", url="https://a/b")), CLAUDE),
    ("media.name", "changed"): (asked(HI, PDF), CLAUDE),
    ("media.detail", "dropped"): (asked(media("image", media_type="image/png", data="AAAA", detail="low")), CLAUDE),
    ("opaque", "dropped"): (asked(Opaque("x", Raw(b"{}"), "opaque")), CLAUDE),
    ("extras", "dropped"): (asked(extras={"extras": Raw(b"1")}), CLAUDE),
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
@given(strategies.requests(strategies.ANYTHING), st.sampled_from((CLAUDE, LLAMA, NOVA, ADAPTIVE, NEVER)))
def test_nothing_else_is_told(anything: Request, to: Target) -> None:
    losses = ToldLosses()
    try:
        write_request(anything, to, losses)
    except InvalidRequest as error:
        blank = "every message is empty" in error.message
        assert blank or any(how == "refused" for _, how in losses.told)
    assert losses.told <= TABLE


def test_a_form_in_words_is_the_line_that_is_not_told() -> None:
    losses = ToldLosses()
    write_request(asked(output_format=OutputFormat(kind="json_object")), CLAUDE, losses)
    assert not losses.told
