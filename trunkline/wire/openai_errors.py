"""OpenAI's error envelope, as every protocol of its family has it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trunkline.wire import sse
from trunkline.wire.codec import encode


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct):
    error: _Error


Details = Mapping[str, object]
"""What an error says beside the four keys, such as the figures of a budget."""


def error_body(type: str, message: str, param: str | None, code: str | None, details: Details | None = None) -> bytes:  # noqa: A002 - the field's name
    """OpenAI's envelope; all four keys are always there."""
    if details:
        return encode({"error": {"message": message, "type": type, "param": param, "code": code, **details}})
    return encode(_ErrorBody(_Error(message, type, param, code)))


def error_event(type: str, message: str, param: str | None, code: str | None, details: Details | None = None) -> bytes:  # noqa: A002
    """The last event of a stream that failed; no `[DONE]` follows it."""
    return sse.frame([error_body(type, message, param, code, details)])
