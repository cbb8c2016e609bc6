"""The openai library, any major, over Chat Completions against every kind of upstream."""

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
        "function": {"name": "weather", "description": "The weather in a city.", "parameters": WEATHER, "strict": True},
    },
    {"type": "function", "function": {"name": "clock", "parameters": NO_ARGUMENTS, "strict": True}},
]
CALLS = [("weather", {"city": "Oslo", "days": 3}), ("clock", {})]
ANSWERED = "The tool answered: rain noon"


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
    return {"model": f"{upstream}/{model}", "messages": [{"role": "user", "content": content}], **more}


def streamed(client, request):
    """What the library's own accumulation makes of a stream."""
    with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


def called(completion):
    return [
        (call.function.name, json.loads(call.function.arguments)) for call in completion.choices[0].message.tool_calls
    ]


def following(request, completion, *results):
    message = completion.choices[0].message
    answers = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(message.tool_calls, results, strict=True)
    ]
    return {**request, "messages": [*request["messages"], message, *answers]}


@each_upstream
def test_text_whole_and_streamed(client, upstream):
    request = asked(upstream, "echo", "hello there, café ☕")
    request["messages"].insert(0, {"role": "system", "content": "Be brief."})
    whole = client.chat.completions.create(**request)
    assert whole.id.startswith("chatcmpl-")
    assert whole.choices[0].message.content == "hello there, café ☕"
    assert whole.choices[0].finish_reason == "stop"
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens) == (6, 4, 10)
    together = streamed(client, request)
    assert together.choices[0].message.content == "hello there, café ☕"
    assert together.choices[0].finish_reason == "stop"
    assert together.usage.to_dict() == whole.usage.to_dict()


@each_upstream
def test_usage_rides_on_the_last_choice_unless_it_is_asked_for(client, upstream):
    request = asked(upstream, "echo", "hello there", stream=True)
    plain = list(client.chat.completions.create(**request))
    assert all(len(chunk.choices) == 1 for chunk in plain)
    assert plain[-1].usage.completion_tokens == 2
    assert len({chunk.id for chunk in plain}) == 1
    asked_for = list(client.chat.completions.create(**request, stream_options={"include_usage": True}))
    assert [len(chunk.choices) for chunk in asked_for] == [1] * (len(asked_for) - 1) + [0]
    assert [chunk.usage is None for chunk in asked_for] == [True] * (len(asked_for) - 1) + [False]


@each_upstream
def test_the_end_by_length_and_by_a_stop_string(client, upstream):
    short = client.chat.completions.create(**asked(upstream, "echo", "one two three " * 9, max_completion_tokens=16))
    assert short.choices[0].finish_reason == "length"
    assert len(short.choices[0].message.content.split()) == 16
    raw = client.chat.completions.with_raw_response.create(**asked(upstream, "echo", "one two three", stop="three"))
    if upstream == "sandbox-responses":  # that protocol has no stop strings
        assert "stop" in raw.headers["x-trunkline-warning"]
    else:
        assert raw.parse().choices[0].message.content.strip() == "one two"


@each_upstream
def test_parallel_tools_and_their_results(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] The weather in Oslo for 3 days, and the time.", tools=TOOLS)
    whole = client.chat.completions.create(**request)
    assert whole.choices[0].finish_reason == "tool_calls"
    assert called(whole) == CALLS
    assert (
        client.chat.completions.create(**following(request, whole, "rain", "noon")).choices[0].message.content
        == ANSWERED
    )
    together = streamed(client, request)
    assert together.choices[0].finish_reason == "tool_calls"
    assert called(together) == CALLS
    assert streamed(client, following(request, together, "rain", "noon")).choices[0].message.content == ANSWERED


@each_upstream
def test_a_loop_of_three_steps_keeps_what_the_provider_wants_back(client, upstream):
    """What this client cannot carry, such as Gemini's signatures of calls, the gateway keeps for it."""
    request = asked(upstream, "tools", "Oslo 2", tools=TOOLS, reasoning_effort="low")
    for _ in range(2):
        whole = client.chat.completions.create(**request, tool_choice="required")
        message = whole.choices[0].message
        bare = {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": c.id,
                    "type": "function",
                    "function": {"name": c.function.name, "arguments": c.function.arguments},
                }
                for c in message.tool_calls
            ],
        }
        results = [{"role": "tool", "tool_call_id": c.id, "content": "rain"} for c in message.tool_calls]
        request["messages"] += [bare, *results]
    assert client.chat.completions.create(**request).choices[0].message.content == "The tool answered: rain"


@each_upstream
def test_tool_choice(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] Oslo 2", tools=TOOLS)
    named = client.chat.completions.create(**request, tool_choice={"type": "function", "function": {"name": "clock"}})
    assert {name for name, _ in called(named)} == {"clock"}
    assert client.chat.completions.create(**request, tool_choice="none").choices[0].message.tool_calls is None
    clock = {"type": "function", "function": {"name": "clock"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [clock]}}
    assert {name for name, _ in called(client.chat.completions.create(**request, tool_choice=allowed))} == {"clock"}
    raw = client.chat.completions.with_raw_response.create(**request, parallel_tool_calls=False)
    if upstream == "sandbox-gemini":  # that protocol cannot be told
        assert "parallel_tool_calls" in raw.headers["x-trunkline-warning"]
    else:
        assert len(called(raw.parse())) == 1


