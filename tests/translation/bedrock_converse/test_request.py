"""The rest of a request: the order of a conversation, parameters, forms of the answer, what is dropped."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.bedrock_converse.exchanges import CLAUDE, LLAMA, NOVA, ToldLosses, read, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse.request import FILLER
from trunkline.translation.exchange import (
    Media,
    OutputFormat,
    ReasoningAsked,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.target import Target

SCHEMA = Raw(b'{"type":"object"}')
FORM = OutputFormat(kind="json_schema", name="answer", description="An answer", schema=SCHEMA)
THINKS = ReasoningAsked(effort="low", enabled=True)


def turn(role: Role, *texts: str) -> Turn:
    return Turn(role=role, parts=[Text(text=text) for text in texts])


def roles(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(message["role"], [next(iter(block)) for block in message["content"]]) for message in body["messages"]]


def test_a_question_is_all_that_is_sent() -> None:
    body = written(request(turn("system", "Be kind", "and short"), turn("user", "Hi"), stream=True, max_tokens=9))
    assert body == {
        "system": [{"text": "Be kind"}, {"text": "and short"}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"maxTokens": 9},
    }


def test_roles_take_turns_and_results_come_first() -> None:
    losses = ToldLosses()
    asked = request(
        turn("assistant", "Hello"),
        turn("user", "Hi"),
        Turn(role="assistant", parts=[ToolCall(id="a", name="f"), ToolCall(id="b", name="f")]),
        Turn(role="user", parts=[Text(text="first"), ToolResult(call_id="a", parts=[], cache="5m")]),
        Turn(role="user", parts=[ToolResult(call_id="b", parts=[])]),
        turn("developer", "Mind this"),
        tools=[Tool(name="f")],
    )
    body = written(asked, CLAUDE, losses)
    assert roles(body) == [
        ("user", ["text"]),
        ("assistant", ["text"]),
        ("user", ["text"]),
        ("assistant", ["toolUse", "toolUse"]),
        ("user", ["toolResult", "cachePoint", "toolResult", "text"]),
    ]
    assert body["messages"][0]["content"] == [{"text": FILLER}]
    assert body["system"] == [{"text": "Mind this"}]
    assert losses.told == {("turns", "changed")}


def test_what_the_assistant_is_to_go_on_with_ends_in_no_blank() -> None:
    body = written(request(turn("user", "Hi"), turn("assistant", "So \n")))
    assert body["messages"][1]["content"] == [{"text": "So"}]


def test_a_document_that_comes_alone_gets_a_word_beside_it() -> None:
    losses = ToldLosses()
    alone = Turn(role="user", parts=[Media(kind="document", media_type="application/pdf", data="AAAA")])
    assert roles(written(request(alone), CLAUDE, losses)) == [("user", ["document", "text"])]
    assert losses.told == {("media.document", "changed")}


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds nothing to answer"):
        written(request(turn("user", " ")))


@pytest.mark.parametrize(
    ("more", "to", "config", "lost"),
    [
        ({"temperature": 0.5, "max_tokens": 5}, CLAUDE, {"maxTokens": 5, "temperature": 0.5}, set()),
        ({"temperature": 1.5}, CLAUDE, {"temperature": 1}, {("temperature", "clamped")}),
        ({"max_tokens": 50}, target(max_output_tokens=10), {"maxTokens": 10}, {("max_tokens", "clamped")}),
        ({"temperature": 0.5, "top_p": 0.5}, CLAUDE, {"temperature": 0.5}, {("top_p", "changed")}),
        ({"temperature": 0.5, "top_p": 1}, CLAUDE, {"temperature": 0.5}, set()),
        ({"temperature": 0.5, "top_p": 0.5}, LLAMA, {"temperature": 0.5, "topP": 0.5}, set()),
        ({"temperature": 0.5, "reasoning": THINKS}, CLAUDE, None, {("temperature", "changed")}),
        ({"top_p": 0.5, "reasoning": THINKS}, CLAUDE, None, {("top_p", "changed")}),
        ({"top_p": 0.95, "reasoning": THINKS}, CLAUDE, {"topP": 0.95}, set()),
        ({"stop": ["a", " "]}, CLAUDE, {"stopSequences": ["a"]}, {("stop", "changed")}),
        ({"stop": ["a", "\n"]}, LLAMA, {"stopSequences": ["a", "\n"]}, set()),
        ({"temperature": 0.5}, target(drops=("temperature", "top_p")), None, {("temperature", "dropped")}),
    ],
)  # fmt: skip
def test_inference_config(
    more: dict[str, Any], to: Target, config: dict[str, Any] | None, lost: set[tuple[str, str]]
) -> None:
    losses = ToldLosses()
    assert written(request(**more), to, losses).get("inferenceConfig") == config
    assert losses.told == lost


@pytest.mark.parametrize(
    ("to", "fields"),
    [
        (CLAUDE, {"top_k": 3}),
        (target(upstream="mistral.mistral-large-2407-v1:0"), {"top_k": 3}),
        (NOVA, {"inferenceConfig": {"topK": 3}}),
        (target(upstream="cohere.command-r-v1:0"), {"k": 3}),
        (LLAMA, None),
    ],
)
def test_top_k_has_a_name_for_each_maker(to: Target, fields: dict[str, Any] | None) -> None:
    losses = ToldLosses()
    assert written(request(top_k=3), to, losses).get("additionalModelRequestFields") == fields
    assert losses.told == (set() if fields else {("top_k", "dropped")})


def test_which_stop_sequence_was_met_is_asked_of_claude() -> None:
    assert written(request(stop=["a"]))["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert "additionalModelResponseFieldPaths" not in written(request(stop=["a"]), LLAMA)
    own = Raw(b'["/x"]')
    asked = request(stop=["a"], extras={"additionalModelResponseFieldPaths": own})
    assert written(asked)["additionalModelResponseFieldPaths"] == ["/x"]


def test_a_schema_is_sent_as_text() -> None:
    form = written(request(output_format=FORM))["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    assert form["structure"]["jsonSchema"] == {
        "schema": '{"type":"object"}', "name": "answer", "description": "An answer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "to"),
    [(FORM, target(json_schema=False)), (OutputFormat(kind="json_object"), CLAUDE)],
)
def test_a_form_that_the_model_does_not_keep_to_is_asked_for_in_words(form: OutputFormat, to: Target) -> None:
    body = written(request(output_format=form), to)
    assert "outputConfig" not in body
    (words,) = body["system"]
    assert words["text"].startswith("Answer with one JSON object")
    assert (form.schema is not None) == ('{"type":"object"}' in words["text"])


@pytest.mark.parametrize(
    ("tier", "sent"),
    [
        (None, None),
        ("auto", None),
        ("default", "default"),
        ("standard_only", "default"),
        ("priority", "priority"),
        ("scale", None),
    ],
)
def test_service_tiers(tier: str | None, sent: str | None) -> None:
    losses = ToldLosses()
    body = written(request(service_tier=tier), CLAUDE, losses)
    assert body.get("serviceTier") == (None if sent is None else {"type": sent})
    assert losses.told == ({("service_tier", "dropped")} if tier == "scale" else set())


def test_metadata_goes_to_the_invocation_log_as_far_as_it_may() -> None:
    losses = ToldLosses()
    assert written(request(metadata={"team": "a b"}), CLAUDE, losses)["requestMetadata"] == {"team": "a b"}
    assert not losses.told
    assert written(request(metadata={"team": "a", "ü": "b"}), CLAUDE, losses)["requestMetadata"] == {"team": "a"}
    assert losses.told == {("metadata", "changed")}
    assert "requestMetadata" not in written(request(metadata={"a": "é"}))
    assert len(written(request(metadata={str(at): "" for at in range(20)}))["requestMetadata"]) == 16


def test_fields_of_converse_are_sent_on_from_any_caller_and_others_are_named() -> None:
    losses = ToldLosses()
    guard, fields = Raw(b'{"guardrailIdentifier":"g","guardrailVersion":"1"}'), Raw(b'{"x":1,"thinking":{"type":"?"}}')
    extras = {"guardrailConfig": guard, "additionalModelRequestFields": fields, "prediction": Raw(b"{}")}
    body = written(request(extras=extras, reasoning=ReasoningAsked(budget_tokens=2048)), CLAUDE, losses)
    assert body["guardrailConfig"] == msgspec.json.decode(guard)
    assert body["additionalModelRequestFields"] == {"x": 1, "thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert losses.told == {("prediction", "dropped")}


def test_of_too_many_cache_points_the_first_and_the_last_stay() -> None:
    losses = ToldLosses()
    marked = [Text(text=str(at), cache="5m") for at in range(5)]
    asked = request(
        Turn(role="system", parts=[Text(text="s", cache="1h")]), Turn(role="user", parts=[*marked]), cache="5m"
    )
    body = written(asked, CLAUDE, losses)
    assert [next(iter(block)) for block in body["system"]] == ["text", "cachePoint"]
    kinds = [next(iter(block)) for block in body["messages"][0]["content"]]
    assert kinds == ["text", "text", "text", "text", "cachePoint", "text", "cachePoint", "cachePoint"]
    assert losses.told == {("cache_control", "dropped")}


def test_one_answer_a_call() -> None:
    with pytest.raises(InvalidRequest, match="'n' must be 1"):
        written(request(n=2))


def test_what_a_model_refuses_is_dropped_by_either_name() -> None:
    losses = ToldLosses()
    to = target(drops=("stop", "outputConfig", "metadata", "reasoning", "tools"))
    asked = request(stop=["a"], output_format=FORM, metadata={"a": "b"}, reasoning=THINKS, tools=[Tool(name="f")])
    body = written(asked, to, losses)
    assert body.keys() == {"toolConfig", "messages", "additionalModelResponseFieldPaths"}
    assert losses.told == {(name, "dropped") for name in ("stop", "outputConfig", "metadata", "reasoning")}


def test_a_callers_request_is_read() -> None:
    asked = read(
        inferenceConfig={"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
        outputConfig={
            "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": '{"a":1}', "name": "n"}}}
        },
        requestMetadata={"a": "b"},
        serviceTier={"type": "flex"},
        guardrailConfig={"guardrailIdentifier": "g"},
        performanceConfig=None,
    )
    assert (asked.max_tokens, asked.temperature, asked.top_p, asked.stop) == (5, 0.5, 0.9, ["x"])
    assert asked.output_format == OutputFormat(kind="json_schema", name="n", schema=Raw(b'{"a":1}'))
    assert (asked.metadata, asked.service_tier) == ({"a": "b"}, "flex")
    assert list(asked.extras) == ["guardrailConfig"]
    body = written(asked)
    assert body["serviceTier"] == {"type": "flex"}
    assert body["guardrailConfig"] == {"guardrailIdentifier": "g"}
    assert "additionalModelResponseFieldPaths" not in body


@pytest.mark.parametrize(
    "wrong", [{"serviceTier": {}}, {"requestMetadata": {"a": 1}}, {"additionalModelRequestFields": 1}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read(**wrong)


def test_instructions_of_its_own_caller_stay_where_they_stood() -> None:
    asked = read(
        messages=[
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "system", "content": [{"toolAddition": {"tool": {"name": "f"}}}]},
        ]
    )
    assert [message["role"] for message in written(asked)["messages"]] == ["user", "system"]
