"""Where accounts are kept: the tenants. A sub-account is an account with a parent; the root has none.

In every call, `within` is how far the caller sees: what is not in that account's subtree raises NotFound, whether it is
there or not. `by` is who acts; it is written in the audit log with what changed.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.ids import AccountId
from trunkline.ports.audit import Actor
from trunkline.ports.pages import Cursor, Page

EVERY_MODEL = "*"


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many of each; None is no limit. `model`: a catalog id or alias, or EVERY_MODEL for all together."""

    model: str = EVERY_MODEL
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    images_per_minute: int | None = None
    audio_megabytes_per_minute: int | None = None
    requests_per_day: int | None = None
    batch_tokens_per_day: int | None = None
    concurrency: int | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Times are whole Unix seconds. `models`: globs, none means every model; one that begins with `!` takes models
    away. Those of each account above count too. `markup_millionths`: on top of the provider's price; None is what the
    account above has. `external_ref`: what its owner calls it. `archived_at`: its keys ended then, for good."""

    id: AccountId
    parent_id: AccountId | None
    name: str
    created_at: int
    archived_at: int | None = None
    models: tuple[str, ...] = ()
    markup_millionths: int | None = None
    default_tag: str | None = None
    external_ref: str | None = None
    metadata: dict[str, str] = {}


class AccountDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is to be. `metadata`: at most 16 pairs, names up to 64 and values up to 512 characters."""

    name: str
    parent_id: AccountId
    models: tuple[str, ...] = ()
    markup_millionths: int | None = None
    default_tag: str | None = None
    external_ref: str | None = None
    metadata: dict[str, str] = {}


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is UNSET stays as it is."""

    name: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    markup_millionths: int | UnsetType | None = UNSET
    default_tag: str | UnsetType | None = UNSET
    external_ref: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class AccountFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`parent_id`: only its children, else all that is below `within`, flat. `itself`: `within` too. `external_ref`:
    those that are called so. `archived`: those that have ended, too."""

    parent_id: str | None = None
    external_ref: str | None = None
    itself: bool = False
    archived: bool = False


class AccountStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer, NotFound
    (`account_not_found`) outside `within`, InvalidRequest for a value that does not fit, with `param`.

    A limit of an account (models, markup, rates, its place) is changed by whoever stands above it: the root's
    owner, or an actor of an account further up. Forbidden (`above_only`) for one of the account itself.
    """

    def create(self, draft: AccountDraft, *, by: Actor, within: AccountId) -> Account:
        """Raises NotFound when there is no such parent, InvalidRequest (`account_archived`) for one that has ended."""
        ...

    def page(self, wanted: AccountFilter, cursor: Cursor, *, within: AccountId) -> Page[Account]:
        """In the order in which they were made."""
        ...

    def show(self, account_id: str, *, within: AccountId) -> Account: ...

    def ancestors(self, account_id: str, *, within: AccountId) -> tuple[Account, ...]:
        """From the account itself upwards, as far as `within`, which is the last."""
        ...

    def update(self, account_id: str, change: AccountChange, *, by: Actor, within: AccountId) -> Account: ...

    def move(self, account_id: str, parent_id: str, *, by: Actor, within: AccountId) -> Account:
        """Below another parent, with all below it. Leases on its budgets end. Raises InvalidRequest (`account_loop`)
        for a parent below itself, (`over_parent`) for limits that are larger than those further up there."""
        ...

    def archive(self, account_id: str, *, by: Actor, within: AccountId) -> Account:
        """For good, with all accounts below it: their keys are revoked. Again is no error. The root cannot be."""
        ...

    def rates(self, account_id: str, *, within: AccountId) -> tuple[RateLimits, ...]:
        """By model; only what was set."""
        ...

    def set_rates(self, account_id: str, rates: RateLimits, *, by: Actor, within: AccountId) -> RateLimits:
        """In place of those for the same model; none left takes them away. Raises InvalidRequest (`over_parent`)
        for figures above those of an account further up for that model."""
        ...
