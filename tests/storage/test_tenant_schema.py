from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from tests.storage.house import House
from trunkline.ids import ROOT_ACCOUNT


def test_a_user_who_goes_takes_the_memberships_along(house: House) -> None:
    user = house.users.add("ann@example.com", "Ann", "member")
    house.users.set_member(house.account("child").id, user.id, "member")
    with house.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM users")
        assert connection.exec_driver_sql("SELECT count(*) FROM memberships").scalar_one() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users VALUES ('acct_root', 'user-2', 'ann@example.com', 'Twin', 'member', 1.0)",
        "INSERT INTO users VALUES ('acct_none', 'user-2', 'bob@example.com', 'Bob', 'member', 1.0)",
        "INSERT INTO memberships VALUES ('acct_root', 'user-none', 'acct_root', 'member', 1.0)",
        "INSERT INTO rate_limits (account_id, model) VALUES ('acct_none', '*')",
    ],
)
def test_what_cannot_be(house: House, statement: str) -> None:
    house.users.add("ann@example.com", "Ann", "member", within=ROOT_ACCOUNT)
    with pytest.raises(IntegrityError), house.database.writing() as connection:
        connection.exec_driver_sql(statement)
