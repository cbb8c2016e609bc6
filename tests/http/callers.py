"""Who calls the admin API in tests: keys of several accounts and scopes, told by name in `x-api-key`."""

from __future__ import annotations

from typing import Any

from trunkline.errors import Unauthenticated
from trunkline.http.admin import AdminServices, Reloaded, Status
from trunkline.http.asgi import Scope
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId
from trunkline.ports.keys import KeyLimits, KeyRecord

CHILD = AccountId("acct_child")
OTHER = AccountId("acct_other")


def record(name: str, account_id: AccountId, **scopes: Any) -> KeyRecord:
    return KeyRecord(digest=b"d" * 32, key_id=KeyId(name), account_id=account_id, name=name, **scopes)


CALLERS = {
    one.name: one
    for one in (
        record("admin", ROOT_ACCOUNT, admin=True),
        record("plain", CHILD),
        record("second", CHILD),
        record("manager", CHILD, manage=True),
        record("viewer", CHILD, limits=KeyLimits(read_only=True)),
        record("stranger", OTHER, manage=True),
    )
}


async def identify(scope: Scope) -> KeyRecord:
    found = CALLERS.get(dict(scope["headers"]).get(b"x-api-key", b"").decode())
    if found is None:
        raise Unauthenticated("No API key was sent.")
    return found


async def reload() -> Reloaded:
    return Reloaded()


def status() -> Status:
    raise AssertionError("nobody asks")


SERVICES = AdminServices(identify=identify, reload=reload, status=status)
