"""Who is to answer, as far as a writer of requests must know."""

from __future__ import annotations

from typing import Literal

import msgspec

Thinking = Literal["effort", "budget", "adaptive", "always", "never"]
"""How a model is told to reason: by an effort; by a number of tokens; "think as you need", with an effort; it always
does and cannot be told; it cannot."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """`model_id` is the catalog's, for sentences; `upstream` the name that the provider knows. `provider_id` is the
    origin of the state that its answers carry.

    `version` is the protocol's, where it has one. `max_output_tokens` is the model's limit, None when unknown.
    `drops` are neutral names of parameters (and top-level fields of the protocol) that it refuses. `json_schema`: it
    keeps to a schema by itself; `tools`: it calls tools; None when unknown. The rest are habits of chat upstreams; of
    the two names of the maximum, those that are `max_tokens_only` know the older one, and `max_tokens_renamed` refuse
    it.
    """

    provider_id: str
    model_id: str
    upstream: str
    version: str = ""
    max_output_tokens: int | None = None
    drops: tuple[str, ...] = ()
    thinking: Thinking | None = None
    json_schema: bool | None = None
    tools: bool | None = None
    max_tokens_only: bool = False
    max_tokens_renamed: bool = False
    refuses_stream_options: bool = False
    role_in_every_chunk: bool = False
    returns_reasoning: bool = False
    """It wants `reasoning_content` of the turns since the last question back (DeepSeek's tool loop)."""
    takes_cache_control: bool = False
    """It reads `cache_control` on parts and tools, as OpenRouter does; others refuse fields that they do not know."""
