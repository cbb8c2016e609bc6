"""The openai library, any major, over Responses against every kind of upstream."""

import asyncio
import json
import uuid

import openai
import pytest
from asked import KEY, NO_ARGUMENTS, PICTURE_SEEN, PNG, URL, WEATHER, each_that_signs, each_upstream
from pydantic import BaseModel, Field

TOOLS = [
    {
        "type": "function",
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": WEATHER,
        "strict": True,
    },
    {"type": "function", "name": "clock", "parameters": NO_ARGUMENTS, "strict": True},
]
CALLS = [("weather", {"city": "Oslo", "days": 3}), ("clock", {})]
ASKED_FOR = "[[calls=2]] The weather in Oslo for 3 days, and the time."
ANSWERED = "The tool answered: rain noon"
SEALED = ["reasoning.encrypted_content"]


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str]


class BoundedTrip(Trip):
    """No vendor's models keep to all such bounds by themselves."""

    days: int = Field(ge=3, le=5)
    stops: list[str] = Field(min_length=2)


@pytest.fixture
def client():
    with openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0) as found:
        yield found


def asked(upstream, model, content, **more):
    return {"model": f"{upstream}/{model}", "input": content, **more}


def streamed(client, request):
    with client.responses.stream(**request) as stream:
        events = list(stream)
        return stream.get_final_response(), events


def called(response):
    return [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]


def results(response, *said):
    calls = [item for item in response.output if item.type == "function_call"]
    return [
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
        for call, result in zip(calls, said, strict=True)
    ]


@each_upstream
def test_text_whole_and_streamed(client, upstream):
    request = asked(upstream, "echo", "hello there, café ☕", instructions="Be brief.", metadata={"a": "b"})
    whole = client.responses.create(**request)
    assert whole.id.startswith("resp_")
    assert (whole.status, whole.output_text, whole.instructions) == ("completed", "hello there, café ☕", "Be brief.")
    assert (whole.usage.input_tokens, whole.usage.output_tokens, whole.usage.total_tokens) == (6, 4, 10)
    assert whole.metadata == {"a": "b"}
    together, events = streamed(client, request)
    assert together.output_text == whole.output_text
    assert together.usage.to_dict() == whole.usage.to_dict()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events][:3] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert events[-1].type == "response.completed"


@each_upstream
def test_parallel_tools_and_their_results(client, upstream):
    request = asked(upstream, "tools", ASKED_FOR, tools=TOOLS)
    whole = client.responses.create(**request)
    assert called(whole) == CALLS
    answer = client.responses.create(
        model=request["model"], tools=TOOLS, previous_response_id=whole.id, input=results(whole, "rain", "noon")
    )
    assert answer.output_text == ANSWERED
    together, _ = streamed(client, request)
    assert called(together) == CALLS
    again, _ = streamed(
        client,
        {"model": request["model"], "tools": TOOLS, "previous_response_id": together.id}
        | {"input": results(together, "rain", "noon")},
    )
    assert again.output_text == ANSWERED


@each_upstream
def test_a_loop_of_three_steps_that_the_client_carries_itself(client, upstream):
    talk = [{"role": "user", "content": "Oslo 2"}]
    request = {"model": f"{upstream}/tools", "tools": TOOLS, "store": False, "include": SEALED}
    request["reasoning"] = {"effort": "low", "summary": "auto"}
    for _ in range(2):
        response = client.responses.create(**request, input=talk, tool_choice="required")
        talk += [item.to_dict() for item in response.output]
        talk += results(response, "rain")
    assert client.responses.create(**request, input=talk).output_text == "The tool answered: rain"


@each_upstream
def test_tool_choice(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] Oslo 2", tools=TOOLS)
    named = client.responses.create(**request, tool_choice={"type": "function", "name": "clock"})
    assert {name for name, _ in called(named)} == {"clock"}
    assert not called(client.responses.create(**request, tool_choice="none"))
    raw = client.responses.with_raw_response.create(**request, parallel_tool_calls=False)
    if upstream == "sandbox-gemini":  # that protocol cannot be told
        assert "parallel_tool_calls" in raw.headers["x-trunkline-warning"]
    else:
        assert len(called(raw.parse())) == 1


@each_upstream
@pytest.mark.parametrize(("model", "form"), [("json", Trip), ("tools", BoundedTrip)])
def test_structured_output(client, upstream, model, form):
    """`tools` has no schema of its own for its answers: there the gateway sees to it."""
    request = asked(upstream, model, "A trip to Rome for 4 days", text_format=form)
    assert isinstance(client.responses.parse(**request).output_parsed, form)
    together, _ = streamed(client, request)
    assert isinstance(together.output_parsed, form)


@each_upstream
def test_a_picture(client, upstream):
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    content = [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, picture]}]
    assert PICTURE_SEEN in client.responses.create(**asked(upstream, "vision", content)).output_text


