from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from tests.storage.conftest import HeldClock
from tests.storage.house import USD, House
from trunkline.errors import Forbidden, InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.money import Nanos
from trunkline.ports.audit import AuditFilter
from trunkline.ports.budget_store import BudgetDraft, BudgetFilter
from trunkline.ports.keys import Grant
from trunkline.ports.pages import Cursor
from trunkline.storage.money_schema import pots

NOON = 1_800_014_400.0  # 2027-01-15T12:00:00Z


def draft(account_id: str, limit: int, **more: Any) -> BudgetDraft:
    return BudgetDraft(
        **{"account_id": account_id, "kind": "account", "subject": account_id, "limit_nanos": Nanos(limit), **more}
    )


def test_a_budget_is_listed_with_its_figures(house: House, held_clock: HeldClock) -> None:
    held_clock.now_s = NOON
    child = house.account("child")
    made = house.budgets.put(draft(child.id, 5 * USD, period="day", alerts=(80, 50, 80)))
    assert (made.spent_nanos, made.held_nanos, made.remaining_nanos) == (0, 0, 5 * USD)
    assert made.resets_at == NOON + 12 * 3600
    assert made.budget.alerts == (50, 80)
    house.lease(made.budget.id, USD, spent=2 * USD, period_start=NOON - 12 * 3600, period_end=NOON + 12 * 3600)
    shown = house.budgets.show(made.budget.id)
    assert (shown.spent_nanos, shown.held_nanos, shown.remaining_nanos) == (2 * USD, USD, 2 * USD)
    assert house.budgets.page(BudgetFilter(), Cursor()).items == (shown,)
    held_clock.now_s = NOON + 12 * 3600
    tomorrow = house.budgets.show(made.budget.id)
    assert (tomorrow.spent_nanos, tomorrow.held_nanos) == (0, 0), "another day"
    assert tomorrow.resets_at == NOON + 36 * 3600


def test_a_scope_and_a_period_have_one_budget(house: House) -> None:
    child = house.account("child")
    first = house.budgets.put(draft(child.id, 100))
    again = house.budgets.put(draft(child.id, 50))
    daily = house.budgets.put(draft(child.id, 10, period="day"))
    assert again.budget.id == first.budget.id
    assert again.budget.limit_nanos == 50
    wanted = BudgetFilter(account_id=child.id, kind="account", subject=child.id, period="day")
    assert house.budgets.page(wanted, Cursor()).items == (daily,)
    assert house.events(types=("budget.created", "budget.updated")) == [
        "budget.created",
        "budget.updated",
        "budget.created",
    ]
    assert house.events(target_ids=(first.budget.id,)) == ["budget.created", "budget.updated"]


def test_the_same_again_changes_nothing(house: House) -> None:
    child = house.account("child")
    house.budgets.put(draft(child.id, 100))
    before, events = house.serving.version(), house.events()
    house.budgets.put(draft(child.id, 100))
    assert (house.serving.version(), house.events()) == (before, events)


@pytest.mark.parametrize(("limit", "state"), [(99, "fenced"), (100, "live"), (101, "live")])
def test_a_lower_limit_ends_the_leases(house: House, limit: int, state: str) -> None:
    budget = house.budget(house.account("child").id, 100)
    lease = house.lease(budget.id, 10, spent=60, limit_nanos=100)
    before = house.serving.version()
    figures = house.budgets.put(draft(budget.account_id, limit))
    assert house.lease_state(lease) == state
    assert house.limit_of(budget.id) == limit
    assert (figures.spent_nanos, figures.remaining_nanos) == (60, limit - 70)
    assert house.serving.version() == before + (limit != 100)


def test_a_limit_may_be_below_what_is_spent(house: House) -> None:
    budget = house.budget(house.account("child").id, 100)
    house.lease(budget.id, 0, spent=60, limit_nanos=100)
    assert house.budgets.put(draft(budget.account_id, 0)).remaining_nanos == 0


