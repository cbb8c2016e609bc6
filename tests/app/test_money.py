"""Money in one process on a real database: it opens, keeps what calls cost, follows what changes, and closes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.driver import ask, json_headers, lifespan, scope_of
from trunkline import config
from trunkline.app.application import App
from trunkline.app.money import REQUESTS_FILE
from trunkline.http.server import Serving
from trunkline.ids import ROOT_ACCOUNT, call_number, number_of
from trunkline.money import Nanos
from trunkline.ports.audit import CLI
from trunkline.ports.budget_store import BudgetDraft
from trunkline.storage.keys import Grant

CHAT = "/v1/chat/completions"
HELLO = b'{"model":"sandbox/echo","max_tokens":5,"messages":[{"role":"user","content":"hello there"}]}'
SETTINGS = '[discovery]\nlocal = false\n[prices."sandbox/echo"]\ninput = 1\noutput = 3\n'


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[App]:
    (folder / "trunkline.toml").write_text(SETTINGS)
    made = App(config.load(folder / "trunkline.toml", folder / "data", environment={}), Serving())
    async with lifespan(made.door):
        yield made


def rows(folder: Path, query: str, file: str = "trunkline.db") -> list[Any]:
    with closing(sqlite3.connect(folder / "data" / file)) as connection:
        return connection.execute(query).fetchall()


async def call(made: App, key: str) -> tuple[int, dict[str, Any], str]:
    """Status, body, and the call's id."""
    reply = await ask(made.door, scope_of("POST", CHAT, json_headers(key)), HELLO)
    return reply.status, reply.json(), reply.header("x-trunkline-call-id") or ""


async def test_a_call_is_in_the_ledger_when_its_answer_is_and_in_the_log_soon(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        key = made.store.keys.create(Grant(name="any")).key.reveal()
        status, answer, call_id = await call(made, key)
        assert status == 200
        [(entry_id, state, cost)] = rows(tmp_path, "SELECT entry_id, state, cost_nanos FROM ledger")
        assert (state, number_of(entry_id)) == ("settled", call_number(call_id))
        used = answer["usage"]
        assert cost == used["prompt_tokens"] * 1000 + used["completion_tokens"] * 3000 == round(used["cost"] * 1e9)
        async with asyncio.timeout(5):
            while not (row := await made.money.reader.answered(answer["id"], ROOT_ACCOUNT)):
                await asyncio.sleep(0.02)
        assert (row.number, row.cost_nanos, row.finish_reason) == (call_number(call_id), cost, "stop")
        assert (tmp_path / "data" / REQUESTS_FILE).exists()


async def test_a_budget_counts_from_the_second_it_was_made(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        made_key = made.store.keys.create(Grant(name="any"))
        key = made_key.key.reveal()
        assert (await call(made, key))[0] == 200
        draft = BudgetDraft(account_id=ROOT_ACCOUNT, kind="key", subject=made_key.id, limit_nanos=Nanos(1000))
        made.store.budgets.put(draft, by=CLI, within=ROOT_ACCOUNT)
        async with asyncio.timeout(2):
            while (refused := await call(made, key))[0] == 200:
                await asyncio.sleep(0.02)
        assert refused[1]["error"]["code"] == "budget_exceeded"


async def test_what_is_leased_goes_back_at_the_end(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        key = made.store.keys.create(Grant(name="any", budget_nanos=Nanos(10**9))).key.reveal()
        assert (await call(made, key))[0] == 200
        assert rows(tmp_path, "SELECT sum(granted_nanos) > 0 FROM leases") == [(1,)]
        [(spent,)] = rows(tmp_path, "SELECT spent_nanos FROM pots")
    assert rows(tmp_path, "SELECT sum(granted_nanos) FROM leases") == [(0,)]
    assert rows(tmp_path, "SELECT spent_nanos, leased_nanos FROM pots") == [(spent, 0)]
    assert rows(tmp_path, "SELECT count(*) FROM holders WHERE state = 'live'") == [(0,)]


async def test_the_next_start_ends_what_a_dead_process_left_open(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        key = made.store.keys.create(Grant(name="any", budget_nanos=Nanos(10**9))).key.reveal()
        await call(made, key)
    with closing(sqlite3.connect(tmp_path / "data" / "trunkline.db")) as connection, connection:
        # As if it had died between the two: its end is gone, and it never said goodbye.
        connection.execute("DELETE FROM ledger WHERE state = 'settled'")
        connection.execute("UPDATE holders SET state = 'live'")
    async with house(tmp_path):
        assert rows(tmp_path, "SELECT state, cost_nanos, estimated FROM ledger ORDER BY entry_id") == [
            ("open", 0, 0),
            ("released", 0, 1),
        ]


async def test_prices_here_are_with_the_accounts_markup(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        found = made.store.keys.create(Grant(name="any"))
        record = made.store.serving_keys.find(made.store.digest(found.key.reveal()))
        assert record is not None
        assert made.money.markup_of(record) == 0
        treasury = made.money.treasury
        assert treasury is not None
        root = msgspec.structs.replace(treasury.tenancy.tenants[ROOT_ACCOUNT], markup_millionths=50_000)
        treasury.follow(
            msgspec.structs.replace(
                treasury.tenancy, version=treasury.tenancy.version + 1, tenants={ROOT_ACCOUNT: root}
            )
        )
        assert made.money.markup_of(record) == 50_000


async def test_every_route_of_money_is_described(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        paths = {path for route in made.money.routes(list) for path in route.paths}
        for path in ("/v1/key", "/v1/generation", "/v1/requests", "/v1/budgets", "/v1/organization/costs"):
            assert path in paths


async def test_a_start_without_a_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "trunkline.toml").write_text(SETTINGS)
    made = App(config.load(tmp_path / "trunkline.toml", tmp_path / "data", environment={}), Serving())
    made.store.close()
    (tmp_path / "data" / "trunkline.db").unlink()
    with pytest.raises(AssertionError):
        async with lifespan(made.door):
            pass
