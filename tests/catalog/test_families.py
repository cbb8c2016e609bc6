"""Families: which model is of which, wherever it is hosted and however new it is."""

from __future__ import annotations

import pytest

from trunkline.catalog.families import DRAWN, FAMILIES, SAMPLING, Family, find
from trunkline.catalog.models import Deployment
from trunkline.catalog.providers import PROVIDERS


@pytest.mark.parametrize(
    ("row", "name", "thinking", "drops"),
    [
        ("anthropic", "claude-opus-4-8", "adaptive", SAMPLING),
        ("anthropic", "claude-sonnet-5-20270101", "adaptive", SAMPLING),
        ("anthropic", "claude-opus-4-6", "adaptive", ()),
        ("anthropic", "claude-sonnet-4-5-20250929", "budget", ()),
        ("anthropic", "claude-3-7-sonnet-latest", "budget", ()),
        ("anthropic", "claude-3-5-haiku-latest", "never", ()),
        ("aws", "eu.anthropic.claude-opus-4-6-v1", "adaptive", ()),
        ("aws", "anthropic.claude-3-haiku-20240307-v1:0", "never", ()),
        ("aws", "global.anthropic.claude-opus-4-7", "adaptive", SAMPLING),
        ("vertex", "claude-opus-4-5@20251101", "budget", ()),
        ("openai", "O3-mini", "effort", DRAWN),
        ("openai", "gpt-5-mini-2025-08-07", "effort", DRAWN),
        ("openai", "gpt-5-chat-latest", "never", ()),
        ("openai", "gpt-5.4", "effort", ()),
        ("openai", "gpt-4o", "never", ()),
        ("google", "gemini-2.5-flash", "budget", ()),
        ("google", "gemini-3.8-flash", "effort", ()),
    ],
)
def test_which_family_a_model_is_of(row: str, name: str, thinking: str, drops: tuple[str, ...]) -> None:
    family = find(row, name)
    assert family is not None
    assert (family.thinking, family.drops) == (thinking, drops)


def test_another_hosts_models_are_spoken_to_as_that_host_says() -> None:
    assert find("openrouter", "anthropic/claude-opus-4.8") is None
    assert find("aws", "meta.llama3-70b") is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.names[0] or family.providers[0])
def test_every_family_has_a_source_and_is_reached(family: Family) -> None:
    assert family.source
    assert set(family.providers) <= set(PROVIDERS)
    assert any(find(row, name) is family for row in family.providers for name in family.names), "another comes first"


def test_a_model_that_answers_one_protocol_is_asked_in_it() -> None:
    def spoken(name: str, asked: str) -> str:
        row = PROVIDERS["openai"]
        deployment = Deployment(model_id=f"openai/{name}", provider_id="openai", provider=row, upstream=name)
        return deployment.face(asked).protocol

    assert spoken("gpt-5-pro", "openai_chat") == "openai_responses"
    assert spoken("gpt-4o", "openai_chat") == "openai_chat"
    assert spoken("gpt-4o", "openai_responses") == "openai_responses"
    vertex = PROVIDERS["vertex"]
    claude = Deployment(model_id="v", provider_id="vertex", provider=vertex, upstream="claude-opus-4-5")
    assert claude.face("gemini").protocol == "anthropic_messages"
