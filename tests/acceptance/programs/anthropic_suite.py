"""The anthropic library, any major, against every kind of upstream."""

import re
import uuid

import anthropic
import pytest
from asked import KEY, NO_ARGUMENTS, PICTURE_SEEN, PNG, URL, WEATHER, each_that_signs, each_upstream
from pydantic import BaseModel

TOOLS = [
    {"name": "weather", "description": "The weather in a city.", "input_schema": WEATHER},
    {"name": "clock", "description": "The time.", "input_schema": NO_ARGUMENTS},
]
REASONING = {"type": "enabled", "budget_tokens": 1024}


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str]


@pytest.fixture
def client():
    with anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0) as found:
        yield found


def asked(upstream, model, content, **more):
    return {
        "model": f"{upstream}/{model}",
        "max_tokens": 2048,
        "messages": [{"role": "user", "content": content}],
        **more,
    }


def text_of(message):
    (text,) = [block.text for block in message.content if block.type == "text"]
    return text


def kinds_of(message):
    """Without the state of a text, which only Gemini has and which stands behind it."""
    kinds = [block.type for block in message.content]
    return kinds[:-1] if kinds[-2:] == ["text", "redacted_thinking"] else kinds


def streamed(client, request):
    """The message that the library puts together from a stream, and the events it was given."""
    with client.messages.stream(**request) as stream:
        events = list(stream)
        return stream.get_final_message(), events


def spoken(message):
    """What a message says, in a form that two of them can be compared in; ids differ."""
    return (
        [block.to_dict() | {"id": None} for block in message.content],
        message.stop_reason,
        message.usage.output_tokens,
    )


def loop(client, request, results):
    """The request that follows on an answer which called tools."""
    message = client.messages.create(**request)
    calls = [block for block in message.content if block.type == "tool_use"]
    answers = [
        {"type": "tool_result", "tool_use_id": call.id, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    turns = [{"role": "assistant", "content": message.content}, {"role": "user", "content": answers}]
    return message, {**request, "messages": [*request["messages"], *turns]}


@each_upstream
def test_text_whole_and_streamed(client, upstream):
    request = asked(upstream, "echo", "hello there, café ☕", system="Be brief.")
    whole = client.messages.create(**request)
    assert whole.id.startswith("msg_")
    assert whole.content[0].text == "hello there, café ☕"
    assert whole.stop_reason == "end_turn"
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (6, 4)
    message, events = streamed(client, request)
    assert spoken(message) == spoken(whole)
    assert message.usage.input_tokens == 6
    kinds = [event.type for event in events if event.type != "text"]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@each_upstream
def test_the_end_by_length_and_by_a_stop_sequence(client, upstream):
    words = "one two three four five " * 5
    short = client.messages.create(**asked(upstream, "echo", words) | {"max_tokens": 16})
    assert (short.stop_reason, len(short.content[0].text.split())) == ("max_tokens", 16)
    raw = client.messages.with_raw_response.create(**asked(upstream, "echo", "one two three", stop_sequences=["three"]))
    stopped = raw.parse()
    if upstream == "sandbox-responses":  # that protocol has no stop sequences
        assert "stop_sequences" in raw.headers["x-trunkline-warning"]
        return
    assert stopped.content[0].text.strip() == "one two"
    # Google's protocol does not tell what stopped it.
    assert stopped.stop_reason == ("end_turn" if upstream == "sandbox-gemini" else "stop_sequence")


@each_upstream
def test_parallel_tools_and_their_results(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] The weather in Oslo for 3 days, and the time.", tools=TOOLS)
    message, following = loop(client, request, ["rain", "noon"])
    calls = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls] == [("weather", {"city": "Oslo", "days": 3}), ("clock", {})]
    assert len({call.id for call in calls}) == 2
    answer = client.messages.create(**following)
    assert answer.content[0].text == "The tool answered: rain noon"
    assert answer.stop_reason == "end_turn"
    message, _ = streamed(client, request)
    assert [(block.name, block.input) for block in message.content] == [
        ("weather", {"city": "Oslo", "days": 3}),
        ("clock", {}),
    ]
    assert message.stop_reason == "tool_use"


@each_upstream
def test_tool_choice(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] now", tools=TOOLS)
    named = client.messages.create(**request, tool_choice={"type": "tool", "name": "clock"})
    assert {block.name for block in named.content} == {"clock"}
    raw = client.messages.with_raw_response.create(
        **request, tool_choice={"type": "any", "disable_parallel_tool_use": True}
    )
    if upstream == "sandbox-gemini":  # that protocol cannot be told
        assert "tool_choice.disable_parallel_tool_use" in raw.headers["x-trunkline-warning"]
    else:
        assert [block.type for block in raw.parse().content] == ["tool_use"]
    none = client.messages.create(**request, tool_choice={"type": "none"})
    assert [block.type for block in none.content] == ["text"]


@each_upstream
def test_a_failed_tool(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] look", tools=TOOLS)
    _, following = loop(client, request, ["it broke", [{"type": "text", "text": "noon"}]])
    following["messages"][-1]["content"][0]["is_error"] = True
    text = client.messages.create(**following).content[0].text
    assert "it broke" in text
    assert "noon" in text
    assert "error" in text.lower()


@each_upstream
def test_a_picture_that_a_tool_brought(client, upstream):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "seen"}, picture]}
    request = asked(upstream, "vision", "look")
    request["messages"] += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert PICTURE_SEEN in client.messages.create(**request).content[0].text


