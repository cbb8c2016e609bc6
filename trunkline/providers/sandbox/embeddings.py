"""The Embeddings protocol. Limits and shapes are OpenAI's.

Source: the `openai` package's types/embedding_create_params.py.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import json_body, served, vectors, words
from trunkline.wire import codec

MOST_INPUTS = 2_048
MOST_TOKENS = 8_192
MOST_TOKENS_TOGETHER = 300_000
MOST_CHARACTERS = 65_536
MOST_CHARACTERS_TOGETHER = 2_000_000
"""Of all inputs: a word may be of any length, and the work is in its letters."""

_Token = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    input: str | list[str | _Token | list[_Token]]
    dimensions: Annotated[int, Meta(ge=1, le=vectors.MOST_DIMENSIONS)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


class Embedding(msgspec.Struct):
    index: int
    embedding: list[float] | str
    object: str = "embedding"


class EmbeddingsUsage(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class Embeddings(msgspec.Struct):
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage
    object: str = "list"


_decoder = msgspec.json.Decoder(EmbeddingsRequest)


def answer(body: bytes) -> bytes:
    """Raises InvalidRequest or NotFound."""
    request = json_body.read(_decoder, body)
    served.model_of(request.model, "/embeddings")
    inputs = _inputs(request.input)
    tokens = _count(inputs)
    dimensions = request.dimensions or vectors.DEFAULT_DIMENSIONS
    data = []
    for index, each in enumerate(inputs):
        vector = vectors.of_text(each, dimensions) if isinstance(each, str) else vectors.of_tokens(each, dimensions)
        base64 = request.encoding_format == "base64"
        data.append(Embedding(index, b64encode(vectors.packed(vector)).decode() if base64 else vector))
    return codec.encode(Embeddings(data, request.model.casefold(), EmbeddingsUsage(tokens, tokens)))


def _inputs(given: str | list[str | int | list[int]]) -> list[str | list[int]]:
    """One input for each vector: a list of numbers is one text in tokens."""
    if isinstance(given, str):
        return [given]
    numbers = [each for each in given if isinstance(each, int)]
    if numbers and len(numbers) == len(given):
        return [numbers]
    kinds = {type(each) for each in given}
    if len(kinds) != 1:
        raise InvalidRequest("input is a string, strings, tokens or lists of tokens", param="input")
    if len(given) > MOST_INPUTS:
        raise InvalidRequest(f"input has over {MOST_INPUTS} texts", code="array_above_max_length", param="input")
    return [each for each in given if not isinstance(each, int)]


def _count(inputs: list[str | list[int]]) -> int:
    total = characters = 0
    for at, each in enumerate(inputs):
        where = f"input[{at}]" if len(inputs) > 1 else "input"
        if not each:
            raise InvalidRequest(f"{where} is empty", param=where)
        tokens = words.count(each) if isinstance(each, str) else len(each)
        if tokens > MOST_TOKENS or len(each) > MOST_CHARACTERS:
            sentence = f"{where} is over {MOST_TOKENS} tokens or {MOST_CHARACTERS} characters"
            raise InvalidRequest(sentence, code="context_length_exceeded", param=where)
        total += max(tokens, 1)
        characters += len(each)
    if total > MOST_TOKENS_TOGETHER or characters > MOST_CHARACTERS_TOGETHER:
        sentence = f"input is over {MOST_TOKENS_TOGETHER} tokens or {MOST_CHARACTERS_TOGETHER} characters together"
        raise InvalidRequest(sentence, code="max_tokens_per_request", param="input")
    return total
