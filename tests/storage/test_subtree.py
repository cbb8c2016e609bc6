from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.storage.house import House
from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.storage.schema import accounts
from trunkline.storage.subtree import below, is_below, is_id, require_account, require_live_account, upwards


@pytest.fixture
def line(house: House) -> list[AccountId]:
    """The root and forty accounts, each below the one before."""
    found = [ROOT_ACCOUNT]
    for number in range(40):
        found.append(house.account(str(number), found[-1]).id)
    house.account("beside")
    return found


def test_what_is_below_and_above(house: House, line: list[AccountId]) -> None:
    with house.database.reading() as connection:
        for place, account_id in enumerate(line):
            rows = connection.execute(select(below(account_id).c.account_id))
            assert len({row.account_id for row in rows}) == len(line) - place + (place == 0)
            assert [row.account_id for row in upwards(connection, account_id)] == line[place::-1]
        assert upwards(connection, "acct_none") == []


def test_all_is_below_the_root(house: House, line: list[AccountId]) -> None:
    with house.database.reading() as connection:
        for within, count in ((ROOT_ACCOUNT, 42), (line[1], 40), (line[40], 1), (AccountId("acct_none"), 0)):
            found = connection.execute(select(accounts).where(is_below(accounts.c.account_id, within))).all()
            assert len(found) == count


def test_what_is_not_below_is_not_found(house: House, line: list[AccountId]) -> None:
    with house.database.reading() as connection:
        assert require_account(connection, line[5], within=line[5])[0].account_id == line[5]
        assert [row.account_id for row in require_account(connection, line[5], within=line[2])] == line[5::-1]
        for account_id in (line[4], "acct_none", ""):
            with pytest.raises(NotFound) as refused:
                require_account(connection, account_id, within=line[5], param="parent_id")
            assert (refused.value.code, refused.value.param) == ("account_not_found", "parent_id")
        with pytest.raises(InvalidRequest):
            require_account(connection, "x" * 65)


def test_nothing_is_added_to_an_archived_account(house: House, line: list[AccountId]) -> None:
    house.accounts.archive(line[39])
    with house.database.reading() as connection:
        assert require_live_account(connection, line[38])
        assert require_account(connection, line[40])
        for account_id in line[39:]:
            with pytest.raises(InvalidRequest) as refused:
                require_live_account(connection, account_id)
            assert refused.value.code == "account_archived"


@pytest.mark.parametrize(("text", "is_one"), [("acct_1", True), ("", False), ("x" * 65, False), ("a\0b", False)])
def test_what_may_be_an_id(text: str, is_one: bool) -> None:
    assert is_id(text) is is_one
