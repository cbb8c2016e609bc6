"""The Responses protocol: create, the count of input tokens, and compaction. Nothing is kept from call to call."""

from __future__ import annotations

import msgspec

from trunkline import clock
from trunkline.providers.sandbox import (
    models,
    openai_errors,
    pacing,
    responses_answer,
    responses_input,
    responses_request,
    responses_stream,
    responses_tools,
    words,
)
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.numbering import new_id
from trunkline.providers.sandbox.openai_errors import EVENTS, JSON
from trunkline.providers.sandbox.reply import Answer, Call, Reply, cut_to_size
from trunkline.providers.sandbox.response import Plan
from trunkline.providers.sandbox.responses_answer import InputDetails, OutputDetails, Usage
from trunkline.providers.sandbox.responses_request import ResponsesAsk
from trunkline.wire import codec

REFUSAL = "The sandbox refuses to answer this, as told."


class InputTokens(msgspec.Struct):
    input_tokens: int
    object: str = "response.input_tokens"


class KeptText(msgspec.Struct, tag_field="type", tag="input_text"):
    text: str


class KeptMessage(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    content: list[KeptText]
    role: str = "user"
    status: str = "completed"


class CompactionItem(msgspec.Struct, tag_field="type", tag="compaction"):
    id: str
    encrypted_content: str


class Compacted(msgspec.Struct):
    id: str
    created_at: int
    output: list[CompactionItem]
    usage: Usage
    object: str = "response.compaction"


def create(body: bytes, account: bytes, counts: FaultCounts) -> Plan:
    """Raises InvalidRequest or NotFound."""
    ask = responses_request.read(body)
    told = ask.prompt.told
    if counts.fails(told, account, ask.message):
        return openai_errors.failure(told)
    answer = _answer(ask)
    if ask.request.stream:
        return Plan(headers=EVENTS, first_s=told.first_ms / 1000, steps=responses_stream.events(ask, answer))
    if pacing.errs(told, answer.tokens):
        return openai_errors.failure(told)
    body = responses_answer.whole(ask, answer)
    return Plan(
        headers=JSON, first_s=pacing.whole_s(told, answer.tokens), steps=pacing.whole(told, answer.tokens, body)
    )


def count_input(body: bytes) -> bytes:
    return codec.encode(InputTokens(responses_request.count_input(body)))


def compact(body: bytes) -> bytes:
    """One item that stands for the conversation: the sandbox answers to its last user message, and keeps that."""
    talk, tokens = responses_request.read_compact(body)
    assert talk.asked is not None
    text = "\n".join(talk.texts[talk.asked])
    spent = words.count(text)
    return codec.encode(
        Compacted(
            id=new_id("resp_"),
            created_at=int(clock.now_s()),
            output=[CompactionItem(new_id("cmp_"), responses_input.seal_compaction(text))],
            usage=Usage(tokens, InputDetails(), spent, OutputDetails(), tokens + spent),
        )
    )


def _answer(ask: ResponsesAsk) -> Answer:
    if ask.prompt.told.refuse:
        return cut_to_size(Reply(text=REFUSAL), ask.bounds)
    seed = models.seed_of(ask.prompt)
    reply = models.CHAT[ask.bare](ask.prompt, seed)
    reasoning = reply.reasoning
    if ask.bare == "tools" and reply.calls and ask.prompt.effort is not None:
        reasoning = _made_up(seed, models.EFFORTS[ask.prompt.effort])
    calls = [_call(call) if call.name in ask.customs else call for call in reply.calls]
    return cut_to_size(Reply(reasoning=reasoning, text=reply.text, calls=calls), ask.bounds)


def _made_up(seed: int, tokens: int) -> str:
    return words.fit(f"This reasoning is made up. {words.story(seed, tokens)}", tokens) if tokens else ""


def _call(call: Call) -> Call:
    """A custom tool is given its text alone."""
    arguments = msgspec.json.decode(call.arguments, type=dict[str, str])
    return Call(call.name, arguments[responses_tools.INPUT])
