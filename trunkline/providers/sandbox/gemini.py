"""The Gemini protocol: a request in, the plan of its answer out."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from trunkline.errors import Forbidden, NotFound, TrunklineError
from trunkline.providers.sandbox import gemini_answer, gemini_ask, models, pacing
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.gemini_ask import GeminiAsk
from trunkline.providers.sandbox.gemini_schema import PAYLOAD
from trunkline.providers.sandbox.reply import Answer, Reply, cut_to_size
from trunkline.providers.sandbox.response import Plan, Step
from trunkline.providers.transport import Headers, UpstreamRequest
from trunkline.wire import codec

JSON: Headers = [(b"content-type", b"application/json; charset=UTF-8")]
EVENTS: Headers = [(b"content-type", b"text/event-stream"), (b"content-disposition", b"attachment")]

_PATH = re.compile(rb"/models/([^:]+):(generateContent|streamGenerateContent|countTokens)$")
_PLACE = re.compile(r" at '([^']*)'")
_GARBLED = b'{"candidates":[{"content":{"parts":[{"te\xff\xfe'
_OVERLOADED = "The model is overloaded, as the sandbox is told. Please try again later."

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Source: https://cloud.google.com/apis/design/errors, HTTP mapping."""


def face(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan | None:
    """Answers at /models/{model}: with its three methods. A stream without `alt=sse` is one JSON array."""
    path, _, query = request.target.partition(b"?")
    found = _PATH.search(path)
    if request.method != b"POST" or found is None:
        return None
    name, method = unquote(found[1].decode("latin-1")), found[2]
    is_array = method == b"streamGenerateContent" and b"sse" not in parse_qs(query).get(b"alt", [])
    try:
        if method == b"countTokens":
            return Plan(headers=JSON, steps=iter((_counted(gemini_ask.count(request.body, name)),)))
        ask = gemini_ask.read(request.body, name)
        told = ask.prompt.told
        if counts.fails(told, account, ask.message):
            return _told_failure(ask, is_array=is_array)
        answers = _answers(ask)
    except TrunklineError as error:
        return failure(_status_of(error), error.message, is_array=is_array, is_payload=error.code == PAYLOAD)
    if method == b"generateContent":
        return _whole(ask, answers)
    steps = _array(ask, answers) if is_array else _events(ask, answers)
    return Plan(headers=JSON if is_array else EVENTS, first_s=told.first_ms / 1000, steps=steps)


def failure(
    status: int, message: str, *, is_array: bool = False, is_payload: bool = False, retry_s: int | None = None
) -> Plan:
    """An error in Google's envelope, with the details that Google gives."""
    details: list[Any] = []
    if is_payload:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": _violations(message)})
    headers = list(JSON)
    if retry_s is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_s}s"})
        headers.append((b"retry-after", b"%d" % retry_s))
    body = _error(status, message, details)
    return Plan(status=status, headers=headers, steps=iter((b"[%b]" % body if is_array else body,)))


def reply_of(ask: GeminiAsk, seed: int) -> Reply:
    """What the model says. `think` thinks first, and `tools` when it was asked to."""
    if ask.prompt.told.refuse:
        return Reply()
    reply = models.CHAT[ask.model](ask.prompt, seed)
    if ask.model == "tools" and ask.thinks:
        return msgspec.structs.replace(reply, reasoning=models.think(ask.prompt, seed).reasoning)
    if ask.is_enum and ask.prompt.form is not None and ask.model == "json":
        return msgspec.structs.replace(reply, text=str(msgspec.json.decode(reply.text)))
    return reply


def _answers(ask: GeminiAsk) -> list[Answer]:
    seeds = count(models.seed_of(ask.prompt))
    return [cut_to_size(reply_of(ask, next(seeds)), ask.bounds) for _ in range(ask.n)]


def _status_of(error: TrunklineError) -> int:
    return 404 if isinstance(error, NotFound) else 403 if isinstance(error, Forbidden) else 400


def _told_failure(ask: GeminiAsk, *, is_array: bool) -> Plan:
    told = ask.prompt.told
    status = told.status or 500
    message = f"the sandbox fails with status {status}, as told"
    plan = failure(status, message, is_array=is_array, retry_s=told.retry_after)
    return msgspec.structs.replace(plan, first_s=told.first_ms / 1000)


def _whole(ask: GeminiAsk, answers: list[Answer]) -> Plan:
    told = ask.prompt.told
    tokens = max(answer.tokens for answer in answers)
    first_s = pacing.whole_s(told, tokens)
    if pacing.errs(told, tokens):
        return msgspec.structs.replace(failure(503, _OVERLOADED), first_s=first_s)
    body = gemini_answer.whole(ask, answers)
    return Plan(headers=JSON, first_s=first_s, steps=pacing.whole(told, tokens, body))


def _events(ask: GeminiAsk, answers: list[Answer]) -> Iterator[Step]:
    """Events end in CRLF here, as Google's do. There is no event to say that it was the last."""
    rounds = ([b"data: %b\r\n\r\n" % chunk for chunk in chunks] for chunks in gemini_answer.chunks(ask, answers))
    error = b"data: %b\r\n\r\n" % _error(503, _OVERLOADED, [])
    yield from pacing.paced(ask.prompt.told, rounds, pacing.Broken(b"data: %b\r\n\r\n" % _GARBLED, error))


def _array(ask: GeminiAsk, answers: list[Answer]) -> Generator[Step, None, None]:
    """The same chunks as items of an array that grows; `no_done` leaves it open."""
    told = ask.prompt.told
    error = _error(503, _OVERLOADED, [])
    broken = pacing.Broken(b",\r\n" + _GARBLED, b"[%b]" % error if told.error_after == 0 else b",\r\n%b]" % error)
    ended = yield from pacing.paced(told, _items(gemini_answer.chunks(ask, answers)), broken)
    if not ended and not told.no_done:
        yield b"]"


def _items(rounds: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    before = b"["
    for chunks in rounds:
        found = []
        for chunk in chunks:
            found.append(before + chunk)
            before = b",\r\n"
        yield found


def _counted(tokens: int) -> bytes:
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return codec.encode({"totalTokens": tokens, "promptTokensDetails": details})


def _error(status: int, message: str, details: list[Any]) -> bytes:
    facts: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
    return codec.encode({"error": {**facts, "details": details} if details else facts})


def _violations(message: str) -> list[dict[str, str]]:
    found = []
    for line in message.split("\n"):
        place = _PLACE.search(line)
        found.append({"field": place[1], "description": line} if place else {"description": line})
    return found
