"""What is read from genai-prices is what the package itself would build."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import Any

import genai_prices.data
import genai_prices.types
import pytest

from trunkline.catalog import snapshot
from trunkline.errors import Defect

READ = snapshot.read()


def test_every_list_and_model_is_there_in_the_packages_order() -> None:
    theirs = {provider.id: [model.id for model in provider.models] for provider in genai_prices.data.providers}
    assert {name: [model.id for model in models] for name, models in READ.lists.items()} == theirs
    assert sum(map(len, theirs.values())) > 2000


def test_names_windows_prices_and_rules_are_the_packages() -> None:
    for provider in genai_prices.data.providers:
        for theirs, ours in zip(provider.models, READ.lists[provider.id], strict=True):
            assert ours.name == (theirs.name or theirs.id)
            assert ours.context_window == theirs.context_window
            assert plain(ours.prices) == plain(theirs.prices)
            assert plain(ours.variants) == plain(theirs.price_variants or [])
            assert plain(ours.match) == plain(theirs.match)


def plain(value: Any) -> Any:
    """Their objects and our nodes as the same tuples."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        kind, fields = value
        return kind, {name: plain(item) for name, item in fields.items() if item is not None}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int | Decimal | dt.date | dt.time):
        return value
    return type(value).__name__, {name: plain(item) for name, item in vars(value).items() if item is not None}


def test_reading_does_not_import_the_package() -> None:
    code = (
        "import sys; from trunkline.catalog import snapshot; snapshot.read();"
        "print([name for name in sys.modules if name.partition('.')[0] in ('genai_prices', 'pydantic')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_version_is_told() -> None:
    assert READ.version == f"genai-prices {genai_prices.__version__}"


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PACKAGE", "no_such_package")
    with pytest.raises(Defect, match="genai-prices is not installed"):
        snapshot.read()


def test_spellings_are_the_names_of_equals_clauses() -> None:
    match = ("ClauseOr", {"or_": [("ClauseEquals", {"equals": "A"}), ("ClauseContains", {"contains": "b"})]})
    assert snapshot.spellings(match) == ["A"]
    assert snapshot.spellings(("ClauseStartsWith", {"starts_with": "a"})) == []
