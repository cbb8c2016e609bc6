"""Keys as serving reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, func, literal, or_, select, update

from trunkline import clock
from trunkline.ids import ROOT_ACCOUNT, KeyId
from trunkline.ports.audit import GATEWAY
from trunkline.ports.keys import KeyLimits, KeyRecord
from trunkline.storage.changes import Change, changing
from trunkline.storage.database import Database
from trunkline.storage.schema import key_secrets, keys
from trunkline.storage.version import raise_version, read_version

EMPTY = "[]"
texts = msgspec.json.Decoder(tuple[str, ...])


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
            rows = connection.execute(_LIVE, {"now_s": clock.now_s()}).all()
        secrets: dict[str, list[tuple[float, bytes]]] = {row.key_id: [] for row in rows if row.retires}
        if secrets:
            for row in rows:
                if row.key_id in secrets:
                    secrets[row.key_id].append((row.made_at, row.digest))
        return [_record(row, secrets[row.key_id] if row.retires else ()) for row in rows]

    def find(self, digest: bytes) -> KeyRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(_FIND, {"digest": digest}).one_or_none()
            if row is None:
                return None
            its = _LIVE.where(keys.c.key_id == row.key_id)
            others = connection.execute(its, {"now_s": clock.now_s()}).all() if row.retires else ()
        return _record(row, [(other.made_at, other.digest) for other in others])

    def touch(self, used: dict[KeyId, float]) -> None:
        if not used:
            return
        with self._database.writing() as connection:
            connection.execute(_TOUCH, [{"id": key_id, "used_at": used_at} for key_id, used_at in used.items()])

    def retire(self, used: Sequence[bytes]) -> None:
        with changing(self._database, GATEWAY, ROOT_ACCOUNT) as change:
            for digest in used:
                _retire(change, digest)


def _retire(change: Change, digest: bytes) -> None:
    connection: Connection = change.connection
    found = connection.execute(
        update(key_secrets)
        .where(key_secrets.c.digest == digest, key_secrets.c.retires)
        .values(retires=False)
        .returning(key_secrets.c.account_id, key_secrets.c.key_id, key_secrets.c.created_at)
    ).one_or_none()
    if found is None:
        return
    connection.execute(
        update(key_secrets)
        .where(
            key_secrets.c.account_id == found.account_id,
            key_secrets.c.key_id == found.key_id,
            key_secrets.c.created_at < found.created_at,
            key_secrets.c.revoked_at.is_(None),
        )
        .values(revoked_at=change.now_s)
    )
    change.audit("api_key.updated", found.account_id, found.key_id, after={"old_secret": "ended"})
    change.concerns_calls = True


def _record(row: Row[*tuple[Any, ...]], secrets: Sequence[tuple[float, bytes]]) -> KeyRecord:
    """`secrets`: of the same key, when it was made and its digest."""
    ends = [end for end in (row.expires_at, row.secret_expires_at) if end is not None]
    return KeyRecord(
        digest=row.digest,
        key_id=row.key_id,
        account_id=row.account_id,
        name=row.name,
        admin=row.admin,
        manage=row.manage,
        models=_texts(row.models),
        expires_at=min(ends, default=None),
        default_tag=row.default_tag,
        limits=_limits(row),
        retires=tuple(digest for made_at, digest in sorted(secrets) if made_at < row.made_at),
    )


def _limits(row: Row[*tuple[Any, ...]]) -> KeyLimits | None:
    if row.addresses == EMPTY and row.routes == EMPTY and not row.viewer:
        return None
    routes: Any = _texts(row.routes)
    return KeyLimits(addresses=_texts(row.addresses), routes=routes, read_only=row.viewer)


def _texts(column: str) -> tuple[str, ...]:
    # Most are empty, and of a hundred thousand keys every decoding is felt.
    return () if column == EMPTY else texts.decode(column)


def _not_ended(end: Any) -> Any:
    return or_(end.is_(None), end > bindparam("now_s"))


_UNREVOKED = (
    select(
        key_secrets.c.digest,
        key_secrets.c.expires_at.label("secret_expires_at"),
        key_secrets.c.created_at.label("made_at"),
        key_secrets.c.retires,
        keys.c.key_id,
        keys.c.account_id,
        keys.c.name,
        keys.c.admin,
        keys.c.manage,
        keys.c.viewer,
        keys.c.models,
        keys.c.expires_at,
        keys.c.default_tag,
        keys.c.addresses,
        keys.c.routes,
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
