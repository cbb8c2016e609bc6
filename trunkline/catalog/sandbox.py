"""The models of the sandbox: deterministic programs inside the gateway, priced 0. None of them is a language model."""

from __future__ import annotations

from trunkline.catalog.models import Capabilities, Model
from trunkline.catalog.prices import Price
from trunkline.money import Nanos, NanosPerMillion

FREE = Price(
    version="sandbox",
    input=NanosPerMillion(0),
    cached_input=NanosPerMillion(0),
    cache_write=NanosPerMillion(0),
    output=NanosPerMillion(0),
    request=Nanos(0),
)
CREATED = 1_767_225_600  # 2026-01-01
CONTEXT_TOKENS = 1_000_000


def _chat(name: str, does: str, **can: bool) -> Model:
    told: dict[str, bool] = {"tools": False, "vision": False, "json_schema": False, "reasoning": False, **can}
    return Model(
        id=f"sandbox/{name}",
        provider="sandbox",
        upstream=name,
        name=f"Sandbox {name}: {does}",
        price=FREE,
        context_window=CONTEXT_TOKENS,
        input_modalities=("text", "image") if told["vision"] else ("text",),
        output_modalities=("text",),
        capabilities=Capabilities(streaming=True, **told),
        created=CREATED,
    )


MODELS: tuple[Model, ...] = (
    _chat("echo", "repeats the prompt"),
    _chat("story", "seeded text of the length and speed that is asked for"),
    _chat("tools", "calls the offered tool, then uses its result", tools=True),
    _chat("json", "fills the given schema", json_schema=True),
    _chat("think", "reasons before it answers", reasoning=True),
    _chat("vision", "tells an image's size and type", vision=True),
    _chat("faulty", "fails as it is told to"),
    Model(
        id="sandbox/embed",
        provider="sandbox",
        upstream="embed",
        name="Sandbox embed: hashed n-grams, not semantic",
        price=FREE,
        context_window=CONTEXT_TOKENS,
        input_modalities=("text",),
        output_modalities=("embedding",),
        capabilities=Capabilities(tools=False, vision=False, json_schema=False, reasoning=False, streaming=False),
        created=CREATED,
    ),
)
