"""What calls must know of accounts and budgets, as one snapshot that is read anew when the store's version moves."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId
from trunkline.ports.budgets import Budget


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """An account as calls see it. `models`: globs, none means every model; a call must pass those of the account and of
    each one above it. `markup_millionths`: on top of the provider's price (50,000 is 5 %); None is what the account
    above has. `has_credit`: it was ever given credit, so it pays from its own wallet."""

    id: AccountId
    parent_id: AccountId | None
    name: str = ""
    models: tuple[str, ...] = ()
    markup_millionths: int | None = None
    default_tag: str | None = None
    has_credit: bool = False
    archived: bool = False


class Tenancy(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the store's when this was read."""

    version: int
    tenants: dict[AccountId, Tenant]
    budgets: tuple[Budget, ...] = ()


class TenancyStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer."""

    def tenancy(self) -> Tenancy: ...