@each_upstream
def test_structured_output(client, upstream):
    parsed = client.messages.parse(**asked(upstream, "json", "A trip to Rome for 4 days"), output_format=Trip)
    assert isinstance(parsed.parsed_output, Trip)
    form = {"format": {"type": "json_schema", "schema": anthropic.transform_schema(Trip)}}
    message, _ = streamed(client, asked(upstream, "json", "A trip to Rome for 4 days", output_config=form))
    assert Trip.model_validate_json(message.content[0].text) == parsed.parsed_output


@each_upstream
def test_structured_output_where_the_model_has_none(client, upstream):
    parsed = client.messages.parse(**asked(upstream, "tools", "A trip to Rome for 4 days"), output_format=Trip)
    assert isinstance(parsed.parsed_output, Trip)


@each_upstream
def test_a_picture(client, upstream):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    message = client.messages.create(**asked(upstream, "vision", [{"type": "text", "text": "What is it?"}, picture]))
    assert PICTURE_SEEN in message.content[0].text


@each_upstream
def test_reasoning_comes_only_when_it_is_asked_for(client, upstream):
    request = asked(upstream, "think", "why")
    assert [block.type for block in client.messages.create(**request).content] == ["text"]
    message = client.messages.create(**request, thinking=REASONING)
    assert kinds_of(message) == ["thinking", "text"]
    assert message.content[0].thinking.startswith("This reasoning is made up.")
    together, _ = streamed(client, request | {"thinking": REASONING})
    assert kinds_of(together) == kinds_of(message)
    assert together.content[0].thinking == message.content[0].thinking
    assert bool(together.content[0].signature) == bool(message.content[0].signature) == (upstream != "sandbox-gemini")


@each_upstream
def test_reasoning_goes_back_as_it_came(client, upstream):
    request = asked(upstream, "think", "why", thinking=REASONING)
    message = client.messages.create(**request)
    turns = [*request["messages"], {"role": "assistant", "content": message.content}]
    following = {**request, "messages": [*turns, {"role": "user", "content": "and then"}]}
    assert text_of(client.messages.create(**following)).endswith("and then")


@each_that_signs
def test_changed_reasoning_is_refused_or_left_out(client, upstream):
    """Anthropic's own verdict where it is the provider; elsewhere what cannot be read is not passed on, and said so."""
    request = asked(upstream, "think", "why", thinking=REASONING)
    blocks = [block.to_dict() for block in client.messages.create(**request).content]
    blocks[0]["signature"] = "changed" + blocks[0]["signature"]
    turns = [*request["messages"], {"role": "assistant", "content": blocks}, {"role": "user", "content": "and then"}]
    if upstream == "sandbox-messages":
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**{**request, "messages": turns})
    else:
        raw = client.messages.with_raw_response.create(**{**request, "messages": turns})
        assert re.search("(dropped|changed) thinking: .*not (sent|supported)", raw.headers["x-trunkline-warning"])


@each_upstream
def test_reasoning_between_tools(client, upstream):
    request = asked(upstream, "tools", "[[calls=2]] Oslo 2", tools=TOOLS, thinking=REASONING)
    message, following = loop(client, request, ["rain", "noon"])
    assert message.stop_reason == "tool_use"
    assert text_of(client.messages.create(**following)) == "The tool answered: rain noon"
    together, _ = streamed(client, request)
    assert [block.type for block in together.content] == [block.type for block in message.content]
    turns = [*request["messages"], {"role": "assistant", "content": together.content}, following["messages"][-1]]
    for result, call in zip(turns[-1]["content"], [b for b in together.content if b.type == "tool_use"], strict=True):
        result["tool_use_id"] = call.id
    assert text_of(client.messages.create(**request | {"messages": turns})) == "The tool answered: rain noon"


