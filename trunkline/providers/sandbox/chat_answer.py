"""Chat Completions answers: whole, or as the events of a stream that adds up to the same.

Source: the `openai` package's types/chat/chat_completion.py and chat_completion_chunk.py, and its recorded streams.
Reasoning goes as OpenRouter (`reasoning_details`) and DeepSeek (`reasoning_content`) have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, zip_longest

import msgspec
from msgspec import UNSET, UnsetType

from trunkline import clock, ids
from trunkline.providers.sandbox import signatures
from trunkline.providers.sandbox.chat_logprobs import Logprobs, logprobs_of
from trunkline.providers.sandbox.chat_request import ChatAsk
from trunkline.providers.sandbox.reply import Answer
from trunkline.providers.sandbox.response import Cut, Step, Wait
from trunkline.wire import codec

FINGERPRINT = "fp_sandbox"
DONE = b"data: [DONE]\n\n"
GARBLED = b'data: {"id":"chatcmpl-\xff\xfe","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"conte\n\n'


class ReasoningText(msgspec.Struct):
    type: str
    text: str
    index: int
    format: str
    signature: str | UnsetType = UNSET


class FunctionPart(msgspec.Struct):
    name: str | UnsetType
    arguments: str


class ToolCall(msgspec.Struct, kw_only=True):
    """Whole without `index`; as a delta with it, and with `id`, `type` and the name only at its start."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: FunctionPart


