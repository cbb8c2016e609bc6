"""The Chat Completions protocol: a request in, the plan of its answer out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import msgspec

from trunkline.errors import NotFound, TrunklineError
from trunkline.providers.sandbox import chat_answer, chat_request, models
from trunkline.providers.sandbox.chat_request import ChatAsk
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.reply import Answer, cut_to_size
from trunkline.providers.sandbox.response import Cut, Plan, Step
from trunkline.providers.transport import Headers
from trunkline.wire import codec

JSON: Headers = [(b"content-type", b"application/json")]
EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class ErrorFacts(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct):
    error: ErrorFacts


_STATUS_FACTS = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_credits"),
    403: ("permission_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def answer(body: bytes, account: bytes, counts: FaultCounts) -> Plan:
    """Never raises for what a caller sends: a refusal is an answer, in OpenAI's envelope."""
    try:
        ask = chat_request.read(body)
        told = ask.prompt.told
        if counts.fails(told, account, ask.message):
            return _failure(ask)
        answers = _answers(ask)
    except TrunklineError as error:
        return refusal(error)
    if ask.stream:
        return Plan(headers=EVENTS, first_s=told.first_ms / 1000, steps=chat_answer.events(ask, answers))
    return Plan(headers=JSON, first_s=_whole_s(ask, answers), steps=_whole(ask, answers))


def refusal(error: TrunklineError) -> Plan:
    facts = ErrorFacts(error.message, "invalid_request_error", error.param, error.code)
    return Plan(status=404 if isinstance(error, NotFound) else 400, headers=JSON, steps=_body(facts))


def _failure(ask: ChatAsk) -> Plan:
    told = ask.prompt.told
    status = told.status or 500
    kind, code = _STATUS_FACTS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    headers = list(JSON)
    if told.retry_after is not None:
        headers.append((b"retry-after", b"%d" % told.retry_after))
    facts = ErrorFacts(f"the sandbox fails with status {status}, as told", kind, None, code)
    return Plan(status=status, headers=headers, first_s=told.first_ms / 1000, steps=_body(facts))


def _body(facts: ErrorFacts) -> Iterator[Step]:
    return iter((codec.encode(ErrorBody(facts)),))


def _answers(ask: ChatAsk) -> list[Answer]:
    model = models.CHAT[ask.model.removeprefix("sandbox/")]
    seeds = count(models.seed_of(ask.prompt))
    return [cut_to_size(model(ask.prompt, next(seeds)), ask.bounds) for _ in range(ask.n)]


def _whole_s(ask: ChatAsk, answers: list[Answer]) -> float:
    """A whole answer comes when its last token is made."""
    told = ask.prompt.told
    longest = max(each.tokens for each in answers)
    stalled = told.stall_ms if told.stall_ms is not None and (told.stall_after or 0) <= longest else 0
    return (told.first_ms + told.delay_ms * max(longest - 1, 0) + stalled) / 1000


def _whole(ask: ChatAsk, answers: list[Answer]) -> Iterator[Step]:
    """A whole body is garbled or cut in its middle, wherever in the answer the fault stands."""
    told = ask.prompt.told
    longest = max(each.tokens for each in answers)
    body = chat_answer.whole(ask, answers)
    if told.cut_after is not None and told.cut_after <= longest:
        if told.cut_after:
            yield body[: len(body) // 2]
        yield Cut()
    elif told.garble_after is not None and told.garble_after <= longest:
        yield body[: len(body) // 2] + b"\xff\xfe"
    else:
        yield body
