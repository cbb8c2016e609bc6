"""Whole answers, both ways: every block, every way to stop, usage, and what a caller is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.targets import PROVIDER, TARGET, request
from trunkline.errors import UpstreamFailed
from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.answer import read_answer, write_answer
from trunkline.translation.anthropic_messages.content import Kept, read_parts
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    ReasoningAsked,
    Refusal,
    State,
    Stop,
    Text,
    ToolCall,
    Usage,
)

CORPUS = Path(__file__).parents[2] / "corpus" / "anthropic_messages"
SHOWN = ReasoningAsked(enabled=True, shown=True, state_wanted=True)
HIDDEN = ReasoningAsked(enabled=True, state_wanted=True)


def answer(*parts: Part, stop: Stop = "end", **more: Any) -> Answer:
    return Answer(id="chatcmpl-1", model="m", choices=[Choice(parts=list(parts), stop=stop)], **more)


def written(said: Answer, reasoning: ReasoningAsked = SHOWN) -> dict[str, Any]:
    return sdk.message(write_answer(said, request(reasoning=reasoning)))


def read(name: str) -> Answer:
    return read_answer((CORPUS / f"{name}.answer.json").read_bytes(), TARGET)


def test_thinking_and_calls_are_read() -> None:
    found = read("thinking")
    assert found.choices == [
        Choice(
            parts=[
                Reasoning(text="Let me see.", state=State(PROVIDER, "EqQBCgIYAhIM1gbcDa9GJwZA2b3h==")),
                Reasoning(state=State(PROVIDER, "redacted:EmwKAhgBEgy3va3pzix==")),
                ToolCall(id="toolu_01C", name="look", arguments=found.choices[0].parts[2].arguments),  # type: ignore[union-attr]
            ],
            stop="tool",
        )
    ]
    assert found.usage == Usage(input_tokens=12, output_tokens=90, reasoning_tokens=60)
    assert (found.id, found.service_tier, found.created) == ("msg_01Thinking", "default", 0)


def test_blocks_of_the_server_are_opaque_and_citations_kept() -> None:
    parts = read("server_tools").choices[0].parts
    assert [part.kind for part in parts if isinstance(part, Opaque)] == ["server_tool_use", "web_search_tool_result"]
    cited = parts[3]
    assert isinstance(cited, Text)
    assert cited.citations is not None


@pytest.mark.parametrize(
    ("name", "stop", "sequence"),
    [
        ("text", "end", None),
        ("tools", "tool", None),
        ("stop_sequence", "stop_sequence", "three"),
        ("max_tokens", "length", None),
        ("context_window", "length", None),
        ("pause", "pause", None),
        ("empty_refusal", "refusal", None),
        ("refusal", "refusal", None),
    ],
)
def test_every_way_to_stop(name: str, stop: Stop, sequence: str | None) -> None:
    choice = read(name).choices[0]
    assert (choice.stop, choice.stop_sequence) == (stop, sequence)


def test_an_explanation_is_the_models_refusal() -> None:
    assert read("refusal").choices[0].parts == [Text(text="To do th"), Refusal("This could do harm.")]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"content":[{}]}', b'{"content":[{"type":"text","text":"\xff"}]}']
)
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(body, TARGET)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.answer.json")), ids=lambda path: path.name.split(".")[0])
def test_an_answer_of_this_protocol_goes_back(path: Path) -> None:
    """But for its state, which is wrapped; and what only the provider's own answer has."""
    whole = msgspec.json.decode(path.read_bytes())
    back = written(read_answer(path.read_bytes(), TARGET))
    unwrapped = [unwrap(block) for block in back["content"]]
    expected = [
        {**block, "citations": block["citations"]} if block.get("citations") else block for block in whole["content"]
    ]
    if "stop_details" in whole:
        expected.append({"type": "text", "text": whole["stop_details"]["explanation"]})
        assert back["stop_details"] == {**whole["stop_details"], "category": None}
    assert unwrapped == expected
    usual = {"model_context_window_exceeded": "max_tokens"}
    assert back["stop_reason"] == usual.get(whole["stop_reason"], whole["stop_reason"])
    for name in ("id", "model", "role", "type"):
        assert back[name] == whole[name]
    for name, count in whole.get("usage", {}).items():
        if (count and not isinstance(count, dict)) or (count and any(count.values())):
            assert back["usage"][name] == count


def unwrap(block: dict[str, Any]) -> dict[str, Any]:
    for name in ("signature", "data"):
        if name in block:
            state = envelope.unwrap(block[name])
            assert state.origin == PROVIDER
            if block["type"] == "redacted_thinking" and not state.data.startswith(states.REDACTED):
                return {"type": "thinking", "thinking": "", "signature": state.data}
            return {**block, name: state.data.removeprefix(states.REDACTED)}
    return block


