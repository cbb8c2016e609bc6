"""One row per provider: where it is, what it speaks, how it wants its credential. A new provider is a new row."""

from __future__ import annotations

import msgspec


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an OpenAI-speaking upstream departs from the protocol. Each flag names its source in the row."""

    refuses_stream_options: bool = False
    max_tokens_only: bool = False
    missing_done: bool = False
    usage_with_choices: bool = False
    role_in_every_chunk: bool = False
    drops: tuple[str, ...] = ()

    @property
    def rewrites_events(self) -> bool:
        """True when ordinary events cannot be relayed as they came."""
        return self.role_in_every_chunk


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """`base_url` is the prefix of `/chat/completions`. `key_names` are the usual environment names, first wins."""

    id: str
    name: str
    base_url: str | None
    protocol: str = "openai_chat"
    credential: str = "bearer"
    key_names: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    local_port: int | None = None
    dialect: Dialect = Dialect()
    response_headers: tuple[str, ...] = ()
    source: str = ""
