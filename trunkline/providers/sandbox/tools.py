"""Which of the offered tools are called, and with what."""

from __future__ import annotations

from msgspec import json

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.prompt import Offer, Prompt
from trunkline.providers.sandbox.reply import Call
from trunkline.providers.sandbox.schema_values import fill, hints_of


def calls_for(prompt: Prompt, seed: int) -> list[Call]:
    """The first offered tool, or the first N in turn when the prompt asks for N calls and they may be parallel.

    None after a tool result, unless the caller insists on a call.
    """
    offers = prompt.tools.offers
    if not offers or (prompt.results and not prompt.tools.must_call):
        return []
    wanted = prompt.told.calls if prompt.tools.parallel else 1
    return [_call(offers[at % len(offers)], prompt.text, seed + at) for at in range(wanted)]


def _call(offer: Offer, text: str, seed: int) -> Call:
    arguments: object = {}
    if offer.schema not in (None, True, {}):
        arguments = fill(offer.schema, hints_of(text), seed, offer.where)
    if not isinstance(arguments, dict):
        raise InvalidRequest("a tool's arguments are an object", code="invalid_schema", param=offer.where)
    return Call(offer.name, written(arguments))


def written(value: object) -> str:
    """JSON on one line with a blank after each colon and comma, so that it has several words to stream."""
    return json.format(json.encode(value), indent=0).decode()
