"""Where accounts are kept: the tenants. A sub-account is an account with a parent; the root has none."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at` is whole Unix seconds."""

    id: AccountId
    parent_id: AccountId | None
    name: str
    created_at: int


class AccountStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer."""

    def create(self, name: str, parent_id: AccountId) -> Account:
        """Raises NotFound when there is no such parent, InvalidRequest for a name that cannot be shown."""
        ...

    def list(self) -> list[Account]:
        """All of them, oldest first."""
        ...

    def show(self, account_id: str) -> Account:
        """Raises NotFound."""
        ...
