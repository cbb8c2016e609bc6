from __future__ import annotations

import pytest

from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.ports.accounts import Account, AccountStore
from trunkline.storage.accounts import SqlAccountStore


def test_an_account_cannot_be_moved_once_it_is_read() -> None:
    account = Account(id=AccountId("acct_1"), parent_id=ROOT_ACCOUNT, name="a", created_at=0)
    with pytest.raises(AttributeError):
        account.parent_id = None  # type: ignore[misc]


def test_the_database_fulfils_the_port() -> None:
    store: type[AccountStore] = SqlAccountStore
    assert {"create", "page", "show", "ancestors", "update", "move", "archive", "rates", "set_rates"} <= set(dir(store))
