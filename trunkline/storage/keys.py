"""What people do with keys, on the database. What serving reads is in live_keys.py."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, insert, or_, select, update

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId, random_base62
from trunkline.money import Nanos
from trunkline.observe import Secret
from trunkline.policy.keys import PUBLIC_ID_WIDTH, SECRET_WIDTH, KeyShape, check_import, digest, networks
from trunkline.policy.roles import require_other_key, require_role
from trunkline.ports.accounts import RateLimits
from trunkline.ports.audit import CLI, GATEWAY, Actor, Role
from trunkline.ports.budget_store import BudgetDraft
from trunkline.ports.keys import KEY_ROUTES, KeyChange, KeyFilter, KeyState, KeySummary
from trunkline.ports.keys import Grant as Grant
from trunkline.ports.keys import IssuedKey as IssuedKey
from trunkline.ports.pages import Cursor, Page
from trunkline.storage import rates
from trunkline.storage.budgets import put_budget
from trunkline.storage.changes import Change, changing
from trunkline.storage.database import Database
from trunkline.storage.key_ends import end_keys
from trunkline.storage.live_keys import texts
from trunkline.storage.names import checked_name
from trunkline.storage.paging import page
from trunkline.storage.schema import key_secrets, keys
from trunkline.storage.subtree import is_below, is_id, require_account, require_live_account
from trunkline.storage.values import checked_count, checked_globs, checked_note, checked_tag
from trunkline.wire import codec

GRACE_AT_MOST_S: Final = 86_400.0
"""How long an old secret waits for the first use of the new one."""
LONGEST_GRACE_S: Final = 366 * 86_400.0
LATEST_END_S: Final = 253_402_300_799.0
"""The last second that can be written as a date: of the year 9999."""
MOST_ADDRESSES: Final = 100
_ORDER = (keys.c.created_at, keys.c.key_id)
# What a key may not change of itself: whatever says what it may do.
_LIMITS = frozenset(KeyChange.__struct_fields__) - {"name", "note", "default_tag"}


class SqlKeys:
    """Fulfils ports.keys.Keys, and takes over keys from elsewhere. Every change raises the version servers watch."""

    def __init__(self, database: Database, pepper: bytes, shape: KeyShape) -> None:
        self._database = database
        self._pepper = pepper
        self._shape = shape

    def create(self, grant: Grant, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> IssuedKey:
        with changing(self._database, by, within) as change:
            return self.issue(change, grant)

    def create_first(self, grant: Grant) -> IssuedKey | None:
        """`create`, unless any key was ever made here: of several processes that start at once, one gets a key."""
        with changing(self._database, GATEWAY, ROOT_ACCOUNT) as change:
            if change.connection.execute(select(exists().select_from(keys))).scalar_one():
                return None
            return self.issue(change, grant)

    def take_over(self, key: Secret, grant: Grant) -> KeyId:
        """Make any string a key. Raises InvalidRequest for one that is weak, unsendable or already known."""
        text = key.reveal()
        check_import(text, self._shape)
        public_id = self._shape.public_id(text) or random_base62(PUBLIC_ID_WIDTH)
        with changing(self._database, CLI, ROOT_ACCOUNT) as change:
            known = change.connection.execute(
                select(key_secrets.c.key_id, key_secrets.c.revoked_at).where(
                    or_(
                        key_secrets.c.digest == digest(self._pepper, text),
                        key_secrets.c.public_id == public_id,
                    )
                )
            ).first()
            if known is not None:
                ended = "" if known.revoked_at is None else ", revoked; a revoked key does not come back"
                raise InvalidRequest(f"This key is already here as {known.key_id}{ended}.", code="key_exists")
            return self._add(change, grant, public_id, key).id

    def list(self, account_id: str | None = None) -> list[KeySummary]:
        """All of them, those that ended too, newest last. Raises NotFound for an unknown account."""
        listed = _summaries().order_by(*_ORDER)
        with self._database.reading() as connection:
            if account_id is not None:
                require_account(connection, account_id)
                listed = listed.where(keys.c.account_id == account_id)
            now_s = clock.now_s()
            return [_summary(row, now_s) for row in connection.execute(listed)]

    def page(self, wanted: KeyFilter, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[KeySummary]:
        now_s = clock.now_s()
        listed = _summaries()
        if wanted.owner_id is not None:
            listed = listed.where(keys.c.owner_id == wanted.owner_id)
        if wanted.admin is not None:
            listed = listed.where(keys.c.admin == wanted.admin)
        if not wanted.ended:
            listed = listed.where(_is_active(now_s))
        with self._database.reading() as connection:
            if wanted.account_id is None:
                listed = listed.where(is_below(keys.c.account_id, within))
            else:
                require_account(connection, wanted.account_id, within=within)
                listed = listed.where(keys.c.account_id == wanted.account_id)
            return page(connection, listed, cursor, _ORDER, lambda row: _summary(row, now_s))

    def show(self, key_id: str, *, within: AccountId = ROOT_ACCOUNT) -> KeySummary:
        with self._database.reading() as connection:
            found = connection.execute(_one(key_id, within)).one_or_none() if is_id(key_id) else None
        if found is None:
            raise _unknown(key_id)
        return _summary(found, clock.now_s())

    def update(
        self, key_id: str, change: KeyChange, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> KeySummary:
        values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        with changing(self._database, by, within) as changed:
            before = _require_active(changed, key_id)
            if _LIMITS & values.keys():
                require_other_key(by, before.id)
            role: Role = values.pop("role", before.role)
            require_role(by, role)
            drafted = _checked(Grant(**{**_granted(before), **values}), changed.now_s)
            way = require_account(changed.connection, before.account_id)
            _refuse_rates_above(changed, way, drafted)
            columns = {name: value for name, value in _columns(drafted).items() if name in values} | _scopes(role)
            changed.connection.execute(update(keys).where(keys.c.key_id == before.id).values(**columns))
            after = _summary(changed.connection.execute(_one(before.id, within)).one(), changed.now_s)
            if changed.audit_change("api_key.updated", before.account_id, before.id, before, after):
                changed.concerns_calls = True
        return after

    def rotate(
        self, key_id: str, grace_s: float | None = None, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> IssuedKey:
        if grace_s is not None and not 0 <= grace_s <= LONGEST_GRACE_S:
            raise InvalidRequest("The grace is 0 seconds or more, and at most 366 days.", param="grace")
        public_id = random_base62(PUBLIC_ID_WIDTH)
        secret = self._mint(public_id)
        with changing(self._database, by, within) as change:
            key = _require_active(change, key_id)
            grace = GRACE_AT_MOST_S if grace_s is None else grace_s
            ends_at = change.now_s + grace
            before = and_(
                key_secrets.c.account_id == key.account_id,
                key_secrets.c.key_id == key.id,
                key_secrets.c.revoked_at.is_(None),
            )
            if grace == 0:
                change.connection.execute(update(key_secrets).where(before).values(revoked_at=change.now_s))
            else:
                # One that is already ending, from a rotation shortly before, keeps its own earlier end.
                ends_later = or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > ends_at)
                change.connection.execute(update(key_secrets).where(before, ends_later).values(expires_at=ends_at))
            self._add_secret(change, key.account_id, key.id, public_id, secret)
            if grace_s is None:
                newest = key_secrets.c.public_id == public_id
                change.connection.execute(update(key_secrets).where(newest).values(retires=True))
            told = {"old_ends_at": int(ends_at), "at_first_use": grace_s is None}
            change.audit("api_key.rotated", key.account_id, key.id, after=told)
            change.concerns_calls = True
        return IssuedKey(
            id=key.id,
            key=secret,
            created_at=int(change.now_s),
            expires_at=key.expires_at,
            old_ends_at=int(ends_at),
        )

    def revoke(self, key_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> bool:
        with changing(self._database, by, within) as change:
            key = _require_key(change, key_id)
            ended = end_keys(change, keys.c.key_id == key.id)
            if ended:
                change.audit("api_key.deleted", key.account_id, key.id)
        return bool(ended)

    def issue(self, change: Change, grant: Grant) -> IssuedKey:
        """`create` within somebody's change."""
        public_id = random_base62(PUBLIC_ID_WIDTH)
        return self._add(change, grant, public_id, self._mint(public_id))

    def _mint(self, public_id: str) -> Secret:
        return Secret(self._shape.mint(public_id, random_base62(SECRET_WIDTH)))

    def _add(self, change: Change, grant: Grant, public_id: str, key: Secret) -> IssuedKey:
        connection = change.connection
        grant = _checked(grant, change.now_s)
        way = require_live_account(connection, grant.account_id, within=change.within)
        if grant.role is None:
            has_one = connection.execute(select(exists().where(keys.c.account_id == grant.account_id))).scalar_one()
            require_role(change.by, _role(admin=grant.admin, manage=grant.manage))
            scopes = {"admin": grant.admin, "manage": grant.manage or not has_one, "viewer": False}
        else:
            require_role(change.by, grant.role)
            scopes = _scopes(grant.role)
        _refuse_rates_above(change, way, grant)
        key_id = KeyId("key_" + public_id)
        connection.execute(
            insert(keys).values(
                account_id=grant.account_id,
                key_id=key_id,
                created_at=change.now_s,
                created_by=change.by.id,
                **scopes,
                **_columns(grant),
            )
        )
        self._add_secret(change, AccountId(grant.account_id), key_id, public_id, key)
        shown = _summary(connection.execute(_one(key_id, ROOT_ACCOUNT)).one(), change.now_s)
        change.audit("api_key.created", shown.account_id, key_id, after=shown)
        change.concerns_calls = True
        if grant.budget_nanos is not None:
            put_budget(
                change,
                BudgetDraft(
                    account_id=grant.account_id,
                    kind="key",
                    subject=key_id,
                    limit_nanos=Nanos(grant.budget_nanos),
                    period=grant.budget_period,
                ),
            )
        return IssuedKey(id=key_id, key=key, created_at=shown.created_at, expires_at=shown.expires_at)

    def _add_secret(self, change: Change, account_id: AccountId, key_id: KeyId, public_id: str, secret: Secret) -> None:
        text = secret.reveal()
        its = and_(key_secrets.c.account_id == account_id, key_secrets.c.key_id == key_id)
        newest = select(func.max(key_secrets.c.created_at)).where(its)
        last: float | None = change.connection.execute(newest).scalar_one()
        change.connection.execute(
            insert(key_secrets).values(
                account_id=account_id,
                key_id=key_id,
                public_id=public_id,
                digest=digest(self._pepper, text),
                last4=text[-4:] if len(text) >= 20 else "",  # four of eight characters would be half the secret
                # Later than the one before it, whatever the clock says: their order decides which one retires which.
                created_at=change.now_s if last is None else max(change.now_s, last + 1e-5),
            )
        )


