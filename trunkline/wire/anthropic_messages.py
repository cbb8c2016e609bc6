"""Anthropic's Messages: so far its errors."""

from __future__ import annotations

import msgspec

from trunkline.wire.codec import encode


class _Error(msgspec.Struct):
    type: str
    message: str


class _ErrorBody(msgspec.Struct, tag="error"):
    error: _Error
    request_id: str | None


def error_body(type: str, message: str, request_id: str | None) -> bytes:  # noqa: A002 - the field's own name
    """`request_id` is also the answer's `request-id` header."""
    return encode(_ErrorBody(_Error(type, message), request_id))
