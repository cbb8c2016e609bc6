"""What of the environment is a provider's."""

from __future__ import annotations

from pathlib import Path

from trunkline.providers.environment_keys import ProviderKeys


def test_only_what_providers_are_reached_with_is_taken() -> None:
    keys = ProviderKeys({"OPENAI_API_KEY": " sk-x ", "HOME": "/root", "GEMINI_API_KEY": " "})
    assert dict(keys) == {"OPENAI_API_KEY": "sk-x"}
    assert len(keys) == 1
    assert "sk-x" not in repr(keys)


def test_a_file_of_credentials_is_its_text_or_absent(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    named = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    assert dict(ProviderKeys(named)) == {}
    file.write_text('{"type":"x"}')
    assert dict(ProviderKeys(named)) == {"GOOGLE_APPLICATION_CREDENTIALS": '{"type":"x"}'}
