"""The shape of a provider's row: where it is, what it speaks, its credential, and how it departs from the protocol."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

CredentialKind = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "aws", "google", "azure", "none"]
Protocol = Literal[
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini",
    "bedrock_converse",
    "cohere_chat",
    "ollama_chat",
]
Endpoint = Literal[
    "embeddings",
    "images",
    "image_edits",
    "speech",
    "transcriptions",
    "translations",
    "moderations",
    "rerank",
]
"""What is forwarded in OpenAI's form (rerank: Cohere's) and never translated."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an OpenAI-speaking upstream departs from the protocol, as far as it must be known beforehand: a missing
    `[DONE]` and usage in odd places are read as they come. Each flag names its source in the row."""

    refuses_stream_options: bool = False
    max_tokens_only: bool = False
    role_in_every_chunk: bool = False
    drops: tuple[str, ...] = ()
    returns_reasoning: bool = False
    takes_cache_control: bool = False


ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)


class Face(msgspec.Struct, frozen=True):
    """A protocol that a provider answers. `prefix` stands between its base URL and the protocol's own path.

    `credential` is set where this protocol wants the credential in another form than the rest. `version` is what
    the protocol's version header or parameter says on a crossing; a caller's own goes with his own body. `only`: it is
    for models whose names begin so, and these are spoken to in no other.
    """

    protocol: Protocol
    prefix: str = ""
    credential: CredentialKind | None = None
    version: str = ""
    only: tuple[str, ...] = ()


CHAT = (Face("openai_chat"),)


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
    """`base_url` is the prefix of every protocol's path; None: it differs by customer, so the settings must give it.

    `speaks` are its protocols, the one to cross into first. `offers` are the endpoints it has beside them, under the
    prefix of its OpenAI protocol, but for those whose path under the base URL `elsewhere` says. `embeddings_at_once`
    is the longest list of inputs it takes in one request.
    `key_names` are the usual environment names, first wins. `makes`: how the bare names of its own models begin.
    `closed`: it has the catalog's models and no others. `lower_case`: its API spells the names of models in lower case.
    `source` is where the vendor says all this.
    """

    id: str
    name: str
    base_url: str | None
    speaks: tuple[Face, ...] = CHAT
    offers: tuple[Endpoint, ...] = ()
    elsewhere: tuple[tuple[Endpoint, str], ...] = ()
    embeddings_at_once: int = 2048
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

    def speaking(self, protocol: str) -> Face | None:
        """How it answers this protocol; None when it does not."""
        return next((face for face in self.speaks if face.protocol == protocol), None)