def test_alerts_follow_the_budget(house: House) -> None:
    budget = house.budget(house.account("child").id, 100)
    house.lease(budget.id, 0)
    house.budgets.put(draft(budget.account_id, 100, alerts=(90,)))
    with house.database.reading() as connection:
        assert connection.execute(select(pots.c.alerts)).scalar_one() == "[90]"


def test_what_is_taken_away_holds_nothing(house: House) -> None:
    budget = house.budget(house.account("child").id, 100)
    lease = house.lease(budget.id, 10)
    before = house.serving.version()
    assert house.budgets.remove(budget.id) == budget
    assert house.lease_state(lease) == "fenced"
    assert house.serving.version() == before + 1
    assert house.budgets.page(BudgetFilter(), Cursor()).items == ()
    for attempt in (house.budgets.show, house.budgets.remove):
        with pytest.raises(NotFound) as refused:
            attempt(budget.id)
        assert refused.value.code == "budget_not_found"


def test_taking_away_and_putting_back_forgets_nothing_of_a_day(house: House, held_clock: HeldClock) -> None:
    held_clock.now_s = NOON
    child = house.account("child")
    daily, once = house.budget(child.id, 100, period="day"), house.budget(child.id, 100)
    house.lease(daily.id, 0, spent=60, period_start=NOON - 12 * 3600, period_end=NOON + 12 * 3600)
    house.lease(once.id, 0, spent=60)
    for budget in (daily, once):
        house.budgets.remove(budget.id)
    again = house.budgets.put(draft(child.id, 90, period="day"))
    assert (again.budget.id, again.spent_nanos, again.remaining_nanos) == (daily.id, 60, 30)
    assert house.limit_of(daily.id) == 90
    for_good = house.budgets.put(draft(child.id, 100))
    assert (for_good.budget.id == once.id, for_good.spent_nanos) == (False, 0), "without a period one begins anew"


