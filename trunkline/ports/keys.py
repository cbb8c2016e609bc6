"""Where keys are kept. A key's secret never crosses this port: stores hold an id and an HMAC digest."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from trunkline.ids import AccountId, KeyId

KeyState = Literal["active", "expired", "revoked"]


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One live secret of a key. During a rotation's grace a key has two records with one `key_id`.

    `digest`: HMAC-SHA256(pepper, whole key), 32 bytes. `expires_at`: the end of the key or of this secret's grace,
    whichever is first. Times are Unix seconds; None means never.
    """

    digest: bytes
    key_id: KeyId
    account_id: AccountId
    name: str
    admin: bool = False
    manage: bool = False
    models: tuple[str, ...] = ()
    expires_at: float | None = None


class KeySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A key as lists show it. `last4` are the last characters of its newest secret, empty for a short imported one.
    Times are whole Unix seconds."""

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


class KeyStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer."""

    def version(self) -> int:
        """A counter that any change of a key, an account or a route raises."""
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
