from __future__ import annotations

import pytest

from trunkline.ids import AccountId, KeyId
from trunkline.ports.keys import KeyRecord, KeyStore
from trunkline.storage.live_keys import SqlKeyStore


def test_a_record_cannot_be_widened_once_it_is_read() -> None:
    record = KeyRecord(digest=b"", key_id=KeyId("key_1"), account_id=AccountId("acct_root"), name="a")
    with pytest.raises(AttributeError):
        record.admin = True  # type: ignore[misc]


def test_the_least_is_the_default() -> None:
    record = KeyRecord(digest=b"", key_id=KeyId("key_1"), account_id=AccountId("acct_root"), name="a")
    assert (record.admin, record.manage) == (False, False)


def test_the_database_fulfils_the_port() -> None:
    store: type[KeyStore] = SqlKeyStore
    assert {"version", "live_keys", "find", "touch"} <= set(dir(store))
