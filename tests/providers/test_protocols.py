"""Every protocol that is answered: rows of providers speak none that is not here, and each says where its calls go."""

from __future__ import annotations

import pytest

from trunkline.catalog.providers import PROVIDERS
from trunkline.providers.protocols import PROTOCOLS
from trunkline.translation.target import Target
from trunkline.wire.inbound import Inbound

TARGET = Target(provider_id="p", model_id="p/m", upstream="m")


@pytest.mark.parametrize("name", sorted({face.protocol for row in PROVIDERS.values() for face in row.speaks}))
def test_every_protocol_of_a_row_can_be_spoken(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == protocol.translator.protocol == name
    for stream in (False, True):
        assert protocol.path_of(TARGET, Inbound(fields={}, model="m", stream=stream)).startswith(b"/")
