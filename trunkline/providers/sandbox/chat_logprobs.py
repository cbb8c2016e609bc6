"""Made-up log probabilities, well-formed and always the same for the same token. They mean nothing."""

from __future__ import annotations

import math
import zlib

import msgspec

from trunkline.providers.sandbox.words import LEXICON


class TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class Logprobs(msgspec.Struct):
    content: list[TokenLogprob]
    refusal: None = None


def logprobs_of(tokens: list[str], top: int) -> Logprobs:
    """For each token its own and those of `top` candidates, the token first; probabilities add up to less than 1."""
    return Logprobs([_token(token, top) for token in tokens])


def _token(token: str, top: int) -> TokenLogprob:
    drawn = zlib.crc32(token.encode())
    own = 0.5 + drawn % 450 / 1_000
    candidates = [_candidate(token, own)]
    for rank in range(1, top):
        other = f" {LEXICON[(drawn + rank) % len(LEXICON)]}~"
        candidates.append(_candidate(other, (1 - own) / 2**rank))
    return TokenLogprob(token, candidates[0].logprob, candidates[0].bytes, candidates[:top])


def _candidate(token: str, probability: float) -> TopLogprob:
    return TopLogprob(token, round(math.log(probability), 6), list(token.encode()))
