"""Responses through the sandbox's door, asked by OpenAI's own client."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import BadRequestError, RateLimitError
from openai.types.responses import ResponseReasoningItem

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.openai_client import client, post, refused
from tests.thoroughness import examples
from trunkline.errors import StreamCut
from trunkline.providers.sandbox.directives import RANGES
from trunkline.providers.sandbox.responses import REFUSAL

PATH = "/responses"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}


async def output(**body: Any) -> list[JSON]:
    answered = await post(PATH, body)
    assert answered.status == 200, answered.body
    return cast("list[JSON]", answered.json()["output"])


async def text(**body: Any) -> str:
    (item,) = await output(**body)
    return str(item["content"][0]["text"])


async def test_each_model_answers_as_it_does_in_chat() -> None:
    assert await text(model="sandbox/echo", input="say this") == "say this"
    assert len((await text(model="story", input="[[tokens=7]] x")).split()) == 7
    form = {"type": "json_schema", "name": "n", "schema": SCHEMA}
    made = await text(model="json", input="we go to Paris", text={"format": form})
    assert msgspec.json.decode(made)["city"] == "Paris"
    image = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}
    asked = [{"role": "user", "content": [{"type": "input_text", "text": "what is it?"}, image]}]
    assert "does not fetch" in await text(model="vision", input=asked)
    reasoning, message = await output(model="think", input="hi")
    assert (reasoning["type"], message["type"]) == ("reasoning", "message")


async def test_refuse() -> None:
    for model in ("echo", "tools"):
        (item,) = await output(model=model, input="[[refuse]] go", tools=[WEATHER])
        assert item["content"] == [{"type": "refusal", "refusal": REFUSAL}]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_turn_with_sealed_reasoning(stream: bool) -> None:
    """What the client's own objects say is brought back as they dump it."""
    talk: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    wanted: Any = {
        "model": "tools",
        "tools": [WEATHER],
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    async with client() as openai:
        if stream:
            async with openai.responses.stream(input=talk, **wanted) as events:
                said = await events.get_final_response()
        else:
            said = await openai.responses.create(input=talk, **wanted)
        reasoning, call = said.output
        assert isinstance(reasoning, ResponseReasoningItem)
        assert call.type == "function_call"
        assert msgspec.json.decode(call.arguments)["city"] == "Paris"
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "It is sunny."}
        given: list[Any] = [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in said.output]
        again = await openai.responses.create(input=[*talk, *given, result], **wanted)
        assert again.output_text == "The tool answered: It is sunny."
        with pytest.raises(BadRequestError, match=f"without its required 'reasoning' item: '{reasoning.id}'"):
            await openai.responses.create(input=[*talk, given[1], result], **wanted)
        given[0]["encrypted_content"] += "x"
        with pytest.raises(BadRequestError) as caught:
            await openai.responses.create(input=[*talk, *given, result], **wanted)
        assert caught.value.code == "invalid_encrypted_content"


async def test_without_the_sealed_reasoning_a_call_stands_alone() -> None:
    asked = {"model": "tools", "input": "Paris", "tools": [WEATHER], "reasoning": {"effort": "low"}, "store": False}
    _, call = await output(**asked)
    back = [{"role": "user", "content": "Paris"}, call]
    back.append({"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"})
    assert await text(model="tools", input=back, store=False) == "The tool answered: sunny"


async def test_effort_makes_tools_reason() -> None:
    for effort, kinds in (
        (None, ["function_call"]),
        ("none", ["function_call"]),
        ("high", ["reasoning", "function_call"]),
    ):
        found = await output(model="tools", input="Paris", tools=[WEATHER], reasoning={"effort": effort})
        assert [item["type"] for item in found] == kinds


async def test_a_custom_tool_turn() -> None:
    tool = {
        "type": "custom",
        "name": "shell",
        "format": {"type": "grammar", "syntax": "regex", "definition": "(ls|cat) [a-z]{3}"},
    }
    (call,) = await output(model="tools", input="go", tools=[tool])
    assert call["input"].split()[0] in ("ls", "cat")
    result = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "a.txt"}
    talk = [{"role": "user", "content": "go"}, call, result]
    assert await text(model="tools", input=talk, tools=[tool]) == "The tool answered: a.txt"


async def test_the_clients_stream_and_its_parser() -> None:
    async with client() as openai:
        parts = ""
        async with openai.responses.stream(model="echo", input="alpha beta gamma") as events:
            async for event in events:
                if event.type == "response.output_text.delta":
                    parts += event.delta
            final = await events.get_final_response()
        assert parts == final.output_text == "alpha beta gamma"
        assert final.usage is not None
        assert final.usage.total_tokens == 6


async def test_input_tokens_and_compaction() -> None:
    async with client() as openai:
        counted = await openai.responses.input_tokens.count(model="echo", input="one two", instructions="three")
        assert counted.input_tokens == 3
        talk: Any = [{"role": "user", "content": "first words"}, {"role": "assistant", "content": "a long answer"}]
        compacted = await openai.responses.compact(model="echo", input=talk)
        (item,) = compacted.output
        assert item.type == "compaction"
        assert compacted.usage.input_tokens == 5
        back: Any = [item.model_dump(exclude_none=True)]
        again = await openai.responses.create(model="echo", input=back)
        assert again.output_text == "first words"


async def test_state_is_not_kept() -> None:
    async with client() as openai:
        said = await openai.responses.create(model="echo", input="x", store=True)
    earlier = {"model": "echo", "input": "y", "previous_response_id": said.id}
    assert await refused(PATH, earlier) == ("previous_response_id", "previous_response_not_found")
    reference = {"model": "echo", "input": [{"type": "item_reference", "id": said.output[0].id}]}
    assert (await post(PATH, reference)).status == 404


async def test_refusals_are_in_openais_envelope() -> None:
    assert await refused(PATH, {"model": "gpt-9", "input": "x"}) == ("model", "model_not_found")
    assert await refused(PATH, {"model": "embed", "input": "x"}) == ("model", "unsupported_model")
    assert await refused(PATH, {"model": "echo", "input": "x", "seed": 1}) == ("seed", "unknown_parameter")


async def test_faults() -> None:
    async with client() as openai:
        with pytest.raises(RateLimitError) as caught:
            await openai.responses.create(model="faulty", input="[[status=429 retry_after=3]] x")
        assert caught.value.response.headers["retry-after"] == "3"
    assert (await post(PATH, {"model": "faulty", "input": "[[error_after=2]] x"})).status == 500
    with pytest.raises(StreamCut):
        await post(PATH, {"model": "faulty", "input": "[[cut_after=2]] x", "stream": True})


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("model", "input", "stream", "tools", "tool_choice", "text", "reasoning", "include", "metadata")
ITEMS = st.lists(
    st.dictionaries(
        st.sampled_from(["type", "role", "content", "id", "call_id", "output", "summary"]), NESTED, max_size=4
    )
)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(RANGES)), st.dictionaries(st.sampled_from(FIELDS), NESTED, max_size=3), ITEMS, st.binary())
def test_any_body_has_an_answer(model: str, more: JSON, items: list[JSON], raw: bytes) -> None:
    async def status(body: JSON | bytes) -> int:
        return (await post(PATH, body)).status

    assert asyncio.run(status(raw)) == 400
    assert asyncio.run(status({"model": model, "input": "hi", **more})) in (200, 400, 404)
    assert asyncio.run(status({"model": model, "input": items})) in (200, 400, 404)
