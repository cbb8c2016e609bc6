from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from tests.storage.conftest import PEPPER, HeldClock
from tests.storage.house import USD, House
from trunkline.errors import Forbidden, InvalidRequest, NotFound, StoreUnavailable
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId
from trunkline.observe import Secret
from trunkline.policy.keys import KeyShape, digest
from trunkline.ports.accounts import AccountDraft
from trunkline.ports.budget_store import BudgetFilter
from trunkline.ports.keys import KeyChange, KeyFilter, KeyLimits, KeyRecord, KeySecret
from trunkline.ports.pages import Cursor
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.database import Database
from trunkline.storage.keys import Grant, IssuedKey, SqlKeys
from trunkline.storage.live_keys import SqlKeyStore

HOSTILE = ["'; DROP TABLE keys; --", "' OR '1'='1", '" OR ""="', "%", "_", "key_' UNION SELECT 1 --", "{{7*7}}"]


def live(serving: SqlKeyStore, key: KeySecret) -> KeyRecord | None:
    """The key as a table made of `live_keys` would find it; `find` must agree."""
    wanted = digest(PEPPER, key.reveal())
    found = {record.digest: record for record in serving.live_keys()}.get(wanted)
    assert found is None or serving.find(wanted) == found
    return found


def test_a_made_key_is_found_by_its_digest(keys: SqlKeys, serving: SqlKeyStore) -> None:
    issued = keys.create(Grant(name="build", admin=True, models=("openai/*", "fast"), expires_at=2e9))
    assert live(serving, issued.key) == KeyRecord(
        digest=digest(PEPPER, issued.key.reveal()),
        key_id=issued.id,
        account_id=AccountId("acct_root"),
        name="build",
        admin=True,
        manage=True,
        models=("openai/*", "fast"),
        expires_at=2e9,
    )
    assert KeyShape("sk-tl").public_id(issued.key.reveal()) == issued.id.removeprefix("key_")
    assert serving.find(digest(PEPPER, "another")) is None


def test_the_prefix_is_the_configured_one(database: Database) -> None:
    issued = SqlKeys(database, PEPPER, KeyShape("sk-sb")).create(Grant())
    assert issued.key.reveal().startswith("sk-sb-")


def test_the_first_key_of_an_account_manages_it(keys: SqlKeys, serving: SqlKeyStore, database: Database) -> None:
    child = SqlAccountStore(database).create(AccountDraft(name="child", parent_id=ROOT_ACCOUNT)).id
    issued = [keys.create(Grant(account_id=account)) for account in ("acct_root", "acct_root", child, child)]
    assert [found.manage for one in issued if (found := live(serving, one.key))] == [True, False, True, False]
    assert [key.admin for key in keys.list()] == [False] * 4


def test_of_several_that_start_at_once_one_makes_the_first_key(keys: SqlKeys) -> None:
    together, made = threading.Barrier(4), list[IssuedKey | None]()

    def start() -> None:
        together.wait()
        made.append(keys.create_first(Grant(name="first")))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in made if one is not None]) == 1
    assert [key.name for key in keys.list()] == ["first"]
    [first] = keys.list()
    keys.revoke(first.id)
    assert keys.create_first(Grant()) is None, "a key that was revoked is not handed out again by a restart"


def test_the_secret_is_nowhere_but_in_the_answer(keys: SqlKeys, database: Database, tmp_path: Path) -> None:
    statements: list[str] = []
    event.listen(
        database._engine, "before_cursor_execute", lambda _c, _u, sql, values, *_: statements.append(f"{sql}{values}")
    )
    issued = keys.create(Grant(name="build"))
    rotated = keys.rotate(issued.id, 60)
    keys.take_over(Secret("sk-imported-0123456789abc"), Grant())
    listed = keys.list()
    database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for key in (issued.key.reveal(), rotated.key.reveal(), "sk-imported-0123456789abc"):
        secret = key.split("-")[-1][:-6]
        for place in (repr(issued), repr(rotated), str(issued.key), repr(listed), *statements):
            assert secret not in place
        assert secret.encode() not in kept
    assert [key.last4 for key in listed] == [rotated.key.reveal()[-4:], "9abc"]


def test_short_imported_keys_show_nothing_of_themselves(keys: SqlKeys) -> None:
    keys.take_over(Secret("abcd-efgh"), Grant())
    assert [key.last4 for key in keys.list()] == [""]


