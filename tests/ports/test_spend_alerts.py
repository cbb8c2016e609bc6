from __future__ import annotations

from trunkline.ports.spend_alerts import SpendAlerts
from trunkline.storage.spend_alerts import SqlSpendAlerts


def test_the_database_fulfils_the_port() -> None:
    store: type[SpendAlerts] = SqlSpendAlerts
    assert {"create", "update", "delete", "show", "page"} <= set(dir(store))