@each_upstream
def test_hidden_reasoning_is_carried(client, upstream):
    """Where it is redacted, and where the client throws it away and only the gateway can bring it back."""
    request = asked(upstream, "tools", "Oslo 2", tools=TOOLS[:1])
    message = client.messages.create(**request)
    calls = [block.to_dict() for block in message.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "rain"} for call in calls]
    turns = [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    answer = client.messages.create(**request | {"messages": [*request["messages"], *turns]})
    assert text_of(answer) == "The tool answered: rain"


@each_upstream
def test_tokens_are_counted(client, upstream):
    counted = client.messages.count_tokens(
        model=f"{upstream}/echo", messages=[{"role": "user", "content": "one two three"}], system="Be brief."
    )
    assert counted.input_tokens >= 5
    if upstream == "sandbox-messages":  # counts itself
        assert counted.input_tokens == 5


@each_upstream
def test_the_list_of_models(client, upstream):
    listed = [model.id for model in client.models.list()]
    assert f"{upstream}/echo" in listed
    one = client.models.retrieve(f"{upstream}/echo")
    assert (one.type, one.id) == ("model", f"{upstream}/echo")


@each_upstream
def test_errors_are_of_their_class(client, upstream):
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(**asked(upstream, "no-such-model", "hi"))
    assert missing.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(**asked(upstream, "echo", "hi") | {"messages": [{"role": "robot", "content": "hi"}]})
    assert "role" in str(refused.value)
    with pytest.raises(anthropic.RateLimitError) as limited:
        client.messages.create(**asked(upstream, "faulty", "[[status=429 retry_after=7]] hi"))
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.body["error"]["type"] == "rate_limit_error"
    with pytest.raises(anthropic.APIStatusError) as failed:
        client.messages.create(**asked(upstream, "faulty", "[[status=503]] hi"))
    assert failed.value.status_code == 529
    assert failed.value.body["error"]["type"] == "overloaded_error"
    assert failed.value.request_id


@each_upstream
def test_a_second_try_by_the_library(client, upstream):
    hello = f"[[status=500 times=1]] once more, {uuid.uuid4()}"
    message = client.with_options(max_retries=1).messages.create(**asked(upstream, "faulty", hello))
    assert message.stop_reason == "end_turn"


@each_upstream
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3 delay_ms=40", "garble_after=3 delay_ms=40"])
def test_a_broken_stream_is_an_error(client, upstream, fault):
    said = []

    def read():
        with client.messages.stream(**asked(upstream, "faulty", f"[[{fault}]] hi")) as stream:
            said.extend(stream.text_stream)

    with pytest.raises(anthropic.APIStatusError) as broken:
        read()
    assert said
    assert broken.value.body["type"] == "error"


def test_a_wrong_key():
    stranger = anthropic.Anthropic(base_url=URL, api_key="sk-wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(**asked("sandbox", "echo", "hi"))


def test_the_key_in_its_own_header():
    bearer = anthropic.Anthropic(base_url=URL, auth_token=KEY, api_key=None, max_retries=0)
    assert bearer.messages.create(**asked("sandbox", "echo", "hi")).content[0].text == "hi"


def test_a_prompt_is_cached_where_it_is_marked(client):
    text = f"word {uuid.uuid4()} " * 1100
    marked = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    request = asked("sandbox-messages", "echo", "hi", system=marked)
    first, second = (client.messages.create(**request).usage for _ in range(2))
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 2000
    assert first.input_tokens == second.input_tokens == 1


async def hello(upstream):
    async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY) as client:
        request = asked(upstream, "echo", "hello there")
        async with client.messages.stream(**request) as stream:
            text = "".join([piece async for piece in stream.text_stream])
        return text, (await client.messages.create(**request)).content[0].text


@each_upstream
def test_the_async_client(upstream):
    import asyncio

    assert asyncio.run(hello(upstream)) == ("hello there", "hello there")


def test_beta_features_reach_the_same_place(client):
    message = client.beta.messages.create(
        **asked("sandbox", "echo", "hi"), betas=["interleaved-thinking-2025-05-14", "unheard-of-2031-01-01"]
    )
    assert message.content[0].text == "hi"
