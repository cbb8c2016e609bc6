from __future__ import annotations

import datetime as dt

import pytest

from trunkline.catalog import profiles
from trunkline.catalog.catalog import load_catalog
from trunkline.catalog.profiles import Profile

CATALOG = load_catalog(dt.date(2026, 11, 21))


@pytest.mark.parametrize("profile", profiles.ALL, ids=lambda profile: f"{profile.provider}/{profile.names[0]}")
def test_a_profile_has_a_source_and_speaks_of_models_that_exist(profile: Profile) -> None:
    assert profile.source.startswith("https://")
    assert all(name == name.lower() for name in profile.names)
    if profile.provider:
        assert all(CATALOG.exact(profile.provider, name) is not None for name in profile.names)
    else:
        lasts = {model.id.rpartition("/")[2].partition(":")[0].lower() for model in CATALOG.models.values()}
        assert lasts & set(profile.names)


def test_what_a_host_decides_is_not_told_of_weights() -> None:
    for profile in profiles.ALL:
        if not profile.provider:
            assert profile.max_output_tokens is None
            assert profile.context_window is None
            assert profile.capabilities.tools is None


def test_a_profile_is_found_by_id_or_by_the_last_part_of_a_hosts_name() -> None:
    own = profiles.find("openai", "GPT-4o")
    assert own is not None
    assert own.max_output_tokens == 16_384
    weights = profiles.find("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo")
    assert weights is not None
    assert weights.input == ("text",)
    assert profiles.find("huggingface", "deepseek-ai/DeepSeek-V3:together") is not None
    assert profiles.find("groq", "gpt-4o") is None, "OpenAI's facts are OpenAI's"


def test_the_catalog_carries_the_facts() -> None:
    model = CATALOG.exact("openai", "gpt-4o")
    assert model is not None
    assert model.input_modalities == ("text", "image")
    assert model.max_output_tokens == 16_384
    assert model.capabilities.tools is True
    assert model.created == 1_715_558_400  # 2024-05-13
    unknown = CATALOG.exact("openai", "gpt-4-32k")
    assert unknown is not None
    assert unknown.max_output_tokens is None
    assert unknown.capabilities.tools is None
