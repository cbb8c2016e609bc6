"""Whole answers: what callers are told, and of what providers tell what is not told in a stream."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini import shape
from tests.translation.gemini.exchanges import answered
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
from trunkline.translation.gemini.answer import write_answer
from trunkline.translation.gemini.state import wrapped

ASKED = Request(protocol="gemini", model="m", turns=[])
SHOWN = msgspec.structs.replace(ASKED, reasoning=ReasoningAsked(shown=True))


def body(*parts: Part, request: Request = ASKED, stop: Stop = "end", **more: Any) -> dict[str, Any]:
    answer = Answer(id="r", model="gpt", choices=[Choice(parts=list(parts), stop=stop)], **more)
    data = write_answer(answer, request)
    shape.decoded(data)
    found: dict[str, Any] = msgspec.json.decode(data)
    return found


def written(*parts: Part, request: Request = ASKED) -> Any:
    return body(*parts, request=request)["candidates"][0]["content"].get("parts")


def test_the_whole() -> None:
    usage = Usage(
        input_tokens=30, output_tokens=20, cached_input_tokens=8, reasoning_tokens=5, input_audio_tokens=10,
        output_audio_tokens=4,
    )  # fmt: skip
    assert body(Text(text="Hi"), usage=usage) == {
        "candidates": [
            {"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP", "index": 0},
        ],
        "usageMetadata": {
            "promptTokenCount": 30, "totalTokenCount": 50, "candidatesTokenCount": 15, "thoughtsTokenCount": 5,
            "cachedContentTokenCount": 8,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "AUDIO", "tokenCount": 10}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 11}, {"modality": "AUDIO", "tokenCount": 4}],
        },
        "modelVersion": "gpt",
        "responseId": "r",
    }  # fmt: skip


def test_what_was_not_told() -> None:
    found = msgspec.json.decode(write_answer(Answer(id="", model="", choices=[Choice(parts=[], stop="filter")]), ASKED))
    assert found["candidates"] == [{"content": {"role": "model"}, "finishReason": "SAFETY", "index": 0}]
    assert found["modelVersion"] == "m"
    assert found["responseId"]
    assert "usageMetadata" not in found


def test_calls_carry_their_state_always() -> None:
    state = State("google", "s")
    call = ToolCall(id="a", name="f", arguments='{"n": 1.0}', state=state)
    assert written(call, ToolCall(id="b", name="g")) == [
        {"functionCall": {"id": "a", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": wrapped(state)},
        {"functionCall": {"id": "b", "name": "g", "args": {}}},
    ]


@pytest.mark.parametrize(("arguments", "custom"), [("free", True), ("{broken", False), ("[1]", False)])
def test_arguments_that_are_no_object(arguments: str, custom: bool) -> None:
    (part,) = written(ToolCall(id="a", name="f", arguments=arguments, custom=custom))
    assert part["functionCall"]["args"] == {"input": arguments}


def test_thoughts_are_shown_to_who_asked() -> None:
    state = State("anthropic", "s")
    parts: list[Part] = [Reasoning(text="a", state=state), Reasoning(summaries=["b", "c"]), Reasoning(state=state)]
    assert written(*parts, Text(text="x")) == [{"text": "x"}]
    assert written(*parts, request=SHOWN) == [
        {"text": "a", "thought": True, "thoughtSignature": wrapped(state)},
        {"text": "b\n\nc", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": wrapped(state)},
    ]


def test_other_parts() -> None:
    state = State("google", "s")
    assert written(
        Text(text="x", state=state),
        Refusal("no"),
        Media(kind="image", data="AAAA"),
        Media(kind="audio", media_type="audio/mpeg", data="AAAA", text="said"),
        Media(kind="image", url="https://a/b"),
        Media(kind="audio", file_id="x", text="said"),
        Media(kind="image", file_id="x"),
        Opaque("openai_responses", Raw(b"{}"), "x"),
    ) == [
        {"text": "x", "thoughtSignature": wrapped(state)},
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://a/b"}},
        {"text": "said"},
    ]
    own = Opaque("gemini", Raw(b'{"executableCode":{}}'), "executableCode")
    answer = Answer(id="r", model="m", choices=[Choice(parts=[own], stop="end")])
    assert b'"parts":[{"executableCode":{}}]' in write_answer(answer, ASKED)


def test_logprobs() -> None:
    tokens = Raw(b'[{"token":"a","logprob":-1.0,"bytes":null,"top_logprobs":[]}]')
    answer = Answer(id="r", model="m", choices=[Choice(parts=[Text(text="a")], stop="end", logprobs=tokens)])
    candidate = msgspec.json.decode(write_answer(answer, ASKED))["candidates"][0]
    assert candidate["avgLogprobs"] == -1.0
    assert candidate["logprobsResult"]["chosenCandidates"] == [{"token": "a", "logProbability": -1.0}]


def test_more_reasoning_than_output_is_a_providers_mistake() -> None:
    usage = Usage(input_tokens=1, output_tokens=2, reasoning_tokens=5)
    assert body(Text(text="x"), usage=usage)["usageMetadata"]["thoughtsTokenCount"] == 2


def test_a_providers_answer() -> None:
    answer = answered(
        {"text": "hm", "thought": True},
        {"text": "a"},
        {"text": "b", "thoughtSignature": "s"},
        {"functionCall": {"id": "x", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": "t"},
    )
    assert answer.choices == [
        Choice(
            parts=[
                Reasoning(text="hm"),
                Text(text="ab", state=State("google", "s")),
                ToolCall(id="x", name="f", arguments='{"n":1.0}', state=State("google", "t")),
            ],
            stop="tool",
        )
    ]
    assert answered(finishReason="MAX_TOKENS").choices == [Choice(parts=[], stop="length")]