@each_upstream
def test_a_picture_that_a_tool_brought(client, upstream):
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    talk = [
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "a"}, picture]},
    ]
    assert PICTURE_SEEN in client.responses.create(**asked(upstream, "vision", talk)).output_text


@each_upstream
def test_reasoning_comes_as_an_item_and_goes_back_as_it_came(client, upstream):
    talk = [{"role": "user", "content": "why"}]
    request = {"model": f"{upstream}/think", "store": False, "include": SEALED}
    request["reasoning"] = {"effort": "medium", "summary": "detailed"}
    whole = client.responses.create(**request, input=talk)
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert whole.output_text == "The message has 1 word: why"
    assert whole.usage.output_tokens_details.reasoning_tokens > 0
    together, _ = streamed(client, {**request, "input": talk})
    assert [item.type for item in together.output] == ["reasoning", "message"]
    assert together.output_text == whole.output_text
    assert together.usage.to_dict() == whole.usage.to_dict()
    talk += [*(item.to_dict() for item in whole.output), {"role": "user", "content": "and then"}]
    assert client.responses.create(**request, input=talk).output_text.endswith("and then")


@each_that_signs
def test_reasoning_bears_what_its_provider_wants_back(client, upstream):
    request = {"model": f"{upstream}/tools", "store": False, "include": SEALED, "tools": TOOLS}
    request["reasoning"] = {"effort": "medium", "summary": "detailed"}
    response = client.responses.create(**request, input="Oslo 2")
    reasoning = [item for item in response.output if item.type == "reasoning"]
    assert any(item.encrypted_content for item in reasoning)


@each_upstream
def test_what_was_said_is_kept(client, upstream):
    first = client.responses.create(**asked(upstream, "echo", "first words"))
    second = client.responses.create(**asked(upstream, "echo", "second words"), previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens
    assert client.responses.retrieve(second.id).output_text == "second words"
    assert [item.type for item in client.responses.input_items.list(second.id)]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**asked(upstream, "echo", "hi"), previous_response_id=first.id)
    assert refused.value.code == "previous_response_not_found"


@each_upstream
def test_a_conversation(client, upstream):
    conversation = client.conversations.create()
    client.responses.create(**asked(upstream, "echo", "first words"), conversation=conversation.id)
    client.responses.create(**asked(upstream, "echo", "second words"), conversation=conversation.id)
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [item.content[0].text for item in items] == ["first words", "first words", "second words", "second words"]


@each_upstream
def test_in_the_background(client, upstream):
    begun = client.responses.create(**asked(upstream, "echo", "hello there"), background=True, stream=True)
    events = list(begun)
    assert events[-1].type == "response.completed"
    response_id = events[0].response.id
    later = list(client.responses.retrieve(response_id, stream=True, starting_after=events[1].sequence_number))
    assert [event.sequence_number for event in later] == [event.sequence_number for event in events[2:]]
    assert client.responses.retrieve(response_id).output_text == "hello there"


@each_upstream
def test_tokens_are_counted(client, upstream):
    counted = client.responses.input_tokens.count(
        model=f"{upstream}/echo", input="one two three", instructions="Be brief."
    )
    assert counted.input_tokens >= 5


@each_upstream
def test_errors_are_of_their_class(client, upstream):
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(**asked(upstream, "no-such-model", "hi"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**asked(upstream, "echo", "hi", max_output_tokens=0))
    assert refused.value.param == "max_output_tokens"
    with pytest.raises(openai.RateLimitError) as limited:
        client.responses.create(**asked(upstream, "faulty", "[[status=429 retry_after=7]] hi"))
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.InternalServerError) as failed:
        client.responses.create(**asked(upstream, "faulty", "[[status=503]] hi"))
    assert failed.value.status_code == 503


@each_upstream
def test_a_second_try_by_the_library(client, upstream):
    request = asked(upstream, "faulty", f"[[status=500 times=1]] once more, {uuid.uuid4()}")
    assert client.with_options(max_retries=1).responses.create(**request).status == "completed"


@each_upstream
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3 delay_ms=40", "garble_after=3 delay_ms=40"])
def test_a_broken_stream_ends_in_failure(client, upstream, fault):
    events = list(client.responses.create(**asked(upstream, "faulty", f"[[{fault}]] hi"), stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.message
    assert any(event.type == "response.output_text.delta" for event in events)
    assert [event.sequence_number for event in events] == list(range(len(events)))


@each_upstream
def test_the_end_by_length(client, upstream):
    short = client.responses.create(**asked(upstream, "echo", "one two three " * 9, max_output_tokens=16))
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert len(short.output_text.split()) == 16


async def hello(upstream):
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY) as client:
        request = asked(upstream, "echo", "hello there")
        async with client.responses.stream(**request) as stream:
            streamed_text = (await stream.get_final_response()).output_text
        return streamed_text, (await client.responses.create(**request)).output_text


@each_upstream
def test_the_async_client(upstream):
    assert asyncio.run(hello(upstream)) == ("hello there", "hello there")
