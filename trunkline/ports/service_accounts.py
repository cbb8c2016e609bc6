"""Service accounts: owners of keys that are no people. `within` and `by` are as in ports.accounts."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId
from trunkline.ports.audit import Actor, Role
from trunkline.ports.keys import IssuedKey
from trunkline.ports.pages import Cursor, Page


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """`account_id`: the account that its keys belong to. `created_at`: whole Unix seconds."""

    id: str
    account_id: AccountId
    name: str
    role: Role
    created_at: int


class ServiceAccounts(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer, NotFound
    (`service_account_not_found`, `account_not_found`) outside `within`, Forbidden (`role_missing`) for a role above the
    actor's own. Those that were deleted are not found any more."""

    def create(
        self, account_id: str, name: str, role: Role = "member", *, by: Actor, within: AccountId
    ) -> ServiceAccount:
        """Without a key; `issue` makes one."""
        ...

    def issue(
        self, service_account_id: str, name: str, expires_at: float | None = None, *, by: Actor, within: AccountId
    ) -> IssuedKey:
        """A key that it owns, with its role. `expires_at`: Unix seconds, None is never."""
        ...

    def page(self, account_id: str, cursor: Cursor, *, within: AccountId) -> Page[ServiceAccount]:
        """Those of that account alone, in the order in which they were made."""
        ...

    def show(self, service_account_id: str, *, within: AccountId) -> ServiceAccount: ...

    def rename(self, service_account_id: str, name: str, *, by: Actor, within: AccountId) -> ServiceAccount: ...

    def delete(self, service_account_id: str, *, by: Actor, within: AccountId) -> None:
        """Its keys are revoked in the same transaction."""
        ...
