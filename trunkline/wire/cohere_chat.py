"""Cohere's chat (v2): where it is, its usage, and failures inside its answers.

Shapes: https://docs.cohere.com/reference/chat and the types of the `cohere` package that are made from it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from trunkline.wire import codec
from trunkline.wire.provider_errors import MAX_MESSAGE, ErrorFacts
from trunkline.wire.usage import MAX_COUNT, Usage, believed

TARGET: Final = b"/chat"

# Cohere's types have numbers of type double here, and they come as 12.0 too: the same whole number.
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

    What was cached is part of `tokens`, of which less may be billed. None unless both counts are there and can be
    believed: https://docs.cohere.com/docs/rate-limits
    """
    try:
        said = _decode_usage(raw)
    except codec.UNREADABLE:
        return None
    told = [counts for counts in (said.billed_units, said.tokens) if counts is not None]
    numbers = [count for counts in told for count in (counts.input_tokens, counts.output_tokens) if count is not None]
    cached = said.cached_tokens or 0
    if not all(number.is_integer() for number in (*numbers, float(cached))):
        return None
    whole = next((one for one in told if one.input_tokens is not None and one.output_tokens is not None), None)
    if whole is None or cached > max(counts.input_tokens or 0 for counts in told):
        return None
    whole_input = int(whole.input_tokens or 0)
    return believed(whole_input, int(whole.output_tokens or 0), cached=min(int(cached), whole_input))


_STATUS = {"ERROR": 500, "TIMEOUT": 504}


def failure(finish_reason: str | None, message: str | None) -> ErrorFacts | None:
    """What went wrong, when an answer finished for no good reason."""
    status = _STATUS.get(finish_reason or "")
    if status is None:
        return None
    said = message or f"The answer was not finished ({finish_reason})."
    return ErrorFacts(message=said[:MAX_MESSAGE], type=finish_reason, code=finish_reason, status=status)
