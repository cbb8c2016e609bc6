"""instructor: answers of a form, by its ways over each protocol, against every kind of upstream."""

import anthropic
import instructor
import openai
import pytest
from asked import KEY, URL, each_upstream
from google import genai
from instructor import Mode
from pydantic import BaseModel, Field


class Stop(BaseModel):
    place: str
    nights: int = Field(ge=1, le=5)


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int
    stops: list[Stop] = Field(min_length=1, max_length=3)


def by_openai(mode):
    return instructor.from_openai(openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0), mode=mode)


def by_anthropic(mode):
    return instructor.from_anthropic(anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0), mode=mode)


def by_genai(mode):
    return instructor.from_genai(genai.Client(api_key=KEY, http_options={"base_url": URL}), mode=mode)


# Which model of the sandbox can do what the way asks for.
WAYS = {
    "chat-tools": (by_openai, Mode.TOOLS, "tools"),
    "chat-schema": (by_openai, Mode.JSON_SCHEMA, "json"),
    "responses-tools": (by_openai, Mode.RESPONSES_TOOLS, "tools"),
    "messages-tools": (by_anthropic, Mode.TOOLS, "tools"),
    "gemini-tools": (by_genai, Mode.TOOLS, "tools"),
    "gemini-json": (by_genai, Mode.JSON, "json"),
}


def asked(way, upstream):
    make, mode, model = WAYS[way]
    if upstream == "sandbox-messages":  # its models keep to schemas without limits only, and tools do for the others
        model = "tools"
    request = {
        "model": f"{upstream}/{model}",
        "response_model": Trip,
        "messages": [{"role": "user", "content": "A trip to Rome for 4 days"}],
        "max_retries": 0,
    }
    return make(mode), request | ({"max_tokens": 1000} if make is by_anthropic else {})


@each_upstream
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_of_the_form(way, upstream):
    client, request = asked(way, upstream)
    trip, completion = client.create_with_completion(**request)
    assert isinstance(trip, Trip)
    assert completion is not None


@each_upstream
@pytest.mark.parametrize("way", [way for way in WAYS if way != "gemini-json"])
def test_a_form_that_fills_itself(way, upstream):
    client, request = asked(way, upstream)
    partials = list(client.create_partial(**request))
    assert len(partials) > 1 or "gemini" in way + upstream  # there arguments come whole
    assert Trip.model_validate(partials[-1].model_dump())
