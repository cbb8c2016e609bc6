from __future__ import annotations

from trunkline.money import Nanos
from trunkline.ports.budget_store import BudgetDraft, BudgetStore
from trunkline.storage.budgets import SqlBudgetStore


def test_a_budget_is_for_ever_unless_it_says_otherwise() -> None:
    draft = BudgetDraft(account_id="acct_1", kind="tag", subject="t", limit_nanos=Nanos(1))
    assert (draft.period, draft.zone, draft.alerts) == ("never", "UTC", ())


def test_the_database_fulfils_the_port() -> None:
    store: type[BudgetStore] = SqlBudgetStore
    assert {"put", "remove", "show", "page"} <= set(dir(store))
