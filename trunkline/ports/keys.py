"""Where keys are kept. A key's secret never crosses this port: stores hold an id and an HMAC digest."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId, KeyId


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One live secret of a key. During a rotation's grace a key has two records with one `key_id`.

    `digest`: HMAC-SHA256(pepper, whole key), 32 bytes. Times are Unix seconds; None means never.
    """

    digest: bytes
    key_id: KeyId
    account_id: AccountId
    name: str
    admin: bool = False
    manage: bool = False
    models: tuple[str, ...] = ()
    expires_at: float | None = None


class KeyStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer."""

    def version(self) -> int:
        """A counter that any change of a key, an account or a route raises."""
        ...

    def live_keys(self) -> list[KeyRecord]:
        """Every secret that may be used now (revoked ones are left out; expiry is checked at use)."""
        ...

    def find(self, digest: bytes) -> KeyRecord | None: ...

    def touch(self, used: dict[KeyId, float]) -> None:
        """Last-used times (Unix seconds), written in one go from time to time."""
        ...
