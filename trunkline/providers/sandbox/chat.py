"""The Chat Completions protocol: a request in, the plan of its answer out."""

from __future__ import annotations

from itertools import count

from trunkline.errors import TrunklineError
from trunkline.providers.sandbox import chat_answer, chat_request, models, openai_errors, pacing
from trunkline.providers.sandbox.chat_request import ChatAsk
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.openai_errors import EVENTS, JSON
from trunkline.providers.sandbox.reply import Answer, Reply, cut_to_size
from trunkline.providers.sandbox.response import Plan

REFUSAL = "The sandbox refuses to answer this, as told."


def answer(body: bytes, account: bytes, counts: FaultCounts) -> Plan:
    """Never raises for what a caller sends: a refusal is an answer, in OpenAI's envelope."""
    try:
        ask = chat_request.read(body)
        told = ask.prompt.told
        if counts.fails(told, account, ask.message):
            return openai_errors.failure(told)
        answers = _answers(ask)
    except TrunklineError as error:
        return openai_errors.refusal(error)
    if ask.stream:
        return Plan(headers=EVENTS, first_s=told.first_ms / 1000, steps=chat_answer.events(ask, answers))
    longest = max(each.tokens for each in answers)
    if pacing.errs(told, longest):
        return openai_errors.failure(told)
    whole = pacing.whole(told, longest, chat_answer.whole(ask, answers))
    return Plan(headers=JSON, first_s=pacing.whole_s(told, longest), steps=whole)


def _answers(ask: ChatAsk) -> list[Answer]:
    if ask.prompt.told.refuse:
        return [cut_to_size(Reply(text=REFUSAL), ask.bounds)] * ask.n
    model = models.CHAT[ask.model.removeprefix("sandbox/")]
    seeds = count(models.seed_of(ask.prompt))
    return [cut_to_size(model(ask.prompt, next(seeds)), ask.bounds) for _ in range(ask.n)]