@pytest.mark.parametrize("key", ["sk-test-abcdef123", "YOUR_API_KEY", "any+string/at=all", "'OR'1'='1';--"])
def test_any_string_can_be_taken_over(keys: SqlKeys, serving: SqlKeyStore, key: str) -> None:
    key_id = keys.take_over(Secret(key), Grant(name="old", models=("fast",)))
    found = live(serving, Secret(key))
    assert found is not None
    assert (found.key_id, found.name, found.models) == (key_id, "old", ("fast",))
    with pytest.raises(InvalidRequest, match=f"already here as {key_id}") as refused:
        keys.take_over(Secret(key), Grant())
    assert key not in refused.value.message
    keys.revoke(key_id)
    with pytest.raises(InvalidRequest, match="does not come back"):
        keys.take_over(Secret(key), Grant())


def test_a_weak_string_is_not_taken_over(keys: SqlKeys) -> None:
    with pytest.raises(InvalidRequest):
        keys.take_over(Secret("sk-1234"), Grant())
    assert keys.list() == []


def test_a_key_of_ours_from_elsewhere_keeps_its_id(keys: SqlKeys) -> None:
    key = KeyShape("sk-tl").mint("abcdefghijkl", "s" * 43)
    assert keys.take_over(Secret(key), Grant()) == "key_abcdefghijkl"
    twin = KeyShape("sk-tl").mint("abcdefghijkl", "t" * 43)
    with pytest.raises(InvalidRequest, match="already here"):
        keys.take_over(Secret(twin), Grant())


def test_rotation_keeps_the_id_and_gives_a_grace(keys: SqlKeys, serving: SqlKeyStore, held_clock: HeldClock) -> None:
    old = keys.create(Grant(name="build", models=("fast",)))
    new = keys.rotate(old.id, 3600)
    assert new.id == old.id
    assert new.key != old.key
    first, second = live(serving, old.key), live(serving, new.key)
    assert first is not None
    assert second is not None
    assert first.expires_at == held_clock.now_s + 3600
    assert second.expires_at is None
    assert (second.key_id, second.models, second.manage) == (first.key_id, first.models, first.manage)
    assert KeyShape("sk-tl").public_id(new.key.reveal()) != KeyShape("sk-tl").public_id(old.key.reveal())
    assert len(keys.list()) == 1
    held_clock.now_s += 3600
    assert live(serving, old.key) is None
    assert live(serving, new.key) == second


def test_rotation_without_grace_ends_every_other_secret(keys: SqlKeys, serving: SqlKeyStore) -> None:
    first = keys.create(Grant())
    second = keys.rotate(first.id, 3600)
    third = keys.rotate(first.id, 0)
    assert [live(serving, one.key) is not None for one in (first, second, third)] == [False, False, True]


def test_a_second_rotation_does_not_prolong_the_first(
    keys: SqlKeys, serving: SqlKeyStore, held_clock: HeldClock
) -> None:
    first = keys.create(Grant())
    second = keys.rotate(first.id, 100)
    keys.rotate(first.id, 1000)
    ends = [found.expires_at for one in (first, second) if (found := live(serving, one.key)) is not None]
    assert ends == [held_clock.now_s + 100, held_clock.now_s + 1000]


def test_a_grace_never_outlives_the_key(keys: SqlKeys, serving: SqlKeyStore, held_clock: HeldClock) -> None:
    old = keys.create(Grant(expires_at=held_clock.now_s + 50))
    new = keys.rotate(old.id, 3600)
    assert {found.expires_at for one in (old, new) if (found := live(serving, one.key))} == {held_clock.now_s + 50}


def test_a_key_that_has_ended_is_not_rotated(keys: SqlKeys, held_clock: HeldClock) -> None:
    revoked, expired = keys.create(Grant()), keys.create(Grant(expires_at=held_clock.now_s + 1))
    keys.revoke(revoked.id)
    held_clock.now_s += 1
    for key_id in (revoked.id, expired.id):
        with pytest.raises(InvalidRequest, match="no longer in use"):
            keys.rotate(key_id, 0)
    live = keys.create(Grant())
    for grace_s in (-1, 366 * 86_400 + 1, 1e30, float("inf"), float("nan")):
        with pytest.raises(InvalidRequest, match="grace"):
            keys.rotate(live.id, grace_s)


@pytest.mark.parametrize("end_s", [0.0, -1.0, 253_402_300_800.0, 1e30, float("inf"), float("nan")])
def test_a_key_ends_at_a_moment_that_can_be_written(keys: SqlKeys, end_s: float) -> None:
    with pytest.raises(InvalidRequest, match="year 10000"):
        keys.create(Grant(expires_at=end_s))
    with pytest.raises(InvalidRequest, match="year 10000"):
        keys.update(keys.create(Grant()).id, KeyChange(expires_at=end_s))


