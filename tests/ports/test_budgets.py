"""Budgets as everyone above speaks of them."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.ports.budgets import WALLET, Budget, Leased, Wanted


def test_a_budget_is_for_ever_in_utc_unless_it_says_otherwise() -> None:
    budget = Budget(id="b", account_id=AccountId("acct_a"), kind="key", subject="key_1", limit_nanos=Nanos(5))
    assert (budget.period, budget.zone, budget.alerts) == ("never", "UTC", ())


def test_no_budget_is_taken_for_a_wallet() -> None:
    """The ids of budgets and the names of wallets share one space of sources."""
    assert not "budget_0123".startswith(WALLET)
    assert WALLET.endswith(":")


@pytest.mark.parametrize("kind", [Wanted, Leased])
def test_what_goes_to_another_thread_cannot_change_there(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
