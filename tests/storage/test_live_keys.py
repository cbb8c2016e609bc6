from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert

from tests.storage.conftest import PEPPER, HeldClock
from tests.storage.house import House
from trunkline import clock
from trunkline.ids import ROOT_ACCOUNT
from trunkline.observe import Secret
from trunkline.policy.keys import digest
from trunkline.ports.audit import AuditFilter
from trunkline.ports.keys import Grant, IssuedKey, KeyLimits
from trunkline.ports.pages import Cursor
from trunkline.storage.schema import key_secrets, keys


def digest_of(issued: IssuedKey) -> bytes:
    return digest(PEPPER, issued.key.reveal())


def live(house: House) -> set[bytes]:
    return {record.digest for record in house.serving.live_keys()}


def test_rotation_without_a_grace_waits_for_the_first_use(house: House, held_clock: HeldClock) -> None:
    old = house.keys.create(Grant())
    new = house.keys.rotate(old.id, None)
    assert new.old_ends_at == held_clock.now_s + 86_400
    first, second = (house.serving.find(digest_of(one)) for one in (old, new))
    assert first is not None
    assert second is not None
    assert (first.expires_at, second.expires_at) == (held_clock.now_s + 86_400, None)
    assert (first.retires, second.retires) == ((), (first.digest,))
    held_clock.now_s += 86_400
    assert house.serving.live_keys() == [msgspec.structs.replace(second, retires=())]
    assert house.serving.find(second.digest) == msgspec.structs.replace(second, retires=())


def test_the_log_says_how_a_key_was_rotated(house: House, held_clock: HeldClock) -> None:
    key_id = house.keys.create(Grant()).id
    house.keys.rotate(key_id, 60)
    house.keys.rotate(key_id, None)
    found = house.audit.page(AuditFilter(types=("api_key.rotated",)), Cursor(), within=ROOT_ACCOUNT).items
    ends = int(held_clock.now_s)
    assert [bytes(record.after or b"") for record in found] == [
        b'{"old_ends_at":%d,"at_first_use":false}' % (ends + 60),
        b'{"old_ends_at":%d,"at_first_use":true}' % (ends + 86_400),
    ]


def test_a_used_secret_ends_those_before_it(house: House) -> None:
    other = house.keys.create(Grant(name="other"))
    first = house.keys.create(Grant())
    second = house.keys.rotate(first.id, None)
    third = house.keys.rotate(first.id, None)
    records = {record.digest: record for record in house.serving.live_keys()}
    assert records[digest_of(first)].retires == ()
    assert records[digest_of(second)].retires == (digest_of(first),)
    assert set(records[digest_of(third)].retires) == {digest_of(first), digest_of(second)}
    assert all(house.serving.find(one) == record for one, record in records.items())
    before = house.serving.version()
    house.serving.retire([digest_of(second)])
    assert live(house) == {digest_of(one) for one in (other, second, third)}
    assert house.serving.version() == before + 1
    assert house.serving.find(digest_of(first)) is None
    house.serving.retire([digest_of(third)])
    assert live(house) == {digest_of(other), digest_of(third)}
    assert [record.retires for record in house.serving.live_keys()] == [(), ()]


def test_again_and_for_others_is_no_error(house: House) -> None:
    first = house.keys.create(Grant())
    second = house.keys.rotate(first.id, None)
    house.serving.retire([digest_of(second)])
    before, events = house.serving.version(), house.events()
    house.serving.retire([digest_of(second), digest_of(first), b"unknown"])
    assert (house.serving.version(), house.events()) == (before, events)
    assert events == ["api_key.created", "api_key.rotated", "api_key.updated"]


def test_one_made_in_the_same_instant_is_still_the_later_one(house: House, held_clock: HeldClock) -> None:
    first = house.keys.create(Grant())
    held_clock.now_s -= 5
    second = house.keys.rotate(first.id, None)
    [old, new] = sorted(house.serving.live_keys(), key=lambda record: len(record.retires))
    assert (old.digest, new.digest, new.retires) == (digest_of(first), digest_of(second), (digest_of(first),))


@pytest.mark.parametrize(
    ("grant", "limits"),
    [
        (Grant(), None),
        (Grant(requests_per_minute=5, default_tag="t", note="n", budget_nanos=1), None),
        (Grant(role="viewer"), KeyLimits(read_only=True)),
        (Grant(addresses=("192.0.2.7",)), KeyLimits(addresses=("192.0.2.7/32",))),
        (Grant(routes=("chat",)), KeyLimits(routes=("chat",))),
    ],
)
def test_few_keys_have_limits_to_look_at(house: House, grant: Grant, limits: KeyLimits | None) -> None:
    issued = house.keys.create(grant)
    [record] = house.serving.live_keys()
    assert record.limits == limits
    assert house.serving.find(digest_of(issued)) == record


def test_imported_keys_rotate_alike(house: House) -> None:
    key_id = house.keys.take_over(Secret("any-string-from-elsewhere"), Grant())
    new = house.keys.rotate(key_id, None)
    house.serving.retire([digest_of(new)])
    assert live(house) == {digest_of(new)}


@pytest.mark.slow
def test_a_hundred_thousand_keys_do_not_cost_seconds(house: House) -> None:
    count = 100_000
    with house.database.writing() as connection:
        connection.execute(
            insert(keys),
            [
                {
                    "account_id": "acct_root",
                    "key_id": f"key_{number}",
                    "name": "x",
                    "admin": False,
                    "manage": False,
                    "models": "[]",
                    "created_at": 1.0,
                }
                for number in range(count)
            ],
        )
        connection.execute(
            insert(key_secrets),
            [
                {
                    "account_id": "acct_root",
                    "key_id": f"key_{number}",
                    "public_id": str(number),
                    "digest": b"%032d" % number,
                    "last4": "",
                    "created_at": 1.0,
                }
                for number in range(count)
            ],
        )
    began_at = clock.monotonic_s()
    assert len(house.serving.live_keys()) == count
    assert clock.monotonic_s() - began_at < 4, "1 s on a machine that has nothing else to do"
