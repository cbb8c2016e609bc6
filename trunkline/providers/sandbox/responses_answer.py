"""Responses answers, whole. The stream (`responses_stream`) is made of the same items.

Source: the `openai` package's types/responses/response.py, response_output_item.py and response_usage.py.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from trunkline import clock
from trunkline.providers.sandbox import responses_input
from trunkline.providers.sandbox.chat_logprobs import TokenLogprob, logprobs_of
from trunkline.providers.sandbox.numbering import new_id
from trunkline.providers.sandbox.reply import Answer, CallPieces
from trunkline.providers.sandbox.responses_input import Removed
from trunkline.providers.sandbox.responses_request import ReasoningWish, ResponsesAsk, TextFormat, TextWish
from trunkline.providers.sandbox.responses_tools import Tool, ToolChoice
from trunkline.wire import codec


class SummaryText(msgspec.Struct, tag_field="type", tag="summary_text"):
    text: str


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    text: str
    annotations: list[Any] = []
    logprobs: list[TokenLogprob] = []


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    refusal: str


class ReasoningItem(msgspec.Struct, tag_field="type", tag="reasoning"):
    id: str
    summary: list[SummaryText]
    encrypted_content: str | UnsetType = UNSET


class MessageItem(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    status: str
    content: list[OutputText | OutputRefusal]
    role: str = "assistant"


class FunctionCallItem(msgspec.Struct, tag_field="type", tag="function_call"):
    id: str
    status: str
    arguments: str
    call_id: str
    name: str


class CustomCallItem(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    id: str
    call_id: str
    name: str
    input: str


OutputItem = ReasoningItem | MessageItem | FunctionCallItem | CustomCallItem


class InputDetails(msgspec.Struct):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct):
    reasoning_tokens: int = 0


class Usage(msgspec.Struct):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class IncompleteDetails(msgspec.Struct):
    reason: str


class Failure(msgspec.Struct):
    code: str
    message: str


FAILED = Failure("server_error", "the sandbox fails inside its answer, as told")


class Response(msgspec.Struct, kw_only=True):
    id: str
    object: str = "response"
    created_at: int
    status: str = "in_progress"
    background: bool = False
    completed_at: int | None = None
    error: Failure | None = None
    frequency_penalty: float = 0.0
    incomplete_details: IncompleteDetails | None = None
    input_transformations: list[Removed] | UnsetType = UNSET
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem] = []
    parallel_tool_calls: bool
    presence_penalty: float = 0.0
    previous_response_id: str | None = None
    prompt_cache_key: str | None
    prompt_cache_retention: str | UnsetType = UNSET
    reasoning: ReasoningWish
    safety_identifier: str | None
    service_tier: str
    store: bool
    temperature: float
    text: TextWish
    tool_choice: str | ToolChoice
    tools: list[Tool]
    top_logprobs: int
    top_p: float
    truncation: str
    usage: Usage | None = None
    user: str | UnsetType = UNSET
    metadata: dict[str, str]


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """An item to be given out, in pieces of one token each; `parts` are those of a reasoning item's summary."""

    item: OutputItem
    pieces: list[str]
    parts: list[list[str]] = []


def begun(ask: ResponsesAsk) -> Response:
    """The answer before anything of it is made: the request said back, with every default filled in."""
    request = ask.request
    text = request.text or TextWish()
    return Response(
        id=new_id("resp_"),
        created_at=int(clock.now_s()),
        input_transformations=ask.removed or UNSET,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        model=ask.model,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_retention=request.prompt_cache_retention or UNSET,
        reasoning=request.reasoning or ReasoningWish(),
        safety_identifier=request.safety_identifier,
        service_tier="default",
        store=request.store is not False,
        temperature=1.0 if request.temperature is None else request.temperature,
        text=TextWish(text.format or TextFormat("text"), text.verbosity or "medium"),
        tool_choice=request.tool_choice or "auto",
        tools=request.tools or [],
        top_logprobs=request.top_logprobs or 0,
        top_p=1.0 if request.top_p is None else request.top_p,
        truncation=request.truncation or "disabled",
        user=request.user or UNSET,
        metadata=request.metadata or {},
    )


