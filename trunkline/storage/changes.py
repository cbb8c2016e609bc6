"""A change by somebody: one transaction with what is changed, its line in the audit log, and the version that servers
watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from trunkline import clock
from trunkline.ids import AccountId
from trunkline.policy.roles import require_role
from trunkline.ports.audit import Actor, AuditType
from trunkline.storage.database import Database
from trunkline.storage.tenant_schema import audit_log
from trunkline.storage.version import raise_version
from trunkline.wire import codec

PREFIX = "audit_log-"
ID_DIGITS = 16
"""Of the time in microseconds, until the year 2286."""
_last = select(func.max(audit_log.c.audit_id))


class Change:
    """What one actor does in one transaction. `now_s` is the same for all of it."""

    __slots__ = ("by", "concerns_calls", "connection", "now_s", "within")

    def __init__(self, connection: Connection, by: Actor, within: AccountId) -> None:
        self.connection = connection
        self.by = by
        self.within = within
        self.now_s = clock.now_s()
        self.concerns_calls = False
        """Do running processes need to look?"""

    def audit(
        self, kind: AuditType, account_id: AccountId, target_id: str, before: object = None, after: object = None
    ) -> None:
        """One line of the log. `before` and `after` become JSON objects; None: it was not there, or is gone."""
        self.connection.execute(
            insert(audit_log).values(
                account_id=account_id,
                audit_id=self._next_id(),
                type=kind,
                at=self.now_s,
                target_id=target_id,
                actor_kind=self.by.kind,
                actor_id=self.by.id,
                actor_account_id=self.by.account_id,
                address=self.by.address,
                before=_json(before),
                after=_json(after),
            )
        )

    def audit_change(
        self, kind: AuditType, account_id: AccountId, target_id: str, before: msgspec.Struct, after: msgspec.Struct
    ) -> bool:
        """A line of the fields that differ. False, and no line, when none does."""
        names = [
            name
            for name in before.__struct_fields__
            if name in after.__struct_fields__ and getattr(before, name) != getattr(after, name)
        ]
        if names:
            self.audit(kind, account_id, target_id, _fields(before, names), _fields(after, names))
        return bool(names)

    def _next_id(self) -> str:
        # The writer has the database to itself, so whoever is later is higher, even when the clock goes back.
        last: str | None = self.connection.execute(_last).scalar_one()
        after = -1 if last is None else int(last.removeprefix(PREFIX))
        return f"{PREFIX}{max(int(self.now_s * 1e6), after + 1):0{ID_DIGITS}d}"


@contextmanager
def changing(database: Database, by: Actor, within: AccountId) -> Iterator[Change]:
    """The transaction is kept when the block ends without an error. Raises Forbidden for who may change nothing."""
    require_role(by)
    with database.writing() as connection:
        change = Change(connection, by, within)
        yield change
        if change.concerns_calls:
            raise_version(connection)


def _fields(thing: msgspec.Struct, names: list[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _json(value: object) -> str | None:
    return None if value is None else codec.encode(value).decode()
