from __future__ import annotations

from trunkline.ports.service_accounts import ServiceAccounts
from trunkline.storage.service_accounts import SqlServiceAccounts


def test_the_database_fulfils_the_port() -> None:
    store: type[ServiceAccounts] = SqlServiceAccounts
    assert {"create", "issue", "page", "show", "rename", "delete"} <= set(dir(store))