def end(response: Response, ask: ResponsesAsk, answer: Answer, outputs: list[Output]) -> None:
    """Completed, or incomplete when the caller's limit cut it short."""
    response.output = [output.item for output in outputs]
    response.usage = None if ask.prompt.told.no_usage else usage_of(ask, answer)
    if answer.finish == "length":
        response.status = "incomplete"
        response.incomplete_details = IncompleteDetails("max_output_tokens")
    else:
        response.status = "completed"
        response.completed_at = int(clock.now_s())


def fail(response: Response) -> None:
    """Failed at the server, inside the answer: what was made of it is lost."""
    response.status = "failed"
    response.error = FAILED


def whole(ask: ResponsesAsk, answer: Answer) -> bytes:
    response = begun(ask)
    end(response, ask, answer, outputs_of(ask, answer))
    return codec.encode(response)


def usage_of(ask: ResponsesAsk, answer: Answer) -> Usage:
    given = ask.prompt.tokens
    cached = InputDetails(cached_tokens=min(ask.prompt.told.cached, given))
    return Usage(given, cached, answer.tokens, OutputDetails(answer.reasoning_tokens), given + answer.tokens)


def outputs_of(ask: ResponsesAsk, answer: Answer) -> list[Output]:
    """Reasoning, then a message, then calls; what the limit cut is the last, and says so."""
    found: list[Output] = []
    needed = ""
    if answer.reasoning:
        number = new_id("")
        found.append(_reasoning(ask, answer, f"rs_{number}"))
        needed = f"_{number}" if ask.encrypted else ""
    if answer.text or not (answer.calls or answer.finish == "length"):
        found.append(_message(ask, answer))
    found += [_call(ask, call, needed) for call in answer.calls]
    last = found[-1].item if found else None
    if answer.finish == "length" and isinstance(last, MessageItem | FunctionCallItem):
        last.status = "incomplete"
    return found


def _reasoning(ask: ResponsesAsk, answer: Answer, item_id: str) -> Output:
    redacted = ask.prompt.told.redacted
    parts = [] if ask.summary is None or redacted else [answer.reasoning]
    if parts and ask.summary == "detailed":
        parts = _sentence_and_rest(answer.reasoning)
    item = ReasoningItem(item_id, [SummaryText("".join(part)) for part in parts])
    if ask.encrypted:
        item.encrypted_content = responses_input.seal_reasoning(item_id, ask.bare, "".join(answer.reasoning))
    return Output(item=item, pieces=answer.reasoning, parts=parts)


def _sentence_and_rest(pieces: list[str]) -> list[list[str]]:
    end = next((at for at, piece in enumerate(pieces, 1) if piece.endswith(".")), len(pieces))
    rest = pieces[end:]
    return [pieces[:end], [rest[0].lstrip(), *rest[1:]]] if rest else [pieces]


def _message(ask: ResponsesAsk, answer: Answer) -> Output:
    text = "".join(answer.text)
    part: OutputText | OutputRefusal
    if ask.prompt.told.refuse:
        part = OutputRefusal(text)
    else:
        part = OutputText(text)
        if ask.top_logprobs is not None:
            part.logprobs = logprobs_of(answer.text, ask.top_logprobs).content
    return Output(item=MessageItem(new_id("msg_"), "completed", [part]), pieces=answer.text)


def _call(ask: ResponsesAsk, call: CallPieces, needed: str) -> Output:
    text, call_id = "".join(call.arguments), new_id("call_")
    item: OutputItem
    if call.name in ask.customs:
        item = CustomCallItem(new_id("ctc_"), call_id, call.name, text)
    else:
        item = FunctionCallItem(new_id("fc_") + needed, "completed", text, call_id, call.name)
    return Output(item=item, pieces=call.arguments)
