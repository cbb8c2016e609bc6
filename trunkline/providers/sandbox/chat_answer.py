"""Chat Completions answers: whole, or as the events of a stream that adds up to the same.

Source: the `openai` package's types/chat/chat_completion.py and chat_completion_chunk.py, and its recorded streams.
Reasoning goes as OpenRouter (`reasoning_details`) and DeepSeek (`reasoning_content`) have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import msgspec
from msgspec import UNSET, UnsetType

from trunkline import clock
from trunkline.providers.sandbox import pacing, sealed, signatures
from trunkline.providers.sandbox.chat_logprobs import Logprobs, logprobs_of
from trunkline.providers.sandbox.chat_request import ENCRYPTED, ChatAsk
from trunkline.providers.sandbox.numbering import new_id
from trunkline.providers.sandbox.reply import Answer
from trunkline.providers.sandbox.response import Step
from trunkline.wire import codec

FINGERPRINT = "fp_sandbox"
DONE = b"data: [DONE]\n\n"
GARBLED = b'data: {"id":"chatcmpl-\xff\xfe","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"conte\n\n'
ERROR = b'data: {"error":{"message":"the sandbox fails, as told","type":"server_error","param":null,"code":null}}\n\n'


class ReasoningText(msgspec.Struct):
    type: str
    text: str
    index: int
    format: str
    signature: str | UnsetType = UNSET


class ReasoningEncrypted(msgspec.Struct):
    type: str
    data: str
    index: int
    format: str


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
    refusal: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning_details: list[ReasoningText] | list[ReasoningEncrypted] | UnsetType = UNSET
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
    """`stop_reason` is vLLM's way to say which stop string was met:
    https://docs.vllm.ai/en/latest/api/vllm/entrypoints/openai/protocol.html"""

    index: int
    message: Said
    logprobs: Logprobs | None
    finish_reason: str
    stop_reason: str | UnsetType = UNSET


class ChunkChoice(msgspec.Struct):
    index: int
    delta: Said
    logprobs: Logprobs | None
    finish_reason: str | None
    stop_reason: str | UnsetType = UNSET


class Completion(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice] | list[ChunkChoice]
    system_fingerprint: str
    usage: Usage | UnsetType | None = UNSET


def usage_of(ask: ChatAsk, answers: list[Answer]) -> Usage:
    spent = sum(answer.tokens for answer in answers)
    thought = sum(answer.reasoning_tokens for answer in answers)
    prompt = ask.prompt.tokens
    return Usage(
        prompt, spent, prompt + spent, PromptDetails(min(ask.prompt.told.cached, prompt)), CompletionDetails(thought)
    )


def whole(ask: ChatAsk, answers: list[Answer]) -> bytes:
    return codec.encode(
        Completion(
            id=new_id("chatcmpl-"),
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
    if ask.prompt.told.refuse:
        said.content, said.refusal = None, "".join(answer.text)
    if answer.reasoning and ask.prompt.told.redacted:
        said.reasoning_details = [_encrypted(answer)]
    elif answer.reasoning:
        reasoning = "".join(answer.reasoning)
        said.reasoning_content = reasoning
        said.reasoning_details = [
            ReasoningText("reasoning.text", reasoning, 0, signatures.FORMAT, signatures.sign(reasoning))
        ]
    calls = [FunctionPart(call.name, "".join(call.arguments)) for call in answer.calls]
    if calls and ask.legacy:
        said.function_call = calls[0]
    elif calls:
        said.tool_calls = [ToolCall(function=call, id=new_id("call_"), type="function") for call in calls]
    logprobs = logprobs_of(answer.text, ask.top_logprobs) if answer.text and ask.top_logprobs is not None else None
    return Choice(index, said, logprobs, finish_reason(ask, answer), answer.stop or UNSET)


def finish_reason(ask: ChatAsk, answer: Answer) -> str:
    return answer.finish if answer.finish != "calls" else "function_call" if ask.legacy else "tool_calls"


def events(ask: ChatAsk, answers: list[Answer]) -> Iterator[Step]:
    """The stream: a round of role chunks, then a round for each token, choices in turn; then usage and the end."""
    told = ask.prompt.told
    chunk = Completion(
        id=new_id("chatcmpl-"),
        object="chat.completion.chunk",
        created=int(clock.now_s()),
        model=ask.model,
        choices=[],
        system_fingerprint=FINGERPRINT,
        usage=None if ask.include_usage else UNSET,
    )
    rounds = zip_longest(*(_deltas(ask, index, answer) for index, answer in enumerate(answers)))
    written = ([_event(chunk, choice) for choice in choices if choice is not None] for choices in rounds)
    if (yield from pacing.paced(told, written, pacing.Broken(GARBLED, ERROR))):
        return
    if ask.include_usage and not told.no_usage:
        chunk.choices, chunk.usage = [], usage_of(ask, answers)
        yield b"data: %b\n\n" % codec.encode(chunk)
    if not told.no_done:
        yield DONE


def _event(chunk: Completion, choice: ChunkChoice) -> bytes:
    chunk.choices = [choice]
    return b"data: %b\n\n" % codec.encode(chunk)


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
    for said in _reasoning_deltas(ask, answer):
        yield ChunkChoice(index, said, None, None)
    for piece in answer.text:
        if ask.prompt.told.refuse:
            yield ChunkChoice(index, Said(refusal=piece), None, None)
            continue
        logprobs = None if ask.top_logprobs is None else logprobs_of([piece], ask.top_logprobs)
        yield ChunkChoice(index, Said(content=piece), logprobs, None)
    for said in calls:
        yield ChunkChoice(index, said, None, None)
    yield ChunkChoice(index, Said(), None, finish_reason(ask, answer), answer.stop or UNSET)


def _encrypted(answer: Answer) -> ReasoningEncrypted:
    sealing = sealed.seal(ENCRYPTED, "".join(answer.reasoning))
    return ReasoningEncrypted("reasoning.encrypted", sealing, 0, signatures.FORMAT)


def _reasoning_deltas(ask: ChatAsk, answer: Answer) -> Iterator[Said]:
    if ask.prompt.told.redacted:
        if answer.reasoning:
            yield Said(reasoning_details=[_encrypted(answer)])
        return
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
        opening = ToolCall(index=index, id=new_id("call_"), type="function", function=FunctionPart(call.name, ""))
        yield Said(tool_calls=[opening])
        for piece in call.arguments:
            yield Said(tool_calls=[ToolCall(index=index, function=FunctionPart(UNSET, piece))])
