"""pydantic-ai over each of the four protocols, against every kind of upstream."""

import base64

import anthropic
import openai
import pytest
from asked import KEY, PICTURE_SEEN, PNG, URL, each_upstream
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str]


def openai_provider():
    return OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0))


def anthropic_provider():
    return AnthropicProvider(anthropic_client=anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0))


MODELS = {
    "chat": lambda name: OpenAIChatModel(name, provider=openai_provider()),
    "responses": lambda name: OpenAIResponsesModel(name, provider=openai_provider()),
    "messages": lambda name: AnthropicModel(name, provider=anthropic_provider()),
    "gemini": lambda name: GoogleModel(name, provider=GoogleProvider(base_url=URL, api_key=KEY)),
}
# The library knows the sandbox's models not, so it is told in each protocol's words that they think.
THINKING = {
    "chat": ModelSettings(extra_body={"reasoning_effort": "low"}),
    "responses": OpenAIResponsesModelSettings(
        openai_reasoning_effort="low", openai_reasoning_summary="auto", openai_send_reasoning_ids=True
    ),
    "messages": AnthropicModelSettings(anthropic_thinking={"type": "enabled", "budget_tokens": 1024}),
    "gemini": GoogleModelSettings(google_thinking_config={"include_thoughts": True, "thinking_level": "LOW"}),
}

# Google's protocol has its results in an object, which the library makes of them.
ANSWERED = {"gemini": 'The tool answered: {"return_value": "rain"} {"return_value": "noon"}'}

each_protocol = pytest.mark.parametrize("protocol", MODELS)


def agent(protocol, upstream, model, **more):
    return Agent(MODELS[protocol](f"{upstream}/{model}"), retries=0, **more)


def with_tools(protocol, upstream, **more):
    made = agent(protocol, upstream, "tools", **more)
    made.asked = []

    @made.tool_plain
    def weather(city: str, days: int) -> str:
        """The weather in a city."""
        made.asked.append((city, days))
        return "rain"

    @made.tool_plain
    def clock() -> str:
        """The time."""
        made.asked.append(())
        return "noon"

    return made


@each_protocol
@each_upstream
def test_text(protocol, upstream):
    result = agent(protocol, upstream, "echo", instructions="Be brief.").run_sync("hello there")
    assert result.output == "hello there"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (4, 2)


@each_protocol
@each_upstream
async def test_a_stream(protocol, upstream):
    async with agent(protocol, upstream, "echo").run_stream("one two three") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == "one two three"
    assert len(pieces) > 1
    assert result.usage.output_tokens == 3


@each_protocol
@each_upstream
async def test_a_loop_of_tools_whole_and_streamed(protocol, upstream):
    made = with_tools(protocol, upstream)
    asked = "[[calls=2]] The weather in Oslo for 3 days, and the time."
    assert (await made.run(asked)).output == ANSWERED.get(protocol, "The tool answered: rain noon")
    assert sorted(made.asked) == [(), ("Oslo", 3)]
    async with made.run_stream(asked) as result:
        assert await result.get_output() == ANSWERED.get(protocol, "The tool answered: rain noon")
    assert sorted(made.asked) == [(), (), ("Oslo", 3), ("Oslo", 3)]


@each_protocol
@each_upstream
def test_structured_output_by_a_tool_and_by_a_form(protocol, upstream):
    trip = agent(protocol, upstream, "tools", output_type=Trip).run_sync("A trip to Rome for 4 days")
    assert isinstance(trip.output, Trip)
    if protocol in ("chat", "responses"):  # of other models that it does not know the library says they have no form
        trip = agent(protocol, upstream, "json", output_type=NativeOutput(Trip)).run_sync("A trip to Rome for 4 days")
        assert isinstance(trip.output, Trip)


@each_protocol
@each_upstream
def test_a_picture(protocol, upstream):
    picture = BinaryContent(base64.b64decode(PNG), media_type="image/png")
    assert PICTURE_SEEN in agent(protocol, upstream, "vision").run_sync(["What is it?", picture]).output


@each_protocol
@each_upstream
def test_thinking_goes_back_with_the_history(protocol, upstream):
    thinker = agent(protocol, upstream, "think", model_settings=THINKING[protocol])
    first = thinker.run_sync("why")
    assert first.output.endswith("why")
    assert [part for message in first.new_messages() for part in message.parts if isinstance(part, ThinkingPart)]
    assert thinker.run_sync("and then", message_history=first.all_messages()).output.endswith("and then")


@each_protocol
@each_upstream
async def test_thinking_between_tools(protocol, upstream):
    made = with_tools(protocol, upstream, model_settings=THINKING[protocol])
    result = await made.run("[[calls=2]] Oslo 3")
    assert result.output == ANSWERED.get(protocol, "The tool answered: rain noon")
    again = await made.run("[[calls=2]] Oslo 3", message_history=result.all_messages())
    assert again.output == ANSWERED.get(protocol, "The tool answered: rain noon")


@each_protocol
@each_upstream
def test_an_error_bears_its_status(protocol, upstream):
    for asked, status in (("[[status=400]] hi", 400), ("[[status=429]] hi", 429)):
        with pytest.raises(ModelHTTPError) as failed:
            agent(protocol, upstream, "faulty").run_sync(asked)
        assert failed.value.status_code == status
    with pytest.raises(ModelHTTPError) as missing:
        agent(protocol, upstream, "no-such-model").run_sync("hi")
    assert missing.value.status_code == 404
