"""The google-genai library against every kind of upstream."""

import asyncio
import base64

import pytest
from asked import KEY, NO_ARGUMENTS, PICTURE_SEEN, PNG, URL, WEATHER, each_that_signs, each_upstream
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

TOOLS = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="weather", description="The weather.", parameters_json_schema=WEATHER),
        types.FunctionDeclaration(name="clock", description="The time.", parameters_json_schema=NO_ARGUMENTS),
    ]
)
CALLS = [("weather", {"city": "Oslo", "days": 3}), ("clock", {})]
ASKED_FOR = "[[calls=2]] The weather in Oslo for 3 days, and the time."


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str]


@pytest.fixture
def client():
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))


def generate(client, upstream, model, contents, **config):
    return client.models.generate_content(
        model=f"{upstream}/{model}", contents=contents, config=types.GenerateContentConfig(**config)
    )


def streamed(client, upstream, model, contents, **config):
    """The chunks, and the text and calls of all."""
    chunks = list(
        client.models.generate_content_stream(
            model=f"{upstream}/{model}", contents=contents, config=types.GenerateContentConfig(**config)
        )
    )
    return chunks, [part for chunk in chunks for part in parts_of(chunk)]


def parts_of(response):
    return (response.candidates[0].content and response.candidates[0].content.parts) or []


def text_of(parts):
    return "".join(part.text or "" for part in parts if not part.thought)


def thoughts_of(parts):
    return "".join(part.text or "" for part in parts if part.thought)


def called(parts):
    return [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]


def answered(parts, *results):
    calls = [part.function_call for part in parts if part.function_call]
    return types.Content(
        role="user",
        parts=[
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": said}))
            for call, said in zip(calls, results, strict=True)
        ],
    )


def user(text):
    return types.Content(role="user", parts=[types.Part(text=text)])


@each_upstream
def test_text_whole_and_streamed(client, upstream):
    whole = generate(client, upstream, "echo", "hello there, café ☕", system_instruction="Be brief.")
    assert whole.text == "hello there, café ☕"
    assert whole.candidates[0].finish_reason == types.FinishReason.STOP
    usage = whole.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (6, 4, 10)
    chunks, parts = streamed(client, upstream, "echo", "hello there, café ☕", system_instruction="Be brief.")
    assert text_of(parts) == whole.text
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 10
    assert len({chunk.response_id for chunk in chunks}) == 1


@each_upstream
def test_the_end_by_length(client, upstream):
    short = generate(client, upstream, "echo", "one two three " * 9, max_output_tokens=16)
    assert short.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert len(short.text.split()) == 16


@each_upstream
def test_parallel_tools_and_their_results(client, upstream):
    asked = [user(ASKED_FOR)]
    whole = generate(client, upstream, "tools", asked, tools=[TOOLS])
    assert called(parts_of(whole)) == CALLS
    talk = [*asked, whole.candidates[0].content, answered(parts_of(whole), "rain", "noon")]
    final = generate(client, upstream, "tools", talk, tools=[TOOLS]).text
    assert "rain" in final
    assert "noon" in final
    _, parts = streamed(client, upstream, "tools", asked, tools=[TOOLS])
    assert called(parts) == CALLS
    talk = [*asked, types.Content(role="model", parts=parts), answered(parts, "rain", "noon")]
    _, parts = streamed(client, upstream, "tools", talk, tools=[TOOLS])
    assert "rain" in text_of(parts)


@each_upstream
def test_the_library_runs_the_loop_itself(client, upstream):
    asked = []

    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "rain"

    answer = generate(client, upstream, "tools", "The weather in Oslo", tools=[weather])
    assert asked == ["Oslo"]
    assert "rain" in answer.text


@each_upstream
def test_the_choice_of_tools(client, upstream):
    config = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["clock"])
    named = generate(
        client, upstream, "tools", "now", tools=[TOOLS], tool_config=types.ToolConfig(function_calling_config=config)
    )
    assert {name for name, _ in called(parts_of(named))} == {"clock"}
    none = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="NONE"))
    assert not called(parts_of(generate(client, upstream, "tools", "now", tools=[TOOLS], tool_config=none)))


