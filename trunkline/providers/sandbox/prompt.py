"""What a sandbox model is asked, whichever protocol asked it."""

from __future__ import annotations

import msgspec

from trunkline.providers.sandbox.directives import NONE, Directives


class Offer(msgspec.Struct, frozen=True):
    """A tool the caller offers. `schema` is the JSON Schema of its arguments, `where` the place in the request."""

    name: str
    schema: object
    where: str


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """The tools a model may call now, in the caller's order. `must_call` leaves it no choice to answer in text."""

    offers: list[Offer] = []
    must_call: bool = False
    parallel: bool = True


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The form the answer must have: a JSON object, and of this schema when there is one."""

    schema: object = True
    where: str = "response_format"


class ShownReasoning(msgspec.Struct, frozen=True, kw_only=True):
    """Reasoning that a caller brings back, which must carry the signature it was given with."""

    text: str
    signature: str
    where: str


class Image(msgspec.Struct, frozen=True):
    url: str
    where: str


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is that of the last user message, directives removed; `results` the tool results that end the talk."""

    text: str
    tokens: int
    told: Directives = NONE
    images: list[Image] = []
    results: list[str] = []
    tools: Tools = Tools()
    form: Form | None = None
    effort: str | None = None
    shown: list[ShownReasoning] = []
    seed: int = 0
