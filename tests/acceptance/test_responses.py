"""Responses of any model, against a real gateway: OpenAI's own client, plain sockets, and what a killed process leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
import websockets
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection

from tests.acceptance.asking import eventually
from tests.acceptance.conftest import TRUNKLINE, Gateway, options_of, running, serving
from tests.acceptance.scripted import Exchange, Provider, provider

pytestmark = pytest.mark.acceptance

PROVIDERS = ("sandbox", "sandbox-messages", "sandbox-gemini", "sandbox-responses")
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
LONG = "[[tokens=400 delay_ms=20]] go on"


def client_of(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> OpenAI:
    return client_of(gateway)


# ruff: noqa: ERA001


class TestAnyModel:
    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_a_chain_of_stored_responses(self, client: OpenAI, provider_id: str) -> None:
        model = f"{provider_id}/echo"
        first = client.responses.create(model=model, input="one two")
        second = client.responses.create(model=model, input="three", previous_response_id=first.id, store=False)
        with client.responses.stream(model=model, input="four", previous_response_id=first.id) as stream:
            events = list(stream)
            third = stream.get_final_response()
        assert first.output_text == "one two"
        assert first.store is True
        assert second.output_text == "three"
        assert second.previous_response_id == first.id
        assert first.usage is not None
        assert second.usage is not None
        # What was said before is part of the prompt: two turns more than the first had.
        assert second.usage.input_tokens > first.usage.input_tokens + 2
        assert [event.sequence_number for event in events if hasattr(event, "sequence_number")][-1] >= 8
        assert client.responses.retrieve(third.id).model_dump() == third.model_dump() | {"parsed": None} or (
            client.responses.retrieve(third.id).output_text == third.output_text
        )
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(second.id)
