"""The events of a Responses stream, which add up to the whole answer.

Source: the `openai` package's types/responses/response_stream_event.py for the shapes and its lib/streaming/responses
for the order: created, in_progress, each item from added to done, and one terminal event that holds everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.providers.sandbox import pacing, responses_answer, sealed
from trunkline.providers.sandbox.chat_logprobs import TokenLogprob, logprobs_of
from trunkline.providers.sandbox.reply import Answer
from trunkline.providers.sandbox.response import Step
from trunkline.providers.sandbox.responses_answer import (
    FAILED,
    CustomCallItem,
    FunctionCallItem,
    MessageItem,
    Output,
    OutputItem,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    Response,
    SummaryText,
)
from trunkline.providers.sandbox.responses_request import ResponsesAsk
from trunkline.wire import codec, sse

GARBLED = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\xff\xfe\n\n'
_OPENING = ("created", "in_progress")
_PADDING = "Jq7mX2vRz9TkB4Wd"


class Event(msgspec.Struct, kw_only=True):
    """Any event: each has the fields of its type."""

    type: str
    sequence_number: int = 0
    response: Response | UnsetType = UNSET
    output_index: int | UnsetType = UNSET
    item_id: str | UnsetType = UNSET
    item: OutputItem | UnsetType = UNSET
    content_index: int | UnsetType = UNSET
    summary_index: int | UnsetType = UNSET
    part: OutputText | OutputRefusal | SummaryText | UnsetType = UNSET
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET
    logprobs: list[TokenLogprob] | UnsetType = UNSET
    obfuscation: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    param: UnsetType | None = UNSET


Part = tuple[Event | None, bool]
"""An event, and whether a token comes with it. A token that is not shown has no event."""


def events(ask: ResponsesAsk, answer: Answer) -> Iterator[Step]:
    """The stream, at the pace and with the faults that it is told."""
    # An error event has a number, so it is made among the others and not by the pace.
    told = msgspec.structs.replace(ask.prompt.told, error_after=None)
    yield from pacing.paced(told, _rounds(ask, answer), pacing.Broken(GARBLED, b""))


def _rounds(ask: ResponsesAsk, answer: Answer) -> Iterator[list[bytes]]:
    """The opening, then each token with what stands before it, then the end."""
    told = ask.prompt.told
    numbers = count()
    response = responses_answer.begun(ask)
    outputs = responses_answer.outputs_of(ask, answer)
    if told.error_after == 0:
        error = Event(type="error", code=FAILED.code, message=FAILED.message, param=None)
        yield [_written(error, next(numbers))]
        return
    yield [_written(Event(type=f"response.{kind}", response=response), next(numbers)) for kind in _OPENING]
    waiting: list[bytes] = []
    spent = 0
    for event, is_token in _parts(ask, outputs):
        if is_token and spent and spent == told.error_after:
            break
        if event is not None:
            waiting.append(_written(event, next(numbers)))
        if is_token:
            spent += 1
            yield waiting
            waiting = []
    if spent == told.error_after:
        waiting = []
        responses_answer.fail(response)
    else:
        responses_answer.end(response, ask, answer, outputs)
    if not told.no_done:
        waiting.append(_written(Event(type=f"response.{response.status}", response=response), next(numbers)))
    yield waiting


def _written(event: Event, number: int) -> bytes:
    event.sequence_number = number
    return sse.named_event(event.type.encode(), codec.encode(event))


def _parts(ask: ResponsesAsk, outputs: list[Output]) -> Iterator[Part]:
    padded = not (ask.request.stream_options and ask.request.stream_options.include_obfuscation is False)
    for index, output in enumerate(outputs):
        for event, is_token in _item_parts(ask, output):
            if event is not None:
                event.output_index = index
                if padded and isinstance(event.delta, str):
                    event.obfuscation = _PADDING[: -len(event.delta) % 16]
            yield event, is_token


def _item_parts(ask: ResponsesAsk, output: Output) -> Iterator[Part]:
    item = output.item
    if isinstance(item, ReasoningItem):
        yield from _reasoning(item, output)
    elif isinstance(item, MessageItem):
        yield from _message(ask, item, output)
    else:
        yield from _call(item, output)
    yield Event(type="response.output_item.done", item=item), False


def _reasoning(item: ReasoningItem, output: Output) -> Iterator[Part]:
    opening = msgspec.structs.replace(item, summary=[])
    if isinstance(item.encrypted_content, str):
        # What is sealed is known at the end only: the first value opens nothing.
        opening.encrypted_content = sealed.seal("reasoning begun", item.id)
    yield Event(type="response.output_item.added", item=opening), False
    prefix = "response.reasoning_summary"
    place: dict[str, Any] = {"item_id": item.id}
    for place["summary_index"], pieces in enumerate(output.parts):
        yield Event(type=f"{prefix}_part.added", part=SummaryText(""), **place), False
        for piece in pieces:
            yield Event(type=f"{prefix}_text.delta", delta=piece, **place), True
        text = "".join(pieces)
        yield Event(type=f"{prefix}_text.done", text=text, **place), False
        yield Event(type=f"{prefix}_part.done", part=SummaryText(text), **place), False
    if not output.parts:
        yield from ((None, True) for _ in output.pieces)


def _message(ask: ResponsesAsk, item: MessageItem, output: Output) -> Iterator[Part]:
    opening = msgspec.structs.replace(item, status="in_progress", content=[])
    yield Event(type="response.output_item.added", item=opening), False
    place: dict[str, Any] = {"item_id": item.id, "content_index": 0}
    (part,) = item.content
    if isinstance(part, OutputRefusal):
        yield Event(type="response.content_part.added", part=OutputRefusal(""), **place), False
        for piece in output.pieces:
            yield Event(type="response.refusal.delta", delta=piece, **place), True
        yield Event(type="response.refusal.done", refusal=part.refusal, **place), False
    else:
        yield Event(type="response.content_part.added", part=OutputText(""), **place), False
        for piece in output.pieces:
            logprobs = [] if ask.top_logprobs is None else logprobs_of([piece], ask.top_logprobs).content
            yield Event(type="response.output_text.delta", delta=piece, logprobs=logprobs, **place), True
        yield Event(type="response.output_text.done", text=part.text, logprobs=part.logprobs, **place), False
    yield Event(type="response.content_part.done", part=part, **place), False


def _call(item: FunctionCallItem | CustomCallItem, output: Output) -> Iterator[Part]:
    """The name is a token of its own."""
    if isinstance(item, FunctionCallItem):
        opening: OutputItem = msgspec.structs.replace(item, status="in_progress", arguments="")
        kind = "function_call_arguments"
        done = Event(type=f"response.{kind}.done", arguments=item.arguments, name=item.name, item_id=item.id)
    else:
        opening = msgspec.structs.replace(item, input="")
        kind = "custom_tool_call_input"
        done = Event(type=f"response.{kind}.done", input=item.input, item_id=item.id)
    yield Event(type="response.output_item.added", item=opening), True
    for piece in output.pieces:
        yield Event(type=f"response.{kind}.delta", delta=piece, item_id=item.id), True
    yield done, False
