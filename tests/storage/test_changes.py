from __future__ import annotations

import pytest

from tests.storage.conftest import HeldClock
from tests.storage.house import House
from trunkline.errors import Forbidden
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.accounts import RateLimits
from trunkline.ports.audit import CLI, Actor, AuditFilter
from trunkline.ports.pages import Cursor
from trunkline.storage.changes import changing


def test_a_change_that_fails_leaves_no_line(house: House) -> None:
    before = house.serving.version()

    def fail() -> None:
        with changing(house.database, CLI, ROOT_ACCOUNT) as change:
            change.audit("user.added", ROOT_ACCOUNT, "user_1")
            change.concerns_calls = True
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert house.events() == []
    assert house.serving.version() == before


@pytest.mark.parametrize("concerns_calls", [True, False])
def test_servers_look_when_it_concerns_calls(house: House, concerns_calls: bool) -> None:
    before = house.serving.version()
    with changing(house.database, CLI, ROOT_ACCOUNT) as change:
        change.concerns_calls = concerns_calls
    assert house.serving.version() == before + concerns_calls


def test_ids_rise_though_the_clock_goes_back(house: House, held_clock: HeldClock) -> None:
    for step in (0.0, 0.0, -100.0, 0.0, 200.0):
        held_clock.now_s += step
        with changing(house.database, CLI, ROOT_ACCOUNT) as change:
            change.audit("user.added", ROOT_ACCOUNT, str(step))
    ids = [one.id for one in house.audit.page(AuditFilter(), Cursor(), within=ROOT_ACCOUNT).items]
    assert ids == sorted(set(ids))
    assert [record.target_id for record in house.audit.page(AuditFilter(), Cursor(), within=ROOT_ACCOUNT).items] == [
        "0.0",
        "0.0",
        "-100.0",
        "0.0",
        "200.0",
    ]


def test_a_line_has_the_fields_that_differ(house: House) -> None:
    before, after = RateLimits(requests_per_day=1, concurrency=5), RateLimits(requests_per_day=2, concurrency=5)
    with changing(house.database, CLI, ROOT_ACCOUNT) as change:
        assert change.audit_change("rate_limit.updated", ROOT_ACCOUNT, "rl", before, after) is True
        assert change.audit_change("rate_limit.updated", ROOT_ACCOUNT, "rl", after, after) is False
    [record] = house.audit.page(AuditFilter(), Cursor(), within=ROOT_ACCOUNT).items
    assert (bytes(record.before or b""), bytes(record.after or b"")) == (
        b'{"requests_per_day":1}',
        b'{"requests_per_day":2}',
    )


def test_who_may_change_nothing_does_not_get_as_far_as_the_database(house: House) -> None:
    viewer = Actor(kind="key", id="key_1", account_id=ROOT_ACCOUNT, role="viewer")
    with pytest.raises(Forbidden), changing(house.database, viewer, ROOT_ACCOUNT):
        raise AssertionError("nothing is begun")
