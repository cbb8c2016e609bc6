from __future__ import annotations

from trunkline.ports.credit import Balance, CreditStore
from trunkline.storage.credits import SqlCreditStore


def test_nobody_pays_until_something_is_paid_in() -> None:
    assert Balance(account_id=None) == Balance(
        account_id=None, is_above=False, credit_nanos=0, spent_nanos=0, held_nanos=0, free_nanos=0, total_nanos=0
    )


def test_the_database_fulfils_the_port() -> None:
    store: type[CreditStore] = SqlCreditStore
    assert {"top_up", "debit", "balance", "page"} <= set(dir(store))
