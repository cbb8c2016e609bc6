"""Whole answers: what a provider says is read, and what a caller gets is what its library expects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw
from openai.types.chat import ChatCompletion

from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    ReasoningAsked,
    Refusal,
    Request,
    State,
    Stop,
    Text,
    ToolCall,
    Usage,
)
from trunkline.translation.openai_chat.answer import answer_id, read_answer, write_answer
from trunkline.translation.target import Target

EXCHANGES = Path(__file__).parents[2] / "corpus" / "openai_chat" / "exchanges"
TARGET = Target(provider_id="made-by", model_id="made-by/m", upstream="m")
ASKED = Request(protocol="openai_chat", model="asked-for", turns=[], reasoning=ReasoningAsked(shown=True))


def example(name: str, target: Target = TARGET) -> Choice:
    (choice,) = read_answer((EXCHANGES / f"{name}.answer.json").read_bytes(), target).choices
    return choice


def written(*parts: Part, stop: Stop = "end", request: Request = ASKED, **more: Any) -> dict[str, Any]:
    answer = Answer(id="a1", model="m", created=7, choices=[Choice(parts=list(parts), stop=stop)], **more)
    body: dict[str, Any] = msgspec.json.decode(write_answer(answer, request))
    ChatCompletion.model_validate(body)
    return body


def message(*parts: Part, stop: Stop = "end", request: Request = ASKED) -> dict[str, Any]:
    said: dict[str, Any] = written(*parts, stop=stop, request=request)["choices"][0]["message"]
    return said


@settings(max_examples=examples(60))
@given(strategies.answers())
def test_what_is_written_is_an_answer_to_openais_library(answer: Answer) -> None:
    ChatCompletion.model_validate(msgspec.json.decode(write_answer(answer, ASKED)))


def test_calls_keep_their_order_and_their_text() -> None:
    choice = example("parallel_calls")
    assert choice.stop == "tool"
    assert choice.parts == [
        ToolCall(id="call_a1", name="weather", arguments='{"city": "Oslo"}'),
        ToolCall(id="call_b2", name="weather", arguments='{"city": "Rome"}'),
    ]
    # Some engines write `stop` beside calls, some an object for arguments, some no id.
    assert example("calls_without_index").stop == "tool"
    odd = example("arguments_as_an_object").parts[0]
    assert isinstance(odd, ToolCall)
    assert odd.arguments == '{"city":"Oslo"}'
    assert odd.id.startswith("call_")
    assert example("custom_tool").parts == [ToolCall(id="call_c3", name="shell", arguments="ls -l\n", custom=True)]
    assert [part.name for part in example("legacy_function").parts if isinstance(part, ToolCall)] == ["weather"]


def test_reasoning_in_every_dialect() -> None:
    assert example("deepseek_tool_loop").parts[0] == Reasoning(text="Rome is next.")
    assert example("mistral_thinking").parts == [Reasoning(text="Hm, rain."), Text(text="Wet.")]
    signed = example("openrouter_signed_reasoning").parts[0]
    assert isinstance(signed, Reasoning)
    assert signed.text == "Two cities. One call."
    assert signed.state is not None
    assert signed.state.origin == "made-by"
    assert msgspec.json.decode(signed.state.data)[0]["signature"] == "EqQBCkYIAxgC"
    summed = example("openrouter_encrypted_summary").parts[0]
    assert isinstance(summed, Reasoning)
    assert summed.summaries == ["**Thinking**"]
    call = example("openrouter_signed_call").parts[0]
    assert isinstance(call, ToolCall)
    assert call.state is not None
    assert "CpwBAVSo" in call.state.data


def test_a_provider_that_wants_its_reasoning_back_gets_it_as_state() -> None:
    target = msgspec.structs.replace(TARGET, returns_reasoning=True)
    part = example("deepseek_tool_loop", target).parts[0]
    assert isinstance(part, Reasoning)
    assert part.state is not None
    assert "Rome is next." in part.state.data


def test_refusals_stop_strings_sound_and_pictures() -> None:
    refused = example("refusal")
    assert (refused.parts, refused.stop) == ([Refusal("I cannot help with that.")], "refusal")
    met = example("vllm_stop_string")
    assert (met.stop, met.stop_sequence) == ("stop_sequence", "###")
    assert example("filtered").stop == "filter"
    assert example("spoken_answer").parts == [
        Media(kind="audio", data="AAECAwQFBgc=", file_id="audio_9", text="Wet day.")
    ]
    assert example("images_in_an_answer").parts[1] == Media(kind="image", media_type="image/png", data="iVBORw0KGgo=")
    logprobs = example("logprobs").logprobs
    assert logprobs is not None
    assert [token["token"] for token in msgspec.json.decode(logprobs)] == ["Wet", " day"]
    assert example("empty_answer").parts == []


def test_citations_are_kept() -> None:
    annotations = [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}]
    body = {"choices": [{"message": {"content": "So.", "annotations": annotations}, "finish_reason": "stop"}]}
    (part,) = read_answer(msgspec.json.encode(body), TARGET).choices[0].parts
    assert isinstance(part, Text)
    assert part.citations is not None
    assert msgspec.json.decode(part.citations) == annotations


def test_usage_and_what_is_missing() -> None:
    answer = read_answer((EXCHANGES / "parallel_calls.answer.json").read_bytes(), TARGET)
    assert answer.usage == Usage(input_tokens=61, output_tokens=24, cached_input_tokens=32, reasoning_tokens=8)
    assert (answer.id, answer.service_tier, answer.created) == ("chatcmpl-9f2k", "default", 1756200000)
    bare = read_answer(b'{"choices":[{"message":{"content":"a"}}]}', TARGET)
    assert (bare.id, bare.model, bare.created, bare.usage) == ("", "", 0, None)


@pytest.mark.parametrize("line", (EXCHANGES / "errors.jsonl").read_bytes().splitlines())
def test_an_error_is_no_answer(line: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(line, TARGET)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"choices":[{}]}', b'{"choices":[],"x":"\xff"}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not a chat completion"):
        read_answer(body, TARGET)


def test_several_texts_are_one() -> None:
    said = message(Text(text="One"), ToolCall(id="c1", name="f"), Text(text=", two"), stop="tool")
    assert said["content"] == "One, two"
    assert said["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_content_is_null_only_beside_something_else() -> None:
    assert message()["content"] == ""
    assert message(ToolCall(id="c1", name="f"), stop="tool")["content"] is None
    assert message(Refusal("No."), stop="refusal")["content"] is None
    assert message(Media(kind="audio", data="AAAA"))["content"] is None


def test_what_has_no_place_is_left_out() -> None:
    raw = Raw(b'[{"type":"char_location"}]')
    opaque = Opaque("anthropic_messages", Raw(b"{}"), "server_tool_use")
    said = message(opaque, Text(text="So.", citations=raw), Media(kind="document", data="AAAA"), stop="pause")
    assert said == {"role": "assistant", "content": "So.", "refusal": None}


def test_state_travels_wrapped_and_only_to_who_is_shown_reasoning() -> None:
    parts: list[Part] = [
        Reasoning(text="Hm", state=State("made-by", "signature")),
        Reasoning(state=State("made-by", "hidden")),
        ToolCall(id="c1", name="f", state=State("made-by", "thought")),
    ]
    said = message(*parts, stop="tool")
    assert said["reasoning_content"] == "Hm"
    assert [entry["type"] for entry in said["reasoning_details"]] == [
        "reasoning.text",
        "reasoning.encrypted",
        "reasoning.encrypted",
    ]
    assert "signature" not in str([entry.get("data") for entry in said["reasoning_details"]])
    hidden = message(*parts, stop="tool", request=msgspec.structs.replace(ASKED, reasoning=ReasoningAsked()))
    assert not any(name.startswith("reasoning") for name in hidden)


def test_summaries_are_one_text_with_blank_lines() -> None:
    said = message(Reasoning(text="T", summaries=["One", "Two"]), Reasoning(text="More"), Text(text="a"))
    assert said["reasoning_content"] == "T\n\nOne\n\nTwo\n\nMore"


def test_the_first_form_of_calls() -> None:
    request = msgspec.structs.replace(ASKED, legacy_functions=True)
    body = written(ToolCall(id="c1", name="f"), ToolCall(id="c2", name="g"), stop="tool", request=request)
    assert body["choices"][0]["finish_reason"] == "function_call"
    assert body["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in body["choices"][0]["message"]


def test_custom_calls_are_free_text() -> None:
    said = message(ToolCall(id="c1", name="sh", arguments="", custom=True), stop="tool")
    assert said["tool_calls"] == [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": ""}}]


@pytest.mark.parametrize(("tier", "shown"), [("standard", "default"), ("flex", "flex"), ("batch", None), (None, None)])
def test_tiers_are_told_in_this_protocols_words(tier: str | None, shown: str | None) -> None:
    assert written(service_tier=tier).get("service_tier") == shown


def test_an_answer_without_usage_has_none() -> None:
    assert "usage" not in written()
    assert written(usage=Usage(input_tokens=1, output_tokens=2))["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("chatcmpl-9f", "chatcmpl-9f"),
        ("msg_01A", "chatcmpl-01A"),
        ("resp_68", "chatcmpl-68"),
        ("gen-17-x", "chatcmpl-gen-17-x"),
        ("we ird\n", "chatcmpl-weird"),
    ],
)
def test_ids_look_like_this_protocols(given: str, shown: str) -> None:
    assert answer_id(given) == shown


def test_an_answer_without_an_id_gets_one_of_what_there_is() -> None:
    assert answer_id("", "m", 1) == answer_id("", "m", 1) != answer_id("", "m", 2)