def test_revoking_ends_every_secret_for_good(keys: SqlKeys, serving: SqlKeyStore) -> None:
    first = keys.create(Grant())
    second = keys.rotate(first.id, 3600)
    other = keys.create(Grant())
    assert keys.revoke(first.id)
    assert [live(serving, one.key) is not None for one in (first, second, other)] == [False, False, True]
    assert serving.find(digest(PEPPER, second.key.reveal())) is None
    assert not keys.revoke(first.id)


def test_the_list_says_how_each_key_stands(keys: SqlKeys, serving: SqlKeyStore, held_clock: HeldClock) -> None:
    made_at = held_clock.now_s
    active, expiring, revoked = (
        keys.create(Grant(name="active")),
        keys.create(Grant(name="expiring", expires_at=made_at + 10)),
        keys.create(Grant(name="revoked")),
    )
    keys.revoke(revoked.id)
    serving.touch({active.id: made_at + 5.75})
    held_clock.now_s += 10
    found = {key.id: key for key in keys.list()}
    assert [found[one.id].state for one in (active, expiring, revoked)] == ["active", "expired", "revoked"]
    assert found[active.id].created_at == made_at
    assert found[active.id].last_used_at == int(made_at) + 5
    assert found[revoked.id].last_used_at is None


def test_the_list_of_one_account(keys: SqlKeys, database: Database) -> None:
    child = SqlAccountStore(database).create(AccountDraft(name="child", parent_id=ROOT_ACCOUNT)).id
    keys.create(Grant())
    mine = keys.create(Grant(account_id=child))
    assert [key.id for key in keys.list(child)] == [mine.id]
    with pytest.raises(NotFound, match="acct_none"):
        keys.list("acct_none")


@pytest.mark.parametrize(
    "change",
    [
        lambda keys, key_id: keys.create(Grant()),
        lambda keys, key_id: keys.take_over(Secret("sk-test-abcdef123"), Grant()),
        lambda keys, key_id: keys.rotate(key_id, 60),
        lambda keys, key_id: keys.revoke(key_id),
    ],
    ids=["create", "take over", "rotate", "revoke"],
)
def test_every_change_raises_the_version(
    keys: SqlKeys, serving: SqlKeyStore, change: Callable[[SqlKeys, KeyId], object]
) -> None:
    key_id = keys.create(Grant()).id
    before = serving.version()
    change(keys, key_id)
    assert serving.version() == before + 1


def test_looking_and_using_do_not_raise_the_version(keys: SqlKeys, serving: SqlKeyStore) -> None:
    key_id = keys.create(Grant()).id
    before = serving.version()
    keys.list()
    serving.live_keys()
    serving.touch({key_id: 1.0})
    assert serving.version() == before
    serving.raise_version()
    assert serving.version() == before + 1


def test_the_last_use_is_the_latest_that_any_process_saw(keys: SqlKeys, serving: SqlKeyStore) -> None:
    one, other = keys.create(Grant()).id, keys.create(Grant()).id
    serving.touch({one: 100.0, other: 300.0})
    serving.touch({one: 50.0, other: 400.0, KeyId("key_gone"): 1.0})
    serving.touch({})
    assert {key.id: key.last_used_at for key in keys.list()} == {one: 100, other: 400}


