"""What the tests of the stored state share: two accounts, and records to keep."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.ids import AccountId, new_stored_id
from trunkline.ports.accounts import AccountDraft
from trunkline.ports.responses import ItemRecord, StoredResponse
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.database import Database

ROOT = AccountId("acct_root")
NOW_S = 1_800_000_000


def other_account(database: Database) -> AccountId:
    return SqlAccountStore(database).create(AccountDraft(name="other", parent_id=ROOT)).id


def response(**changes: Any) -> StoredResponse:
    response_id = changes.pop("id", None) or new_stored_id("resp")
    made = StoredResponse(
        id=response_id,
        account_id=ROOT,
        created_at=NOW_S,
        expires_at=NOW_S + 30 * 86_400.0,
        status="completed",
        model="sandbox/echo",
        response=msgspec.json.encode({"id": response_id, "status": changes.get("status", "completed"), "error": None}),
        input=b'[{"id":"msg_1","content":"a question"}]',
    )
    return msgspec.structs.replace(made, **changes)


def item(item_id: str, text: str = "text") -> ItemRecord:
    return ItemRecord(item_id, msgspec.json.encode({"id": item_id, "text": text}))