@each_upstream
@pytest.mark.parametrize(("model", "form"), [("json", Trip), ("tools", BoundedTrip)])
def test_structured_output(client, upstream, model, form):
    """`tools` has no schema of its own for its answers: there the gateway sees to it."""
    request = asked(upstream, model, "A trip to Rome for 4 days", response_format=form)
    assert isinstance(client.chat.completions.parse(**request).choices[0].message.parsed, form)
    assert isinstance(streamed(client, request).choices[0].message.parsed, form)


@each_upstream
def test_json_mode(client, upstream):
    request = asked(upstream, "json", "Some JSON, please", response_format={"type": "json_object"})
    assert isinstance(json.loads(client.chat.completions.create(**request).choices[0].message.content), dict)


@each_upstream
def test_a_picture(client, upstream):
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
    ]
    whole = client.chat.completions.create(**asked(upstream, "vision", content))
    assert PICTURE_SEEN in whole.choices[0].message.content


@each_upstream
def test_reasoning_is_told_beside_the_answer(client, upstream):
    request = asked(upstream, "think", "why", reasoning_effort="high")
    whole = client.chat.completions.create(**request)
    message = whole.choices[0].message
    assert message.content == "The message has 1 word: why"
    assert message.reasoning_content.startswith("This reasoning is made up.")
    counted = whole.usage.completion_tokens_details.reasoning_tokens
    assert counted == len(message.reasoning_content.split())
    chunks = list(client.chat.completions.create(**request, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == message.reasoning_content
    assert "".join(delta.content or "" for delta in deltas) == message.content
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == counted


@each_that_signs
def test_reasoning_goes_back_as_it_came(client, upstream):
    request = asked(upstream, "think", "why", reasoning_effort="low")
    message = client.chat.completions.create(**request).choices[0].message.to_dict()
    turn = {"role": "user", "content": "and then"}
    again = {**request, "messages": [*request["messages"], message, turn]}
    assert client.chat.completions.create(**again).choices[0].message.content.endswith("and then")
    details = json.dumps(message["reasoning_details"])
    assert '"signature"' in details or '"data"' in details


@each_upstream
def test_errors_are_of_their_class(client, upstream):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**asked(upstream, "no-such-model", "hi"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked(upstream, "echo", "hi", n=0))
    assert refused.value.param == "n"
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(**asked(upstream, "faulty", "[[status=429 retry_after=7]] hi"))
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(**asked(upstream, "faulty", "[[status=503]] hi"))
    assert failed.value.status_code == 503
    assert failed.value.request_id


@each_upstream
def test_a_second_try_by_the_library(client, upstream):
    request = asked(upstream, "faulty", f"[[status=500 times=1]] once more, {uuid.uuid4()}")
    again = client.with_options(max_retries=1).chat.completions.create(**request)
    assert again.choices[0].finish_reason == "stop"


@each_upstream
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3 delay_ms=40", "garble_after=3 delay_ms=40"])
def test_a_broken_stream_is_an_error(client, upstream, fault):
    chunks = []
    with pytest.raises(openai.APIError):
        chunks.extend(client.chat.completions.create(**asked(upstream, "faulty", f"[[{fault}]] hi", stream=True)))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@each_upstream
def test_a_refusal_is_the_models_own(client, upstream):
    choice = client.chat.completions.create(**asked(upstream, "echo", "[[refuse]] hi")).choices[0]
    assert choice.message.refusal or choice.finish_reason == "content_filter"


@each_upstream
def test_the_list_of_models(client, upstream):
    assert f"{upstream}/echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve(f"{upstream}/echo").object == "model"


@each_upstream
def test_what_a_provider_cannot_do_is_said(client, upstream):
    request = asked(upstream, "echo", "hi", seed=1, logit_bias={"5": 1}, presence_penalty=0.5)
    raw = client.chat.completions.with_raw_response.create(**request)
    warned = " ".join(raw.headers.get_list("x-trunkline-warning"))
    assert ("logit_bias" in warned) == (upstream != "sandbox")
    assert raw.parse().choices[0].message.content == "hi"
    if upstream in ("sandbox", "sandbox-gemini"):
        assert len(client.chat.completions.create(**request, n=2).choices) == 2
    else:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**request, n=2)
        assert refused.value.param == "n"


def test_a_wrong_key():
    with pytest.raises(openai.AuthenticationError) as refused:
        openai.OpenAI(base_url=f"{URL}/v1", api_key="sk-wrong", max_retries=0).models.list()
    assert refused.value.code == "invalid_api_key"


async def hello(upstream):
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY) as client:
        request = asked(upstream, "echo", "hello there")
        async with client.chat.completions.stream(**request) as stream:
            streamed_text = (await stream.get_final_completion()).choices[0].message.content
        return streamed_text, (await client.chat.completions.create(**request)).choices[0].message.content


@each_upstream
def test_the_async_client(upstream):
    assert asyncio.run(hello(upstream)) == ("hello there", "hello there")
