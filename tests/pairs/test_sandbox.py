"""Every caller over the sandbox's faces, which know nothing of our rooms: a task in steps, with tools and reasoning.

The sandbox is as strict as the vendors: it refuses fields that they do not know, ids that do not fit, a signature that
does not come back as it was. So whatever crosses here is a request that it took.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.pairs.callers import JSON, Caller
from tests.pairs.crossing import crossed_stream, crossed_whole, of_pairs
from tests.pairs.test_tools import calls_in
from tests.pairs.upstreams import UPSTREAMS, Upstream
from trunkline.providers.protocols import PROTOCOLS
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Origin, Timers, UpstreamRequest
from trunkline.translation.exchange import Request, Text, ToolResult
from trunkline.translation.losses import Losses

FACES = [UPSTREAMS[name] for name in ("openai_chat", "anthropic_messages", "openai_responses", "gemini")]
PREFIXES = {"gemini": b"/v1beta"}
LIMIT = 1024 * 1024
WEATHER: JSON = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASK = "[[calls=2]] What is the weather in Rome and in Oslo?"


def tools_of(protocol: str) -> JSON:
    function = {"name": "weather", "description": "Tells the weather.", "parameters": WEATHER}
    match protocol:
        case "openai_chat":
            return {"tools": [{"type": "function", "function": function}], "reasoning_effort": "low"}
        case "anthropic_messages":
            return {"tools": [{"name": "weather", "description": "Tells the weather.", "input_schema": WEATHER}]}
        case "openai_responses":
            return {"tools": [{"type": "function", "strict": False, **function}], "reasoning": {"effort": "low"}}
        case _:
            return {"tools": [{"functionDeclarations": [function]}]}


def asking(caller: Caller, text: str, *, stream: bool) -> JSON:
    """`asks`, with tools, and with this question in the place of its own."""
    body = msgspec.json.encode({**caller.asks(stream), **tools_of(caller.protocol)}).decode()
    asked: JSON = msgspec.json.decode(body.replace('"What now?"', msgspec.json.encode(text).decode()))
    if caller.protocol == "openai_chat":
        # Not every upstream gives two answers, or tells probabilities.
        asked = {name: value for name, value in asked.items() if name not in ("n", "logprobs")}
    if caller.protocol == "gemini":
        asked["generationConfig"].pop("responseLogprobs")
    return asked


async def sent(upstream: Upstream, request: Request, transport: SandboxTransport, *, stream: bool) -> bytes:
    target = msgspec.structs.replace(upstream.target(), upstream="tools")
    protocol = PROTOCOLS[upstream.protocol]
    body = upstream.translator.write_request(request, target, Losses("maker/tools", request.names))
    path = protocol.stream_path if stream and protocol.stream_path is not None else protocol.path
    response = await transport.send(
        UpstreamRequest(
            origin=Origin("http", "sandbox.invalid", 80),
            target=PREFIXES.get(upstream.protocol, b"/v1") + path(target),
            headers=protocol.headers(target) if protocol.headers is not None else [],
            body=body,
            timers=Timers(),
            streaming=stream,
        )
    )
    answer = await response.read(LIMIT)
    assert response.status == 200, (answer, body)
    return answer


async def step(caller: Caller, upstream: Upstream, asked: JSON, transport: SandboxTransport, *, stream: bool) -> JSON:
    """One call; what the caller's library has of the answer."""
    request = caller.read(asked)
    request.stream = stream
    said = await sent(upstream, request, transport, stream=stream)
    if not stream:
        return caller.whole(crossed_whole(caller, upstream, said, asked))
    crossed = crossed_stream(caller, upstream, [said], asked)
    for size in (1, 100):
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        assert crossed_stream(caller, upstream, pieces, asked) == crossed
    return caller.streamed(crossed)


def text_of(request: Request) -> str:
    last = [turn for turn in request.turns if turn.role == "assistant"][-1]
    return "".join(part.text for part in last.parts if isinstance(part, Text))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@of_pairs(FACES)
async def test_a_task_with_tools(caller: Caller, upstream: Upstream, stream: bool) -> None:
    transport = SandboxTransport()
    asked = asking(caller, ASK, stream=stream)
    for number in (1, 2):
        client_has = await step(caller, upstream, asked, transport, stream=stream)
        again = caller.read(caller.goes_on(asked, client_has))
        calls = calls_in(again)
        assert [call.name for call in calls] == ["weather"] * 2 * number
        assert all(isinstance(_arguments(call.arguments)["city"], str) for call in calls)
        asked = caller.goes_on(asked, client_has)
        answer = await step(caller, upstream, asked, transport, stream=stream)
        told = text_of(caller.read(caller.goes_on(asked, answer)))
        results = [part for turn in again.turns for part in turn.parts if isinstance(part, ToolResult)]
        assert told.startswith("The tool answered: "), told
        assert len(results) == 2 * number
        asked = _next_question(caller, caller.goes_on(asked, answer))
    assert transport.live == 0


def _next_question(caller: Caller, asked: JSON) -> JSON:
    again: JSON = msgspec.json.decode(msgspec.json.encode(asked).replace(b'"Go on."', msgspec.json.encode(ASK)))
    return again


def _arguments(text: str) -> Any:
    return msgspec.json.decode(text)
