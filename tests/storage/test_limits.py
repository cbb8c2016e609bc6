from __future__ import annotations

import pytest

from tests.storage.house import USD, House
from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT
from trunkline.storage.limits import refuse_above, refuse_over_parent


def test_the_smallest_of_those_above_counts(house: House) -> None:
    parent = house.account("parent")
    house.budget(ROOT_ACCOUNT, 3 * USD, period="day")
    house.budget(parent.id, 2 * USD, period="day")
    way = [parent.id, ROOT_ACCOUNT]
    with house.database.reading() as connection:
        refuse_above(connection, way, "day", 2 * USD)
        refuse_above(connection, way, "month", 99 * USD)
        refuse_above(connection, [], "day", 99 * USD)
        with pytest.raises(InvalidRequest, match="a budget of 2 USD for a day") as refused:
            refuse_above(connection, way, "day", 2 * USD + 1)
    assert (refused.value.code, refused.value.param) == ("over_parent", "limit")


def test_what_was_taken_away_limits_nothing(house: House) -> None:
    budget = house.budget(ROOT_ACCOUNT, 1)
    house.budgets.remove(budget.id)
    with house.database.reading() as connection:
        refuse_above(connection, [ROOT_ACCOUNT], "never", 2)


def test_all_that_is_below_is_compared(house: House) -> None:
    parent = house.account("parent")
    child = house.account("child", parent.id)
    large = house.budget(child.id, 2, period="week")
    house.budget(ROOT_ACCOUNT, 1, period="week")
    with house.database.reading() as connection:
        with pytest.raises(InvalidRequest, match="for a week"):
            refuse_over_parent(connection, parent.id)
        refuse_over_parent(connection, ROOT_ACCOUNT)
    house.budgets.remove(large.id)
    with house.database.reading() as connection:
        refuse_over_parent(connection, parent.id)
