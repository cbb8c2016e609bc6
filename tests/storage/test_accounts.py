from __future__ import annotations

import pytest

from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.database import Database
from trunkline.storage.keys import SqlKeyStore

HOSTILE = ["'; DROP TABLE accounts; --", "' OR '1'='1", '" OR ""="', "%", "_", "acct_root' --", "\\'; --", "${7*7}"]


@pytest.fixture
def store(database: Database) -> SqlAccountStore:
    return SqlAccountStore(database)


def test_there_is_one_root(store: SqlAccountStore) -> None:
    [root] = store.list()
    assert (root.id, root.parent_id, root.name) == (ROOT_ACCOUNT, None, "root")
    assert store.show("acct_root") == root


def test_accounts_form_a_tree(store: SqlAccountStore) -> None:
    child = store.create("child")
    grandchild = store.create("grandchild", child.id)
    assert (child.parent_id, grandchild.parent_id) == (ROOT_ACCOUNT, child.id)
    assert store.show(grandchild.id) == grandchild
    assert sorted(account.name for account in store.list()) == ["child", "grandchild", "root"]


def test_a_new_account_raises_the_version(store: SqlAccountStore, serving: SqlKeyStore) -> None:
    before = serving.version()
    store.create("child")
    assert serving.version() == before + 1


@pytest.mark.parametrize("parent", ["acct_none", "", *HOSTILE])
def test_an_unknown_parent_is_refused(store: SqlAccountStore, serving: SqlKeyStore, parent: str) -> None:
    before = serving.version()
    with pytest.raises(NotFound, match="no account"):
        store.create("child", parent)
    assert len(store.list()) == 1
    assert serving.version() == before


@pytest.mark.parametrize("account_id", HOSTILE)
def test_text_is_never_a_statement(store: SqlAccountStore, account_id: str) -> None:
    created = store.create(account_id)
    assert store.show(created.id).name == account_id
    with pytest.raises(NotFound):
        store.show(account_id)
    assert len(store.list()) == 2


@pytest.mark.parametrize("account_id", ["x" * 65, "line\nbreak"])
def test_an_id_that_no_message_should_repeat(store: SqlAccountStore, account_id: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        store.show(account_id)
    assert account_id not in refused.value.message
