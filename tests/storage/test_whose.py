from __future__ import annotations

import pytest
from sqlalchemy import insert

from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.storage.database import Database
from trunkline.storage.schema import accounts, keys
from trunkline.storage.whose import LISTED, accounts_of, is_within, listed, owners_of


@pytest.fixture
def tree(database: Database) -> Database:
    """root > a > c, root > b; a key of c."""
    with database.writing() as connection:
        for account, parent in (("acct_a", "acct_root"), ("acct_b", "acct_root"), ("acct_c", "acct_a")):
            connection.execute(insert(accounts).values(account_id=account, parent_id=parent, name="n", created_at=0.0))
        connection.execute(
            insert(keys).values(
                account_id="acct_c", key_id="key_c", name="n", admin=False, manage=False, models="[]", created_at=0.0
            )
        )
    return database


@pytest.mark.parametrize(
    ("root", "wanted", "expected"),
    [
        ("acct_root", None, None),
        ("acct_root", ("acct_c", "acct_gone"), ["acct_c", "acct_gone"]),
        ("acct_a", None, ["acct_a", "acct_c"]),
        ("acct_a", ("acct_c", "acct_b"), ["acct_c"]),
        ("acct_a", (), []),
        ("acct_c", None, ["acct_c"]),
        ("acct_gone", None, []),
    ],
)
def test_an_asker_sees_its_account_and_what_is_below(
    tree: Database, root: str, wanted: tuple[str, ...] | None, expected: list[str] | None
) -> None:
    with tree.reading() as connection:
        assert accounts_of(connection, AccountId(root), wanted) == expected


def test_keys_have_owners(tree: Database) -> None:
    with tree.reading() as connection:
        assert owners_of(connection, ("key_c", "key_gone")) == {"key_c": "acct_c"}


def test_within_is_the_account_itself_or_below(tree: Database) -> None:
    with tree.reading() as connection:
        assert is_within(connection, "acct_gone", ROOT_ACCOUNT)
        assert is_within(connection, "acct_c", AccountId("acct_a"))
        assert is_within(connection, "acct_c", AccountId("acct_c"))
        assert not is_within(connection, "acct_a", AccountId("acct_c"))


def test_a_list_of_any_length_is_one_value(database: Database) -> None:
    with database.reading() as connection:
        many = [f'it\'s "{number}"' for number in range(100_000)]
        found = connection.exec_driver_sql(
            f"SELECT count(*), min(? IN {LISTED}) FROM (SELECT 1)", (many[7], listed(many))
        )
        assert tuple(found.one()) == (1, 1)
