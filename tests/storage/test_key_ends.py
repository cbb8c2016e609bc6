from __future__ import annotations

from tests.storage.house import House
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.audit import CLI
from trunkline.ports.budget_store import BudgetFilter
from trunkline.ports.keys import Grant
from trunkline.ports.pages import Cursor
from trunkline.storage.changes import changing
from trunkline.storage.key_ends import end_keys
from trunkline.storage.schema import keys


def test_keys_end_with_their_secrets_and_leases(house: House) -> None:
    ended, kept = (house.keys.create(Grant(name=name, budget_nanos=100)) for name in ("ended", "kept"))
    house.keys.rotate(ended.id, 60)
    leases = {}
    for page in house.budgets.page(BudgetFilter(kind="key"), Cursor()).items:
        leases[page.budget.subject] = house.lease(page.budget.id, 10)
    before = house.serving.version()
    with changing(house.database, CLI, ROOT_ACCOUNT) as change:
        found = end_keys(change, keys.c.name == "ended")
    assert [(row.account_id, row.key_id) for row in found] == [(ROOT_ACCOUNT, ended.id)]
    assert [record.key_id for record in house.serving.live_keys()] == [kept.id]
    assert house.lease_state(leases[ended.id]) == "fenced"
    assert house.lease_state(leases[kept.id]) == "live"
    assert house.serving.version() == before + 1


def test_what_has_ended_does_not_end_again(house: House) -> None:
    house.keys.revoke(house.keys.create(Grant()).id)
    before = house.serving.version()
    with changing(house.database, CLI, ROOT_ACCOUNT) as change:
        assert list(end_keys(change, keys.c.admin.is_(False))) == []
    assert house.serving.version() == before
