from __future__ import annotations

import msgspec
import pytest

from trunkline.ids import AccountId, KeyId
from trunkline.ports.ledger import OPEN, Entry, Fenced


def test_who_is_fenced_learns_which_leases_have_ended() -> None:
    assert Fenced((1, 2)).lease_ids == (1, 2)
    assert Fenced().lease_ids == (), "all of them"


def test_an_entry_does_not_change() -> None:
    entry = Entry(entry_id=1, state=OPEN, account_id=AccountId("acct_1"), key_id=KeyId("key_1"))
    with pytest.raises(AttributeError):
        entry.cost_nanos = 5  # type: ignore[misc, assignment]


def test_all_but_the_draws_of_an_entry_is_stored_and_comes_first() -> None:
    assert Entry.__struct_fields__[0] == "entry_id"
    assert Entry.__struct_fields__[-1] == "draws"
    assert {field.name for field in msgspec.structs.fields(Entry) if field.required} == {
        "entry_id", "state", "account_id", "key_id",
    }  # fmt: skip
