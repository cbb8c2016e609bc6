from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from tests.storage.house import USD, House
from trunkline.errors import Forbidden, InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT
from trunkline.money import Nanos
from trunkline.ports.audit import Actor, Role
from trunkline.ports.credit import Balance, CreditDraft
from trunkline.ports.pages import Cursor
from trunkline.storage.money_schema import credit_entries, pots


def entry(entry_id: str, nanos: int, **more: Any) -> CreditDraft:
    return CreditDraft(entry_id=entry_id, amount_nanos=Nanos(nanos), **more)


def test_what_is_paid_in_is_the_balance(house: House) -> None:
    child = house.account("child")
    assert house.credit.balance(child.id) == Balance(account_id=None)
    booked = house.credit.top_up(child.id, entry("a", 10 * USD, note="bank transfer"))
    assert (booked.id, booked.amount_nanos, booked.note, booked.actor) == ("a", 10 * USD, "bank transfer", "cli")
    house.credit.debit(child.id, entry("b", 3 * USD))
    assert house.credit.balance(child.id) == Balance(
        account_id=child.id, credit_nanos=7 * USD, free_nanos=7 * USD, total_nanos=10 * USD
    )
    listed = house.credit.page(child.id, Cursor()).items
    assert [(one.id, one.amount_nanos) for one in listed] == [("a", 10 * USD), ("b", -3 * USD)]
    assert house.events(account_ids=(child.id,)) == ["project.created", "credit.added", "credit.debited"]


def test_the_nearest_wallet_pays(house: House) -> None:
    parent = house.account("parent")
    child = house.account("child", parent.id)
    house.pay_in(ROOT_ACCOUNT, 5)
    assert house.credit.balance(child.id).account_id == ROOT_ACCOUNT
    house.pay_in(parent.id, 3)
    assert house.credit.balance(child.id).account_id == parent.id
    assert house.credit.balance(child.id, within=child.id) == Balance(account_id=None, is_above=True)
    house.pay_in(child.id, 1)
    assert house.credit.balance(child.id, within=child.id).free_nanos == 1


def test_what_is_spent_and_held_is_not_free(house: House) -> None:
    child = house.account("child")
    house.pay_in(child.id, 100)
    lease = house.lease(f"wallet:{child.id}", 20, spent=50, limit_nanos=100)
    balance = house.credit.balance(child.id)
    assert (balance.spent_nanos, balance.held_nanos, balance.free_nanos) == (50, 20, 30)
    before = house.serving.version()
    with pytest.raises(InvalidRequest) as refused:
        house.credit.debit(child.id, entry("too much", 31))
    assert (refused.value.code, refused.value.param) == ("credit_missing", "amount")
    assert house.lease_state(lease) == "live"
    assert house.serving.version() == before
    house.credit.debit(child.id, entry("all that is free", 30))
    assert house.limit_of(f"wallet:{child.id}") == 70
    assert house.lease_state(lease) == "fenced", "its limit is lower"
    house.spend(f"wallet:{child.id}", 5)
    assert house.credit.balance(child.id).free_nanos == -5, "an overshoot"


def test_the_same_entry_again_is_booked_once(house: House) -> None:
    child, other = house.account("child"), house.account("other")
    first = house.credit.top_up(child.id, entry("order-7", 10))
    before = house.serving.version()
    assert house.credit.top_up(child.id, entry("order-7", 10)) == first
    assert house.credit.balance(child.id).credit_nanos == 10
    assert house.serving.version() == before
    for attempt in (house.credit.top_up, house.credit.debit):
        with pytest.raises(InvalidRequest) as refused:
            attempt(child.id, entry("order-7", 11))
        assert refused.value.code == "entry_exists"
    with pytest.raises(InvalidRequest):
        house.credit.debit(child.id, entry("order-7", 10))
    assert house.credit.top_up(other.id, entry("order-7", 11)).amount_nanos == 11, "another account's own name"