def _checked(grant: Grant, now_s: float) -> Grant:
    """Raises InvalidRequest."""
    checked_globs(grant.models)
    checked_tag(grant.default_tag)
    checked_note(grant.note)
    for name in ("requests_per_minute", "tokens_per_minute", "concurrency"):
        checked_count(getattr(grant, name), name)
    unknown = [route for route in grant.routes if route not in KEY_ROUTES]
    if unknown:
        raise InvalidRequest(f"A route is one of {', '.join(KEY_ROUTES)}.", param="routes")
    if len(grant.addresses) > MOST_ADDRESSES:
        raise InvalidRequest(f"A key lists at most {MOST_ADDRESSES} addresses.", param="addresses")
    if grant.expires_at is not None and not now_s < grant.expires_at <= LATEST_END_S:
        raise InvalidRequest("A key must end in the future, and before the year 10000.", param="expires")
    return msgspec.structs.replace(
        grant,
        name=checked_name(grant.name, "a key"),
        addresses=networks(grant.addresses),
        routes=tuple(dict.fromkeys(grant.routes)),
    )


def _refuse_rates_above(change: Change, way: Any, grant: Grant) -> None:
    wanted = RateLimits(
        requests_per_minute=grant.requests_per_minute,
        tokens_per_minute=grant.tokens_per_minute,
        concurrency=grant.concurrency,
    )
    if wanted != RateLimits():
        rates.refuse_above(change.connection, [row.account_id for row in way], wanted)


