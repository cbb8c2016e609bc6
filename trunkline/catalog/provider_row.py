"""The shape of a provider's row: where it is, what it speaks, its credential, and how it departs from the protocol."""

from __future__ import annotations

from typing import Literal

import msgspec

CredentialKind = Literal["bearer", "x-api-key", "api-key", "none"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an OpenAI-speaking upstream departs from the protocol, as far as it must be known beforehand: a missing
    `[DONE]` and usage in odd places are read as they come. Each flag names its source in the row."""

    refuses_stream_options: bool = False
    max_tokens_only: bool = False
    role_in_every_chunk: bool = False
    drops: tuple[str, ...] = ()


class PriceList(msgspec.Struct, frozen=True):
    """One of genai-prices' providers. `suffix` follows its models' ids where one row serves several lists.

    Models whose id begins with one of `omits` are in the list but are not served at this row's URL. Ids that begin with
    one of `patterns` are no models, but beginnings of the names of models (fine-tuned ones).
    """

    id: str
    suffix: str = ""
    omits: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """`base_url` is the prefix of `/chat/completions`; None: it differs by customer, so the settings must give it.

    `key_names` are the usual environment names, first wins. `makes`: how the bare names of its own models begin.
    `closed`: it has the catalog's models and no others. `lower_case`: its API spells the names of models in lower case.
    `source` is where the vendor says all this.
    """

    id: str
    name: str
    base_url: str | None
    protocol: str = "openai_chat"
    credential: CredentialKind = "bearer"
    key_names: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    local_port: int | None = None
    dialect: Dialect = Dialect()
    source: str = ""
    makes: tuple[str, ...] = ()
    prices: tuple[PriceList, ...] = ()
    closed: bool = False
    lower_case: bool = False
    base_url_looks_like: str = ""
