"""openai-agents over Responses and over Chat Completions, against every kind of upstream."""

import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from asked import KEY, URL, each_upstream
from openai.types.shared import Reasoning
from pydantic import BaseModel

set_tracing_disabled(True)

each_api = pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel], ids=["responses", "chat"])
ASKED_FOR = "[[calls=2]] The weather in Oslo for 3 days, and the time."
ANSWERED = "The tool answered: rain noon"


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str]


def agent(api, upstream, model, **more):
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    return Agent(name="traveller", model=api(f"{upstream}/{model}", client), **more)


def tools(asked):
    @function_tool
    def weather(city: str, days: int) -> str:
        """The weather in a city."""
        asked.append((city, days))
        return "rain"

    @function_tool
    def clock() -> str:
        """The time."""
        asked.append(())
        return "noon"

    return [weather, clock]


@each_api
@each_upstream
async def test_text(api, upstream):
    result = await Runner.run(agent(api, upstream, "echo", instructions="Be brief."), "hello there")
    assert result.final_output == "hello there"
    assert result.context_wrapper.usage.total_tokens == 6


@each_api
@each_upstream
async def test_a_loop_of_tools(api, upstream):
    asked = []
    result = await Runner.run(agent(api, upstream, "tools", tools=tools(asked)), ASKED_FOR)
    assert result.final_output == ANSWERED
    assert sorted(asked) == [(), ("Oslo", 3)]
    assert result.context_wrapper.usage.requests == 2


@each_api
@each_upstream
async def test_a_streamed_loop_of_tools_with_reasoning(api, upstream):
    asked = []
    settings = ModelSettings(reasoning=Reasoning(effort="low", summary="auto"))
    made = agent(api, upstream, "tools", tools=tools(asked), model_settings=settings)
    result = Runner.run_streamed(made, ASKED_FOR)
    kinds = [event.item.type async for event in result.stream_events() if event.type == "run_item_stream_event"]
    assert result.final_output == ANSWERED
    assert sorted(asked) == [(), ("Oslo", 3)]
    assert kinds.count("tool_call_item") == kinds.count("tool_call_output_item") == 2


@each_api
@each_upstream
async def test_an_answer_of_a_form(api, upstream):
    result = await Runner.run(agent(api, upstream, "json", output_type=Trip), "A trip to Rome for 4 days")
    assert isinstance(result.final_output, Trip)


@each_api
@each_upstream
async def test_a_session_keeps_the_talk(api, upstream):
    session = SQLiteSession("talk")
    thinker = agent(api, upstream, "think", model_settings=ModelSettings(reasoning=Reasoning(effort="low")))
    first = await Runner.run(thinker, "why", session=session)
    second = await Runner.run(thinker, "and then", session=session)
    assert first.final_output.endswith("why")
    assert second.final_output.endswith("and then")


@each_api
@each_upstream
async def test_an_agent_hands_over_to_another(api, upstream):
    brief = agent(api, upstream, "echo")
    brief.name = "echo"
    result = await Runner.run(agent(api, upstream, "tools", handoffs=[brief]), "hello there")
    assert result.last_agent is brief


@each_upstream
async def test_the_server_keeps_the_talk(upstream):
    made = agent(OpenAIResponsesModel, upstream, "echo")
    first = await Runner.run(made, "first words")
    second = await Runner.run(made, "second words", previous_response_id=first.last_response_id)
    assert second.final_output == "second words"
    assert second.raw_responses[-1].usage.input_tokens > first.raw_responses[-1].usage.input_tokens


@each_api
@each_upstream
async def test_errors_are_the_library_s_own(api, upstream):
    with pytest.raises(openai.RateLimitError):
        await Runner.run(agent(api, upstream, "faulty"), "[[status=429]] hi")
    with pytest.raises(openai.NotFoundError):
        await Runner.run(agent(api, upstream, "no-such-model"), "hi")
