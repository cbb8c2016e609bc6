"""Where keys are kept. A key's secret never crosses this port but once: when it is made, to be shown to its owner.

Stores hold an id and an HMAC digest. `within` and `by` are as in ports.accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol, get_args

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.ids import AccountId, KeyId
from trunkline.ports.audit import Actor, Role
from trunkline.ports.budgets import Period
from trunkline.ports.pages import Cursor, Page

KeyState = Literal["active", "expired", "revoked"]
KeyRoute = Literal[
    "chat",
    "completions",
    "messages",
    "responses",
    "conversations",
    "generate",
    "embeddings",
    "images",
    "audio",
    "realtime",
    "rerank",
    "moderations",
    "models",
    "files",
    "batches",
]
"""What a key can be limited to. `generate` is Gemini's protocol."""
KEY_ROUTES: Final[tuple[KeyRoute, ...]] = get_args(KeyRoute)


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What few keys have. `addresses`: networks in CIDR form that it may be used from, none means anywhere. `routes`:
    the only ones that it may use, none means all. `read_only`: no calls, a viewer's."""

    addresses: tuple[str, ...] = ()
    routes: tuple[KeyRoute, ...] = ()
    read_only: bool = False


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One live secret of a key. During a rotation's grace a key has two records with one `key_id`.

    `digest`: HMAC-SHA256(pepper, whole key), 32 bytes. `expires_at`: the end of the key or of this secret's grace,
    whichever is first. Times are Unix seconds; None means never. `default_tag`: of calls that bring none. `limits`:
    None for most. `retires`: digests of the secrets before it, which end when this one is used.
    """

    digest: bytes
    key_id: KeyId
    account_id: AccountId
    name: str
    admin: bool = False
    manage: bool = False
    models: tuple[str, ...] = ()
    expires_at: float | None = None
    default_tag: str | None = None
    limits: KeyLimits | None = None
    retires: tuple[bytes, ...] = ()


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a key will be. `models`: globs, none means every model; one with `!` takes models away.

    `role` None: as `admin` and `manage` say, and the first key of an account may always manage it. With a role the two
    are ignored. `budget_nanos`: a budget of the key itself is made with it. `expires_at`: Unix seconds. `owner_id`: the
    service account or user whose it is. Rates: None is no limit.
    """

    name: str = "key"
    account_id: str = "acct_root"
    admin: bool = False
    manage: bool = False
    role: Role | None = None
    models: tuple[str, ...] = ()
    expires_at: float | None = None
    budget_nanos: int | None = None
    budget_period: Period = "never"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    addresses: tuple[str, ...] = ()
    routes: tuple[KeyRoute, ...] = ()
    default_tag: str | None = None
    note: str | None = None
    owner_id: str | None = None


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is UNSET stays as it is. Budgets are changed as budgets."""

    name: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    expires_at: float | UnsetType | None = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    concurrency: int | UnsetType | None = UNSET
    addresses: tuple[str, ...] | UnsetType = UNSET
    routes: tuple[KeyRoute, ...] | UnsetType = UNSET
    default_tag: str | UnsetType | None = UNSET
    note: str | UnsetType | None = UNSET


class KeySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A key as lists show it. `last4` are the last characters of its newest secret, empty for a short imported one.
    `redacted` is that secret as it may be shown. `created_by`: the id of the actor. Times are whole Unix seconds."""

    id: KeyId
    name: str
    account_id: AccountId
    state: KeyState
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    admin: bool
    manage: bool
    models: tuple[str, ...]
    last4: str
    role: Role = "member"
    redacted: str = ""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    addresses: tuple[str, ...] = ()
    routes: tuple[KeyRoute, ...] = ()
    default_tag: str | None = None
    note: str | None = None
    owner_id: str | None = None
    created_by: str | None = None


class KeySecret(Protocol):
    """A whole key that does not print itself (trunkline.observe.Secret)."""

    def reveal(self) -> str: ...


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its secret, the only time that it is seen. `created_at`, `expires_at`: whole Unix seconds.
    `old_ends_at`: when the secret before it ends, at the latest; None when there is none."""

    id: KeyId
    key: KeySecret
    created_at: int = 0
    expires_at: int | None = None
    old_ends_at: int | None = None


class KeyFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`account_id`: that account's alone, else all of the subtree. `admin`: only those with that scope, or without."""

    account_id: str | None = None
    owner_id: str | None = None
    admin: bool | None = None
    ended: bool = False
    """Those that are revoked or expired, too."""


class Keys(Protocol):
    """What people do with keys. Blocking calls: run them off the loop.

    Each raises StoreUnavailable when the database does not answer, NotFound (`key_not_found`, `account_not_found`)
    outside `within`, InvalidRequest for a value that does not fit, with `param`. Nobody makes, changes, rotates or
    revokes a key of a role above their own: Forbidden (`role_missing`). A key never changes its own limits.
    """

    def create(self, grant: Grant, *, by: Actor, within: AccountId) -> IssuedKey:
        """Raises InvalidRequest (`over_parent`) for a budget or a rate above that of its account or one further up."""
        ...

    def page(self, wanted: KeyFilter, cursor: Cursor, *, within: AccountId) -> Page[KeySummary]:
        """In the order in which they were made."""
        ...

    def show(self, key_id: str, *, within: AccountId) -> KeySummary: ...

    def update(self, key_id: str, change: KeyChange, *, by: Actor, within: AccountId) -> KeySummary:
        """Raises InvalidRequest (`key_ended`) for one that is no longer in use."""
        ...

    def rotate(self, key_id: str, grace_s: float | None, *, by: Actor, within: AccountId) -> IssuedKey:
        """A second secret for the same key, of the same id. The one before ends in `grace_s` seconds, at once for 0;
        with None when the new one is first used, at most 24 h later. Raises InvalidRequest (`key_ended`)."""
        ...

    def revoke(self, key_id: str, *, by: Actor, within: AccountId) -> bool:
        """End a key with all its secrets; False when it was revoked before."""
        ...


class KeyStore(Protocol):
    """What serving reads. Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does
    not answer."""

    def version(self) -> int:
        """A counter that any change of a key, an account, a budget or a route raises."""
        ...

    def live_keys(self) -> list[KeyRecord]:
        """Every secret that may be used now (revoked and ended ones are left out; expiry is checked again at use)."""
        ...

    def find(self, digest: bytes) -> KeyRecord | None:
        """One secret that is not revoked; it may have ended."""
        ...

    def touch(self, used: dict[KeyId, float]) -> None:
        """Last-used times (Unix seconds), written in one go from time to time."""
        ...

    def retire(self, used: Sequence[bytes]) -> None:
        """The secrets with these digests were used: those that each of them `retires` end now. Again is no error."""
        ...