THOUGHT = Reasoning(text="hm", state=State("openai", "enc"))
SUMMED = Reasoning(summaries=["one", "two"])
SEALED = Reasoning(state=State("openai", "enc"))
WRAPPED = envelope.wrap(State("openai", "enc"))


@pytest.mark.parametrize(
    ("part", "asked", "block"),
    [
        (THOUGHT, SHOWN, {"type": "thinking", "thinking": "hm", "signature": WRAPPED}),
        (THOUGHT, HIDDEN, {"type": "thinking", "thinking": "", "signature": WRAPPED}),
        (THOUGHT, ReasoningAsked(), None),
        (SUMMED, SHOWN, {"type": "thinking", "thinking": "one\n\ntwo", "signature": ""}),
        (SUMMED, HIDDEN, None),
        (SEALED, SHOWN, {"type": "redacted_thinking", "data": WRAPPED}),
        (SEALED, HIDDEN, {"type": "redacted_thinking", "data": WRAPPED}),
        (SEALED, ReasoningAsked(), None),
        (Reasoning(), SHOWN, None),
    ],
)
def test_thinking_goes_to_whom_asked_for_it(part: Part, asked: ReasoningAsked, block: dict[str, Any] | None) -> None:
    text = {"type": "text", "text": "a"}
    assert written(answer(part, Text(text="a")), asked)["content"] == [*([block] if block else []), text]


def test_a_calls_state_stands_before_it_and_a_texts_after() -> None:
    call = ToolCall(id="t", name="n", arguments="{}", state=State("gemini", "c"))
    said = answer(Text(text="a", state=State("gemini", "t")), call)
    content = written(said)["content"]
    assert [block["type"] for block in content] == ["text", "redacted_thinking", "redacted_thinking", "tool_use"]
    assert read_parts(Raw(msgspec.json.encode(content)), "content", Kept()) == said.choices[0].parts
    assert [block["type"] for block in written(said, ReasoningAsked())["content"]] == ["text", "tool_use"]


@pytest.mark.parametrize(
    ("arguments", "custom", "sent"),
    [
        ("", False, {}),
        (" ", False, {}),
        ('{"a":1}', False, {"a": 1}),
        ('{"a":"\\ud83d"}', False, {"a": "\ufffd"}),
        ('{"a":', False, {"input": '{"a":'}),
        ("[1]", False, {"input": "[1]"}),
        ("ls", True, {"input": "ls"}),
    ],
)
def test_a_calls_input_is_an_object(arguments: str, custom: bool, sent: dict[str, Any]) -> None:
    call = ToolCall(id="t", name="n", arguments=arguments, custom=custom)
    whole = written(answer(call))
    assert whole["content"][0]["input"] == sent
    assert whole["stop_reason"] == "tool_use"


def test_what_this_protocol_cannot_hold_is_left_out() -> None:
    said = answer(
        Media(kind="image", data="x"),
        Opaque("openai_responses", Raw(b"{}"), "web_search_call"),
        Text(text="a", citations=Raw(b'[{"type":"url_citation"}]')),
        Text(text="b", citations=Raw(b'{"no":"list"}')),
    )
    assert written(said)["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_usage_is_split_as_this_protocol_counts() -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=20,
        cached_input_tokens=60,
        cache_write_tokens=30,
        cache_write_1h_tokens=10,
        reasoning_tokens=5,
        service_tier="priority",
    )
    whole = written(answer(usage=usage, service_tier="priority"))
    assert whole["usage"] == {
        "input_tokens": 10,
        "output_tokens": 20,
        "service_tier": "priority",
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens_details": {"thinking_tokens": 5},
    }
    assert read_answer(msgspec.json.encode(whole), TARGET).usage == usage


def test_no_usage_is_zeros_and_no_choice_an_empty_message() -> None:
    whole = written(Answer(id="", model="", choices=[]))
    assert whole["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert (whole["content"], whole["stop_reason"], whole["model"]) == ([], "end_turn", "m")


@settings(max_examples=examples(30), deadline=None)
@given(strategies.answers())
def test_any_answer_is_a_message(said: Answer) -> None:
    whole = written(said)
    kinds = [type(part) for part in said.choices[0].parts]
    assert sum(block["type"] == "tool_use" for block in whole["content"]) == kinds.count(ToolCall)
    texts = [part.text for part in said.choices[0].parts if isinstance(part, Text | Refusal)]
    assert [block["text"] for block in whole["content"] if block["type"] == "text"] == texts
    assert said.usage == read_answer(msgspec.json.encode(whole), TARGET).usage
