from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.storage.conftest import HeldClock
from tests.storage.house import House
from trunkline.errors import Forbidden, InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.keys import Grant
from trunkline.ports.pages import Cursor
from trunkline.ports.users import INVITE_LIFE_S, InviteDraft, UserChange


def test_users_are_kept_by_their_address(house: House) -> None:
    ann = house.users.add(" Ann@Example.com ", "Ann", "owner")
    bob = house.users.add("bob@example.com", "Bob", "member")
    assert (ann.email, ann.role, ann.account_id) == ("ann@example.com", "owner", ROOT_ACCOUNT)
    assert house.users.show(ann.id) == ann
    assert house.users.page(Cursor()).items == (ann, bob)
    assert house.users.page(Cursor(), ("BOB@example.com",)).items == (bob,)
    with pytest.raises(InvalidRequest) as refused:
        house.users.add("ANN@example.com", "Twin", "member")
    assert refused.value.code == "user_exists"
    changed = house.users.update(bob.id, UserChange(role="viewer", name="Robert"))
    assert changed == replace(bob, role="viewer", name="Robert") == house.users.show(bob.id)
    assert house.events() == ["user.added", "user.added", "user.updated"]


def test_who_goes_takes_keys_and_memberships_along(house: House) -> None:
    child = house.account("child")
    house.users.add("ann@example.com", "Ann", "owner")
    bob = house.users.add("bob@example.com", "Bob", "member")
    house.users.set_member(child.id, bob.id, "member")
    house.keys.create(Grant(name="others"))
    house.keys.create(Grant(name="bobs", owner_id=bob.id))
    house.users.remove(bob.id)
    assert [record.name for record in house.serving.live_keys()] == ["others"]
    assert house.users.members(child.id, Cursor()).items == ()
    for attempt in (house.users.show, house.users.remove, house.users.memberships):
        with pytest.raises(NotFound) as refused:
            attempt(bob.id)
        assert refused.value.code == "user_not_found"


def test_there_is_always_an_owner(house: House) -> None:
    ann = house.users.add("ann@example.com", "Ann", "owner")
    attempts: list[Callable[[], object]] = [
        lambda: house.users.remove(ann.id),
        lambda: house.users.update(ann.id, UserChange(role="admin")),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidRequest) as refused:
            attempt()
        assert refused.value.code == "last_owner"
    house.users.add("bob@example.com", "Bob", "owner")
    house.users.update(ann.id, UserChange(role="admin"))
    house.users.remove(ann.id)


def test_memberships(house: House) -> None:
    one, other = house.account("one"), house.account("other")
    ann = house.users.add("ann@example.com", "Ann", "member")
    made = house.users.set_member(one.id, ann.id, "member")
    assert (made.account_id, made.user_id, made.email, made.name, made.role) == (
        one.id,
        ann.id,
        "ann@example.com",
        "Ann",
        "member",
    )
    assert house.users.set_member(one.id, ann.id, "owner") == replace(made, role="owner")
    house.users.set_member(other.id, ann.id, "member")
    assert [place.account_id for place in house.users.memberships(ann.id)] == [one.id, other.id]
    assert house.users.members(one.id, Cursor()).items == (house.users.member(one.id, ann.id),)
    house.users.remove_member(one.id, ann.id)
    with pytest.raises(NotFound):
        house.users.member(one.id, ann.id)
    with pytest.raises(NotFound):
        house.users.remove_member(one.id, ann.id)
    assert house.events(account_ids=(one.id,))[1:] == [
        "role.assignment.created",
        "role.assignment.updated",
        "role.assignment.deleted",
    ]


