"""Calls of Responses over ASGI: at once, in the background, counted, compacted. The clock jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.driver import Connection, Reply, ask, json_headers, scope_of
from tests.pipeline.kept import CHAT, OWN, House, body, events_of, message, own_answer, pieces, reasoning, said
from tests.pipeline.scripted import KEY, NOBODY, ScriptedClient
from tests.pipeline.scripted import Reply as Upstream
from tests.pipeline.test_relay import jump
from trunkline import clock
from trunkline.http.asgi import Message, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.facts import FactHeaders
from trunkline.http.inference import InferenceRoutes
from trunkline.http.response_calls import NearestBackground, ResponseCallRoutes, Services
from trunkline.http.responses import ResponseRoutes, StoredBackground
from trunkline.pipeline.background import Runs
from trunkline.pipeline.compaction import Compacting
from trunkline.pipeline.counting import Counting

LIMIT_BYTES = 10_000
PATH = "/v1/responses"


@pytest.fixture(autouse=True)
def _held_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(clock, "now_s", lambda: 800_000_000 + asyncio.get_running_loop().time())


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    jump(playing())


async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


class Front:
    """The routes before a scripted pipeline with state in memory."""

    def __init__(self, *script: Upstream | Exception) -> None:
        self.house = House(*script)
        pipeline, keeper = self.house.pipeline, self.house.keeper
        transports = {"https": self.house.transport}
        self.runs = Runs(pipeline, keeper)
        self.defects: list[str] = []
        self.connection = Connection()
        self.door = Door(pipeline.keys, None, no_lifespan)
        inference = InferenceRoutes(
            pipeline, FactHeaders("x-trunkline"), LIMIT_BYTES, lambda call_id, error: self.defects.append(call_id)
        )
        counting = Counting(pipeline, transports, self.house.ledger)
        compacting = Compacting(pipeline, keeper, transports, self.house.ledger)
        ResponseCallRoutes(inference, Services(pipeline, keeper, self.runs, counting, compacting)).add_to(self.door)
        background = NearestBackground(self.runs, StoredBackground(self.house.responses))
        ResponseRoutes(self.door, self.house.responses, background).add_to(self.door)

    async def post(self, data: bytes, path: str = PATH, key: str | None = KEY) -> Reply:
        return await ask(self.door, scope_of("POST", path, json_headers(key), self.connection), data)

    async def get(self, path: str) -> Reply:
        return await ask(self.door, scope_of("GET", path, json_headers(KEY)))

    def status(self, response_id: str) -> str:
        return self.house.responses.kept[response_id].status


def test_a_whole_answer_and_a_stream() -> None:
    async def scene() -> None:
        front = Front(said("one"), pieces("two"))
        whole = await front.post(body())
        streamed = await front.post(body(stream=True))
        assert (whole.status, whole.header("content-type")) == (200, "application/json")
        assert whole.header("x-trunkline-model") == CHAT
        assert whole.json()["id"] in front.house.responses.kept
        assert streamed.header("content-type") == "text/event-stream; charset=utf-8"
        assert streamed.events()[-1]["type"] == "response.completed"
        assert front.connection.on_gone is None

    play(scene)


@pytest.mark.parametrize(
    ("data", "key", "status", "code"),
    [
        (body(), None, 401, "invalid_api_key"),
        (body(background=True), NOBODY, 401, "invalid_api_key"),
        (body(model="nobody/nothing"), KEY, 404, "model_not_found"),
        (body(model="nobody/nothing", background=True), KEY, 404, "model_not_found"),
        (b'{"background":true', KEY, 400, "invalid_json"),
        (b'{"background":1,"model":"m","input":"x"}', KEY, 400, "invalid_type"),
        (body(previous_response_id="resp_x", background=True), KEY, 400, "previous_response_not_found"),
        (b"[" * (LIMIT_BYTES + 1), KEY, 413, "request_too_large"),
    ],
)
def test_refusals(data: bytes, key: str | None, status: int, code: str) -> None:
    async def scene() -> None:
        front = Front()
        reply = await front.post(data, key=key)
        assert (reply.status, reply.json()["error"]["code"]) == (status, code)
        assert len(front.house.ledger.calls) == 1
        assert front.defects == []

    play(scene)


def test_a_stream_that_fails_ends_with_a_failed_response() -> None:
    async def scene() -> None:
        front = Front(pieces("one", ends=False))
        events = (await front.post(body(stream=True))).events()
        assert events[-1]["type"] == "response.failed"
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert front.status(events[-1]["response"]["id"]) == "failed"

    play(scene)


def test_a_raw_stream_that_fails_ends_with_the_next_number() -> None:
    async def scene() -> None:
        created = b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_p","output":[]}}'
        front = Front(Upstream((0, b"event: response.created\ndata: " + created + b"\n\n")))
        events = (await front.post(body(model=OWN, stream=True, store=False))).events()
        assert [event["type"] for event in events] == ["response.created", "error"]
        assert (events[1]["sequence_number"], events[1]["code"]) == (1, "stream_cut")

    play(scene)


class TestBackground:
    def test_the_caller_is_answered_at_once_and_the_server_waits_for_the_end(self) -> None:
        async def scene() -> None:
            front = Front(pieces("one", gap_s=20))
            replies: list[Message] = []
            got = asyncio.Event()

            async def send(said: Message) -> None:
                replies.append(said)
                if not said.get("more_body", said["type"] == "http.response.start"):
                    got.set()

            data = body(background=True)

            async def receive() -> Message:
                return {"type": "http.request", "body": data, "more_body": False}

            scope = scope_of("POST", PATH, json_headers(KEY), front.connection)
            serving = asyncio.create_task(_serve(front.door, scope, receive, send))
            await got.wait()
            queued = msgspec.json.decode(replies[-1]["body"])
            assert queued["status"] == "queued"
            assert front.connection.on_gone is None, "who leaves now ends nothing"
            assert not serving.done()
            await serving
            assert front.status(queued["id"]) == "completed"

        play(scene)

    def test_a_stream_whose_caller_leaves_goes_on(self) -> None:
        async def scene() -> None:
            front = Front(pieces("one", " two", gap_s=5))
            writes: list[bytes] = []

            async def send(said: Message) -> None:
                if said["type"] == "http.response.body":
                    writes.append(said["body"])
                    if len(writes) == 2:
                        asyncio.get_running_loop().call_soon(front.connection.on_gone)

            data = body(background=True, stream=True)

            async def receive() -> Message:
                return {"type": "http.request", "body": data, "more_body": False}

            await front.door(scope_of("POST", PATH, json_headers(KEY), front.connection), receive, send)
            events = events_of(b"".join(writes))
            response_id, last = events[0]["response"]["id"], events[-1]["sequence_number"]
            assert front.status(response_id) == "completed"
            rest = await front.get(f"{PATH}/{response_id}?stream=true&starting_after={last}")
            assert rest.events()[0]["sequence_number"] == last + 1
            assert rest.events()[-1]["type"] == "response.completed"

        play(scene)

    def test_what_runs_here_is_followed_and_cancelled_here(self) -> None:
        async def scene() -> None:
            front = Front(pieces(*"abcdef", gap_s=0.2))
            sent = body(background=True)
            run = await front.runs.begin(front.house.new_call(), ScriptedClient(sent), sent)
            response_id = run.key[1]
            following = asyncio.create_task(front.get(f"{PATH}/{response_id}?stream=true"))
            await asyncio.sleep(0.5)  # less than it takes until events are kept
            cancelled = await front.post(b"", f"{PATH}/{response_id}/cancel")
            assert cancelled.json()["status"] == "cancelled"
            began = asyncio.get_running_loop().time()
            events = (await following).events()
            assert asyncio.get_running_loop().time() - began < 1
            assert events[0]["type"] == "response.created"
            assert front.house.transport.all_closed()

        play(scene)


class TestBeside:
    def test_input_is_counted_with_what_it_goes_on_from(self) -> None:
        async def scene() -> None:
            front = Front(said("a rather long answer, to be counted"))
            first = (await front.post(body(input="and a question"))).json()
            alone = await front.post(body(input="x"), f"{PATH}/input_tokens")
            after = await front.post(body(input="x", previous_response_id=first["id"]), f"{PATH}/input_tokens")
            assert alone.json().keys() == {"object", "input_tokens"}
            assert alone.json()["object"] == "response.input_tokens"
            assert after.json()["input_tokens"] > alone.json()["input_tokens"] + 5
            assert alone.headers_called("x-trunkline-warning")[0].startswith("changed input_tokens: estimated")

        play(scene)

    def test_a_provider_that_counts_is_sent_all_of_it(self) -> None:
        async def scene() -> None:
            counted = Upstream((0, b'{"object":"response.input_tokens","input_tokens":7}'))
            front = Front(own_answer(message("one")), counted)
            first = (await front.post(body(model=OWN, input="a"))).json()
            after: dict[str, Any] = {"model": OWN, "input": "b", "previous_response_id": first["id"]}
            reply = await front.post(msgspec.json.encode(after), f"{PATH}/input_tokens")
            assert reply.json() == {"object": "response.input_tokens", "input_tokens": 7}
            asked = front.house.asked()
            assert [item["role"] for item in asked["input"]] == ["user", "assistant", "user"]
            assert "previous_response_id" not in asked

        play(scene)

    def test_what_is_kept_for_the_next_call_alone_is_never_shown(self) -> None:
        async def scene() -> None:
            thought = [own_answer(reasoning(), message(text)) for text in ("hi", "again")]
            front = Front(*thought)
            keeper = front.house.keeper.of_connection()
            first = await front.house.run(keeper, model=OWN, store=False)
            # It goes on from what is not stored, so its own input holds all of that.
            second = await front.house.run(keeper, model=OWN, store=True, previous_response_id=first["id"])
            stored = front.house.responses.kept[second["id"]]
            for kept in (stored.response, stored.input):
                assert b'"hidden":true' in kept
            shown = (await front.get(f"{PATH}/{second['id']}?include=reasoning.encrypted_content")).json()
            items = (await front.get(f"{PATH}/{second['id']}/input_items")).json()
            assert [item["type"] for item in shown["output"]] == ["message"]
            assert [item["type"] for item in items["data"]] == ["message"] * 3

        play(scene)

    def test_compaction_is_refused_where_there_is_none(self) -> None:
        async def scene() -> None:
            reply = await Front().post(body(), f"{PATH}/compact")
            assert (reply.status, reply.json()["error"]["code"]) == (400, "unsupported_endpoint")

        play(scene)


async def _serve(door: Door, scope: Scope, receive: Receive, send: Send) -> None:
    await door(scope, receive, send)
