"""Every protocol by name: rows of providers speak none that is not here, and each says where its calls go."""

from __future__ import annotations

import pytest

from trunkline.catalog.providers import PROVIDERS
from trunkline.pipeline.protocols import PROVIDER_PROTOCOLS
from trunkline.translation.target import Target

TARGET = Target(provider_id="p", model_id="p/m", upstream="m")


@pytest.mark.parametrize("name", sorted({face.protocol for row in PROVIDERS.values() for face in row.speaks}))
def test_every_protocol_of_a_row_can_be_spoken(name: str) -> None:
    protocol = PROVIDER_PROTOCOLS[name]
    assert protocol.name == protocol.translator.protocol == name
    assert protocol.path(TARGET, False).startswith(b"/")
