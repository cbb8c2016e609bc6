"""What a call used, in tokens, as every protocol's counts are read into it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_COUNT = 10_000_000
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
"""A count that can be believed: larger ones are a provider's mistake, and no bill is made of them."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider counted them.

    `input_tokens` includes those read from a cache (`cached_input_tokens`) and written to one (`cache_write_tokens`, of
    which `cache_write_1h_tokens` are kept for an hour) and those of sound and pictures; `output_tokens` includes those
    spent on reasoning, on sound and on pictures. `cost_nanos` is what the account pays for it, in nano-dollars, once
    that is known; it is written into the caller's answer as `cost`.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    cost_nanos: int | None = None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """Both together, where one call took several answers."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in COUNTS})

    @property
    def fresh_input_tokens(self) -> int:
        """The input that was neither read from a cache nor written to one."""
        return max(0, self.input_tokens - self.cached_input_tokens - self.cache_write_tokens)


COUNTS = tuple(name for name in Usage.__struct_fields__ if name != "cost_nanos")
