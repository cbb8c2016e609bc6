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


def _chat(provider_id: str, name: str, does: str, **can: bool) -> Model:
    told: dict[str, bool] = {"tools": False, "vision": False, "json_schema": False, "reasoning": False, **can}
    return Model(
        id=f"{provider_id}/{name}",
        provider=provider_id,
        upstream=name,
        name=f"Sandbox {name}: {does}",
        price=FREE,
        context_window=CONTEXT_TOKENS,
        input_modalities=("text", "image") if told["vision"] else ("text",),
        output_modalities=("text",),
        capabilities=Capabilities(streaming=True, **told),
        created=CREATED,
    )


def _chat_models(provider_id: str) -> tuple[Model, ...]:
    return (
        _chat(provider_id, "echo", "repeats the prompt"),
        _chat(provider_id, "story", "seeded text of the length and speed that is asked for"),
        _chat(provider_id, "tools", "calls the offered tool, then uses its result", tools=True),
        _chat(provider_id, "json", "fills the given schema", json_schema=True),
        _chat(provider_id, "think", "reasons before it answers", reasoning=True),
        _chat(provider_id, "vision", "tells an image's size and type", vision=True),
        _chat(provider_id, "faulty", "fails as it is told to"),
    )


def _other(name: str, does: str, takes: tuple[str, ...], gives: tuple[str, ...]) -> Model:
    return Model(
        id=f"sandbox/{name}",
        provider="sandbox",
        upstream=name,
        name=f"Sandbox {name}: {does}",
        price=FREE,
        context_window=CONTEXT_TOKENS,
        input_modalities=takes,
        output_modalities=gives,
        capabilities=Capabilities(tools=False, vision=False, json_schema=False, reasoning=False, streaming=False),
        created=CREATED,
    )


MODELS: tuple[Model, ...] = (
    *_chat_models("sandbox"),
    _other("embed", "hashed n-grams, not semantic", ("text",), ("embedding",)),
    _other("paint", "a pattern made of the prompt's digest", ("text", "image"), ("image",)),
    _other("speak", "tones that carry the text", ("text",), ("audio",)),
    _other("transcribe", "the text that such tones carry", ("audio",), ("text",)),
    _other("moderate", "flags what it is told to flag", ("text", "image"), ("text",)),
    _other("rerank", "by hashed n-grams, not semantic", ("text",), ("text",)),
    *_chat_models("sandbox-messages"),
    *_chat_models("sandbox-responses"),
    *_chat_models("sandbox-gemini"),
)
