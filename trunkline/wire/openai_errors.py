"""OpenAI's error envelope, as every protocol of its family has it."""

from __future__ import annotations

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


def error_body(type: str, message: str, param: str | None, code: str | None) -> bytes:  # noqa: A002 - the field's name
    """OpenAI's envelope; all four keys are always there."""
    return encode(_ErrorBody(_Error(message, type, param, code)))


def error_event(type: str, message: str, param: str | None, code: str | None) -> bytes:  # noqa: A002
    """The last event of a stream that failed; no `[DONE]` follows it."""
    return sse.frame([error_body(type, message, param, code)])
