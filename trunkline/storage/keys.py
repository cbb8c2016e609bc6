"""Keys on the database: what serving reads, and what people do with keys."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, KeyId, random_base62
from trunkline.observe import Secret
from trunkline.policy.keys import PUBLIC_ID_WIDTH, SECRET_WIDTH, KeyShape, check_import, digest
from trunkline.ports.keys import KeyRecord, KeyState, KeySummary
from trunkline.storage.accounts import require_account
from trunkline.storage.database import Database
from trunkline.storage.names import checked_name
from trunkline.storage.schema import key_secrets, keys
from trunkline.storage.version import raise_version, read_version
from trunkline.wire import codec

MOST_GLOBS = 200
LONGEST_GLOB = 200
_globs = msgspec.json.Decoder(tuple[str, ...])


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a key will be. `models`: globs, none means every model. `expires_at`: Unix seconds."""

    name: str = "key"
    account_id: str = ROOT_ACCOUNT
    admin: bool = False
    manage: bool = False
    models: tuple[str, ...] = ()
    expires_at: float | None = None


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its secret, the only time that it is seen."""

    id: KeyId
    key: Secret


class SqlKeyStore:
    """Fulfils ports.keys.KeyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        with self._database.reading() as connection:
            return read_version(connection)

    def raise_version(self) -> None:
        """Tell every running process to look again, as a changed configuration does."""
        with self._database.writing() as connection:
            raise_version(connection)

    def live_keys(self) -> list[KeyRecord]:
        with self._database.reading() as connection:
            rows = connection.execute(_LIVE, {"now_s": clock.now_s()})
            return [_record(row) for row in rows]

    def find(self, digest: bytes) -> KeyRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(_FIND, {"digest": digest}).one_or_none()
        return None if row is None else _record(row)

    def touch(self, used: dict[KeyId, float]) -> None:
        if not used:
            return
        with self._database.writing() as connection:
            connection.execute(_TOUCH, [{"id": key_id, "used_at": used_at} for key_id, used_at in used.items()])


class SqlKeys:
    """Keys made, listed, rotated, revoked and taken over. Every change raises the version that servers watch."""

    def __init__(self, database: Database, pepper: bytes, shape: KeyShape) -> None:
        self._database = database
        self._pepper = pepper
        self._shape = shape

    def create(self, grant: Grant) -> IssuedKey:
        """An account's first key gets the `manage` scope. Raises NotFound for an unknown account, InvalidRequest."""
        public_id = random_base62(PUBLIC_ID_WIDTH)
        with self._database.writing() as connection:
            return self._issue(connection, _checked(grant), public_id, self._mint(public_id))

    def create_first(self, grant: Grant) -> IssuedKey | None:
        """`create`, unless any key was ever made here: of several processes that start at once, one gets a key."""
        public_id = random_base62(PUBLIC_ID_WIDTH)
        with self._database.writing() as connection:
            if connection.execute(select(exists().select_from(keys))).scalar_one():
                return None
            return self._issue(connection, _checked(grant), public_id, self._mint(public_id))

    def take_over(self, key: Secret, grant: Grant) -> KeyId:
        """Make any string a key. Raises InvalidRequest for one that is weak, unsendable or already known."""
        text = key.reveal()
        check_import(text, self._shape)
        public_id = self._shape.public_id(text) or random_base62(PUBLIC_ID_WIDTH)
        with self._database.writing() as connection:
            known = connection.execute(
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
            return self._issue(connection, _checked(grant), public_id, key).id

    def list(self, account_id: str | None = None) -> list[KeySummary]:
        """Newest last. Raises NotFound for an unknown account."""
        with self._database.reading() as connection:
            if account_id is not None:
                require_account(connection, account_id, param="account")
            rows = connection.execute(_summaries(account_id))
            now_s = clock.now_s()
            return [_summary(row, now_s) for row in rows]

    def rotate(self, key_id: str, grace_s: float) -> IssuedKey:
        """A second secret for the same key; the one before ends in `grace_s` seconds, at once for 0.

        Raises NotFound, and InvalidRequest for a key that is revoked or has ended.
        """
        if grace_s < 0:
            raise InvalidRequest("The grace is 0 seconds or more.", param="grace")
        public_id = random_base62(PUBLIC_ID_WIDTH)
        secret = self._mint(public_id)
        with self._database.writing() as connection:
            key = _require_key(connection, key_id)
            now_s = clock.now_s()
            if _state(key.revoked_at, key.expires_at, now_s) != "active":
                raise InvalidRequest(f"{key_id} is no longer in use; create another key instead.", code="key_ended")
            before = and_(key_secrets.c.key_id == key_id, key_secrets.c.revoked_at.is_(None))
            if grace_s == 0:
                connection.execute(update(key_secrets).where(before).values(revoked_at=now_s))
            else:
                # One that is already ending, from a rotation shortly before, keeps its own earlier end.
                ends_later = or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > now_s + grace_s)
                connection.execute(update(key_secrets).where(before, ends_later).values(expires_at=now_s + grace_s))
            self._add_secret(connection, key, public_id, secret)
            raise_version(connection)
        return IssuedKey(id=key.key_id, key=secret)

    def revoke(self, key_id: str) -> bool:
        """End a key with all its secrets; False when it was revoked before. Raises NotFound."""
        with self._database.writing() as connection:
            key = _require_key(connection, key_id)
            if key.revoked_at is not None:
                return False
            now_s = clock.now_s()
            connection.execute(update(keys).where(keys.c.key_id == key_id).values(revoked_at=now_s))
            connection.execute(
                update(key_secrets)
                .where(key_secrets.c.key_id == key_id, key_secrets.c.revoked_at.is_(None))
                .values(revoked_at=now_s)
            )
            raise_version(connection)
        return True

    def _mint(self, public_id: str) -> Secret:
        return Secret(self._shape.mint(public_id, random_base62(SECRET_WIDTH)))

    def _issue(self, connection: Connection, grant: Grant, public_id: str, key: Secret) -> IssuedKey:
        require_account(connection, grant.account_id, param="account")
        has_one = connection.execute(select(exists().where(keys.c.account_id == grant.account_id))).scalar_one()
        inserted = connection.execute(
            insert(keys)
            .values(
                account_id=grant.account_id,
                key_id="key_" + public_id,
                name=grant.name,
                admin=grant.admin,
                manage=grant.manage or not has_one,
                models=codec.encode(grant.models).decode(),
                created_at=clock.now_s(),
                expires_at=grant.expires_at,
            )
            .returning(keys.c.account_id, keys.c.key_id)
        ).one()
        self._add_secret(connection, inserted, public_id, key)
        raise_version(connection)
        return IssuedKey(id=inserted.key_id, key=key)

    def _add_secret(self, connection: Connection, key: Row[*tuple[Any, ...]], public_id: str, secret: Secret) -> None:
        text = secret.reveal()
        connection.execute(
            insert(key_secrets).values(
                account_id=key.account_id,
                key_id=key.key_id,
                public_id=public_id,
                digest=digest(self._pepper, text),
                last4=text[-4:] if len(text) >= 20 else "",  # four of eight characters would be half the secret
                created_at=clock.now_s(),
            )
        )


