"""Requests of Messages: what comes back after a crossing, what Anthropic takes, and what is lost by name."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import PROVIDER, TARGET, read, read_bytes, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.anthropic_messages.request import NAMES, NO_QUESTION, write_request
from trunkline.translation.exchange import (
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningAsked,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.tool_ids import fitted

SCOPE = strategies.Scope(
    protocol="anthropic_messages",
    media=("image", "document"),
    media_in_results=True,
    errors_in_results=True,
    custom_tools=False,
    names=False,
    refusals=False,
    summaries=False,
    state_origin=PROVIDER,
)
KEPT = ("max_tokens", "temperature", "top_p", "top_k", "end_user")
CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-opus-4-6",
    "max_tokens": 32_000,
    "stream": True,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>today</system-reminder>"},
                {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ],
        },
    ],
    "tools": [
        {
            "name": "Bash",
            "description": "Runs it.",
            "input_schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
            "eager_input_streaming": True,
        },
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ],
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium", "task_budget": {"type": "tokens", "total": 10_000}},
    "metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
    "mcp_servers": [],
    "inference_geo": "eu",
}


def plain(value: Any) -> Any:
    """Comparable, JSON within it included."""
    return msgspec.json.decode(msgspec.json.encode(value))


def as_written(asked: Request) -> Request:
    """The same request in the form in which this protocol says it."""
    turns: list[Turn] = []
    for turn in asked.turns:
        role = "system" if turn.role == "developer" else turn.role
        parts = [made for part in turn.parts if (made := part_as_written(part)) is not None]
        if not parts and role == "user":
            parts = [Text(text=NO_QUESTION)]
        if turns and turns[-1].role == role:
            turns[-1].parts += parts
        elif parts:
            turns.append(Turn(role=role, parts=parts))
    for turn in turns:
        if turn.role == "user":
            turn.parts.sort(key=lambda part: not isinstance(part, ToolResult))
    wish = asked.output_format
    if wish is not None:
        wish = None if wish.kind != "json_schema" else OutputFormat(kind=wish.kind, schema=wish.schema, strict=True)
    return msgspec.structs.replace(
        asked,
        turns=turns,
        model=TARGET.upstream,
        usage_in_stream=True,
        output_format=wish,
        max_tokens=8192 if asked.max_tokens is None else asked.max_tokens,
        reasoning=ReasoningAsked(),
        stop=[sequence for sequence in asked.stop if sequence.strip()],
        names=NAMES,
    )


def part_as_written(part: Any) -> Any:
    if isinstance(part, Text):
        return part if part.text.strip() else None
    if isinstance(part, ToolCall):
        mended = part.arguments.replace("\\ud800", "\\ufffd")
        return msgspec.structs.replace(part, id=fitted(part.id, 64), arguments=mended)
    if isinstance(part, ToolResult):
        inner = [made for one in part.parts if (made := part_as_written(one)) is not None]
        return msgspec.structs.replace(part, call_id=fitted(part.call_id, 64), parts=inner)
    if isinstance(part, Reasoning):
        # What a reader reads is of unknown origin; what has no state of the provider's own is not sent.
        if part.state is None:
            return None
        return Reasoning(text=part.text, state=msgspec.structs.replace(part.state, origin=""))
    if isinstance(part, Media):
        return msgspec.structs.replace(part, detail=None, name=part.name if part.kind == "document" else None)
    return part


@settings(max_examples=examples(40), deadline=None)
@given(strategies.requests(SCOPE, KEPT))
def test_what_crosses_comes_back(asked: Request) -> None:
    asked.reasoning = ReasoningAsked()
    asked.tool_choice = None if asked.tool_choice is None or asked.tool_choice.names else asked.tool_choice
    if asked.tool_choice is None or asked.tool_choice.mode == "none":
        asked.parallel_tool_calls = None
    if asked.output_format is not None and asked.output_format.kind == "json_object":
        asked.output_format = None
    losses = ToldLosses()
    body = write_request(asked, TARGET, losses)
    expected = as_written(asked)
    if not {("cache_control", "dropped"), ("cache_control", "changed")} & losses.told:
        assert plain(read_bytes(body)) == plain(expected)
    assert body.count(b'"cache_control"') == min(len(re.findall(rb'"cache":"[15]', msgspec.json.encode(expected))), 4)


@settings(max_examples=examples(40), deadline=None)
@given(
    strategies.requests(
        msgspec.structs.replace(
            SCOPE,
            protocol="openai_chat",
            media=("image",),
            media_sources=("url",),
            names=True,
            refusals=True,
            state=False,
        )
    )
)
def test_anthropic_takes_whatever_a_chat_caller_asks(asked: Request) -> None:
    for to in (TARGET, target(thinking="adaptive"), target(thinking="budget"), target(version="2026-10-21")):
        sdk.asked(write_request(asked, to, ToldLosses()), version=to.version.encode())


def test_claude_codes_body_is_read_and_written_back() -> None:
    asked = read(CLAUDE_CODE)
    assert (asked.reasoning.adaptive, asked.reasoning.shown, asked.reasoning.effort) == (True, True, "medium")
    assert asked.end_user == CLAUDE_CODE["metadata"]["user_id"]
    assert [type(tool) for tool in asked.tools] == [Tool, Opaque]
    losses = ToldLosses()
    back = written(asked, target(thinking="adaptive"), losses)
    assert losses.told == set()
    assert back.pop("thinking") == {"type": "adaptive", "display": "summarized"}
    expected = {name: value for name, value in CLAUDE_CODE.items() if name != "thinking"}
    assert back == {**expected, "model": TARGET.upstream}


def test_every_field_that_only_this_protocol_has_goes_back() -> None:
    body = {
        "container": "c_1",
        "speed": "fast",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "service_tier": "standard_only",
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u", "team": "t"},
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Be brief.", "clear_at": "next_user_message"},
            {"role": "user", "content": "Again"},
            {"role": "system", "output_config": {"effort": "low"}},
        ],
        "system": "You are.",
    }
    back = written(read(body))
    assert {name: back[name] for name in body} == body


def test_another_protocols_fields_are_each_named() -> None:
    losses = ToldLosses()
    body = written(request(extras={"prediction": Raw(b"{}"), "modalities": Raw(b"[]")}), losses=losses)
    assert losses.told == {("prediction", "dropped"), ("modalities", "dropped")}
    assert body.keys() == {"model", "max_tokens", "messages"}


def test_older_structured_output_is_read() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    old = read({"output_format": {"type": "json_schema", "schema": schema}})
    new = read({"output_config": {"format": {"type": "json_schema", "schema": schema}}})
    assert plain(old.output_format) == plain(new.output_format)
    assert written(old)["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"system": 1}, "system"),
        ({"system": [{"type": "text"}]}, "system.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"output_config": {"effort": 1}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"output_format": {"type": "text", "schema": {}}}, "output_format.type"),
        ({"service_tier": 1}, "service_tier"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_turns_alternate_with_results_first() -> None:
    calls = [ToolCall(id=one, name="look", arguments="{}") for one in ("a", "b")]
    body = written(
        request(
            Turn(role="user", parts=[Text(text="one")]),
            Turn(role="user", parts=[Text(text="two")]),
            Turn(role="assistant", parts=[Text(text="I look.")]),
            Turn(role="assistant", parts=[*calls]),
            Turn(role="user", parts=[Text(text="wait")]),
            Turn(role="user", parts=[ToolResult(call_id="a", parts=[Text(text="1")])]),
            Turn(role="user", parts=[ToolResult(call_id="b", parts=[], is_error=True), Text(text="go on")]),
        )
    )
    kinds = [(message["role"], [block["type"] for block in message["content"]]) for message in body["messages"]]
    assert kinds == [
        ("user", ["text", "text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text", "text"]),
    ]
    assert body["messages"][2]["content"][1] == {"type": "tool_result", "tool_use_id": "b", "is_error": True}
    sdk.asked(msgspec.json.encode(body))


def test_instructions_are_sent_in_front() -> None:
    losses = ToldLosses()
    body = written(
        request(
            Turn(role="system", parts=[Text(text="One.", cache="5m")]),
            Turn(role="developer", parts=[Text(text="Two.")]),
            Turn(role="user", parts=[Text(text="Hi")]),
            Turn(role="system", parts=[Text(text="Three.")]),
        ),
        losses=losses,
    )
    assert [block["text"] for block in body["system"]] == ["One.", "Two.", "Three."]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert losses.told == {("turns", "changed")}


def test_the_user_begins() -> None:
    losses = ToldLosses()
    body = written(
        request(Turn(role="assistant", parts=[Text(text="Hello!")]), Turn(role="user", parts=[Text(text="Hi")])),
        losses=losses,
    )
    assert body["messages"][0] == {"role": "user", "content": NO_QUESTION}
    assert losses.told == {("turns", "changed")}
    sdk.asked(msgspec.json.encode(body))


def test_what_the_assistant_is_to_go_on_with_stays_last() -> None:
    losses = ToldLosses()
    prefill = Turn(role="assistant", parts=[Text(text="The answer is \n")])
    body = written(request(Turn(role="user", parts=[Text(text="Hi")]), prefill), losses=losses)
    assert body["messages"][-1] == {"role": "assistant", "content": "The answer is"}
    assert losses.told == {("turns", "changed")}


def test_empty_text_is_left_out_and_a_turn_of_nothing_says_so() -> None:
    call = ToolCall(id="a", name="look")
    asked = request(
        Turn(role="user", parts=[Text(text="Hi"), Text(text="  ")]),
        Turn(role="assistant", parts=[Text(text=""), call]),
        Turn(role="user", parts=[ToolResult(call_id="a", parts=[Text(text="")])]),
    )
    assert written(asked)["messages"][1:] == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
    ]
    losses = ToldLosses()
    assert written(request(Turn(role="user", parts=[])), losses=losses)["messages"][0]["content"] == NO_QUESTION
    assert losses.told == {("turns", "changed")}


def test_max_tokens_are_filled_and_kept_within_the_models_limit() -> None:
    assert written(request(max_tokens=None))["max_tokens"] == 8192
    assert written(request(max_tokens=None), target(max_output_tokens=64_000))["max_tokens"] == 64_000
    assert written(request(max_tokens=0))["max_tokens"] == 0
    losses = ToldLosses()
    assert written(request(max_tokens=9000), target(max_output_tokens=8000), losses)["max_tokens"] == 8000
    assert losses.told == {("max_tokens", "clamped")}


@pytest.mark.parametrize(
    ("more", "version", "sent", "told"),
    [
        ({"temperature": 2.0}, "2023-06-01", {"temperature": 1}, {("temperature", "clamped")}),
        ({"temperature": 0.5, "top_k": 3}, "2023-06-01", {"temperature": 0.5, "top_k": 3}, set()),
        ({"temperature": 0.5, "top_p": 1.0}, "2023-06-01", {"temperature": 0.5}, set()),
        ({"temperature": 0.5, "top_p": 0.5}, "2023-06-01", {"temperature": 0.5}, {("top_p", "changed")}),
        (
            {"temperature": 1.0, "top_p": 0.5, "top_k": 3},
            "2026-10-21",
            {},
            {("temperature", "dropped"), ("top_p", "dropped"), ("top_k", "dropped")},
        ),
    ],
)
def test_sampling(more: dict[str, Any], version: str, sent: dict[str, Any], told: set[tuple[str, str]]) -> None:
    losses = ToldLosses()
    body = written(request(**more), target(version=version), losses)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert losses.told == told


def test_a_caller_of_this_protocol_may_send_both() -> None:
    body = written(read({"temperature": 0.5, "top_p": 0.5}))
    assert (body["temperature"], body["top_p"]) == (0.5, 0.5)


def test_parameters_without_a_counterpart_are_named() -> None:
    losses = ToldLosses()
    asked = request(
        presence_penalty=1.0,
        frequency_penalty=1.0,
        logit_bias=Raw(b"{}"),
        logprobs=True,
        top_logprobs=2,
        seed=1,
        verbosity="low",
        metadata={"a": "b"},
        cache_key="k",
        end_user="u",
        safety_identifier="s",
        service_tier="flex",
        stop=["a", " "],
    )
    body = written(asked, losses=losses)
    names = ("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "verbosity")
    others = ("metadata", "cache_key", "safety_identifier", "service_tier")
    assert losses.told == {(name, "dropped") for name in (*names, *others)} | {("stop", "changed")}
    assert (body["stop_sequences"], body["metadata"]) == (["a"], {"user_id": "u"})


def test_what_says_nothing_is_not_a_loss() -> None:
    losses = ToldLosses()
    asked = request(presence_penalty=0.0, frequency_penalty=0.0, logprobs=False, safety_identifier="s", temperature=1.0)
    assert written(asked, losses=losses)["metadata"] == {"user_id": "s"}
    assert losses.told == set()


def test_several_answers_cannot_be_asked_for() -> None:
    with pytest.raises(InvalidRequest, match="'n' must be 1"):
        written(request(n=2))


def test_strict_refuses_the_first_loss() -> None:
    with pytest.raises(InvalidRequest, match="seed"):
        written(request(seed=1), losses=ToldLosses(strict=True))


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    asked = request(output_format=OutputFormat(kind="json_object"))
    losses = ToldLosses()
    body = written(asked, losses=losses)
    assert "JSON object" in body["system"]
    assert "output_config" not in body
    assert losses.told == set()


def test_a_schema_goes_raw_or_into_words() -> None:
    schema = Raw(b'{"type": "object", "properties": {"n": {"const": 1.0}}, "additionalProperties": false}')
    wish = OutputFormat(kind="json_schema", name="n", schema=schema, description="A number")
    losses = ToldLosses()
    body = write_request(request(output_format=wish), TARGET, losses)
    assert bytes(schema) in body
    assert losses.told == {("output_format.description", "dropped")}
    words = written(request(output_format=wish), target(json_schema=False))["system"]
    assert bytes(schema).decode() in words
    assert "A number" in words


def test_text_is_the_usual_format() -> None:
    assert "system" not in written(request(output_format=OutputFormat(kind="text")))


@pytest.mark.parametrize("auto", [None, "5m"])
def test_of_too_many_breakpoints_the_first_and_the_last_stay(auto: Any) -> None:
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
    assert "cache_control" not in body["system"][0] if isinstance(body["system"], list) else True
    kept = [block["text"] for block in body["messages"][0]["content"] if "cache_control" in block]
    assert kept == (["3", "4", "5"] if auto is None else ["4", "5"])
    assert losses.told == {("cache_control", "dropped")}
    sdk.asked(msgspec.json.encode(body))


def test_what_the_model_refuses_is_dropped_under_either_name() -> None:
    losses = ToldLosses()
    asked = request(temperature=0.5, stop=["a"], end_user="u")
    body = written(asked, target(drops=("temperature", "stop_sequences", "metadata")), losses)
    assert body.keys() == {"model", "max_tokens", "messages"}
    assert losses.told == {("temperature", "dropped"), ("stop", "dropped"), ("metadata", "dropped")}


def test_sentences_use_the_callers_names() -> None:
    asked = read({"thinking": {"type": "enabled", "budget_tokens": 2000}})
    losses = ToldLosses(dict(asked.names))
    written(asked, target(thinking="never"), losses)
    assert losses.warnings == ["dropped thinking: not supported by anthropic/claude"]


def test_speakers_of_one_role_are_not_told_apart() -> None:
    losses = ToldLosses()
    written(request(Turn(role="user", parts=[Text(text="Hi")], name="ada")), losses=losses)
    assert losses.told == {("turns.name", "dropped")}
