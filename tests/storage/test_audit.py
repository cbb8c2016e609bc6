from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from tests.storage.conftest import HeldClock
from tests.storage.house import House
from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.ports.accounts import AccountChange
from trunkline.ports.audit import Actor, AuditFilter
from trunkline.ports.keys import Grant
from trunkline.ports.pages import Cursor


def seen(house: House, within: AccountId = ROOT_ACCOUNT, **wanted: object) -> list[tuple[str, str]]:
    found = house.audit.page(AuditFilter(**wanted), Cursor(limit=100), within=within)  # type: ignore[arg-type]
    return [(record.type, record.target_id) for record in found.items]


def test_it_is_read_by_what_who_where_and_when(house: House, held_clock: HeldClock) -> None:
    somebody = Actor(kind="key", id="key_1", account_id=ROOT_ACCOUNT, role="owner")
    ours = house.account("ours")
    held_clock.now_s += 10
    child = house.account("child", ours.id)
    held_clock.now_s += 10
    house.accounts.update(child.id, AccountChange(name="other"), by=somebody)
    assert seen(house) == [("project.created", ours.id), ("project.created", child.id), ("project.updated", child.id)]
    assert seen(house, types=("project.updated",)) == [("project.updated", child.id)]
    assert seen(house, target_ids=(ours.id,)) == [("project.created", ours.id)]
    assert seen(house, account_ids=(child.id,), actor_ids=("cli",)) == [("project.created", child.id)]
    assert seen(house, actor_ids=("key_1",)) == [("project.updated", child.id)]
    assert seen(house, since=held_clock.now_s - 10, until=held_clock.now_s - 10) == [("project.created", child.id)]
    assert seen(house, since=held_clock.now_s + 1) == []


def test_an_account_reads_its_own_subtree(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    child = house.account("child", ours.id)
    assert seen(house, ours.id) == [("project.created", ours.id), ("project.created", child.id)]
    assert seen(house, ours.id, account_ids=(theirs.id,)) == []


def test_pages_follow_one_another(house: House) -> None:
    made = [house.account(str(number)).id for number in range(5)]
    first = house.audit.page(AuditFilter(), Cursor(limit=2, newest_first=True), within=ROOT_ACCOUNT)
    second = house.audit.page(
        AuditFilter(), Cursor(limit=2, newest_first=True, after=first.items[-1].id), within=ROOT_ACCOUNT
    )
    third = house.audit.page(
        AuditFilter(), Cursor(limit=2, newest_first=True, after=second.items[-1].id), within=ROOT_ACCOUNT
    )
    assert [[record.target_id for record in page.items] for page in (first, second, third)] == [
        [made[4], made[3]],
        [made[2], made[1]],
        [made[0]],
    ]
    assert [page.has_more for page in (first, second, third)] == [True, True, False]


def test_a_cursor_tells_nothing_of_another_subtree(house: House) -> None:
    ours = house.account("ours")
    house.account("theirs")
    theirs = house.audit.page(AuditFilter(), Cursor(), within=ROOT_ACCOUNT).items[-1]
    for after in (theirs.id, "audit_log-none"):
        with pytest.raises(InvalidRequest) as refused:
            house.audit.page(AuditFilter(), Cursor(after=after), within=ours.id)
        assert refused.value.param == "after"


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor_id = 'nobody'", "DELETE FROM audit_log"])
def test_nothing_of_it_is_ever_changed(house: House, statement: str) -> None:
    house.account("child")
    with pytest.raises(IntegrityError, match="append-only"), house.database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert house.events() == ["project.created"]


def test_it_holds_no_secret(house: House) -> None:
    issued = house.keys.create(Grant(name="build"))
    house.keys.rotate(issued.id, 0.0)
    house.keys.revoke(issued.id)
    with house.database.reading() as connection:
        everything = str(connection.exec_driver_sql("SELECT * FROM audit_log").all())
    assert issued.key.reveal() not in everything
    assert issued.key.reveal()[20:40] not in everything
    assert house.events() == ["api_key.created", "api_key.rotated", "api_key.deleted"]