def test_no_budget_is_larger_than_one_above_it(house: House) -> None:
    parent = house.account("parent")
    child = house.account("child", parent.id)
    grandchild = house.account("grandchild", child.id)
    key = house.keys.create(Grant(account_id=grandchild.id)).id
    house.budgets.put(draft(parent.id, 100, period="day"))
    attempts = [
        draft(grandchild.id, 101, period="day"),
        draft(grandchild.id, 101, period="day", kind="key", subject=key),
        draft(grandchild.id, 101, period="day", kind="tag", subject="t"),
        draft(parent.id, 101, period="day", kind="end_user", subject="u"),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidRequest) as refused:
            house.budgets.put(attempt)
        assert (refused.value.code, refused.value.param) == ("over_parent", "limit")
        house.budgets.put(replace(attempt, limit_nanos=Nanos(100)))
        house.budgets.put(replace(attempt, period="month"))
    house.budgets.put(draft(parent.id, 50, period="day"))
    house.budgets.put(draft(parent.id, 200, period="day"))
    house.budgets.put(attempts[0])


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"limit_nanos": -1}, "limit"),
        ({"limit_nanos": 10**18 + 1}, "limit"),
        ({"alerts": (0,)}, "alerts"),
        ({"alerts": (101,)}, "alerts"),
        ({"alerts": tuple(range(1, 22))}, "alerts"),
        ({"zone": "Middle/Earth"}, "zone"),
        ({"subject": "acct_root"}, "subject"),
        ({"kind": "tag", "subject": ""}, "subject"),
        ({"kind": "tag", "subject": "x" * 65}, "subject"),
        ({"kind": "end_user", "subject": "x" * 257}, "subject"),
        ({"kind": "model", "subject": "a\nb"}, "subject"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(house: House, changed: dict[str, Any], param: str) -> None:
    child = house.account("child")
    with pytest.raises(InvalidRequest) as refused:
        house.budgets.put(draft(child.id, **{"limit": 1, **changed}))
    assert refused.value.param == param
    assert house.budgets.page(BudgetFilter(), Cursor()).items == ()


def test_the_key_of_another_account_is_not_found(house: House) -> None:
    child = house.account("child")
    others = house.keys.create(Grant()).id
    for subject in (others, "key_none", "x" * 100):
        with pytest.raises(NotFound) as refused:
            house.budgets.put(draft(child.id, 1, kind="key", subject=subject))
        assert refused.value.code == "key_not_found"


def test_another_subtree_is_unknown(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    budget = house.budget(theirs.id, 100)
    manager = house.manager(ours.id)
    attempts: list[Callable[[], object]] = [
        lambda: house.budgets.show(budget.id, within=ours.id),
        lambda: house.budgets.remove(budget.id, by=manager, within=ours.id),
        lambda: house.budgets.put(draft(theirs.id, 1), by=manager, within=ours.id),
        lambda: house.budgets.page(BudgetFilter(account_id=theirs.id), Cursor(), within=ours.id),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert house.budgets.page(BudgetFilter(), Cursor(), within=ours.id).items == ()


def test_nobody_raises_their_own_limit(house: House) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    mine, other = (house.keys.create(Grant(account_id=ours.id)).id for _ in range(2))
    manager = house.manager(ours.id, mine)
    own = house.budget(ours.id, 100)
    attempts: list[Callable[[], object]] = [
        lambda: house.budgets.put(draft(ours.id, 1), by=manager, within=ours.id),
        lambda: house.budgets.remove(own.id, by=manager, within=ours.id),
        lambda: house.budgets.put(draft(ours.id, 1, kind="key", subject=mine), by=manager, within=ours.id),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as refused:
            attempt()
        assert refused.value.code == "above_only"
    for allowed in (
        draft(child.id, 1),
        draft(ours.id, 1, kind="tag", subject="t"),
        draft(ours.id, 1, kind="key", subject=other),
    ):
        made = house.budgets.put(allowed, by=manager, within=ours.id)
        house.budgets.remove(made.budget.id, by=manager, within=ours.id)


def test_what_was_set_from_above_stays(house: House) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    key = house.keys.create(Grant(account_id=child.id)).id
    above, own = house.manager(ours.id), house.manager(child.id, "key_another")
    for kind, subject in (("tag", "t"), ("model", "openai/*"), ("end_user", "u"), ("key", key)):
        wanted = draft(child.id, 5, kind=kind, subject=subject, period="month")
        made = house.budgets.put(wanted, by=above, within=ours.id).budget
        for attempt in (
            partial(house.budgets.put, replace(wanted, limit_nanos=Nanos(6)), by=own, within=child.id),
            partial(house.budgets.remove, made.id, by=own, within=child.id),
        ):
            with pytest.raises(Forbidden) as refused:
                attempt()
            assert refused.value.code == "above_only"
        assert house.budgets.show(made.id).budget.limit_nanos == 5
        # It goes where it came from; then the account sets its own, which those above may change as well.
        house.budgets.remove(made.id, by=above, within=ours.id)
        house.budgets.put(wanted, by=own, within=child.id)
        house.budgets.put(replace(wanted, limit_nanos=Nanos(4)), by=own, within=child.id)
        house.budgets.put(replace(wanted, limit_nanos=Nanos(3)), by=above, within=ours.id)
        with pytest.raises(Forbidden):
            house.budgets.remove(made.id, by=own, within=child.id)


def test_the_log_has_what_it_was_and_what_it_became(house: House) -> None:
    budget = house.budget(house.account("child").id, USD)
    house.budgets.put(draft(budget.account_id, USD // 2))
    [record] = house.audit.page(AuditFilter(types=("budget.updated",)), Cursor(), within=ROOT_ACCOUNT).items
    assert record.before is not None
    assert record.after is not None
    assert b'"limit_usd":"1"' in bytes(record.before)
    assert b'"limit_usd":"0.5"' in bytes(record.after)


def test_an_archived_account_gets_no_budget(house: House) -> None:
    child = house.account("child")
    house.accounts.archive(AccountId(child.id))
    with pytest.raises(InvalidRequest) as refused:
        house.budgets.put(draft(child.id, 1))
    assert refused.value.code == "account_archived"
