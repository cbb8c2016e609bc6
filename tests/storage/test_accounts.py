from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.storage.house import House
from trunkline.errors import Forbidden, InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.money import Nanos
from trunkline.ports.accounts import AccountChange, AccountDraft, AccountFilter, RateLimits
from trunkline.ports.audit import Actor, AuditFilter
from trunkline.ports.budget_store import BudgetDraft
from trunkline.ports.keys import Grant
from trunkline.ports.pages import Cursor

HOSTILE = ["'; DROP TABLE accounts; --", "' OR '1'='1", '" OR ""="', "%", "_", "acct_root' --", "\\'; --", "${7*7}"]


def names(house: House, **wanted: Any) -> list[str]:
    return [one.name for one in house.accounts.page(AccountFilter(**wanted), Cursor(limit=100)).items]


def test_there_is_one_root(house: House) -> None:
    [root] = house.accounts.page(AccountFilter(itself=True), Cursor()).items
    assert (root.id, root.parent_id, root.name) == (ROOT_ACCOUNT, None, "root")
    assert house.accounts.show("acct_root") == root


def test_accounts_form_a_tree(house: House) -> None:
    child = house.account("child")
    grandchild = house.account("grandchild", child.id)
    assert (child.parent_id, grandchild.parent_id) == (ROOT_ACCOUNT, child.id)
    assert house.accounts.show(grandchild.id) == grandchild
    assert names(house) == ["child", "grandchild"]
    assert names(house, parent_id=child.id) == ["grandchild"]
    assert [one.name for one in house.accounts.ancestors(grandchild.id)] == ["grandchild", "child", "root"]
    assert house.accounts.ancestors(grandchild.id, within=child.id) == (grandchild, child)


def test_what_is_set_is_kept(house: House) -> None:
    draft = AccountDraft(
        name=" child ",
        parent_id=ROOT_ACCOUNT,
        models=("openai/*", "!openai/o1"),
        markup_millionths=50_000,
        default_tag="shop",
        external_ref="customer-7",
        metadata={"tier": "gold"},
    )
    account = house.accounts.create(draft)
    assert house.accounts.show(account.id) == account
    assert (account.name, account.models, account.metadata) == ("child", draft.models, {"tier": "gold"})
    assert names(house, external_ref="customer-7") == ["child"]
    assert names(house, external_ref="customer-8") == []
    changed = house.accounts.update(account.id, AccountChange(name="shop", markup_millionths=None))
    assert changed == replace(account, name="shop", markup_millionths=None) == house.accounts.show(account.id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("models", ("",)),
        ("models", ("!",)),
        ("models", ("x" * 201,)),
        ("markup_millionths", -1),
        ("markup_millionths", 100_000_001),
        ("default_tag", ""),
        ("default_tag", "x" * 65),
        ("external_ref", "x" * 201),
        ("metadata", {"": "no name"}),
        ("metadata", {"k": "x" * 513}),
        ("metadata", {str(number): "" for number in range(17)}),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(house: House, field: str, value: Any) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: house.accounts.create(replace(AccountDraft(name="a", parent_id=ROOT_ACCOUNT), **{field: value})),
        lambda: house.accounts.update(house.account("b").id, AccountChange(**{field: value})),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidRequest) as refused:
            attempt()
        assert refused.value.param == field


def test_a_change_raises_the_version_and_no_change_does_not(house: House) -> None:
    before = house.serving.version()
    child = house.account("child")
    assert house.serving.version() == before + 1
    house.accounts.update(child.id, AccountChange(name="child"))
    assert house.serving.version() == before + 1
    assert house.events() == ["project.created"]


@pytest.mark.parametrize("parent", ["acct_none", "", *HOSTILE])
def test_an_unknown_parent_is_refused(house: House, parent: str) -> None:
    before = house.serving.version()
    with pytest.raises(NotFound, match="no account"):
        house.accounts.create(AccountDraft(name="child", parent_id=AccountId(parent)))
    assert names(house) == []
    assert house.serving.version() == before


