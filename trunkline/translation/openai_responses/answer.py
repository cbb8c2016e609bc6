"""Whole answers: a provider's, and the caller's."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    State,
    Text,
    ToolCall,
)
from trunkline.translation.openai_responses.answered import Said, parts_of, read_item, stop_of
from trunkline.translation.openai_responses.asked import PROTOCOL
from trunkline.translation.openai_responses.items import PHASE, call_prefix
from trunkline.translation.openai_responses.output import (
    CARRIER,
    FunctionCallItem,
    ImageItem,
    MessageItem,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    ReasoningText,
    SummaryText,
    call_item,
    encrypted,
    fitting_annotations,
    fitting_logprobs,
    joined,
)
from trunkline.translation.openai_responses.response import Identity, Origin, ResponseObject, outcome
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.openai_responses_answer import read_usage
from trunkline.wire.openai_responses_stream import failure_in

_decode = msgspec.json.Decoder(Said).decode


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is none, or one that failed."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a response.") from None
    if said.output is None or said.status in ("failed", "cancelled", "queued", "in_progress"):
        facts = failure_in(codec.answer_fields(body) or {})
        told = facts.message or "it has no output."
        raise UpstreamFailed(f"The provider's answer is not a response: {told}", status=facts.status, code=facts.code)
    parts: list[Part] = []
    logprobs: list[Raw] = []
    for raw in said.output:
        item = read_item(raw)
        parts += parts_of(item, target.provider_id)
        logprobs += item.logprobs()
    stop = stop_of(
        said,
        called=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refusal) for part in parts),
    )
    tokens = [inside for told in logprobs if (inside := bytes(told).strip()[1:-1].strip())]
    return Answer(
        id=said.id,
        model=said.model,
        created=int(said.created_at),
        choices=[Choice(parts=parts, stop=stop, logprobs=joined(tokens) if tokens else None)],
        usage=read_usage(said.usage) if said.usage else None,
        service_tier=said.service_tier,
    )


def write_answer(answer: Answer, request: Request, identity: Identity | None = None) -> bytes:
    """The Response object. Without an Identity its ids are made from the provider's."""
    return _written(answer, request, identity, kept=False)


def write_kept(answer: Answer, request: Request, identity: Identity) -> bytes:
    """The Response object as it is to be kept: the state of all reasoning is in it, whatever the caller asked to see,
    in items with the ids that he saw. `state.visible` makes the caller's of it."""
    return _written(answer, request, identity, kept=True)


def _written(answer: Answer, request: Request, identity: Identity | None, *, kept: bool) -> bytes:
    origin = Origin(id=answer.id, model=answer.model, created=answer.created, service_tier=answer.service_tier)
    response = ResponseObject(request, origin, identity)
    choice = answer.choices[0] if answer.choices else Choice(parts=[], stop="end")
    items = _Items(request, response, choice.logprobs, kept=kept)
    for part in choice.parts:
        items.add(part)
    how = outcome(choice.stop, refused=any(isinstance(part, Refusal) for part in choice.parts))
    if how.status == "incomplete":
        items.cut()
    return response.write(how, [encode(item) for item in items.items], answer.usage)


class _Items:
    """The items that parts make, as a stream of the same parts would."""

    def __init__(self, request: Request, response: ResponseObject, logprobs: Raw | None, *, kept: bool) -> None:
        self._request = request
        self._response = response
        self._logprobs = logprobs
        self._kept = kept
        self._state_shown = request.reasoning.shown and request.reasoning.state_wanted
        self._phase: Raw | None = None
        self._last: Any = None
        self.items: list[Any] = []

    def add(self, part: Part) -> None:
        if isinstance(part, Text | Refusal):
            if part.text:
                self._message().content.append(self._content(part))
        elif isinstance(part, Reasoning):
            self._reasoning(part)
        elif isinstance(part, ToolCall):
            self._call(part)
        elif isinstance(part, Opaque) and part.protocol == PROTOCOL:
            if part.kind == PHASE:
                self._phase = part.raw
            else:
                self._put(part.raw)
        elif isinstance(part, Media) and part.kind == "image" and part.data is not None:
            self._put(ImageItem(id=self._id("ig"), result=part.data))

    def cut(self) -> None:
        """The answer ended before its end: so did its last item."""
        if isinstance(self._last, MessageItem | FunctionCallItem):
            self._last.status = "incomplete"

    def _id(self, prefix: str) -> str:
        return self._response.item_id(prefix)

    def _put(self, item: Any) -> None:
        self.items.append(item)
        self._last = item

    def _message(self) -> MessageItem:
        if not isinstance(self._last, MessageItem) or self._phase is not None:
            phase = UNSET if self._phase is None else self._phase
            self._phase = None
            self._put(MessageItem(id=self._id("msg"), status="completed", content=[], phase=phase))
        message: MessageItem = self._last
        return message

    def _content(self, part: Text | Refusal) -> OutputText | OutputRefusal:
        if isinstance(part, Refusal):
            return OutputRefusal(part.text)
        logprobs, self._logprobs = self._logprobs, None
        return OutputText(
            part.text, joined(fitting_annotations(part.citations)), fitting_logprobs(logprobs, self._request)
        )

    def _reasoning(self, part: Reasoning) -> None:
        if not (part.text or part.summaries or part.state):
            return
        shown = self._request.reasoning.shown
        if not shown and not (self._kept and part.state is not None):
            self._last = None
            return
        summaries, text = part.summaries, part.text
        if not summaries and self._request.reasoning.summary is not None and text:
            summaries, text = [text], ""
        self._put(
            ReasoningItem(
                id=self._id("rs"),
                summary=[SummaryText(summary) for summary in summaries],
                content=[ReasoningText(text)] if text else UNSET,
                encrypted_content=encrypted(part.state) if self._kept or self._state_shown else UNSET,
                hidden=UNSET if shown else True,
            )
        )

    def _call(self, part: ToolCall) -> None:
        self._put(call_item(self._request, self._id("ctc" if part.custom else "fc"), part, "completed"))
        if part.state is not None and (self._kept or self._state_shown):
            state = State(part.state.origin, call_prefix(part) + part.state.data)
            hidden = UNSET if self._state_shown else True
            carrier = ReasoningItem(id=self._id(CARRIER), summary=[], encrypted_content=encrypted(state), hidden=hidden)
            self.items.append(carrier)
