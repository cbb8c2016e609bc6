"""What a call used, in tokens, as every protocol's counts are read into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.money import usd_text

MAX_COUNT = 10_000_000
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
"""A count that can be believed: larger ones are a provider's mistake, and no bill is made of them."""


class Usage(msgspec.Struct, kw_only=True):
    """Tokens as the provider counted them.

    `input_tokens` includes those read from a cache (`cached_input_tokens`) and written to one (`cache_write_tokens`, of
    which `cache_write_1h_tokens` are kept for an hour) and those of sound and pictures; `output_tokens` includes those
    spent on reasoning, on sound and on pictures. `service_tier` is how the provider says it served, None for the
    ordinary way. `cost_nanos` is what the account pays for it, in nano-dollars, once
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
    service_tier: str | None = None
    cost_nanos: int | None = None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """Both together, where one call took several answers."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        return Usage(**counts, service_tier=self.service_tier)

    @property
    def fresh_input_tokens(self) -> int:
        """The input that was neither read from a cache nor written to one."""
        return max(0, self.input_tokens - self.cached_input_tokens - self.cache_write_tokens)

    @property
    def cost(self) -> Raw | msgspec.UnsetType:
        """For a field of a body: a JSON number in USD, left out while it is not known."""
        return msgspec.UNSET if self.cost_nanos is None else Raw(usd_text(self.cost_nanos).encode())

    def same_counts(self, other: Usage | None) -> bool:
        return other is not None and all(getattr(self, name) == getattr(other, name) for name in COUNTS)


Price = Callable[[Usage | None], Usage]
"""Makes the usage that the caller is shown, its cost included, of what the provider told; None: nothing that counts.
An editor of a stream asks once, when no more can come."""


_ORDINARY = frozenset(("", "auto", "default", "standard", "unspecified"))


def tier_of(said: str | None) -> str | None:
    """A service tier that may have a price of its own, as an answer tells of it."""
    return None if said is None or said in _ORDINARY else said


def believed(  # noqa: PLR0913 - each count stands for itself
    input_tokens: int,
    output_tokens: int,
    *,
    cached: int | None = None,
    written: int | None = None,
    written_1h: int | None = None,
    reasoning: int | None = None,
    input_audio: int | None = None,
    output_audio: int | None = None,
    input_image: int | None = None,
    output_image: int | None = None,
) -> Usage | None:
    """What one answer used by its provider's counts, each a `Count`; None for a detail that was not counted.

    `input_tokens` includes what was cached and written. When that is more than there was, or a sum is larger than any
    count may be, the provider is wrong and nothing it says counts: None. Every other detail is cut to its whole, so
    that no price is applied to more than there was.
    """
    cached, written = cached or 0, written or 0
    if cached + written > input_tokens or input_tokens > MAX_COUNT or output_tokens > MAX_COUNT:
        return None
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(written_1h, written) if written_1h else 0,
        reasoning_tokens=min(reasoning, output_tokens) if reasoning else 0,
        input_audio_tokens=min(input_audio, input_tokens) if input_audio else 0,
        output_audio_tokens=min(output_audio, output_tokens) if output_audio else 0,
        input_image_tokens=min(input_image, input_tokens) if input_image else 0,
        output_image_tokens=min(output_image, output_tokens) if output_image else 0,
    )


COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in ("service_tier", "cost_nanos"))
