"""Gemini answers: whole, or as the chunks of a stream that adds up to the same.

Sources: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse; for signatures in a stream, which
come behind the text in a part of their own, https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.providers.sandbox import sealed
from trunkline.providers.sandbox.chat_logprobs import logprobs_of
from trunkline.providers.sandbox.gemini_ask import GeminiAsk
from trunkline.providers.sandbox.gemini_turns import CALL, TEXT
from trunkline.providers.sandbox.numbering import new_id
from trunkline.providers.sandbox.reply import Answer, CallPieces
from trunkline.wire import codec

FinishReason = Literal["STOP", "MAX_TOKENS", "SAFETY"]


class FunctionCall(msgspec.Struct):
    id: str
    name: str
    args: msgspec.Raw


class Part(msgspec.Struct, rename="camel", kw_only=True):
    text: str | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET
    thought: bool | UnsetType = UNSET
    thought_signature: str | UnsetType = UNSET


class Content(msgspec.Struct):
    """Without parts when nothing is said."""

    parts: list[Part] | UnsetType
    role: str


class Logprob(msgspec.Struct, rename="camel"):
    token: str
    log_probability: float


class TopLogprobs(msgspec.Struct):
    candidates: list[Logprob]


class LogprobsResult(msgspec.Struct, rename="camel"):
    chosen_candidates: list[Logprob]
    top_candidates: list[TopLogprobs]


class Candidate(msgspec.Struct, rename="camel", kw_only=True):
    content: Content | UnsetType = UNSET
    finish_reason: FinishReason | UnsetType = UNSET
    index: int
    avg_logprobs: float | UnsetType = UNSET
    logprobs_result: LogprobsResult | UnsetType = UNSET


class ModalityCount(msgspec.Struct, rename="camel"):
    token_count: int
    modality: str = "TEXT"


class UsageMetadata(msgspec.Struct, rename="camel", kw_only=True):
    """A count of nothing is left out, as ProtoJSON does. `candidates_token_count` is without thoughts."""

    prompt_token_count: int
    cached_content_token_count: int | UnsetType = UNSET
    candidates_token_count: int | UnsetType = UNSET
    thoughts_token_count: int | UnsetType = UNSET
    total_token_count: int
    prompt_tokens_details: list[ModalityCount]


class GenerateResponse(msgspec.Struct, rename="camel", kw_only=True):
    candidates: list[Candidate]
    usage_metadata: UsageMetadata | UnsetType
    model_version: str
    response_id: str


class Spent(msgspec.Struct):
    """Tokens of all candidates."""

    said: int = 0
    thought: int = 0


def whole(ask: GeminiAsk, answers: list[Answer]) -> bytes:
    spent = Spent(
        sum(answer.tokens - answer.reasoning_tokens for answer in answers),
        sum(answer.reasoning_tokens for answer in answers),
    )
    response = _response(ask)
    response.candidates = [_candidate(ask, index, answer) for index, answer in enumerate(answers)]
    response.usage_metadata = UNSET if ask.prompt.told.no_usage else usage_of(ask, spent)
    return codec.encode(response)


def chunks(ask: GeminiAsk, answers: list[Answer]) -> Iterator[list[bytes]]:
    """A round that is empty, a round for each token, and the end. Usage is told in every chunk, as it grows."""
    response = _response(ask)
    spent = Spent()
    yield []
    for together in zip_longest(*(_deltas(ask, index, answer, spent) for index, answer in enumerate(answers))):
        found = []
        for candidate in together:
            if candidate is not None:
                response.candidates = [candidate]
                response.usage_metadata = UNSET if ask.prompt.told.no_usage else usage_of(ask, spent)
                found.append(codec.encode(response))
        yield found


def usage_of(ask: GeminiAsk, spent: Spent) -> UsageMetadata:
    prompt = ask.prompt.tokens
    return UsageMetadata(
        prompt_token_count=prompt,
        cached_content_token_count=min(ask.prompt.told.cached, prompt) or UNSET,
        candidates_token_count=spent.said or UNSET,
        thoughts_token_count=spent.thought or UNSET,
        total_token_count=prompt + spent.said + spent.thought,
        prompt_tokens_details=[ModalityCount(prompt)],
    )


def finish_of(ask: GeminiAsk, answer: Answer) -> FinishReason:
    if ask.prompt.told.refuse:
        return "SAFETY"
    return "MAX_TOKENS" if answer.finish == "length" else "STOP"


def _response(ask: GeminiAsk) -> GenerateResponse:
    return GenerateResponse(candidates=[], usage_metadata=UNSET, model_version=ask.name, response_id=new_id(""))


def _candidate(ask: GeminiAsk, index: int, answer: Answer) -> Candidate:
    parts = []
    if answer.reasoning and ask.shows_thoughts:
        parts.append(Part(text="".join(answer.reasoning), thought=True))
    if answer.text:
        parts.append(Part(text="".join(answer.text), thought_signature=_text_signature(ask, answer)))
    parts += [_call(ask, answer, call) for call in answer.calls if _is_whole(call)]
    found = Candidate(
        content=UNSET if ask.prompt.told.refuse else Content(parts or UNSET, "model"),
        finish_reason=finish_of(ask, answer),
        index=index,
    )
    if answer.text and ask.top_logprobs is not None:
        found.logprobs_result = _logprobs(answer.text, ask.top_logprobs)
        chosen = found.logprobs_result.chosen_candidates
        found.avg_logprobs = sum(each.log_probability for each in chosen) / len(chosen)
    return found


def _deltas(ask: GeminiAsk, index: int, answer: Answer, spent: Spent) -> Iterator[Candidate | None]:
    """What each token shows; None for a thought that is not shown and for a part of a call, which comes at once."""
    for piece in answer.reasoning:
        spent.thought += 1
        yield _said(index, Part(text=piece, thought=True)) if ask.shows_thoughts else None
    for piece in answer.text:
        spent.said += not piece.isspace()  # what is counted are words
        candidate = _said(index, Part(text=piece))
        if ask.top_logprobs is not None:
            candidate.logprobs_result = _logprobs([piece], ask.top_logprobs)
        yield candidate
    for call in answer.calls:
        for _ in call.arguments:
            spent.said += 1
            yield None
        spent.said += 1
        yield _said(index, _call(ask, answer, call)) if _is_whole(call) else None
    if not ask.prompt.told.no_done:
        yield _last(ask, index, answer)


def _last(ask: GeminiAsk, index: int, answer: Answer) -> Candidate:
    """The end: why, and the signature of the text. Where nothing was said there is no part to say it in."""
    last = Candidate(index=index, finish_reason=finish_of(ask, answer))
    if ask.prompt.told.refuse:
        return last
    said = answer.text or any(_is_whole(call) for call in answer.calls)
    signature = _text_signature(ask, answer) if answer.text else UNSET
    last.content = Content([Part(text="", thought_signature=signature)] if said else UNSET, "model")
    return last


def _said(index: int, part: Part) -> Candidate:
    return Candidate(index=index, content=Content([part], "model"))


def _call(ask: GeminiAsk, answer: Answer, call: CallPieces) -> Part:
    """Of parallel calls the first alone is signed."""
    made = FunctionCall(new_id("call_"), call.name, msgspec.Raw("".join(call.arguments).encode()))
    if not ask.thinks or call is not answer.calls[0]:
        return Part(function_call=made)
    signature = sealed.seal(CALL, f"{call.name}\n{''.join(answer.reasoning)}")
    return Part(function_call=made, thought_signature=_padded(signature))


def _text_signature(ask: GeminiAsk, answer: Answer) -> str | UnsetType:
    return _padded(sealed.seal(TEXT, "".join(answer.reasoning))) if ask.thinks else UNSET


def _padded(signature: str) -> str:
    """In the usual alphabet of base64, as Google's servers write bytes."""
    return signature.replace("-", "+").replace("_", "/")


def _is_whole(call: CallPieces) -> bool:
    """Whether the arguments were not cut; a call that was cut is not made."""
    try:
        msgspec.json.decode("".join(call.arguments))
    except msgspec.DecodeError:
        return False
    return True


def _logprobs(tokens: list[str], top: int) -> LogprobsResult:
    found = logprobs_of(tokens, top).content
    return LogprobsResult(
        [Logprob(each.token, each.logprob) for each in found],
        [TopLogprobs([Logprob(one.token, one.logprob) for one in each.top_logprobs]) for each in found],
    )
