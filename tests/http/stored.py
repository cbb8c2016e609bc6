"""A door with what is stored behind it, and the official client in front of it: two accounts, no socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import msgspec
import openai

from tests.driver import Reply, ask, json_headers, scope_of
from tests.pipeline.scripted import KEY, Empty
from tests.storage.conftest import PEPPER
from tests.storage.stores import other_account
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.conversations import ConversationRoutes
from trunkline.http.door import Door
from trunkline.http.responses import ResponseRoutes
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId, new_stored_id
from trunkline.pipeline.identity import KeyTable
from trunkline.policy.keys import KeyShape
from trunkline.ports.keys import KeyRecord
from trunkline.ports.responses import StoredResponse
from trunkline.storage.conversations import SqlConversationStore
from trunkline.storage.database import Database, DatabaseOptions, open_database
from trunkline.storage.responses import SqlResponseStore
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads
from trunkline.storage.upgrade import migrate

OTHER_KEY = "sk-tl-of-another-account"
BODY_LIMIT = 20_000


async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


class House:
    """`database` is current already."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.threads = StoreThreads(database)
        sealer = Sealer(PEPPER)
        self.responses = SqlResponseStore(self.threads, sealer)
        self.conversations = SqlConversationStore(self.threads, sealer)
        self.other = other_account(database)
        self.keys = KeyTable(Empty(), _digest, KeyShape("sk-tl"))
        self.keys._replace(1, [_record(KEY, ROOT_ACCOUNT), _record(OTHER_KEY, self.other)], began_at=1e12)
        self.door = Door(self.keys, None, no_lifespan)
        ResponseRoutes(self.door, self.responses).add_to(self.door)
        ConversationRoutes(self.door, self.conversations, BODY_LIMIT).add_to(self.door)

    def client(self, key: str = KEY) -> openai.AsyncOpenAI:
        """It lets any shape pass: `strictly` does not."""
        transport = httpx2.ASGITransport(app=self.door)
        return openai.AsyncOpenAI(
            api_key=key,
            base_url="http://gateway.test/v1",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport),
        )

    async def ask(
        self, method: str, path: str, body: bytes = b"", key: str = KEY, more: Headers | None = None
    ) -> Reply:
        return await ask(self.door, scope_of(method, path, json_headers(key, more)), body)

    def close(self) -> None:
        self.threads.close()
        self.database.close()


def migrated(folder: Path) -> bytes:
    """The file of a database that is current."""
    database = open_database(DatabaseOptions(), folder)
    migrate(database)
    with database.reading() as connection:
        whole: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
    database.close()
    return whole


def open_house(folder: Path, whole: bytes) -> House:
    (folder / "trunkline.db").write_bytes(whole)
    database = open_database(DatabaseOptions(), folder)
    database.create_file()
    return House(database)


def _digest(text: str) -> bytes:
    return text.encode().ljust(40, b".")


def _record(key: str, account_id: AccountId) -> KeyRecord:
    return KeyRecord(digest=_digest(key), key_id=KeyId(f"key_{account_id}"), account_id=account_id, name="test")


def message(text: str, role: str = "user") -> dict[str, Any]:
    return {
        "id": new_stored_id("msg"),
        "type": "message",
        "role": role,
        "status": "completed",
        "content": [{"type": "input_text", "text": text}],
    }


def answer(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {**message("", "assistant"), "content": [part]}


def stored(
    output: list[dict[str, Any]] | None = None, inputs: list[dict[str, Any]] | None = None, **changes: Any
) -> StoredResponse:
    """A whole Response object, as the gateway makes it."""
    response_id = new_stored_id("resp")
    status = changes.get("status", "completed")
    whole = {
        "id": response_id,
        "object": "response",
        "created_at": 1_800_000_000,
        "status": status,
        "background": changes.get("background", False),
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "sandbox/echo",
        "output": output if output is not None else [answer("an answer")],
        "parallel_tool_calls": True,
        "metadata": {},
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
    }
    made = StoredResponse(
        id=response_id,
        account_id=ROOT_ACCOUNT,
        created_at=1_800_000_000,
        expires_at=1e12,
        status="completed",
        model="sandbox/echo",
        response=msgspec.json.encode(whole),
        input=msgspec.json.encode(inputs if inputs is not None else [message("a question")]),
    )
    return msgspec.structs.replace(made, **changes)


def strictly(kind: Any, body: bytes | str) -> Any:
    """`body` as an object of the official package's type; its client itself lets anything pass."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json(body)
