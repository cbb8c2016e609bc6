"""An error's HTTP shape: status and headers are picked here, bodies come from wire in the caller's own protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from trunkline import errors
from trunkline.errors import TrunklineError
from trunkline.http.asgi import Headers
from trunkline.money import usd_text
from trunkline.wire import anthropic_messages, gemini, openai_errors
from trunkline.wire.codec import Raw


class Shape(NamedTuple):
    status: int
    openai_type: str
    anthropic_type: str


# The most particular class wins.
SHAPES: dict[type[TrunklineError], Shape] = {
    errors.InvalidRequest: Shape(400, "invalid_request_error", "invalid_request_error"),
    errors.BodyTooLarge: Shape(413, "invalid_request_error", "request_too_large"),
    errors.UnsupportedMediaType: Shape(415, "invalid_request_error", "invalid_request_error"),
    errors.Unauthenticated: Shape(401, "invalid_request_error", "authentication_error"),
    errors.Forbidden: Shape(403, "permission_error", "permission_error"),
    errors.NotFound: Shape(404, "invalid_request_error", "not_found_error"),
    errors.MethodNotAllowed: Shape(405, "invalid_request_error", "invalid_request_error"),
    errors.BudgetExceeded: Shape(402, "budget_exceeded", "billing_error"),
    errors.ClientGone: Shape(499, "invalid_request_error", "invalid_request_error"),
    errors.Unavailable: Shape(503, "server_error", "overloaded_error"),
    errors.UpstreamRefused: Shape(400, "invalid_request_error", "invalid_request_error"),
    errors.UpstreamRateLimited: Shape(429, "rate_limit_error", "rate_limit_error"),
    errors.UpstreamAccount: Shape(502, "server_error", "api_error"),
    errors.UpstreamOverloaded: Shape(503, "server_error", "overloaded_error"),
    errors.UpstreamTimeout: Shape(504, "server_error", "timeout_error"),
    errors.UpstreamError: Shape(502, "server_error", "api_error"),
    errors.TrunklineError: Shape(500, "server_error", "api_error"),
}
REFUSED_TYPES = {404: "not_found_error", 413: "request_too_large"}
OVERLOADED_AT_ANTHROPIC = 529


class Problem(NamedTuple):
    status: int
    headers: Headers
    body: bytes


def shape_of(error: TrunklineError) -> Shape:
    for kind in type(error).__mro__:
        shape = SHAPES.get(kind)
        if shape is not None:
            if kind is errors.UpstreamRefused and isinstance(error, errors.UpstreamRefused):
                return _refused_upstream(error, shape)
            return shape
    raise AssertionError("TrunklineError itself has a shape")


def _refused_upstream(error: errors.UpstreamRefused, shape: Shape) -> Shape:
    """400, 404, 413 and 422 keep their class."""
    status = error.status if error.status in (400, 404, 413, 422) else 400
    return Shape(status, shape.openai_type, REFUSED_TYPES.get(status, shape.anthropic_type))


Family = Literal["openai", "anthropic", "google"]
"""Whose error envelope a caller reads."""


def problem(error: TrunklineError, family: Family, request_id: str) -> Problem:
    """Status, headers and body for an error before anything was sent."""
    shape = shape_of(error)
    headers: Headers = [(b"content-type", b"application/json"), *retry_headers(error)]
    if isinstance(error, errors.MethodNotAllowed) and error.allowed:
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    status = shape.status
    if family == "anthropic":
        if isinstance(error, errors.UpstreamOverloaded):
            status = OVERLOADED_AT_ANTHROPIC
        headers.append((b"request-id", request_id.encode("latin-1")))
        body = anthropic_messages.error_body(shape.anthropic_type, error.message, request_id, _details(error))
    elif family == "google":
        body = gemini.error_body(status, error.message, error.code, _details(error))
    else:
        body = openai_errors.error_body(shape.openai_type, error.message, error.param, error.code, _details(error))
    return Problem(status, headers, body)


def error_event(error: TrunklineError, family: Family, request_id: str) -> bytes:
    """The same, for a stream that has begun: the last event of it."""
    shape = shape_of(error)
    if family == "anthropic":
        return anthropic_messages.error_event(shape.anthropic_type, error.message, request_id, _details(error))
    if family == "google":
        return gemini.error_event(shape.status, error.message, error.code, _details(error))
    return openai_errors.error_event(shape.openai_type, error.message, error.param, error.code, _details(error))


def _details(error: TrunklineError) -> dict[str, object] | None:
    """The figures of a budget, in USD."""
    if not isinstance(error, errors.BudgetExceeded):
        return None
    details: dict[str, object] = {"scope": error.scope}
    if error.limit_nanos is not None:
        details["limit"] = Raw(usd_text(error.limit_nanos).encode())
        details["used"] = Raw(usd_text(error.used_nanos).encode())
        details["held"] = Raw(usd_text(error.held_nanos).encode())
    details["resets_at"] = None if error.resets_at is None else int(error.resets_at)
    return details


def retry_headers(error: TrunklineError) -> Headers:
    """`retry-after` when it is known or owed; `x-should-retry: false` when asking again cannot help."""
    headers: Headers = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(math.ceil(max(0.0, error.retry_after_s))).encode()))
    elif isinstance(error, errors.Unavailable):
        headers.append((b"retry-after", b"1"))
    if isinstance(error, errors.UpstreamAccount | errors.BudgetExceeded):
        headers.append((b"x-should-retry", b"false"))
    return headers


def family_of(path: str, named: Mapping[bytes, bytes]) -> Family:
    """Routes tell the protocol; on the list of models, which both have, the version header does."""
    if path.startswith("/v1/messages") or (path.startswith("/v1/models") and b"anthropic-version" in named):
        return "anthropic"
    return "google" if path.startswith(("/v1beta/", "/v1alpha/")) or gemini.read_path(path) else "openai"