def _checked(grant: Grant) -> Grant:
    """Raises InvalidRequest."""
    if len(grant.models) > MOST_GLOBS:
        raise InvalidRequest(f"A key lists at most {MOST_GLOBS} models or patterns.", param="models")
    for glob in grant.models:
        if not glob or len(glob) > LONGEST_GLOB or not glob.isprintable():
            raise InvalidRequest(
                f"A model pattern is 1 to {LONGEST_GLOB} printable characters, such as 'openai/*'.", param="models"
            )
    if grant.expires_at is not None and grant.expires_at <= clock.now_s():
        raise InvalidRequest("A key must end in the future.", param="expires")
    return msgspec.structs.replace(grant, name=checked_name(grant.name, "a key"))


def _require_key(connection: Connection, key_id: str) -> Row[*tuple[Any, ...]]:
    row = connection.execute(select(keys).where(keys.c.key_id == key_id)).one_or_none()
    if row is None:
        shown = (
            f" {key_id!r}"
            if key_id.startswith("key_") and len(key_id) <= 64 and key_id.isprintable()
            else " of that id"
        )
        raise NotFound(f"There is no key{shown}; `trunkline keys list` shows the ids.", code="key_not_found")
    return row


def _state(revoked_at: float | None, expires_at: float | None, now_s: float) -> KeyState:
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and now_s >= expires_at else "active"


def _summaries(account_id: str | None) -> Select[Any]:
    newest = (
        select(key_secrets.c.last4)
        .where(key_secrets.c.key_id == keys.c.key_id)
        .order_by(key_secrets.c.created_at.desc())
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )
    statement = select(keys, newest.label("last4")).order_by(keys.c.created_at, keys.c.key_id)
    return statement if account_id is None else statement.where(keys.c.account_id == account_id)


def _summary(row: Row[*tuple[Any, ...]], now_s: float) -> KeySummary:
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
        models=_globs.decode(row.models),
        last4=row.last4 or "",
    )


def _whole(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def _record(row: Row[*tuple[Any, ...]]) -> KeyRecord:
    ends = [end for end in (row.expires_at, row.secret_expires_at) if end is not None]
    return KeyRecord(
        digest=row.digest,
        key_id=row.key_id,
        account_id=row.account_id,
        name=row.name,
        admin=row.admin,
        manage=row.manage,
        models=_globs.decode(row.models),
        expires_at=min(ends, default=None),
    )


def _not_ended(end: Any) -> Any:
    return or_(end.is_(None), end > bindparam("now_s"))


_UNREVOKED = (
    select(
        key_secrets.c.digest,
        key_secrets.c.expires_at.label("secret_expires_at"),
        keys.c.key_id,
        keys.c.account_id,
        keys.c.name,
        keys.c.admin,
        keys.c.manage,
        keys.c.models,
        keys.c.expires_at,
    )
    .join_from(
        key_secrets,
        keys,
        and_(key_secrets.c.account_id == keys.c.account_id, key_secrets.c.key_id == keys.c.key_id),
    )
    .where(key_secrets.c.revoked_at.is_(None), keys.c.revoked_at.is_(None))
)
_LIVE = _UNREVOKED.where(_not_ended(keys.c.expires_at), _not_ended(key_secrets.c.expires_at))
_FIND = _UNREVOKED.where(key_secrets.c.digest == bindparam("digest"))
# The later of the two: several processes report the uses of one key, in any order.
_TOUCH = (
    update(keys)
    .where(keys.c.key_id == bindparam("id"), func.coalesce(keys.c.last_used_at, literal(0.0)) < bindparam("used_at"))
    .values(last_used_at=bindparam("used_at"))
)
