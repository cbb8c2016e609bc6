"""Probabilities of tokens: Google's lists of candidates, and the tokens as the neutral form has them (OpenAI's).

https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from trunkline.wire import codec
from trunkline.wire.codec import encode


class _Candidate(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    token: str = ""
    log_probability: float = 0.0
    token_id: int | None = None


class _Top(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None


class Result(msgspec.Struct, gc=False, rename="camel"):
    chosen_candidates: list[_Candidate] | None = None
    top_candidates: list[_Top] | None = None


class _Likely(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: Sequence[int] | None = None


class _Token(_Likely):
    top_logprobs: list[_Likely] = []


_decode_result = msgspec.json.Decoder(Result | None).decode
_decode_tokens = msgspec.json.Decoder(list[_Token]).decode


def read_logprobs(raw: Raw) -> Raw | None:
    """The tokens of one `logprobsResult`; None when it tells of none, or makes no sense."""
    try:
        said = _decode_result(raw)
    except codec.UNREADABLE:
        return None
    if said is None or not said.chosen_candidates:
        return None
    tops = said.top_candidates or []
    return Raw(
        encode(
            [
                _Token(
                    one.token,
                    one.log_probability,
                    _bytes(one.token),
                    [_likely(other) for other in (tops[at].candidates if at < len(tops) else None) or ()],
                )
                for at, one in enumerate(said.chosen_candidates)
            ]
        )
    )


def _likely(one: _Candidate) -> _Likely:
    return _Likely(one.token, one.log_probability, _bytes(one.token))


def _bytes(token: str) -> Sequence[int]:
    return list(token.encode("utf-8", "replace"))


def write_logprobs(raw: Raw) -> tuple[Result, float] | None:
    """`logprobsResult` and `avgLogprobs`; None for no tokens."""
    try:
        tokens = _decode_tokens(raw)
    except codec.UNREADABLE:
        return None
    if not tokens:
        return None
    result = Result(
        [_Candidate(one.token, one.logprob) for one in tokens],
        [_Top([_Candidate(other.token, other.logprob) for other in one.top_logprobs]) for one in tokens],
    )
    return result, sum(one.logprob for one in tokens) / len(tokens)