def _require_key(change: Change, key_id: str) -> KeySummary:
    """Raises NotFound outside what the actor sees, Forbidden for a key of a role above the actor's."""
    found = change.connection.execute(_one(key_id, change.within)).one_or_none() if is_id(key_id) else None
    if found is None:
        raise _unknown(key_id)
    key = _summary(found, change.now_s)
    require_role(change.by, key.role)
    return key


def _require_active(change: Change, key_id: str) -> KeySummary:
    """`_require_key`, and InvalidRequest for one that has ended."""
    key = _require_key(change, key_id)
    if key.state != "active":
        raise InvalidRequest(f"{key_id} is no longer in use; create another key instead.", code="key_ended")
    return key


def _unknown(key_id: str) -> NotFound:
    shown = f" {key_id!r}" if key_id.startswith("key_") and is_id(key_id) else " of that id"
    return NotFound(f"There is no key{shown}; `trunkline keys list` shows the ids.", code="key_not_found")


def _granted(key: KeySummary) -> dict[str, Any]:
    """The fields of a Grant that a key has, without when it ends and what it may do."""
    kept = set(KeySummary.__struct_fields__) - {"admin", "manage", "role", "expires_at"}
    return {name: getattr(key, name) for name in Grant.__struct_fields__ if name in kept}