class Said(msgspec.Struct):
    """A message or a delta of one."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning_details: list[ReasoningText] | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET
    function_call: FunctionPart | UnsetType = UNSET


class PromptDetails(msgspec.Struct):
    cached_tokens: int = 0


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Choice(msgspec.Struct):
    index: int
    message: Said
    logprobs: Logprobs | None
    finish_reason: str


class ChunkChoice(msgspec.Struct):
    index: int
    delta: Said
    logprobs: Logprobs | None
    finish_reason: str | None


class Completion(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice] | list[ChunkChoice]
    system_fingerprint: str
    usage: Usage | UnsetType | None = UNSET


class _Numbers:
    """Ids: random for each process, then counted."""

    def __init__(self) -> None:
        self._prefix = ids.random_base62(12)
        self._next = count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}{self._prefix}{next(self._next):08x}"


_numbers = _Numbers()


def usage_of(ask: ChatAsk, answers: list[Answer]) -> Usage:
    spent = sum(answer.tokens for answer in answers)
    thought = sum(answer.reasoning_tokens for answer in answers)
    prompt = ask.prompt.tokens
    return Usage(prompt, spent, prompt + spent, PromptDetails(), CompletionDetails(thought))


def whole(ask: ChatAsk, answers: list[Answer]) -> bytes:
    return codec.encode(
        Completion(
            id=_numbers.new("chatcmpl-"),
            object="chat.completion",
            created=int(clock.now_s()),
            model=ask.model,
            choices=[_choice(ask, index, answer) for index, answer in enumerate(answers)],
            system_fingerprint=FINGERPRINT,
            usage=UNSET if ask.prompt.told.no_usage else usage_of(ask, answers),
        )
    )


def _choice(ask: ChatAsk, index: int, answer: Answer) -> Choice:
    said = Said(role="assistant", content="".join(answer.text) if answer.text or not answer.calls else None)
    said.refusal = None
    if answer.reasoning:
        reasoning = "".join(answer.reasoning)
        said.reasoning_content = reasoning
        said.reasoning_details = [
            ReasoningText("reasoning.text", reasoning, 0, signatures.FORMAT, signatures.sign(reasoning))
        ]
    calls = [FunctionPart(call.name, "".join(call.arguments)) for call in answer.calls]
    if calls and ask.legacy:
        said.function_call = calls[0]
    elif calls:
        said.tool_calls = [ToolCall(function=call, id=_numbers.new("call_"), type="function") for call in calls]
    logprobs = logprobs_of(answer.text, ask.top_logprobs) if answer.text and ask.top_logprobs is not None else None
    return Choice(index, said, logprobs, finish_reason(ask, answer))


def finish_reason(ask: ChatAsk, answer: Answer) -> str:
    return answer.finish if answer.finish != "calls" else "function_call" if ask.legacy else "tool_calls"


def events(ask: ChatAsk, answers: list[Answer]) -> Iterator[Step]:
    """The stream: a round of role chunks, then a round for each token, choices in turn; then usage and the end."""
    told = ask.prompt.told
    chunk = Completion(
        id=_numbers.new("chatcmpl-"),
        object="chat.completion.chunk",
        created=int(clock.now_s()),
        model=ask.model,
        choices=[],
        system_fingerprint=FINGERPRINT,
        usage=None if ask.include_usage else UNSET,
    )
    pause = Wait(told.delay_ms / 1000)
    rounds = zip_longest(*(_deltas(ask, index, answer) for index, answer in enumerate(answers)))
    for tokens, choices in enumerate(rounds, -1):
        yield from _faults(ask, tokens)
        if told.delay_ms and tokens > 0:
            yield pause
        for choice in choices:
            if choice is not None:
                chunk.choices = [choice]
                yield b"data: %b\n\n" % codec.encode(chunk)
    if ask.include_usage and not told.no_usage:
        chunk.choices, chunk.usage = [], usage_of(ask, answers)
        yield b"data: %b\n\n" % codec.encode(chunk)
    if not told.no_done:
        yield DONE


def _faults(ask: ChatAsk, tokens: int) -> Iterator[Step]:
    """What goes wrong when `tokens` tokens are out; -1 is before the role chunk, where the position 0 stands."""
    told = ask.prompt.told
    at = 0 if tokens < 0 else tokens or None
    if at is None:
        return
    if told.stall_ms is not None and told.stall_after == at:
        yield Wait(told.stall_ms / 1000)
    if told.garble_after == at:
        yield GARBLED
    if told.cut_after == at:
        yield Cut()


def _deltas(ask: ChatAsk, index: int, answer: Answer) -> Iterator[ChunkChoice]:
    """The role, a delta for each token, and the finish. An answer of calls alone begins with its first call."""
    calls = _call_deltas(ask, answer)
    first = Said(role="assistant", content="")
    if answer.calls and not answer.text and not answer.reasoning:
        first.content = None
        opening = next(calls)
        first.tool_calls, first.function_call = opening.tool_calls, opening.function_call
    first.refusal = None
    yield ChunkChoice(index, first, None, None)
    for said in _reasoning_deltas(answer):
        yield ChunkChoice(index, said, None, None)
    for piece in answer.text:
        logprobs = None if ask.top_logprobs is None else logprobs_of([piece], ask.top_logprobs)
        yield ChunkChoice(index, Said(content=piece), logprobs, None)
    for said in calls:
        yield ChunkChoice(index, said, None, None)
    yield ChunkChoice(index, Said(), None, finish_reason(ask, answer))


def _reasoning_deltas(answer: Answer) -> Iterator[Said]:
    for piece in answer.reasoning:
        detail = ReasoningText("reasoning.text", piece, 0, signatures.FORMAT)
        yield Said(reasoning_content=piece, reasoning_details=[detail])
    if answer.reasoning:
        signature = signatures.sign("".join(answer.reasoning))
        yield Said(reasoning_details=[ReasoningText("reasoning.text", "", 0, signatures.FORMAT, signature)])


def _call_deltas(ask: ChatAsk, answer: Answer) -> Iterator[Said]:
    if ask.legacy:
        for call in answer.calls[:1]:
            yield Said(function_call=FunctionPart(call.name, ""))
            for piece in call.arguments:
                yield Said(function_call=FunctionPart(UNSET, piece))
        return
    for index, call in enumerate(answer.calls):
        opening = ToolCall(index=index, id=_numbers.new("call_"), type="function", function=FunctionPart(call.name, ""))
        yield Said(tool_calls=[opening])
        for piece in call.arguments:
            yield Said(tool_calls=[ToolCall(index=index, function=FunctionPart(UNSET, piece))])
