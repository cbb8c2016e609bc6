"""What this room offers, as one: a chat caller's exchange over Messages, and a Messages caller's over anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.messages_exchange import ask
from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import TARGET, read, request, target
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.translation.anthropic_messages.translator import TRANSLATOR
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL
from trunkline.translation.exchange import (
    Answer,
    Reasoning,
    ReasoningAsked,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.streams import CrossedStream
from trunkline.translation.target import Target
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parents[2] / "corpus" / "anthropic_messages"


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message)


def test_the_room_is_complete() -> None:
    assert TRANSLATOR.protocol == PROTOCOL == "anthropic_messages"
    assert len({(loss.name, loss.how, loss.direction) for loss in TRANSLATOR.losses}) == len(TRANSLATOR.losses)


def test_a_stream_crosses_from_this_protocol_to_itself() -> None:
    asked = read({"thinking": {"type": "adaptive"}, "stream": True})
    for path in sorted(CORPUS.glob("*.answer.json")):
        name = path.name.split(".")[0]
        crossed = CrossedStream(TRANSLATOR.reader(TARGET, said), TRANSLATOR.writer(asked))
        data = crossed.feed((CORPUS / f"{name}.upstream.sse").read_bytes()) + crossed.end()
        assert crossed.done
        sdk.events(data)
        if name == "compaction":
            continue  # of the beta's accumulators alone
        whole = sdk.message(TRANSLATOR.write_answer(TRANSLATOR.read_answer(path.read_bytes(), TARGET), asked))
        streamed = sdk.accumulated(data)
        plain = [{field: value for field, value in block.items() if value is not None} for block in streamed["content"]]
        assert plain == whole["content"]
        assert streamed["stop_reason"] == whole["stop_reason"]


def test_usage_is_taken_on_the_way() -> None:
    crossed = CrossedStream(TRANSLATOR.reader(TARGET, said), TRANSLATOR.writer(read({})))
    crossed.feed((CORPUS / "text.upstream.sse").read_bytes())
    assert crossed.usage == Usage(input_tokens=12, output_tokens=9)


QUESTION = Turn(role="user", parts=[Text(text="What is the weather in Paris?")])
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SIGNED = target(upstream="sandbox/tools", thinking="budget")


async def answered(asked: Request, to: Target) -> Answer:
    losses = ToldLosses()
    found = await ask(SandboxTransport(), TRANSLATOR.write_request(asked, to, losses))
    assert found.status == 200, found.body
    assert losses.told == set()
    return TRANSLATOR.read_answer(found.body, to)


@pytest.mark.parametrize("takes", ["budget", "adaptive"])
async def test_a_chat_callers_tool_loop_keeps_the_signatures(takes: Any) -> None:
    to = msgspec.structs.replace(SIGNED, thinking=takes)
    tool = Tool(name="weather", parameters=msgspec.Raw(msgspec.json.encode(WEATHER)))
    asking = request(QUESTION, tools=[tool], reasoning=ReasoningAsked(effort="low", shown=True))
    first = await answered(asking, to)
    parts = first.choices[0].parts
    assert [type(part) for part in parts] == [Reasoning, ToolCall]
    call = parts[1]
    assert isinstance(call, ToolCall)
    result = Turn(role="user", parts=[ToolResult(call_id=call.id, parts=[Text(text="Rain")])])
    asking.turns += [Turn(role="assistant", parts=parts), result]
    assert (await answered(asking, to)).choices[0].stop == "end"


async def test_a_messages_caller_brings_back_what_was_wrapped() -> None:
    tools = [{"name": "weather", "input_schema": WEATHER}]
    body: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "tools": tools}
    body["messages"] = [{"role": "user", "content": "What is the weather in Paris?"}]
    asking = read(body)
    shown = sdk.message(TRANSLATOR.write_answer(await answered(asking, SIGNED), asking))
    thought, called = shown["content"]
    assert thought["signature"].startswith("~tl1.")
    result = {"type": "tool_result", "tool_use_id": called["id"], "content": "Rain"}
    body["messages"] += [
        {"role": "assistant", "content": shown["content"]},
        {"role": "user", "content": [result]},
    ]
    assert (await answered(read(body), SIGNED)).choices[0].stop == "end"


@pytest.mark.parametrize(("limit", "taken"), [({}, True), ({"maximum": 5}, False)])
def test_a_schema_is_taken_only_where_the_model_keeps_to_all_of_it(limit: dict[str, int], taken: bool) -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer", **limit}}, "additionalProperties": False}
    assert TRANSLATOR.takes_schema(msgspec.Raw(msgspec.json.encode(schema))) is taken
