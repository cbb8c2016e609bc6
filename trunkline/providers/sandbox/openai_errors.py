"""What all endpoints of OpenAI's API share: the headers of answers, and errors in an envelope of four keys."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from trunkline.errors import BodyTooLarge, NotFound, TrunklineError
from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.response import Plan, Step
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


def refusal(error: TrunklineError) -> Plan:
    """400, 404 for what is not there, 413 for what is too large."""
    status = 404 if isinstance(error, NotFound) else 413 if isinstance(error, BodyTooLarge) else 400
    facts = ErrorFacts(error.message, "invalid_request_error", error.param, error.code)
    return Plan(status=status, headers=JSON, steps=_body(facts))


def failure(told: Directives) -> Plan:
    """The status that `faulty` is told to fail with."""
    status = told.status or 500
    kind, code = _STATUS_FACTS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    headers = list(JSON)
    if told.retry_after is not None:
        headers.append((b"retry-after", b"%d" % told.retry_after))
    facts = ErrorFacts(f"the sandbox fails with status {status}, as told", kind, None, code)
    return Plan(status=status, headers=headers, first_s=told.first_ms / 1000, steps=_body(facts))


def _body(facts: ErrorFacts) -> Iterator[Step]:
    return iter((codec.encode(ErrorBody(facts)),))
