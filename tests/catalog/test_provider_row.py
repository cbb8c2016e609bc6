from __future__ import annotations

import pytest

from trunkline.catalog.provider_row import Dialect, Provider
from trunkline.catalog.providers import PROVIDERS


def test_every_departure_from_the_protocol_has_its_source() -> None:
    departing = [row for row in PROVIDERS.values() if row.dialect != Dialect()]
    assert departing
    assert [row.id for row in departing if not row.source.startswith("https://")] == []


def test_a_row_cannot_be_changed() -> None:
    row = Provider(id="x", name="X", base_url=None)
    with pytest.raises(AttributeError):
        row.base_url = "https://elsewhere.example"  # type: ignore[misc]
