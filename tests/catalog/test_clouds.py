from __future__ import annotations

import pytest

from trunkline.catalog.clouds import CLOUDS
from trunkline.catalog.provider_row import Provider
from trunkline.catalog.providers import PROVIDERS

ROWS = {row.id: row for row in CLOUDS}


@pytest.mark.parametrize("row", CLOUDS, ids=lambda row: row.id)
def test_each_has_an_address_of_the_customers_and_a_credential_kind_of_its_own(row: Provider) -> None:
    assert row.base_url is None
    assert row.base_url_looks_like.startswith("https://")
    assert row.source.startswith("https://")
    assert row.credential in ("aws", "google", "azure")
    assert row.key_names


def test_no_name_and_no_key_is_that_of_another_provider() -> None:
    others = [row for row in PROVIDERS.values() if row.id not in ROWS]
    names = {name for row in others for name in (row.id, *row.other_names)}
    keys = {name for row in others for name in row.key_names}
    assert not names & {name for row in CLOUDS for name in (row.id, *row.other_names)}
    assert not keys & {name for row in CLOUDS for name in row.key_names}


def test_vertex_speaks_each_makers_own_protocol_under_his_name() -> None:
    assert [(face.protocol, face.prefix) for face in ROWS["vertex"].speaks] == [
        ("gemini", "/publishers/google"),
        ("anthropic_messages", "/publishers/anthropic"),
    ]


def test_bedrock_is_asked_in_converse_alone() -> None:
    assert [face.protocol for face in ROWS["aws"].speaks] == ["bedrock_converse"]