def test_an_invite_becomes_a_user_once(house: House, held_clock: HeldClock) -> None:
    child, gone = house.account("child"), house.account("gone")
    draft = InviteDraft(email="Ann@example.com", role="member", memberships=((child.id, "owner"), (gone.id, "member")))
    sent = house.users.invite(draft)
    assert (sent.status, sent.email) == ("pending", "ann@example.com")
    assert sent.expires_at == held_clock.now_s + INVITE_LIFE_S
    assert house.users.show_invite(sent.id) == sent
    house.accounts.archive(gone.id)
    ann = house.users.accept(sent.id, "Ann")
    assert [(place.account_id, place.role) for place in house.users.memberships(ann.id)] == [(child.id, "owner")]
    assert house.users.show_invite(sent.id) == replace(sent, status="accepted", accepted_at=int(held_clock.now_s))
    with pytest.raises(InvalidRequest) as refused:
        house.users.accept(sent.id, "Twin")
    assert refused.value.code == "invite_ended"
    with pytest.raises(InvalidRequest) as refused:
        house.users.delete_invite(sent.id)
    assert refused.value.code == "invite_accepted"
    with pytest.raises(InvalidRequest) as refused:
        house.users.invite(replace(draft, memberships=()))
    assert refused.value.code == "user_exists"


def test_an_invite_ends(house: House, held_clock: HeldClock) -> None:
    sent = house.users.invite(InviteDraft(email="ann@example.com", role="member"))
    held_clock.now_s += INVITE_LIFE_S
    assert house.users.invites(Cursor()).items == (replace(sent, status="expired"),)
    with pytest.raises(InvalidRequest) as refused:
        house.users.accept(sent.id, "Ann")
    assert refused.value.code == "invite_ended"
    house.users.delete_invite(sent.id)
    assert house.users.invites(Cursor()).items == ()
    with pytest.raises(NotFound) as unknown:
        house.users.show_invite(sent.id)
    assert unknown.value.code == "invite_not_found"
    assert house.events() == ["invite.sent", "invite.deleted"]


def test_nobody_makes_somebody_more_than_they_are(house: House) -> None:
    ours = house.account("ours")
    manager = house.manager(ours.id)
    more: dict[str, Any] = {"by": manager, "within": ours.id}
    above = house.users.add("ann@example.com", "Ann", "owner", within=ours.id)
    bob = house.users.add("bob@example.com", "Bob", "member", **more)
    attempts: list[Callable[[], object]] = [
        lambda: house.users.add("c@example.com", "C", "owner", **more),
        lambda: house.users.update(bob.id, UserChange(role="owner"), **more),
        lambda: house.users.update(above.id, UserChange(name="x"), **more),
        lambda: house.users.remove(above.id, **more),
        lambda: house.users.set_member(ours.id, bob.id, "owner", **more),
        lambda: house.users.invite(InviteDraft(email="c@example.com", role="owner"), **more),
        lambda: house.users.invite(
            InviteDraft(email="c@example.com", role="member", memberships=((ours.id, "owner"),)), **more
        ),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as refused:
            attempt()
        assert refused.value.code == "role_missing"


def test_another_organisation_is_unknown(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    ann = house.users.add("ann@example.com", "Ann", "member", within=theirs.id)
    sent = house.users.invite(InviteDraft(email="bob@example.com", role="member"), within=theirs.id)
    mine = house.users.add("ann@example.com", "Ann", "member", within=ours.id)
    more: dict[str, Any] = {"by": house.manager(ours.id), "within": ours.id}
    attempts: list[Callable[[], object]] = [
        lambda: house.users.show(ann.id, within=ours.id),
        lambda: house.users.update(ann.id, UserChange(name="x"), **more),
        lambda: house.users.remove(ann.id, **more),
        lambda: house.users.memberships(ann.id, within=ours.id),
        lambda: house.users.members(theirs.id, Cursor(), within=ours.id),
        lambda: house.users.set_member(ours.id, ann.id, "member", **more),
        lambda: house.users.set_member(theirs.id, mine.id, "member", **more),
        lambda: house.users.show_invite(sent.id, within=ours.id),
        lambda: house.users.delete_invite(sent.id, **more),
        lambda: house.users.accept(sent.id, "x", within=ours.id),
        lambda: house.users.invite(
            InviteDraft(email="c@example.com", role="member", memberships=((theirs.id, "member"),)), **more
        ),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert house.users.page(Cursor(), within=ours.id).items == (mine,)