@each_upstream
@pytest.mark.parametrize("model", ["json", "tools"])
def test_structured_output(client, upstream, model):
    form = {"response_mime_type": "application/json", "response_schema": Trip}
    assert isinstance(generate(client, upstream, model, "A trip to Rome for 4 days", **form).parsed, Trip)
    form = {"response_mime_type": "application/json", "response_json_schema": Trip.model_json_schema()}
    _, parts = streamed(client, upstream, model, "A trip to Rome for 4 days", **form)
    assert Trip.model_validate_json(text_of(parts))


@each_upstream
def test_a_picture(client, upstream):
    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    assert PICTURE_SEEN in generate(client, upstream, "vision", ["What is it?", picture]).text


@each_upstream
def test_thoughts_come_when_they_are_asked_for(client, upstream):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="high")
    whole = generate(client, upstream, "think", "why", thinking_config=thinking)
    assert whole.text == "The message has 1 word: why"
    assert thoughts_of(parts_of(whole)).startswith("This reasoning is made up.")
    assert whole.usage_metadata.thoughts_token_count > 0
    chunks, parts = streamed(client, upstream, "think", "why", thinking_config=thinking)
    assert text_of(parts) == whole.text
    assert thoughts_of(parts) == thoughts_of(parts_of(whole))
    assert chunks[-1].usage_metadata.total_token_count == whole.usage_metadata.total_token_count
    assert not thoughts_of(parts_of(generate(client, upstream, "think", "why")))


@each_that_signs
def test_signatures_go_back_through_three_steps(client, upstream):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="low")
    force = {"tool_config": types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))}
    config = {"tools": [TOOLS], "thinking_config": thinking}
    talk = [user("Oslo 2")]
    for step in range(2):
        response = generate(client, upstream, "tools", talk, **config, **(force if step else {}))
        parts = parts_of(response)
        # Anthropic's models do not think when a call is forced.
        assert any(part.thought_signature for part in parts) or (step and upstream == "sandbox-messages")
        talk += [response.candidates[0].content, answered(parts, "rain")]
    assert "rain" in generate(client, upstream, "tools", talk, **config).text


@each_upstream
def test_a_chat_keeps_its_history(client, upstream):
    chat = client.chats.create(model=f"{upstream}/think")
    assert chat.send_message("why").text.endswith("why")
    pieces = [chunk.text or "" for chunk in chat.send_message_stream("and then")]
    assert "".join(pieces).endswith("and then")


@each_upstream
def test_tokens_are_counted(client, upstream):
    counted = client.models.count_tokens(model=f"{upstream}/echo", contents="one two three")
    assert counted.total_tokens >= 3


@each_upstream
def test_errors_are_of_their_class(client, upstream):
    with pytest.raises(errors.ClientError) as missing:
        generate(client, upstream, "no-such-model", "hi")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as refused:
        generate(client, upstream, "echo", [types.Content(role="robot", parts=[types.Part(text="hi")])])
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ClientError) as limited:
        generate(client, upstream, "faulty", "[[status=429]] hi")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    with pytest.raises(errors.ServerError) as failed:
        generate(client, upstream, "faulty", "[[status=503]] hi")
    assert (failed.value.code, failed.value.status) == (503, "UNAVAILABLE")


@each_upstream
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3 delay_ms=40", "garble_after=3 delay_ms=40"])
def test_a_broken_stream_is_an_error(client, upstream, fault):
    chunks = []
    with pytest.raises(errors.APIError):
        chunks.extend(client.models.generate_content_stream(model=f"{upstream}/faulty", contents=f"[[{fault}]] hi"))
    assert any(chunk.text for chunk in chunks)


def test_a_wrong_key():
    stranger = genai.Client(api_key="sk-wrong", http_options=types.HttpOptions(base_url=URL))
    with pytest.raises(errors.ClientError) as refused:
        generate(stranger, "sandbox", "echo", "hi")
    assert refused.value.code == 401


async def hello(upstream):
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))
    async with client.aio as aio:
        whole = await aio.models.generate_content(model=f"{upstream}/echo", contents="hello there")
        stream = await aio.models.generate_content_stream(model=f"{upstream}/echo", contents="hello there")
        return whole.text, "".join([chunk.text or "" async for chunk in stream])


@each_upstream
def test_the_async_client(upstream):
    assert asyncio.run(hello(upstream)) == ("hello there", "hello there")
