"""Responses of any model, against a real gateway: OpenAI's own client, and what a killed or stopped process leaves."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.acceptance.asking import eventually
from tests.acceptance.conftest import TRUNKLINE, Gateway, running, serving
from tests.acceptance.scripted import Exchange, Provider, event, providing

pytestmark = pytest.mark.acceptance

PROVIDERS = ("sandbox", "sandbox-messages", "sandbox-gemini", "sandbox-responses")
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
LONG = "[[tokens=400 delay_ms=20]] go on"
SHORT = "[[tokens=40 delay_ms=20]] go on"


def client_of(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> OpenAI:
    return client_of(gateway)


def ended(client: OpenAI, response: Response) -> Response:
    def has_ended() -> bool:
        return client.responses.retrieve(response.id).status not in ("queued", "in_progress")

    eventually(has_ended, within_s=20, pause_s=0.2)
    return client.responses.retrieve(response.id)


class TestEveryModel:
    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_goes_on_from_a_stored_response(self, client: OpenAI, provider_id: str) -> None:
        model = f"{provider_id}/echo"
        first = client.responses.create(model=model, input="one two")
        second = client.responses.create(model=model, input="three", previous_response_id=first.id, store=False)
        with client.responses.stream(model=model, input="four", previous_response_id=first.id) as stream:
            numbers = [said.sequence_number for said in stream]
            third = stream.get_final_response()
        assert (first.output_text, first.to_dict()["store"], first.status) == ("one two", True, "completed")
        assert (second.output_text, second.to_dict()["store"]) == ("three", False)
        assert second.previous_response_id == first.id
        assert first.usage is not None
        assert second.usage is not None
        # The first turn and its answer are part of the prompt.
        assert second.usage.input_tokens >= first.usage.total_tokens + 1
        assert set(numbers) == set(range(numbers[-1] + 1))
        kept = client.responses.retrieve(third.id)
        assert kept.to_dict() == {**third.to_dict(), "output": [one.to_dict() for one in kept.output]}
        assert kept.output_text == third.output_text == "four"
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(second.id)

    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_calls_a_tool_and_is_told_its_result(self, client: OpenAI, provider_id: str) -> None:
        """Also where the call is only referred to. The sandbox wants back whatever state it gave with the call."""
        model = f"{provider_id}/tools"
        asked = client.responses.create(model=model, input="weather in Paris?", tools=[WEATHER])
        call = next(item for item in asked.output if item.type == "function_call")
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        told = client.responses.create(model=model, input=[result], previous_response_id=asked.id, tools=[WEATHER])
        question: Any = {"role": "user", "content": "weather in Paris?"}
        referred: Any = [question, {"type": "item_reference", "id": call.id}, result]
        again = client.responses.create(model=model, input=referred, tools=[WEATHER], store=False)
        assert json.loads(call.arguments) == {"city": "Paris"}
        assert told.output_text == again.output_text
        assert "sunny" in told.output_text

    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_reasoning_is_shown_to_whoever_asked(self, client: OpenAI, provider_id: str) -> None:
        model = f"{provider_id}/think"
        asked = client.responses.create(model=model, input="why?", reasoning={"effort": "low", "summary": "auto"})
        quiet = client.responses.create(model=model, input="and?", previous_response_id=asked.id)
        sealed = client.responses.create(
            model=model, input="so?", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"]
        )
        assert [item.type for item in asked.output] == ["reasoning", "message"]
        assert [item.type for item in quiet.output] == ["message"]
        assert [item.type for item in client.responses.retrieve(quiet.id).output] == ["message"]
        reasoned = [item for item in sealed.output if item.type == "reasoning"]
        if provider_id in ("sandbox-messages", "sandbox-responses"):  # the others seal nothing here
            assert reasoned[0].encrypted_content
            kept = client.responses.retrieve(sealed.id, include=["reasoning.encrypted_content"]).output[0]
            assert kept.type == "reasoning"
            assert kept.encrypted_content == reasoned[0].encrypted_content
            bare = client.responses.retrieve(sealed.id).output[0]
            assert bare.type == "reasoning"
            assert bare.encrypted_content is None

    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_structured_output_is_parsed(self, client: OpenAI, provider_id: str) -> None:
        class Marble(BaseModel):
            name: str
            age: int

        parsed = client.responses.parse(model=f"{provider_id}/json", input="one, please", text_format=Marble)
        assert isinstance(parsed.output_parsed, Marble)

    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_a_conversation_grows(self, client: OpenAI, provider_id: str) -> None:
        model = f"{provider_id}/echo"
        begun = client.conversations.create(
            items=[
                {"type": "message", "role": "user", "content": "first"},
                {"type": "message", "role": "assistant", "content": "yes?"},
            ]
        )
        kept = client.responses.create(model=model, input="second", conversation=begun.id)
        client.responses.create(model=model, input="third", conversation={"id": begun.id}, store=False)
        assert kept.conversation is not None
        assert kept.conversation.id == begun.id
        items = client.conversations.items.list(begun.id, order="asc").to_dict()["data"]
        assert isinstance(items, list)
        said = [(item["role"], item["content"][0]["text"]) for item in items]
        assert said == [
            ("user", "first"),
            ("assistant", "yes?"),
            ("user", "second"),
            ("assistant", "second"),
            ("user", "third"),
            ("assistant", "third"),
        ]
        after = client.responses.create(model=model, input="fourth", previous_response_id=kept.id)
        assert kept.usage is not None
        assert after.usage is not None
        assert after.usage.input_tokens >= kept.usage.total_tokens + 1

    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_input_is_counted_with_all_that_it_goes_on_from(self, client: OpenAI, provider_id: str) -> None:
        model = f"{provider_id}/echo"
        said = client.responses.create(model=model, input="a sentence of some length to go on from")
        alone = client.responses.input_tokens.count(model=model, input="one more")
        after = client.responses.input_tokens.count(model=model, input="one more", previous_response_id=said.id)
        assert 0 < alone.input_tokens < after.input_tokens

    def test_many_at_once(self, gateway: Gateway) -> None:
        async def one(asking: AsyncOpenAI, number: int) -> tuple[str, str]:
            model = f"{PROVIDERS[number % 4]}/echo"
            first = await asking.responses.create(model=model, input=f"number {number}")
            second = await asking.responses.create(model=model, input="next", previous_response_id=first.id)
            items = await asking.responses.input_items.list(first.id)
            part: Any = items.data[0].to_dict()
            return part["content"][0]["text"], second.output_text

        async def everyone() -> list[tuple[str, str]]:
            async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as asking:
                return await asyncio.gather(*(one(asking, number) for number in range(40)))

        assert asyncio.run(everyone()) == [(f"number {number}", "next") for number in range(40)]


class TestRefusals:
    def test_what_is_not_there(self, client: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as unknown:
            client.responses.create(model="sandbox/echo", input="x", previous_response_id="resp_of_nobody")
        with pytest.raises(openai.NotFoundError) as nowhere:
            client.responses.create(model="sandbox/echo", input="x", conversation="conv_of_nobody")
        with pytest.raises(openai.BadRequestError) as nothing:
            client.responses.create(model="sandbox/echo", input=[{"type": "item_reference", "id": "msg_of_nobody"}])
        assert (unknown.value.code, unknown.value.param) == ("previous_response_not_found", "previous_response_id")
        assert (nowhere.value.code, nowhere.value.param) == ("conversation_not_found", "conversation")
        assert (nothing.value.code, nothing.value.param) == ("item_not_found", "input[0].id")

    def test_compaction_needs_a_provider_that_has_it(self, client: OpenAI) -> None:
        for model in ("sandbox/echo", "sandbox-messages/echo"):
            with pytest.raises(openai.BadRequestError, match=model) as refused:
                client.responses.compact(model=model, input="a long story")
            assert (refused.value.code, refused.value.param) == ("unsupported_endpoint", "model")

    def test_a_provider_that_fails_in_the_middle(self, client: OpenAI) -> None:
        """The stream ends as a failed response, which is kept as that, and nobody can go on from it."""
        for provider_id in PROVIDERS:
            model = f"{provider_id}/faulty"
            with client.responses.stream(model=model, input="[[cut_after=3]] one two three four five six") as stream:
                events = list(stream)
            last = events[-1]
            assert last.type == "response.failed", provider_id
            assert [said.sequence_number for said in events] == sorted({said.sequence_number for said in events})
            assert last.response.error is not None
            kept = client.responses.retrieve(last.response.id)
            assert kept.status == "failed"
            with pytest.raises(openai.BadRequestError) as refused:
                client.responses.create(model="sandbox/echo", input="x", previous_response_id=kept.id)
            assert refused.value.param == "previous_response_id"


class TestBackground:
    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_runs_without_its_caller(self, client: OpenAI, provider_id: str) -> None:
        queued = client.responses.create(model=f"{provider_id}/story", input=SHORT, background=True)
        assert (queued.status, queued.output, queued.background) == ("queued", [], True)
        done = ended(client, queued)
        assert (done.status, done.background) == ("completed", True)
        assert done.output_text
        after = client.responses.create(model="sandbox/echo", input="and?", previous_response_id=done.id)
        assert after.output_text == "and?"

    def test_a_stream_is_taken_up_where_it_was_left(self, client: OpenAI) -> None:
        begun = client.responses.create(model="sandbox/story", input=SHORT, background=True, stream=True)
        types, response_id, last = [], "", 0
        for said in begun:
            types.append(said.type)
            last = said.sequence_number
            if said.type == "response.created":
                response_id = said.response.id
            if len(types) == 6:
                break
        begun.close()
        rest = list(client.responses.retrieve(response_id, stream=True, starting_after=last))
        whole = list(client.responses.retrieve(response_id, stream=True))
        assert types[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert [said.sequence_number for said in rest] == list(range(last + 1, len(whole)))
        assert rest[-1].type == "response.completed"
        assert [said.sequence_number for said in whole] == list(range(len(whole)))
        assert client.responses.retrieve(response_id).output_text == rest[-1].response.output_text

    def test_cancelled(self, client: OpenAI, gateway: Gateway) -> None:
        queued = client.responses.create(model="sandbox/story", input=LONG, background=True)
        began = time.monotonic()
        assert client.responses.cancel(queued.id).status == "cancelled"
        assert list(client.responses.retrieve(queued.id, stream=True, starting_after=10_000)) == []
        assert time.monotonic() - began < 4
        assert client.responses.retrieve(queued.id).status == "cancelled"
        assert client.responses.cancel(queued.id).status == "cancelled"

    def test_a_provider_that_fails(self, client: OpenAI) -> None:
        for words in ("[[status=500]] x", "[[cut_after=3]] one two three four five six"):
            queued = client.responses.create(model="sandbox/faulty", input=words, background=True)
            failed = ended(client, queued)
            assert failed.status == "failed"
            assert failed.error is not None
            events = list(client.responses.retrieve(queued.id, stream=True))
            assert events[-1].type == "response.failed"
            assert [said.sequence_number for said in events] == list(range(len(events)))

    def test_refused_at_once(self, client: OpenAI) -> None:
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="nobody/nothing", input="x", background=True)
        nameless: Any = [{"type": "function_call_output", "output": "x"}]
        with pytest.raises(openai.BadRequestError) as bad:
            client.responses.create(model="sandbox/echo", input=nameless, background=True)
        assert bad.value.param == "input[0].call_id"

    def test_no_more_than_the_setting_says(self, tmp_path: Path) -> None:
        with serving(tmp_path, "[responses]\nbackground_at_once = 2\n") as gateway:
            client = client_of(gateway)
            taken = [client.responses.create(model="sandbox/story", input=LONG, background=True) for _ in range(2)]
            with pytest.raises(openai.InternalServerError) as refused:
                client.responses.create(model="sandbox/story", input=LONG, background=True)
            assert refused.value.code == "too_many_in_background"
            assert refused.value.response.headers["retry-after"]
            for one in taken:
                client.responses.cancel(one.id)
            eventually(lambda: _is_taken(client), within_s=5)


def _is_taken(client: OpenAI) -> bool:
    try:
        queued = client.responses.create(model="sandbox/story", input=LONG, background=True)
    except openai.InternalServerError:
        return False
    client.responses.cancel(queued.id)
    return True


class TestProcesses:
    def test_a_killed_one_leaves_failed_responses(self, tmp_path: Path) -> None:
        """What was kept of the stream can be read, and ends. The silence that proves the death is written into it."""
        with serving(tmp_path) as gateway:
            client = client_of(gateway)
            queued = client.responses.create(model="sandbox/story", input=LONG, background=True)
            eventually(lambda: client.responses.retrieve(queued.id).status == "in_progress", within_s=5)
            eventually(lambda: _kept_events(gateway) > 0, within_s=5)
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait(10)
            with closing(sqlite3.connect(gateway.folder / "data" / "trunkline.db")) as database:
                database.execute("UPDATE responses SET touched_at = touched_at - 1000")
                database.commit()
            command = [TRUNKLINE, "serve", *gateway.where]
            with running(command, f"{gateway.url}/readyz", gateway.log):
                failed = ended(client, queued)
                events = list(client.responses.retrieve(queued.id, stream=True))
        assert failed.status == "failed"
        assert failed.error is not None
        assert "process" in failed.error.message
        assert events[0].type == "response.created"
        assert events[-1].type == "response.failed"
        assert len(events) > 5
        assert [said.sequence_number for said in events] == list(range(len(events)))

    def test_one_that_stops_waits_for_what_it_runs(self, tmp_path: Path) -> None:
        with serving(tmp_path) as gateway:
            queued = client_of(gateway).responses.create(model="sandbox/story", input=SHORT, background=True)
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.process.wait(20) == 0
            command = [TRUNKLINE, "serve", *gateway.where]
            with running(command, f"{gateway.url}/readyz", gateway.log):
                assert client_of(gateway).responses.retrieve(queued.id).status == "completed"

    def test_one_that_must_not_wait_fails_it(self, tmp_path: Path) -> None:
        with serving(tmp_path, server="drain_s = 0.5") as gateway:
            client = client_of(gateway)
            queued = client.responses.create(model="sandbox/story", input=LONG, background=True)
            eventually(lambda: client.responses.retrieve(queued.id).status == "in_progress", within_s=5)
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.process.wait(20) == 0
            command = [TRUNKLINE, "serve", *gateway.where]
            with running(command, f"{gateway.url}/readyz", gateway.log):
                failed = client.responses.retrieve(queued.id)
                events = list(client.responses.retrieve(queued.id, stream=True))
        assert failed.status == "failed"
        assert failed.error is not None
        assert "stopped" in failed.error.message
        assert events[-1].type == "response.failed"

    def test_another_process_tells_and_cancels(self, tmp_path: Path) -> None:
        """Two processes share nothing but the database; calls meet either of them."""
        with serving(tmp_path, server="workers = 2") as gateway:
            client = client_of(gateway)
            queued = [client.responses.create(model="sandbox/story", input=SHORT, background=True) for _ in range(6)]
            for one in queued:
                with client_of(gateway) as other:  # its own connection
                    events = list(other.responses.retrieve(one.id, stream=True))
                assert [said.sequence_number for said in events] == list(range(len(events)))
                assert events[-1].type == "response.completed"
            long = [client.responses.create(model="sandbox/story", input=LONG, background=True) for _ in range(4)]
            for one in long:
                with client_of(gateway) as other:
                    assert other.responses.cancel(one.id).status == "cancelled"
            for one in long:
                assert list(client.responses.retrieve(one.id, stream=True, starting_after=10_000)) == []


def _kept_events(gateway: Gateway) -> int:
    with closing(sqlite3.connect(gateway.folder / "data" / "trunkline.db")) as database:
        found: int = database.execute("SELECT count(*) FROM response_events").fetchone()[0]
        return found


REASONED = {
    "id": "resp_of_provider",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {"type": "reasoning", "id": "rs_of_provider", "summary": [], "encrypted_content": "sealed=="},
        {
            "type": "message",
            "id": "msg_of_provider",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        },
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


def reason(exchange: Exchange) -> None:
    if json.loads(exchange.body).get("stream"):
        terminal = {"type": "response.completed", "sequence_number": 0, "response": REASONED}
        exchange.stream(event(terminal))
    else:
        exchange.answer(200, json.dumps(REASONED).encode())


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as found:
        found.scripts.update(dict.fromkeys(("own", "raw", "shorten"), reason))
        yield found


@pytest.fixture(scope="module")
def before_responses(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = f'[providers.scripted]\nkind = "openai"\nbase_url = "{provider.url}"\napi_key = "k"\n'
    with serving(tmp_path_factory.mktemp("responses"), settings) as found:
        yield found


class TestProvidersOfResponses:
    """What a provider that speaks the protocol itself is sent."""

    def test_state_is_ours_and_reasoning_comes_back_to_it(self, before_responses: Gateway, provider: Provider) -> None:
        client = client_of(before_responses)
        first = client.responses.create(model="scripted/own", input="one", metadata={"a": "b"})
        client.responses.create(model="scripted/own", input="two", previous_response_id=first.id)
        asked, again = (json.loads(exchange.body) for exchange in provider.of("own"))
        assert provider.of("own")[0].head.startswith(b"POST /v1/responses ")
        assert asked["store"] is False
        assert asked["include"] == ["reasoning.encrypted_content"]
        assert asked["metadata"] == {"a": "b"}
        assert first.id != "resp_of_provider"
        assert [item.type for item in first.output] == ["message"]
        assert "previous_response_id" not in again
        reasoning = next(item for item in again["input"] if item.get("type") == "reasoning")
        assert (reasoning["id"], reasoning["encrypted_content"]) == ("rs_of_provider", "sealed==")

    def test_a_stateless_body_passes_as_it_came(self, before_responses: Gateway, provider: Provider) -> None:
        client = client_of(before_responses)
        said = client.responses.create(
            model="scripted/raw",
            input="one",
            store=False,
            tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}],
            extra_body={"field_of_tomorrow": [1.10]},
        )
        sent = provider.of("raw")[-1].body
        assert said.id == "resp_of_provider"
        assert b'"field_of_tomorrow":[1.1]' in sent.replace(b" ", b"")
        assert json.loads(sent)["tools"] == [{"type": "file_search", "vector_store_ids": ["vs_1"]}]
        assert json.loads(sent)["store"] is False

    def test_compaction(self, before_responses: Gateway, provider: Provider) -> None:
        client = client_of(before_responses)
        first = client.responses.create(model="scripted/own", input="one")
        client.responses.compact(model="scripted/shorten", previous_response_id=first.id, input="two")
        exchange = provider.of("shorten")[-1]
        assert exchange.head.startswith(b"POST /v1/responses/compact ")
        body = json.loads(exchange.body)
        assert "previous_response_id" not in body
        assert [item.get("role") for item in body["input"] if item.get("type") == "message"] == [
            "user",
            "assistant",
            "user",
        ]
