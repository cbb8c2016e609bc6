from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.storage.house import House
from trunkline.errors import Forbidden, InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.keys import Grant, KeyFilter
from trunkline.ports.pages import Cursor


def test_a_service_account_owns_its_keys(house: House) -> None:
    child = house.account("child")
    made = house.service_accounts.create(child.id, " robot ")
    assert made == house.service_accounts.show(made.id)
    assert (made.name, made.role, made.account_id) == ("robot", "member", child.id)
    issued = house.service_accounts.issue(made.id, "first", expires_at=2e9)
    assert issued.expires_at == 2_000_000_000
    key = house.keys.show(issued.id)
    assert (key.owner_id, key.role, key.account_id, key.name) == (made.id, "member", child.id, "first")
    other = house.keys.create(Grant(account_id=child.id)).id
    owned = house.keys.page(KeyFilter(owner_id=made.id), Cursor()).items
    assert [one.id for one in owned] == [issued.id]
    house.service_accounts.delete(made.id)
    assert [record.key_id for record in house.serving.live_keys()] == [other]
    for attempt in (house.service_accounts.show, house.service_accounts.delete):
        with pytest.raises(NotFound) as refused:
            attempt(made.id)
        assert refused.value.code == "service_account_not_found"
    assert house.service_accounts.page(child.id, Cursor()).items == ()
    assert house.events(account_ids=(child.id,))[1:] == [
        "service_account.created",
        "api_key.created",
        "api_key.created",
        "service_account.deleted",
        "api_key.deleted",
    ]


def test_they_are_listed_by_account_and_renamed(house: House) -> None:
    child = house.account("child")
    made = [house.service_accounts.create(child.id, name) for name in ("a", "b")]
    house.service_accounts.create(ROOT_ACCOUNT, "elsewhere")
    assert house.service_accounts.page(child.id, Cursor()).items == tuple(made)
    renamed = house.service_accounts.rename(made[0].id, "c")
    assert renamed == replace(made[0], name="c") == house.service_accounts.show(made[0].id)
    with pytest.raises(InvalidRequest):
        house.service_accounts.rename(made[0].id, "")


def test_nobody_makes_one_of_a_higher_role(house: House) -> None:
    ours = house.account("ours")
    manager = house.manager(ours.id)
    with pytest.raises(Forbidden):
        house.service_accounts.create(ours.id, "robot", "owner", by=manager, within=ours.id)
    above = house.service_accounts.create(ours.id, "robot", "owner")
    attempts: list[Callable[[], object]] = [
        lambda: house.service_accounts.issue(above.id, "key", by=manager, within=ours.id),
        lambda: house.service_accounts.rename(above.id, "x", by=manager, within=ours.id),
        lambda: house.service_accounts.delete(above.id, by=manager, within=ours.id),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as refused:
            attempt()
        assert refused.value.code == "role_missing"
    own = house.service_accounts.create(ours.id, "robot", "admin", by=manager, within=ours.id)
    issued = house.service_accounts.issue(own.id, "key", by=manager, within=ours.id)
    assert house.keys.show(issued.id).manage is True


def test_another_subtree_is_unknown(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    made = house.service_accounts.create(theirs.id, "robot")
    more: dict[str, Any] = {"by": house.manager(ours.id), "within": ours.id}
    attempts: list[Callable[[], object]] = [
        lambda: house.service_accounts.show(made.id, within=ours.id),
        lambda: house.service_accounts.page(theirs.id, Cursor(), within=ours.id),
        lambda: house.service_accounts.create(theirs.id, "x", **more),
        lambda: house.service_accounts.issue(made.id, "x", **more),
        lambda: house.service_accounts.rename(made.id, "x", **more),
        lambda: house.service_accounts.delete(made.id, **more),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
