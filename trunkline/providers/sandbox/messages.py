"""The Messages protocol: a request in, the plan of its answer out."""

from __future__ import annotations

import msgspec

from trunkline.errors import NotFound, TrunklineError
from trunkline.providers.sandbox import messages_answer, messages_ask, models, pacing
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.messages_answer import Said
from trunkline.providers.sandbox.messages_ask import MessagesAsk
from trunkline.providers.sandbox.messages_cache import CacheUse, PrefixCache
from trunkline.providers.sandbox.numbering import new_id
from trunkline.providers.sandbox.reply import Answer, Reply, cut_to_size
from trunkline.providers.sandbox.response import Plan
from trunkline.providers.transport import Headers, UpstreamRequest
from trunkline.wire import codec

_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Source: https://platform.claude.com/docs/en/api/errors."""


class ErrorFacts(msgspec.Struct):
    type: str
    message: str


class ErrorBody(msgspec.Struct, tag_field="type", tag="error"):
    error: ErrorFacts
    request_id: str


class MessagesFace:
    """Answers at /messages and /messages/count_tokens. What was cached is its own."""

    __slots__ = ("_cache",)

    def __init__(self) -> None:
        self._cache = PrefixCache()

    def __call__(self, request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan | None:
        path = request.target.partition(b"?")[0]
        if request.method != b"POST" or not path.endswith((b"/messages", b"/messages/count_tokens")):
            return None
        headers = {name.lower(): value for name, value in request.headers}
        try:
            if path.endswith(b"/count_tokens"):
                body = codec.encode({"input_tokens": messages_ask.count(request.body, headers)})
                return Plan(headers=_headers(b"application/json"), steps=iter((body,)))
            return self._answer(messages_ask.read(request.body, headers), account, counts)
        except TrunklineError as error:
            return failure(404 if isinstance(error, NotFound) else 400, error.message)

    def _answer(self, ask: MessagesAsk, account: bytes, counts: FaultCounts) -> Plan:
        told = ask.prompt.told
        if counts.fails(told, account, ask.message):
            plan = failure(told.status or 500, f"the sandbox fails with status {told.status}, as told")
            if told.retry_after is not None:
                plan.headers.append((b"retry-after", b"%d" % told.retry_after))
            return msgspec.structs.replace(plan, first_s=told.first_ms / 1000)
        reply = reply_of(ask)
        answer = cut_to_size(reply, ask.bounds)
        if not ask.stream and pacing.errs(told, answer.tokens):
            plan = failure(529, "Overloaded, as the sandbox is told")
            return msgspec.structs.replace(plan, first_s=pacing.whole_s(told, answer.tokens))
        said = _said(ask, answer, reply.text, self._cache.use(account + b"\0" + ask.model.encode(), ask.segments))
        if ask.stream:
            steps = messages_answer.events(ask, said)
            return Plan(
                headers=_headers(b"text/event-stream; charset=utf-8"), first_s=told.first_ms / 1000, steps=steps
            )
        return Plan(
            headers=_headers(b"application/json"),
            first_s=pacing.whole_s(told, answer.tokens),
            steps=pacing.whole(told, answer.tokens, messages_answer.whole(ask, said)),
        )


def failure(status: int, message: str) -> Plan:
    """An error in Anthropic's envelope."""
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    headers = _headers(b"application/json")
    body = codec.encode(ErrorBody(ErrorFacts(kind, message), headers[1][1].decode()))
    return Plan(status=status, headers=headers, steps=iter((body,)))


def reply_of(ask: MessagesAsk) -> Reply:
    """What the model says. `think` and `tools` think first, when that was asked for."""
    if ask.prompt.told.refuse:
        return Reply()
    seed = models.seed_of(ask.prompt)
    reply = models.CHAT[ask.model](ask.prompt, seed)
    if ask.model == "tools":
        return msgspec.structs.replace(reply, reasoning=models.think(ask.prompt, seed).reasoning)
    return reply


def _said(ask: MessagesAsk, answer: Answer, text: str, cache: CacheUse) -> Said:
    if ask.prompt.told.refuse:
        return Said(answer=answer, stop_reason="refusal", cache=cache)
    reason, sequence = messages_answer.stop_of(answer, ask.bounds.stops, text)
    return Said(answer=answer, stop_reason=reason, stop_sequence=sequence, cache=cache)


def _headers(kind: bytes) -> Headers:
    return [(b"content-type", kind), (b"request-id", new_id("req_").encode()), (b"cache-control", b"no-cache")]
