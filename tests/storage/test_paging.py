from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from tests.storage.house import House
from trunkline.errors import InvalidRequest
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.storage.paging import page
from trunkline.storage.schema import accounts

_ORDER = (accounts.c.created_at, accounts.c.account_id)
BELOW = select(accounts).where(accounts.c.parent_id == "acct_root")


def fill(house: House, moments: list[int]) -> list[str]:
    """Accounts made at those moments, several at one; their ids in order."""
    with house.database.writing() as connection:
        connection.execute(delete(accounts).where(accounts.c.parent_id == "acct_root"))
        for number, moment in enumerate(moments):
            row = {"account_id": f"acct_{number}", "parent_id": "acct_root", "name": "x", "created_at": moment}
            connection.execute(insert(accounts).values(row))
    return [f"acct_{number}" for _, number in sorted((moment, str(number)) for number, moment in enumerate(moments))]


def ids(house: House, cursor: Cursor) -> tuple[list[str], bool]:
    with house.database.reading() as connection:
        found = page(connection, BELOW, cursor, _ORDER, lambda row: str(row.account_id))
    return list(found.items), found.has_more


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 3), max_size=9), st.integers(1, 4), st.booleans(), st.booleans())
def test_pages_hold_every_item_once_in_order(
    house: House, moments: list[int], limit: int, newest_first: bool, backwards: bool
) -> None:
    expected = fill(house, moments)
    if newest_first:
        expected.reverse()
    found: list[str] = []
    mark: str | None = None
    has_more = True
    while has_more:
        if backwards and mark is None and expected:
            found, mark = [expected[-1]], expected[-1]
            continue
        before, after = (mark, None) if backwards else (None, mark)
        items, has_more = ids(house, Cursor(limit=limit, before=before, after=after, newest_first=newest_first))
        assert len(items) <= limit
        found = items + found if backwards else found + items
        if items:
            mark = items[0] if backwards else items[-1]
    assert found == expected


@pytest.mark.parametrize(
    ("cursor", "param"),
    [
        (Cursor(limit=0), "limit"),
        (Cursor(limit=MOST_ITEMS + 1), "limit"),
        (Cursor(after="acct_0", before="acct_0"), "before"),
        (Cursor(after="acct_none"), "after"),
        (Cursor(before="acct_none"), "before"),
        (Cursor(after="acct_root"), "after"),
    ],
)
def test_a_cursor_that_does_not_fit_names_its_field(house: House, cursor: Cursor, param: str) -> None:
    fill(house, [1])
    with pytest.raises(InvalidRequest) as refused:
        ids(house, cursor)
    assert refused.value.param == param