@pytest.mark.parametrize(
    ("grant", "param"),
    [
        (Grant(name=""), "name"),
        (Grant(name="two\nlines"), "name"),
        (Grant(models=("",)), "models"),
        (Grant(models=("x" * 201,)), "models"),
        (Grant(models=("a",) * 201), "models"),
        (Grant(expires_at=1.0), "expires"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(keys: SqlKeys, grant: Grant, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        keys.create(grant)
    assert refused.value.param == param
    assert keys.list() == []


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_never_a_statement(keys: SqlKeys, serving: SqlKeyStore, text: str) -> None:
    kept = keys.create(Grant(name=text, models=(text,)))
    assert [(key.name, key.models) for key in keys.list()] == [(text, (text,))]
    for ask in (
        lambda: keys.create(Grant(account_id=text)),
        lambda: keys.list(text),
        lambda: keys.rotate(text, 0),
        lambda: keys.revoke(text),
    ):
        with pytest.raises(NotFound):
            ask()
    serving.touch({KeyId(text): 1e12})
    assert serving.find(text.encode()) is None
    assert [(key.id, key.state, key.last_used_at) for key in keys.list()] == [(kept.id, "active", None)]
    assert live(serving, kept.key) is not None


def test_a_key_given_where_an_id_belongs_is_not_repeated(keys: SqlKeys) -> None:
    issued = keys.create(Grant())
    with pytest.raises(NotFound) as refused:
        keys.revoke(issued.key.reveal())
    assert issued.key.reveal() not in refused.value.message


def test_a_store_that_is_gone_says_so(keys: SqlKeys, serving: SqlKeyStore, database: Database) -> None:
    database.path.rename(database.path.with_name("aside.db"))
    for ask in (
        serving.version,
        serving.live_keys,
        lambda: serving.find(b""),
        lambda: serving.touch({KeyId("k"): 1.0}),
    ):
        with pytest.raises(StoreUnavailable):
            ask()
    with pytest.raises(StoreUnavailable):
        keys.create(Grant())


def test_a_key_keeps_all_that_it_was_granted(house: House) -> None:
    grant = Grant(
        name="build",
        role="member",
        requests_per_minute=60,
        tokens_per_minute=1000,
        concurrency=3,
        addresses=("192.0.2.7", "2001:db8::/32"),
        routes=("chat", "models", "chat"),
        default_tag="shop",
        note="for the shop",
        budget_nanos=5 * USD,
        budget_period="month",
    )
    issued = house.keys.create(grant, by=house.manager(ROOT_ACCOUNT))
    key = house.keys.show(issued.id)
    assert (key.role, key.manage, key.created_by) == ("member", False, "key_manager"), "the first, but with a role"
    assert (key.requests_per_minute, key.tokens_per_minute, key.concurrency) == (60, 1000, 3)
    assert (key.addresses, key.routes) == (("192.0.2.7/32", "2001:db8::/32"), ("chat", "models"))
    assert (key.default_tag, key.note, key.redacted) == ("shop", "for the shop", f"...{issued.key.reveal()[-4:]}")
    [figures] = house.budgets.page(BudgetFilter(), Cursor()).items
    assert (figures.budget.kind, figures.budget.subject, figures.budget.period) == ("key", issued.id, "month")
    assert figures.budget.limit_nanos == 5 * USD
    found = live(house.serving, issued.key)
    assert found is not None
    assert found.default_tag == "shop"
    assert found.limits == KeyLimits(addresses=("192.0.2.7/32", "2001:db8::/32"), routes=("chat", "models"))
    ordinary = live(house.serving, house.keys.create(Grant(requests_per_minute=60)).key)
    assert ordinary is not None
    assert ordinary.limits is None


def test_a_budget_that_does_not_fit_makes_no_key(house: House) -> None:
    house.budget(ROOT_ACCOUNT, 100)
    with pytest.raises(InvalidRequest) as refused:
        house.keys.create(Grant(budget_nanos=101))
    assert refused.value.code == "over_parent"
    assert house.keys.list() == []


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (KeyChange(name="other"), {"name": "other"}),
        (KeyChange(role="viewer"), {"role": "viewer", "manage": False}),
        (KeyChange(role="owner"), {"role": "owner", "admin": True}),
        (KeyChange(models=("a/*", "!a/b")), {"models": ("a/*", "!a/b")}),
        (KeyChange(models=()), {"models": ()}),
        (KeyChange(expires_at=None), {"expires_at": None}),
        (KeyChange(requests_per_minute=None, concurrency=1), {"requests_per_minute": None, "concurrency": 1}),
        (KeyChange(addresses=("10.1.2.3/8",)), {"addresses": ("10.0.0.0/8",)}),
        (KeyChange(routes=("images",)), {"routes": ("images",)}),
        (KeyChange(default_tag="t", note=None), {"default_tag": "t", "note": None}),
    ],
)
def test_what_is_not_named_stays(house: House, change: KeyChange, changed: dict[str, Any]) -> None:
    grant = Grant(name="build", models=("b",), expires_at=2e9 + 0.5, requests_per_minute=7, note="n", manage=True)
    key_id = house.keys.create(grant).id
    before, version = house.keys.show(key_id), house.serving.version()
    after = house.keys.update(key_id, change)
    everything = {**msgspec.structs.asdict(before), **changed}
    if "role" in changed:
        everything |= {"admin": changed["role"] == "owner", "manage": changed["role"] in ("owner", "admin")}
    assert msgspec.structs.asdict(after) == everything
    assert house.keys.show(key_id) == after
    assert house.serving.version() == version + 1
    assert house.keys.update(key_id, change) == after
    assert house.serving.version() == version + 1, "nothing changed"
    [record] = house.serving.live_keys()
    assert record.expires_at == (None if "expires_at" in changed else 2e9 + 0.5), "not by a fraction either"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        (KeyChange(name=""), "name"),
        (KeyChange(models=("",)), "models"),
        (KeyChange(expires_at=1.0), "expires"),
        (KeyChange(requests_per_minute=0), "requests_per_minute"),
        (KeyChange(addresses=("here",)), "addresses"),
        (KeyChange(addresses=("10.0.0.0/8",) * 101), "addresses"),
        (KeyChange(routes=("chess",)), "routes"),  # type: ignore[arg-type]
        (KeyChange(default_tag=""), "default_tag"),
        (KeyChange(note="x" * 501), "note"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(house: House, change: KeyChange, param: str) -> None:
    key_id = house.keys.create(Grant()).id
    before = house.keys.show(key_id)
    with pytest.raises(InvalidRequest) as refused:
        house.keys.update(key_id, change)
    assert refused.value.param == param
    assert house.keys.show(key_id) == before


def test_a_key_that_has_ended_is_not_changed(house: House) -> None:
    key_id = house.keys.create(Grant()).id
    house.keys.revoke(key_id)
    with pytest.raises(InvalidRequest) as refused:
        house.keys.update(key_id, KeyChange(name="x"))
    assert refused.value.code == "key_ended"


def test_nobody_makes_or_touches_a_key_of_a_higher_role(house: House) -> None:
    owner = house.keys.create(Grant(admin=True)).id
    member = house.keys.create(Grant(role="member")).id
    manager = house.manager(ROOT_ACCOUNT)
    attempts: list[Callable[[], object]] = [
        lambda: house.keys.create(Grant(admin=True), by=manager),
        lambda: house.keys.create(Grant(role="owner"), by=manager),
        lambda: house.keys.update(member, KeyChange(role="owner"), by=manager),
        lambda: house.keys.update(owner, KeyChange(name="x"), by=manager),
        lambda: house.keys.rotate(owner, 0, by=manager),
        lambda: house.keys.revoke(owner, by=manager),
        lambda: house.keys.revoke(member, by=msgspec.structs.replace(manager, role="member")),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as refused:
            attempt()
        assert refused.value.code == "role_missing"
    assert house.keys.show(owner).state == "active"


def test_a_key_does_not_widen_itself(house: House) -> None:
    key_id = house.keys.create(Grant(manage=True, models=("fast",))).id
    itself = house.manager(ROOT_ACCOUNT, key_id)
    for change in (KeyChange(models=()), KeyChange(addresses=()), KeyChange(expires_at=None), KeyChange(role="admin")):
        with pytest.raises(Forbidden) as refused:
            house.keys.update(key_id, change, by=itself)
        assert refused.value.code == "above_only"
    assert house.keys.update(key_id, KeyChange(name="renamed", note="mine"), by=itself).name == "renamed"
    assert house.keys.rotate(key_id, None, by=itself).id == key_id


def test_another_subtree_is_unknown(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    key_id = house.keys.create(Grant(account_id=theirs.id)).id
    more: dict[str, Any] = {"by": house.manager(ours.id), "within": ours.id}
    attempts: list[Callable[[], object]] = [
        lambda: house.keys.show(key_id, within=ours.id),
        lambda: house.keys.page(KeyFilter(account_id=theirs.id), Cursor(), within=ours.id),
        lambda: house.keys.create(Grant(account_id=theirs.id), **more),
        lambda: house.keys.update(key_id, KeyChange(name="x"), **more),
        lambda: house.keys.rotate(key_id, 0, **more),
        lambda: house.keys.revoke(key_id, **more),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert house.keys.page(KeyFilter(ended=True), Cursor(), within=ours.id).items == ()
    assert house.keys.show(key_id).state == "active"


def test_the_list_by_what_keys_are(house: House, held_clock: HeldClock) -> None:
    child = house.account("child")
    admin = house.keys.create(Grant(admin=True)).id
    plain = house.keys.create(Grant(account_id=child.id)).id
    ending = house.keys.create(Grant(account_id=child.id, expires_at=held_clock.now_s + 1)).id
    revoked = house.keys.create(Grant(account_id=child.id)).id
    house.keys.revoke(revoked)
    held_clock.now_s += 1

    def listed(**wanted: Any) -> list[str]:
        return [key.id for key in house.keys.page(KeyFilter(**wanted), Cursor(limit=10)).items]

    assert set(listed()) == {admin, plain}
    assert set(listed(ended=True)) == {admin, plain, ending, revoked}
    assert listed(admin=True) == [admin]
    assert listed(admin=False) == [plain]
    assert listed(account_id=child.id) == [plain]
    assert house.keys.page(KeyFilter(account_id=child.id), Cursor(), within=child.id).items[0].id == plain
