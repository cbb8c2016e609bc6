"""The table of losses: every line of it is met, and nothing else is ever told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import PROVIDER, TARGET, request, target
from trunkline.errors import InvalidRequest
from trunkline.translation.anthropic_messages.losses import LOSSES
from trunkline.translation.anthropic_messages.request import write_request
from trunkline.translation.exchange import (
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningAsked,
    Request,
    Role,
    State,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from trunkline.translation.target import Target

TABLE = {(loss.name, loss.how) for loss in LOSSES if loss.direction == "request"}
BUDGET, NEW = target(thinking="budget"), target(version="2026-10-21")
ADAPTIVE, NEVER = target(thinking="adaptive"), target(thinking="never")
EFFORT = ReasoningAsked(effort="low")


def asked(*parts: Any, role: Role = "user", **more: Any) -> Request:
    turns = [Turn(role="user", parts=[Text(text="Hi")]), Turn(role=role, parts=list(parts))] if parts else []
    return request(*turns, **more)


MET: dict[tuple[str, str], tuple[Request, Target]] = {
    ("n", "refused"): (asked(n=2), TARGET),
    ("presence_penalty", "dropped"): (asked(presence_penalty=1.0), TARGET),
    ("frequency_penalty", "dropped"): (asked(frequency_penalty=1.0), TARGET),
    ("logit_bias", "dropped"): (asked(logit_bias=Raw(b"{}")), TARGET),
    ("logprobs", "dropped"): (asked(logprobs=True), TARGET),
    ("top_logprobs", "dropped"): (asked(top_logprobs=1), TARGET),
    ("seed", "dropped"): (asked(seed=0), TARGET),
    ("verbosity", "dropped"): (asked(verbosity="low"), TARGET),
    ("metadata", "dropped"): (asked(metadata={"a": "b"}), TARGET),
    ("cache_key", "dropped"): (asked(cache_key="k"), TARGET),
    ("safety_identifier", "dropped"): (asked(safety_identifier="s", end_user="u"), TARGET),
    ("service_tier", "dropped"): (asked(service_tier="flex"), TARGET),
    ("max_tokens", "clamped"): (asked(), target(max_output_tokens=10)),
    ("temperature", "clamped"): (asked(temperature=1.5), TARGET),
    ("temperature", "changed"): (asked(temperature=0.5, reasoning=EFFORT), BUDGET),
    ("temperature", "dropped"): (asked(temperature=0.5), NEW),
    ("top_p", "changed"): (asked(temperature=0.5, top_p=0.5), TARGET),
    ("top_p", "dropped"): (asked(top_p=0.5), NEW),
    ("top_k", "changed"): (asked(top_k=5, reasoning=EFFORT), BUDGET),
    ("top_k", "dropped"): (asked(top_k=5), NEW),
    ("stop", "changed"): (asked(stop=[" "]), TARGET),
    ("turns", "changed"): (asked(Text(text="Be brief."), role="system"), TARGET),
    ("turns.name", "dropped"): (request(Turn(role="user", parts=[Text(text="Hi")], name="ada")), TARGET),
    ("output_format.description", "dropped"): (
        asked(
            output_format=OutputFormat(
                kind="json_schema",
                schema=Raw(b'{"type":"object","properties":{},"additionalProperties":false}'),
                description="d",
            )
        ),
        TARGET,
    ),
    ("tools.custom", "dropped"): (asked(tools=[Tool(name="n", custom=True)]), TARGET),
    ("tools.strict", "dropped"): (asked(tools=[Tool(name="n", strict=True)]), target(json_schema=False)),
    ("tools.*", "dropped"): (asked(tools=[Opaque("openai_responses", Raw(b"{}"), "web_search")]), TARGET),
    ("tool_choice", "changed"): (
        asked(tools=[Tool(name="n"), Tool(name="m")], tool_choice=ToolChoice(mode="auto", names=("n",))),
        TARGET,
    ),
    ("tool_choice", "refused"): (asked(tool_choice=ToolChoice(mode="required")), TARGET),
    ("tool_calls.arguments", "refused"): (asked(ToolCall(id="t", name="n", arguments="x"), role="assistant"), TARGET),
    ("tool_calls.arguments", "changed"): (
        asked(ToolCall(id="t", name="n", arguments='{"a":"\\ud800"}'), role="assistant"),
        TARGET,
    ),
    ("reasoning", "changed"): (asked(reasoning=EFFORT, max_tokens=100), BUDGET),
    ("reasoning", "clamped"): (asked(reasoning=ReasoningAsked(effort="high"), max_tokens=5000), BUDGET),
    ("reasoning", "dropped"): (asked(reasoning=EFFORT), NEVER),
    ("reasoning.effort", "clamped"): (asked(reasoning=ReasoningAsked(effort="minimal")), ADAPTIVE),
    ("reasoning.effort", "dropped"): (asked(reasoning=EFFORT, protocol="anthropic_messages"), BUDGET),
    ("cache_control", "dropped"): (asked(*(Text(text="a", cache="5m") for _ in range(5))), TARGET),
    ("cache_control", "changed"): (asked(Text(text="a", cache="5m"), Text(text="b", cache="1h")), TARGET),
    ("citations", "dropped"): (asked(Text(text="a", citations=Raw(b"[]"))), TARGET),
    ("media.audio", "refused"): (asked(Media(kind="audio", data="x")), TARGET),
    ("media.video", "refused"): (asked(Media(kind="video", url="x")), TARGET),
    ("media.image", "refused"): (asked(Media(kind="image", media_type="image/tiff", data="x")), TARGET),
    ("media.document", "refused"): (asked(Media(kind="document", media_type="x/y", data="x")), TARGET),
    ("media.file_id", "refused"): (asked(Media(kind="image", file_id="f")), TARGET),
    ("media.detail", "dropped"): (asked(Media(kind="image", url="x", detail="low")), TARGET),
    ("opaque", "dropped"): (asked(Opaque("openai_responses", Raw(b"{}"), "web_search_call"), role="assistant"), TARGET),
    ("extras", "dropped"): (asked(extras={"prediction": Raw(b"{}")}), TARGET),
    ("drops", "dropped"): (asked(end_user="u"), target(drops=("metadata",))),
}
# Lines of the table that stand for many names.
SHOWN_AS = {"opaque": "web_search_call", "extras": "prediction", "drops": "metadata", "tools.*": "tools.web_search"}
# Told to nobody: the answer is what was asked for.
EMULATED = {("output_format", "emulated")}


def test_every_line_is_met() -> None:
    assert MET.keys() | EMULATED == TABLE


@pytest.mark.parametrize("line", sorted(MET))
def test_a_line_is_told_and_nothing_beside_it(line: tuple[str, str]) -> None:
    name, how = line
    losses = ToldLosses()
    given_request, to = MET[line]
    try:
        write_request(given_request, to, losses)
    except InvalidRequest:
        assert how == "refused"
    assert losses.told == {(SHOWN_AS.get(name, name), how)}


@settings(max_examples=examples(40), deadline=None)
@given(strategies.requests(strategies.Scope(media_in_results=True, summaries=True, state_origin=PROVIDER)))
def test_nothing_is_told_that_is_not_in_the_table(anything: Request) -> None:
    for to in (TARGET, ADAPTIVE, BUDGET, NEVER, NEW, target(thinking="always", json_schema=False)):
        losses = ToldLosses()
        try:
            write_request(anything, to, losses)
        except InvalidRequest:
            assert any(how == "refused" for _, how in losses.told)
        assert losses.told <= TABLE


def test_state_of_another_provider_is_no_loss_when_it_was_hidden() -> None:
    losses = ToldLosses()
    write_request(asked(Reasoning(state=State("openai", "x")), Text(text="a"), role="assistant"), TARGET, losses)
    assert losses.told == set()