@pytest.mark.parametrize(
    ("draft", "param"),
    [
        (entry("", 1), "entry_id"),
        (entry("x" * 65, 1), "entry_id"),
        (entry("a\nb", 1), "entry_id"),
        (entry("a", 0), "amount"),
        (entry("a", -1), "amount"),
        (entry("a", 10**18 + 1), "amount"),
        (entry("a", 1, note="x" * 501), "note"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(house: House, draft: CreditDraft, param: str) -> None:
    for attempt in (house.credit.top_up, house.credit.debit):
        with pytest.raises(InvalidRequest) as refused:
            attempt(ROOT_ACCOUNT, draft)
        assert refused.value.param == param


def test_a_wallet_does_not_overflow(house: House) -> None:
    house.pay_in(ROOT_ACCOUNT, 10**18)
    with pytest.raises(InvalidRequest, match="at most"):
        house.pay_in(ROOT_ACCOUNT, 1, "one too many")
    assert house.credit.balance(ROOT_ACCOUNT).credit_nanos == 10**18


def test_who_is_no_owner_only_moves_credit(house: House) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    manager = house.manager(ours.id)
    house.pay_in(ours.id, 100)
    house.credit.top_up(child.id, entry("a", 30), by=manager, within=ours.id)
    assert house.credit.balance(ours.id).credit_nanos == 70
    assert house.credit.balance(child.id).credit_nanos == 30
    with pytest.raises(InvalidRequest) as refused:
        house.credit.top_up(child.id, entry("b", 71), by=manager, within=ours.id)
    assert refused.value.code == "credit_missing"
    assert house.credit.balance(child.id).credit_nanos == 30, "all or nothing"
    house.credit.debit(child.id, entry("c", 30), by=manager, within=ours.id)
    assert house.credit.balance(ours.id).credit_nanos == 100
    [paid, moved, back] = house.credit.page(ours.id, Cursor()).items
    assert (paid.amount_nanos, moved.amount_nanos, back.amount_nanos) == (100, -30, 30)
    assert moved.note == f"to {child.id}"


def test_nobody_takes_from_a_wallet_above_their_own_account(house: House) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    house.pay_in(ROOT_ACCOUNT, 100)
    with pytest.raises(InvalidRequest) as refused:
        house.credit.top_up(child.id, entry("a", 1), by=house.manager(ours.id), within=ours.id)
    assert refused.value.code == "credit_missing"
    assert house.credit.balance(ROOT_ACCOUNT).credit_nanos == 100


@pytest.mark.parametrize("role", ["admin", "owner"])
def test_where_there_is_no_wallet_above_nobody_but_the_roots_owner_makes_one(house: House, role: Role) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    by = Actor(kind="key", id="key_1", account_id=ours.id, role=role)
    with pytest.raises(InvalidRequest) as refused:
        house.credit.top_up(child.id, entry("a", 5), by=by, within=ours.id)
    assert (refused.value.code, refused.value.param) == ("credit_missing", "amount")
    assert house.credit.balance(child.id) == Balance(account_id=None)
    # What the operator put there is theirs to take away, and goes nowhere.
    house.pay_in(child.id, 5)
    house.credit.debit(child.id, entry("b", 5), by=by, within=ours.id)
    assert house.credit.balance(child.id).credit_nanos == 0
    assert house.credit.balance(ours.id).account_id is None


def test_what_is_left_of_an_account_that_ended_comes_back(house: House) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    manager = house.manager(ours.id)
    house.pay_in(ours.id, 10)
    house.credit.top_up(child.id, entry("a", 7), by=manager, within=ours.id)
    house.accounts.archive(child.id, by=manager, within=ours.id)
    with pytest.raises(InvalidRequest) as refused:
        house.credit.top_up(child.id, entry("b", 1), by=manager, within=ours.id)
    assert refused.value.code == "account_archived"
    house.credit.debit(child.id, entry("c", 7), by=manager, within=ours.id)
    assert house.credit.balance(ours.id).free_nanos == 10


def test_nobody_pays_in_to_their_own_account(house: House) -> None:
    ours = house.account("ours")
    for attempt in (house.credit.top_up, house.credit.debit):
        with pytest.raises(Forbidden) as refused:
            attempt(ours.id, entry("a", 1), by=house.manager(ours.id), within=ours.id)
        assert refused.value.code == "above_only"


def test_another_subtree_is_unknown(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    manager = house.manager(ours.id)
    attempts: list[Callable[[], object]] = [
        lambda: house.credit.balance(theirs.id, within=ours.id),
        lambda: house.credit.page(theirs.id, Cursor(), within=ours.id),
        lambda: house.credit.top_up(theirs.id, entry("a", 1), by=manager, within=ours.id),
        lambda: house.credit.debit(theirs.id, entry("a", 1), by=manager, within=ours.id),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50)), max_size=12))
def test_the_limit_of_a_wallet_is_the_sum_of_its_entries(house: House, steps: list[tuple[bool, int]]) -> None:
    with house.database.writing() as connection:
        connection.execute(delete(credit_entries))
        connection.execute(delete(pots))
    credit = 0
    for number, (paid_in, amount) in enumerate(steps):
        if paid_in:
            house.credit.top_up(ROOT_ACCOUNT, entry(str(number), amount))
            credit += amount
        elif amount <= credit:
            house.credit.debit(ROOT_ACCOUNT, entry(str(number), amount))
            credit -= amount
        else:
            with pytest.raises(InvalidRequest):
                house.credit.debit(ROOT_ACCOUNT, entry(str(number), amount))
    assert house.credit.balance(ROOT_ACCOUNT).free_nanos == credit
