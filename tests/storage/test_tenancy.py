from __future__ import annotations

import pytest
from sqlalchemy import insert

from tests.storage.house import House
from trunkline import clock
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.accounts import AccountDraft
from trunkline.ports.tenancy import Tenant
from trunkline.storage.money_schema import budgets
from trunkline.storage.schema import accounts


def test_the_snapshot_is_what_was_set(house: House) -> None:
    ours = house.accounts.create(
        AccountDraft(
            name="ours", parent_id=ROOT_ACCOUNT, models=("openai/*",), markup_millionths=50_000, default_tag="shop"
        )
    )
    child = house.account("child", ours.id)
    gone = house.account("gone")
    house.pay_in(child.id, 100)
    kept = house.budget(child.id, 7)
    house.budget(gone.id, 7)
    house.budgets.remove(house.budget(ours.id, 9).id)
    house.accounts.archive(gone.id)
    found = house.tenancy.tenancy()
    assert found.version == house.serving.version()
    assert found.budgets == (kept,)
    assert found.tenants == {
        ROOT_ACCOUNT: Tenant(id=ROOT_ACCOUNT, parent_id=None, name="root"),
        ours.id: Tenant(
            id=ours.id,
            parent_id=ROOT_ACCOUNT,
            name="ours",
            models=("openai/*",),
            markup_millionths=50_000,
            default_tag="shop",
        ),
        child.id: Tenant(id=child.id, parent_id=ours.id, name="child", has_credit=True),
        gone.id: Tenant(id=gone.id, parent_id=ROOT_ACCOUNT, name="gone", archived=True),
    }


def test_credit_that_is_used_up_still_pays(house: House) -> None:
    house.pay_in(ROOT_ACCOUNT, 1)
    house.lease(f"wallet:{ROOT_ACCOUNT}", 0, spent=1, limit_nanos=1)
    assert house.tenancy.tenancy().tenants[ROOT_ACCOUNT].has_credit is True


@pytest.mark.slow
def test_a_hundred_thousand_of_each_do_not_cost_seconds(house: House) -> None:
    count = 100_000
    tree = [
        {"account_id": f"acct_{number}", "parent_id": "acct_root", "name": "x", "created_at": 1.0}
        for number in range(count)
    ]
    limits = [
        {
            "account_id": f"acct_{number}",
            "budget_id": f"bud_{number}",
            "kind": "account",
            "subject": f"acct_{number}",
            "period": "month",
            "zone": "UTC",
            "limit_nanos": 1,
            "alerts": "[]",
            "created_at": 1.0,
        }
        for number in range(count)
    ]
    with house.database.writing() as connection:
        connection.execute(insert(accounts), tree)
        connection.execute(insert(budgets), limits)
    began_at = clock.monotonic_s()
    found = house.tenancy.tenancy()
    took_s = clock.monotonic_s() - began_at
    assert (len(found.tenants), len(found.budgets)) == (count + 1, count)
    assert took_s < 4, "1 s on a machine that has nothing else to do"
