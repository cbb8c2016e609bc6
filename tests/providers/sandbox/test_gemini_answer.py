from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.gemini_exchange import THOUGHTS, TOOLS, ask_for, joined, parts_of, plain, said, streamed
from tests.thoroughness import examples
from trunkline.providers.sandbox.directives import RANGES
from trunkline.providers.sandbox.transport import SandboxTransport

CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "maxOutputTokens": st.sampled_from([1, 3, 40, 100_000]),
        "stopSequences": st.sampled_from([["beta"], ["zz", "a"]]),
        "candidateCount": st.integers(1, 3),
        "seed": st.integers(0, 5),
        "responseLogprobs": st.just(True),
        "thinkingConfig": st.sampled_from(
            [{"includeThoughts": True}, {"thinkingBudget": 0}, {"thinkingLevel": "LOW"}, {"thinkingBudget": 20}]
        ),
        "responseMimeType": st.just("application/json"),
    },
)
TEXTS = st.lists(st.sampled_from(["alpha ", "beta", " ", "\n", "é🙂", "3 "]), min_size=1, max_size=8).map("".join)


@settings(max_examples=examples(150))
@given(st.sampled_from(list(RANGES)), TEXTS, st.sampled_from(["", "refuse", "cached=2"]), CONFIGS, st.booleans())
def test_a_stream_is_the_whole_answer_in_parts(model: str, text: str, told: str, config: JSON, tools: bool) -> None:
    async def both() -> None:
        sandbox = SandboxTransport()
        body = ask_for(f"[[{told}]] {text}" if told else text, generationConfig=config)
        if tools:
            body["tools"] = TOOLS
        whole = plain(await said(sandbox, model, body))
        assert plain(await said(sandbox, model, body)) == whole, "the same request has the same answer"
        chunks = await streamed(sandbox, model, body)
        assert plain(joined(chunks)) == whole
        assert plain(joined(await streamed(sandbox, model, body, sse=False))) == whole
        usage = whole.usage_metadata
        assert usage is not None
        spent = usage.candidates_token_count + usage.thoughts_token_count
        assert usage.total_token_count == usage.prompt_token_count + spent
        assert spent <= config.get("maxOutputTokens", 10**9) * config.get("candidateCount", 1)

    asyncio.run(both())


async def test_the_chunks_of_a_text() -> None:
    chunks = await streamed(SandboxTransport(), "echo", ask_for("one two"))
    assert [parts_of(chunk)[0].text for chunk in chunks] == ["one", " two", ""]
    assert [chunk.candidates[0].finish_reason for chunk in chunks] == [None, None, "STOP"]
    assert [chunk.usage_metadata.candidates_token_count for chunk in chunks if chunk.usage_metadata] == [1, 2, 2]


@pytest.mark.parametrize("shown", [True, False])
async def test_thoughts_are_counted_always_and_shown_when_asked(shown: bool) -> None:
    config = {"thinkingConfig": {"includeThoughts": shown, "thinkingLevel": "low"}}
    body = ask_for("Why?", generationConfig=config)
    answer = await said(SandboxTransport(), "think", body)
    assert [part.thought for part in parts_of(answer)] == ([True, None] if shown else [None])
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 16
    assert answer.usage_metadata.candidates_token_count == len((parts_of(answer)[-1].text or "").split())
    chunks = await streamed(SandboxTransport(), "think", body)
    assert sum(part.thought is True for chunk in chunks for part in parts_of(chunk)) == (16 if shown else 0)
    assert parts_of(chunks[-1])[0].text == ""
    assert parts_of(chunks[-1])[0].thought_signature == parts_of(answer)[-1].thought_signature is not None


async def test_of_parallel_calls_the_first_is_signed() -> None:
    body = ask_for("[[calls=3]] Paris, Rome?", tools=TOOLS, generationConfig=THOUGHTS)
    answer = await said(SandboxTransport(), "tools", body)
    calls = [part for part in parts_of(answer) if part.function_call is not None]
    assert [call.function_call.name for call in calls if call.function_call] == ["weather", "forecast", "weather"]
    assert [call.thought_signature is not None for call in calls] == [True, False, False]
    plainly = await said(SandboxTransport(), "tools", ask_for("Paris?", tools=TOOLS))
    assert parts_of(plainly)[0].thought_signature is None


async def test_a_call_comes_whole_or_not_at_all() -> None:
    body: Any = ask_for("Paris?", tools=TOOLS, generationConfig={"maxOutputTokens": 2})
    answer = await said(SandboxTransport(), "tools", body)
    assert (answer.candidates[0].finish_reason, parts_of(answer)) == ("MAX_TOKENS", [])
    chunks = await streamed(SandboxTransport(), "tools", body)
    assert [parts_of(chunk) for chunk in chunks] == [[]]
    body["generationConfig"]["maxOutputTokens"] = 3
    assert len(parts_of(await said(SandboxTransport(), "tools", body))) == 1


async def test_a_refusal_has_no_content() -> None:
    answer = await said(SandboxTransport(), "echo", ask_for("[[refuse]] no"))
    assert (answer.candidates[0].content, answer.candidates[0].finish_reason) == (None, "SAFETY")


async def test_no_usage_and_no_done() -> None:
    body = ask_for("[[no_usage no_done]] x")
    chunks = await streamed(SandboxTransport(), "faulty", body)
    assert all(chunk.usage_metadata is None for chunk in chunks)
    assert all(chunk.candidates[0].finish_reason is None for chunk in chunks)
    assert (await said(SandboxTransport(), "faulty", body)).usage_metadata is None


async def test_logprobs() -> None:
    body = ask_for("a b", generationConfig={"responseLogprobs": True, "logprobs": 3})
    (candidate,) = (await said(SandboxTransport(), "echo", body)).candidates
    result = candidate.logprobs_result
    assert result is not None
    assert [each.token for each in result.chosen_candidates] == ["a", " b"]
    assert [len(each.candidates) for each in result.top_candidates] == [3, 3]
    assert candidate.avg_logprobs == pytest.approx(sum(e.log_probability for e in result.chosen_candidates) / 2)


async def test_candidates_have_seeds_of_their_own() -> None:
    body = ask_for("[[tokens=9]]", generationConfig={"candidateCount": 3})
    answer = await said(SandboxTransport(), "story", body)
    assert len({str(candidate.content) for candidate in answer.candidates}) == 3
