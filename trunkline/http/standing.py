"""Who asks, and which part of the tree of accounts is theirs to see."""

from __future__ import annotations

from typing import cast

from trunkline.http.admin import CALLER
from trunkline.http.described import Call
from trunkline.ids import AccountId, KeyId
from trunkline.policy import keys as key_policy
from trunkline.ports.audit import Actor
from trunkline.ports.keys import KeyRecord


def caller(request: Call) -> KeyRecord:
    """The key of the request; the gate has found it."""
    return cast("dict[str, KeyRecord]", request.scope)[CALLER]


def reader_of(request: Call) -> AccountId:
    """The account whose tree the key may read: a viewer's, a manager's, an admin's. Raises Forbidden."""
    record = caller(request)
    key_policy.require(record, "read")
    return key_policy.reach(record)


def own_keys(record: KeyRecord) -> tuple[KeyId, ...] | None:
    """Whose calls the key may see: a plain one its own, one that reads its account's tree all of them (None)."""
    return None if key_policy.may(record, "read") else (record.key_id,)


def actor(request: Call) -> Actor:
    """Who is written in the audit log for what the request changes."""
    client = request.scope.get("client")
    return key_policy.actor(caller(request), client[0] if client else None)