@pytest.mark.parametrize("account_id", HOSTILE)
def test_text_is_never_a_statement(house: House, account_id: str) -> None:
    created = house.account(account_id)
    assert house.accounts.show(created.id).name == account_id
    with pytest.raises(NotFound):
        house.accounts.show(account_id)
    assert names(house, external_ref=account_id) == []


@pytest.mark.parametrize("account_id", ["x" * 65, "line\nbreak"])
def test_an_id_that_no_message_should_repeat(house: House, account_id: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        house.accounts.show(account_id)
    assert account_id not in refused.value.message


def test_another_subtree_is_as_unknown_as_one_that_was_never_made(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    manager = house.manager(ours.id)
    change, rates = AccountChange(name="x"), RateLimits()
    attempts: list[Callable[[str], object]] = [
        lambda one: house.accounts.show(one, within=ours.id),
        lambda one: house.accounts.ancestors(one, within=ours.id),
        lambda one: house.accounts.rates(one, within=ours.id),
        lambda one: house.accounts.page(AccountFilter(parent_id=one), Cursor(), within=ours.id),
        lambda one: house.accounts.create(AccountDraft(name="x", parent_id=AccountId(one)), by=manager, within=ours.id),
        lambda one: house.accounts.update(one, change, by=manager, within=ours.id),
        lambda one: house.accounts.move(one, ours.id, by=manager, within=ours.id),
        lambda one: house.accounts.archive(one, by=manager, within=ours.id),
        lambda one: house.accounts.set_rates(one, rates, by=manager, within=ours.id),
    ]
    for attempt in attempts:
        for account_id in (theirs.id, ROOT_ACCOUNT, "acct_none"):
            with pytest.raises(NotFound) as refused:
                attempt(account_id)
            assert refused.value.code == "account_not_found"
    listed = house.accounts.page(AccountFilter(itself=True), Cursor(), within=ours.id)
    assert [one.id for one in listed.items] == [ours.id]


def test_an_account_does_not_change_its_own_limits(house: House) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    manager = house.manager(ours.id)
    attempts: list[Callable[[AccountId], object]] = [
        lambda one: house.accounts.update(one, AccountChange(models=()), by=manager, within=ours.id),
        lambda one: house.accounts.update(one, AccountChange(external_ref="x"), by=manager, within=ours.id),
        lambda one: house.accounts.set_rates(one, RateLimits(requests_per_day=1), by=manager, within=ours.id),
        lambda one: house.accounts.archive(one, by=manager, within=ours.id),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as refused:
            attempt(ours.id)
        assert refused.value.code == "above_only"
        attempt(child.id)
    assert house.accounts.update(ours.id, AccountChange(name="renamed"), by=manager, within=ours.id).name == "renamed"


def test_a_markup_is_no_smaller_than_the_one_above(house: House) -> None:
    ours = house.accounts.create(AccountDraft(name="ours", parent_id=ROOT_ACCOUNT, markup_millionths=50_000))
    manager = house.manager(ours.id)
    draft = AccountDraft(name="child", parent_id=ours.id, markup_millionths=49_999)
    with pytest.raises(InvalidRequest) as refused:
        house.accounts.create(draft, by=manager, within=ours.id)
    assert (refused.value.code, refused.value.param) == ("over_parent", "markup_millionths")
    child = house.accounts.create(replace(draft, markup_millionths=50_000), by=manager, within=ours.id)
    with pytest.raises(InvalidRequest):
        house.accounts.update(child.id, AccountChange(markup_millionths=0), by=manager, within=ours.id)
    assert house.accounts.update(child.id, AccountChange(markup_millionths=0)).markup_millionths == 0, "an owner may"


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_who_does_not_manage_changes_nothing(house: House, role: Any) -> None:
    ours = house.account("ours")
    child = house.account("child", ours.id)
    nobody = replace(house.manager(ours.id), role=role)
    with pytest.raises(Forbidden) as refused:
        house.accounts.update(child.id, AccountChange(name="x"), by=nobody, within=ours.id)
    assert refused.value.code == "role_missing"


def test_an_archived_account_ends_with_all_below_it(house: House) -> None:
    child = house.account("child")
    grandchild = house.account("grandchild", child.id)
    beside = house.account("beside")
    issued = [house.keys.create(Grant(account_id=one.id)) for one in (child, grandchild, beside)]
    ended = house.accounts.archive(child.id)
    assert ended.archived_at is not None
    assert [key.key_id for key in house.serving.live_keys()] == [issued[2].id]
    assert names(house) == ["beside"]
    assert names(house, archived=True) == ["child", "grandchild", "beside"]
    assert house.accounts.archive(child.id) == ended, "again is no error"
    assert house.events().count("project.archived") == 2
    for attempt in (
        lambda: house.account("late", grandchild.id),
        lambda: house.accounts.update(grandchild.id, AccountChange(name="late")),
        lambda: house.accounts.move(beside.id, child.id),
        lambda: house.keys.create(Grant(account_id=grandchild.id)),
    ):
        with pytest.raises(InvalidRequest) as refused:
            attempt()
        assert refused.value.code == "account_archived"


def test_the_root_stays(house: House) -> None:
    child = house.account("child")
    with pytest.raises(InvalidRequest, match="cannot be archived"):
        house.accounts.archive(ROOT_ACCOUNT)
    with pytest.raises(InvalidRequest, match="below itself"):
        house.accounts.move(ROOT_ACCOUNT, child.id)


def test_a_move_takes_all_below_along_and_ends_the_leases(house: House) -> None:
    left, right = house.account("left"), house.account("right")
    child = house.account("child", left.id)
    grandchild = house.account("grandchild", child.id)
    budget = house.budget(grandchild.id, 500)
    lease = house.lease(budget.id, 100)
    before = house.serving.version()
    assert house.accounts.move(child.id, right.id).parent_id == right.id
    assert [one.id for one in house.accounts.ancestors(grandchild.id)] == [
        grandchild.id,
        child.id,
        right.id,
        ROOT_ACCOUNT,
    ]
    assert house.lease_state(lease) == "fenced"
    assert house.serving.version() == before + 1
    assert house.accounts.move(child.id, right.id).parent_id == right.id
    assert house.serving.version() == before + 1, "nothing moved"


def test_a_move_closes_no_loop_and_breaks_no_budget(house: House) -> None:
    tight, child = house.account("tight"), house.account("child")
    grandchild = house.account("grandchild", child.id)
    for parent in (child.id, grandchild.id):
        with pytest.raises(InvalidRequest) as refused:
            house.accounts.move(child.id, parent)
        assert refused.value.code == "account_loop"
    house.budgets.put(
        BudgetDraft(account_id=tight.id, kind="account", subject=tight.id, limit_nanos=Nanos(10), period="day")
    )
    house.budgets.put(
        BudgetDraft(account_id=grandchild.id, kind="tag", subject="t", limit_nanos=Nanos(11), period="day")
    )
    with pytest.raises(InvalidRequest) as refused:
        house.accounts.move(child.id, tight.id)
    assert refused.value.code == "over_parent"
    assert house.accounts.show(child.id).parent_id == ROOT_ACCOUNT
    house.budgets.put(
        BudgetDraft(account_id=grandchild.id, kind="tag", subject="t", limit_nanos=Nanos(10), period="day")
    )
    assert house.accounts.move(child.id, tight.id).parent_id == tight.id


def test_who_changed_what_is_in_the_log(house: House) -> None:
    child = house.account("child")
    actor = Actor(kind="key", id="key_1", account_id=ROOT_ACCOUNT, role="owner", address="192.0.2.7")
    house.accounts.update(child.id, AccountChange(name="other", models=("a/*",)), by=actor)
    [record] = house.audit.page(AuditFilter(types=("project.updated",)), Cursor(), within=ROOT_ACCOUNT).items
    assert (record.account_id, record.target_id, record.actor_id) == (child.id, child.id, "key_1")
    assert record.address == "192.0.2.7"
    assert record.before is not None
    assert bytes(record.before) == b'{"name":"child","models":[]}'
    assert record.after is not None
    assert bytes(record.after) == b'{"name":"other","models":["a/*"]}'
