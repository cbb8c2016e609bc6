"""Cohere's chat (v2): where it is, its usage, and failures inside its answers.

Shapes: https://docs.cohere.com/reference/chat and the types of the `cohere` package that are made from it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from trunkline.wire import codec
from trunkline.wire.provider_errors import MAX_MESSAGE, ErrorFacts
from trunkline.wire.usage import MAX_COUNT, Usage

TARGET: Final = b"/chat"

# They come as 12.0 too.
_Number = Annotated[float, Meta(ge=0, le=MAX_COUNT)]


class _Counts(msgspec.Struct, gc=False):
    input_tokens: _Number | None = None
    output_tokens: _Number | None = None


class _Usage(msgspec.Struct, gc=False):
    billed_units: _Counts | None = None
    tokens: _Counts | None = None
    cached_tokens: _Number | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode


def read_usage(raw: Raw) -> Usage | None:
    """What is billed where Cohere says so; `tokens` also counts what its own template adds.

    None unless both counts are there and can be believed: https://docs.cohere.com/docs/rate-limits
    """
    try:
        said = _decode_usage(raw)
    except codec.UNREADABLE:
        return None
    for counts in (said.billed_units, said.tokens):
        if counts is not None and counts.input_tokens is not None and counts.output_tokens is not None:
            whole_input = int(counts.input_tokens)
            return Usage(
                input_tokens=whole_input,
                output_tokens=int(counts.output_tokens),
                cached_input_tokens=min(int(said.cached_tokens or 0), whole_input),
            )
    return None


_STATUS = {"ERROR": 500, "TIMEOUT": 504}


def failure(finish_reason: str | None, message: str | None) -> ErrorFacts | None:
    """What went wrong, when an answer finished for no good reason."""
    status = _STATUS.get(finish_reason or "")
    if status is None:
        return None
    said = message or f"The answer was not finished ({finish_reason})."
    return ErrorFacts(message=said[:MAX_MESSAGE], type=finish_reason, code=finish_reason, status=status)
