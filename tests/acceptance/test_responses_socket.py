"""The WebSocket of Responses, against a real gateway: OpenAI's own client and a plain one."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance.asking import eventually, metrics
from tests.acceptance.conftest import Gateway, serving

pytestmark = pytest.mark.acceptance

PROVIDERS = ("sandbox", "sandbox-messages", "sandbox-gemini", "sandbox-responses")
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
Json = dict[str, Any]


def address(gateway: Gateway, path: str = "/v1/responses") -> str:
    return gateway.url.replace("http", "ws", 1) + path


@asynccontextmanager
async def opened(gateway: Gateway, key: str | None = None) -> AsyncIterator[ClientConnection]:
    headers = {"authorization": f"Bearer {key or gateway.key}"}
    async with connect(address(gateway), additional_headers=headers, max_size=None) as socket:
        yield socket


async def ask(socket: ClientConnection, **body: Any) -> None:
    await socket.send(json.dumps({"type": "response.create", **body}))


async def told(socket: ClientConnection) -> list[Json]:
    """The events of one answer."""
    events: list[Json] = []
    async with asyncio.timeout(20):
        while not events or events[-1]["type"] not in ENDS:
            events.append(json.loads(await socket.recv()))
    return events


async def turn(socket: ClientConnection, **body: Any) -> list[Json]:
    await ask(socket, **body)
    return await told(socket)


def refusal(gateway: Gateway, headers: dict[str, str], path: str = "/v1/responses") -> InvalidStatus:
    async def knock() -> InvalidStatus:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address(gateway, path), additional_headers=headers):
                pass
        return refused.value

    return asyncio.run(knock())


class TestTheDoor:
    @pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-of-nobody"}, {"x-api-key": "nonsense"}])
    def test_a_key_is_needed_before_the_upgrade(self, gateway: Gateway, headers: dict[str, str]) -> None:
        response = refusal(gateway, headers).response
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-request-id"]
        assert json.loads(response.body)["error"]["code"] == "invalid_api_key"

    def test_there_is_no_other_socket(self, gateway: Gateway) -> None:
        response = refusal(gateway, {"authorization": f"Bearer {gateway.key}"}, "/v1/chat/completions").response
        assert response.status_code == 403

    def test_no_defect_was_logged(self, gateway: Gateway) -> None:
        log = gateway.log.read_text()
        assert "Traceback" not in log
        assert "without completing handshake" not in log


class TestOneSocket:
    def test_openais_client(self, gateway: Gateway) -> None:
        async def talk() -> list[str]:
            said = []
            client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key)
            async with client, client.responses.connect() as connection:
                for provider_id in PROVIDERS:
                    await connection.response.create(model=f"{provider_id}/echo", input=f"hello {provider_id}")
                    async for event in connection:
                        if event.type == "response.completed":
                            said.append(event.response.output_text)
                            break
            return said

        assert asyncio.run(talk()) == [f"hello {provider_id}" for provider_id in PROVIDERS]

    @pytest.mark.parametrize("provider_id", PROVIDERS)
    def test_goes_on_from_what_is_not_stored(self, gateway: Gateway, provider_id: str) -> None:
        model = f"{provider_id}/echo"

        async def talk() -> tuple[list[Json], Json, Json, Json]:
            async with opened(gateway) as socket:
                events = await turn(socket, model=model, input="one two", store=False, stream=True)
                before = events[-1]["response"]["id"]
                second = await turn(socket, model=model, input="three", store=False, previous_response_id=before)
                before = second[-1]["response"]["id"]
                third = await turn(socket, model=model, input="four", store=True, previous_response_id=before)
            async with opened(gateway) as other:
                unknown = await turn(other, model=model, input="x", previous_response_id=before)
            return events, second[-1]["response"], third[-1]["response"], unknown[-1]

        events, second, third, unknown = asyncio.run(talk())
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[0]["type"] == "response.created"
        first = events[-1]["response"]
        assert second["previous_response_id"] == first["id"]
        assert second["usage"]["input_tokens"] >= first["usage"]["total_tokens"] + 1
        assert third["usage"]["input_tokens"] >= second["usage"]["total_tokens"] + 1
        assert (unknown["type"], unknown["status"]) == ("error", 400)
        assert unknown["error"]["code"] == "previous_response_not_found"
        # What was stored at the end holds all that it went on from.
        client = OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key)
        after = client.responses.create(model=model, input="five", previous_response_id=third["id"])
        assert after.usage is not None
        assert after.usage.input_tokens >= third["usage"]["total_tokens"] + 1

    def test_an_error_leaves_it_open(self, gateway: Gateway) -> None:
        async def talk() -> list[Json]:
            said = []
            async with opened(gateway) as socket:
                said.append((await turn(socket, model="nobody/nothing", input="x"))[-1])
                said.append((await turn(socket, model="sandbox/echo"))[-1])
                await socket.send("{")
                said.append((await told(socket))[-1])
                await socket.send(json.dumps({"type": "response.steer", "input": "x"}))
                said.append((await told(socket))[-1])
                said.append((await turn(socket, model="sandbox/faulty", input="[[status=500]] x", stream_id="a"))[-1])
                said.append((await turn(socket, model="sandbox/faulty", input="[[cut_after=3]] a b c d e f"))[-1])
                said.append((await turn(socket, model="sandbox/echo", input="still here"))[-1])
            return said

        *errors, mid_stream, last = asyncio.run(talk())
        assert [error["type"] for error in errors] == ["error"] * 5
        assert [error["status"] for error in errors] == [404, 400, 400, 400, 502]
        assert [error["error"]["param"] for error in errors[:4]] == ["model", "input", None, "type"]
        assert errors[4]["stream_id"] == "a"
        assert mid_stream["type"] == "response.failed"
        assert last["response"]["output"][0]["content"][0]["text"] == "still here"

    def test_what_is_only_prepared_can_be_gone_on_from(self, gateway: Gateway) -> None:
        async def talk() -> tuple[list[Json], Json]:
            async with opened(gateway) as socket:
                prepared = await turn(socket, model="sandbox/echo", input="a long prompt", generate=False)
                before = prepared[-1]["response"]["id"]
                after = await turn(socket, model="sandbox/echo", input="go", previous_response_id=before)
            return prepared, after[-1]["response"]

        prepared, after = asyncio.run(talk())
        assert [event["type"] for event in prepared] == [
            "response.created",
            "response.in_progress",
            "response.completed",
        ]
        assert prepared[-1]["response"]["output"] == []
        assert prepared[-1]["response"]["usage"]["total_tokens"] == 0
        assert after["usage"]["input_tokens"] >= 4

    def test_calls_of_one_lane_follow_each_other_and_lanes_do_not_wait(self, gateway: Gateway) -> None:
        slow = "[[tokens=30 delay_ms=30]] go on"

        async def talk() -> list[tuple[str | None, str]]:
            seen: list[tuple[str | None, str]] = []
            async with opened(gateway) as socket, asyncio.timeout(20):
                for lane in ("a", "a", "b"):
                    await ask(socket, model="sandbox/story", input=slow, stream_id=lane)
                while sum(kind == "response.completed" for _, kind in seen) < 3:
                    event = json.loads(await socket.recv())
                    seen.append((event.get("stream_id"), event["type"]))
            return seen

        seen = asyncio.run(talk())
        begins = [place for place, (_, kind) in enumerate(seen) if kind == "response.created"]
        ends = [place for place, (_, kind) in enumerate(seen) if kind == "response.completed"]
        lanes = [[place for place in places if seen[place][0] == "a"] for places in (begins, ends)]
        assert lanes[1][0] < lanes[0][1], "the second of a lane begins when the first has ended"
        other = [next(place for place in places if seen[place][0] == "b") for places in (begins, ends)]
        assert other[0] < lanes[1][0], "another lane does not wait"


class TestLimits:
    def test_frames(self, tmp_path: Path) -> None:
        async def talk(gateway: Gateway) -> tuple[Json, Json, int]:
            async with opened(gateway) as socket:
                large = (await turn(socket, model="sandbox/echo", input="x" * 5000))[-1]
                small = (await turn(socket, model="sandbox/echo", input="small"))[-1]
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.gather(socket.send("x" * (17 * 1024 * 1024)), socket.recv())
                assert closed.value.rcvd is not None
                return large, small, closed.value.rcvd.code

        with serving(tmp_path, server="body_limit_bytes = 4096") as gateway:
            large, small, code = asyncio.run(talk(gateway))
        assert large["error"]["code"] == "request_too_large"
        assert small["type"] == "response.completed"
        assert code == 1009

    def test_waiting_calls(self, gateway: Gateway) -> None:
        async def talk() -> list[Json]:
            async with opened(gateway) as socket, asyncio.timeout(20):
                for _ in range(40):
                    await ask(socket, model="sandbox/story", input="[[tokens=400 delay_ms=20]] go", store=False)
                refused: list[Json] = []
                while len(refused) < 7:
                    event = json.loads(await socket.recv())
                    if event["type"] == "error":
                        refused.append(event)
            return refused

        refused = asyncio.run(talk())
        assert {(one["status"], one["error"]["code"]) for one in refused} == {(503, "too_many_waiting")}

    def test_a_revoked_key(self, tmp_path: Path) -> None:
        async def talk(gateway: Gateway) -> tuple[Json, int]:
            made = json.loads(gateway.command("keys", "create", "--name", "short-lived", "--json"))
            async with opened(gateway, made["key"]) as socket, asyncio.timeout(20):
                assert (await turn(socket, model="sandbox/echo", input="x"))[-1]["type"] == "response.completed"
                gateway.command("keys", "revoke", made["id"])
                while (last := (await turn(socket, model="sandbox/echo", input="x"))[-1])["type"] != "error":
                    await asyncio.sleep(0.05)
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                return last, closed.value.rcvd.code

        with serving(tmp_path) as gateway:
            last, code = asyncio.run(talk(gateway))
        assert last["status"] == 401
        assert code == 1008


class TestStopping:
    def test_what_is_being_answered_comes_to_its_end(self, tmp_path: Path) -> None:
        async def talk(gateway: Gateway) -> tuple[str, Json, int, int]:
            async with opened(gateway) as idle, opened(gateway) as busy, asyncio.timeout(20):
                await ask(busy, model="sandbox/story", input="[[tokens=60 delay_ms=30]] go on")
                first = json.loads(await busy.recv())
                gateway.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed) as left:
                    await idle.recv()
                last = (await told(busy))[-1]
                with pytest.raises(ConnectionClosed) as done:
                    await busy.recv()
                assert left.value.rcvd is not None
                assert done.value.rcvd is not None
                return first["type"], last, left.value.rcvd.code, done.value.rcvd.code

        with serving(tmp_path) as gateway:
            first, last, *codes = asyncio.run(talk(gateway))
            assert gateway.process.wait(20) == 0
            assert "Traceback" not in gateway.log.read_text()
        assert first == "response.created"
        assert last["type"] == "response.completed"
        assert codes == [1012, 1012]

    def test_a_client_who_leaves_ends_its_calls(self, gateway: Gateway) -> None:
        async def talk() -> None:
            async with opened(gateway) as socket:
                await ask(socket, model="sandbox/story", input="[[tokens=400 delay_ms=50]] go on")
                await socket.recv()

        asyncio.run(talk())
        eventually(lambda: metrics(gateway.url)["trunkline_calls_in_flight"] <= 1, within_s=5)
