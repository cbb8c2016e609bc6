"""The page of settings is what the structs say, and the file that `init` makes is one that loads."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from trunkline.cli.reference import entries, reference, template
from trunkline.config import SECTIONS, TABLES, load

PAGE = Path(__file__).parents[2] / "docs/reference/settings.md"


def test_the_page_has_not_drifted() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == reference(), "run: python -m trunkline.cli.reference docs/reference/settings.md"


def test_the_page_names_every_setting_and_its_variable() -> None:
    page = reference()
    for section, options in SECTIONS.items():
        for field in msgspec.structs.fields(options):
            assert f"`{field.name}`<br>TRUNKLINE_{section.upper()}__{field.name.upper()} " in page
    for section, options in TABLES.items():
        for field in msgspec.structs.fields(options):
            assert f"TRUNKLINE_{section.upper()}__&lt;NAME&gt;__{field.name.upper()} " in page


def test_the_made_file_changes_no_default(tmp_path: Path) -> None:
    made = tmp_path / "trunkline.toml"
    made.write_text(template(), encoding="utf-8")
    settings = load(made, tmp_path / "data", environment={})
    for section, options in SECTIONS.items():
        assert getattr(settings, section) == options()


def test_every_commented_line_of_the_made_file_is_its_default() -> None:
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and line[2:3].islower() else line
        for line in template().split("\n# [providers.")[0].splitlines()
        if '""' not in line
    ]
    tree = tomllib.loads("\n".join(lines))
    for section, table in tree.items():
        for name, value in table.items():
            default = getattr(SECTIONS[section](), name)
            assert value == (list(default) if isinstance(default, tuple) else default)


def test_the_examples_of_the_made_file_load(tmp_path: Path) -> None:
    examples = template().split("[compat]")[1].partition("\n# [providers.")
    text = (examples[1] + examples[2]).replace("\n# ", "\n")
    made = tmp_path / "trunkline.toml"
    made.write_text(text, encoding="utf-8")
    settings = load(made, tmp_path / "data", environment={"DEEPSEEK_API_KEY": "x"})
    assert settings.providers.keys() == {"deepseek", "office-vllm"}
    assert settings.prices["office-vllm/llama"].output == 0.6


class Inner(msgspec.Struct):
    wait_ms: Annotated[int, Meta(ge=1, le=9, description="To wait.")] = 5


class Outer(msgspec.Struct):
    size_bytes: Annotated[int, Meta(description="How large.")]
    inner: Annotated[Inner | None, Meta(description="Its own.")] = None


@pytest.mark.parametrize(
    ("position", "name", "kind", "default", "unit"),
    [
        (0, "size_bytes", "whole number", "required", "bytes"),
        (1, "inner.wait_ms", "whole number, ≥ 1, ≤ 9", "`5`", "milliseconds"),
    ],
)
def test_types_defaults_and_units_are_words(position: int, name: str, kind: str, default: str, unit: str) -> None:
    entry = list(entries(Outer))[position]
    assert (entry.name, entry.kind, entry.default, entry.unit) == (name, kind, default, unit)
