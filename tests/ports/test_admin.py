from __future__ import annotations

from trunkline.ports.admin import LINK_LIFE_S, LINK_PATH, AdminLinks
from trunkline.storage.admin_links import SqlAdminLinks


def test_a_link_lives_an_hour() -> None:
    assert LINK_LIFE_S == 3600
    assert LINK_PATH.startswith("/console/")


def test_the_database_fulfils_the_port() -> None:
    store: type[AdminLinks] = SqlAdminLinks
    assert {"create", "redeem"} <= set(dir(store))
