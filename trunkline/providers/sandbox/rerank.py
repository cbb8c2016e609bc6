"""Rerank, in the shape that Cohere and Jina share: documents by how near their spelling is to the query's.

Sources: https://docs.cohere.com/reference/rerank and https://jina.ai/reranker. Fields of either that change nothing
here are passed over.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import json_body, served, vectors, words
from trunkline.providers.sandbox.numbering import new_id
from trunkline.wire import codec

MOST_DOCUMENTS = 1_000
MOST_CHARACTERS_TOGETHER = 2_000_000
_DOCUMENTS_OF_A_UNIT = 100
"""Cohere bills a query with up to so many documents as one search."""


class Document(msgspec.Struct):
    text: str


class RerankRequest(msgspec.Struct):
    model: str
    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | Document], Meta(min_length=1, max_length=MOST_DOCUMENTS)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None


class Result(msgspec.Struct):
    index: int
    relevance_score: float
    document: Document | UnsetType = UNSET


class BilledUnits(msgspec.Struct):
    search_units: int


class Version(msgspec.Struct):
    version: str = "2"


class RerankMeta(msgspec.Struct):
    billed_units: BilledUnits
    api_version: Version


class RerankUsage(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class Ranking(msgspec.Struct):
    id: str
    model: str
    results: list[Result]
    meta: RerankMeta
    usage: RerankUsage


_decoder = msgspec.json.Decoder(RerankRequest)


def answer(body: bytes) -> bytes:
    """Raises InvalidRequest or NotFound."""
    request = json_body.read(_decoder, body)
    served.model_of(request.model, "/rerank")
    texts = [each if isinstance(each, str) else each.text for each in request.documents]
    if len(request.query) + sum(map(len, texts)) > MOST_CHARACTERS_TOGETHER:
        sentence = f"query and documents are over {MOST_CHARACTERS_TOGETHER} characters together"
        raise InvalidRequest(sentence, code="context_length_exceeded", param="documents")
    tokens = words.count(request.query) + sum(map(words.count, texts))
    units = -(-len(texts) // _DOCUMENTS_OF_A_UNIT)
    return codec.encode(
        Ranking(
            id=new_id("rerank-"),
            model=request.model.casefold(),
            results=_ranked(request, texts),
            meta=RerankMeta(BilledUnits(units), Version()),
            usage=RerankUsage(tokens, tokens),
        )
    )


def _ranked(request: RerankRequest, texts: list[str]) -> list[Result]:
    """The best first; of equals the earlier."""
    query = vectors.of_text(request.query, vectors.MOST_DIMENSIONS)
    found = []
    for index, text in enumerate(texts):
        score = vectors.similarity(query, vectors.of_text(text, vectors.MOST_DIMENSIONS))
        found.append(Result(index, round(min(max(score, 0.0), 1.0), 6)))
    found.sort(key=lambda result: -result.relevance_score)
    if request.return_documents:
        for result in found:
            result.document = Document(texts[result.index])
    return found[: request.top_n]