def _columns(grant: Grant) -> dict[str, Any]:
    return {
        "name": grant.name,
        "models": codec.encode(grant.models).decode(),
        "expires_at": grant.expires_at,
        "requests_per_minute": grant.requests_per_minute,
        "tokens_per_minute": grant.tokens_per_minute,
        "concurrency": grant.concurrency,
        "addresses": codec.encode(grant.addresses).decode(),
        "routes": codec.encode(grant.routes).decode(),
        "default_tag": grant.default_tag,
        "note": grant.note,
        "owner_id": grant.owner_id,
    }


def _scopes(role: Role) -> dict[str, bool]:
    """The columns that say what a key of that role may do."""
    return {"admin": role == "owner", "manage": role in ("owner", "admin"), "viewer": role == "viewer"}


def _role(*, admin: bool, manage: bool, viewer: bool = False) -> Role:
    if admin:
        return "owner"
    if manage:
        return "admin"
    return "viewer" if viewer else "member"


def _is_active(now_s: float) -> ColumnElement[bool]:
    return and_(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now_s))


def _state(revoked_at: float | None, expires_at: float | None, now_s: float) -> KeyState:
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and now_s >= expires_at else "active"


def _summaries() -> Select[Any]:
    newest = (
        select(key_secrets.c.last4)
        .where(key_secrets.c.account_id == keys.c.account_id, key_secrets.c.key_id == keys.c.key_id)
        .order_by(key_secrets.c.created_at.desc())
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )
    return select(keys, newest.label("last4"))


def _one(key_id: str, within: AccountId) -> Select[Any]:
    return _summaries().where(keys.c.key_id == key_id, is_below(keys.c.account_id, within))


def _summary(row: Row[*tuple[Any, ...]], now_s: float) -> KeySummary:
    routes: Any = texts.decode(row.routes)
    return KeySummary(
        id=row.key_id,
        name=row.name,
        account_id=row.account_id,
        state=_state(row.revoked_at, row.expires_at, now_s),
        created_at=int(row.created_at),
        last_used_at=_whole(row.last_used_at),
        expires_at=_whole(row.expires_at),
        admin=row.admin,
        manage=row.manage,
        models=texts.decode(row.models),
        last4=row.last4 or "",
        role=_role(admin=row.admin, manage=row.manage, viewer=row.viewer),
        redacted=f"...{row.last4 or ''}",
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrency=row.concurrency,
        addresses=texts.decode(row.addresses),
        routes=routes,
        default_tag=row.default_tag,
        note=row.note,
        owner_id=row.owner_id,
        created_by=row.created_by,
    )


def _whole(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
