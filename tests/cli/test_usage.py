from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from sqlalchemy import insert
from typer.testing import CliRunner

from tests.storage.summed import BEGAN_MS, FIRST, entry, write
from trunkline import clock
from trunkline.cli.store import opened
from trunkline.cli.usage import usage
from trunkline.storage.schema import accounts

Run = Callable[..., Any]
DAY_MS = 86_400_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    app = typer.Typer()
    app.command()(usage)
    monkeypatch.setattr(clock, "now_s", lambda: BEGAN_MS / 1000 + 10 * 86_400 + 5)
    with opened(None, tmp_path) as (_, store):
        with store.database.writing() as connection:
            for name, parent in (("acct_a", "acct_root"), ("acct_b", "acct_a")):
                connection.execute(insert(accounts).values(account_id=name, parent_id=parent, name="n", created_at=0.0))
        write(
            store.database,
            [
                entry(FIRST, tag="t", cost_nanos=1_500_000_000),
                entry(FIRST + 1, account_id="acct_b", key_id="key_b", opened_at_ms=BEGAN_MS + DAY_MS, cost_nanos=1),
                entry(FIRST + 2, model="m", state="released", cost_nanos=0, opened_at_ms=BEGAN_MS + DAY_MS),
            ],
        )

    def run(*arguments: str, exit_code: int = 0) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)], catch_exceptions=False)
        assert done.exit_code == exit_code, done.stderr
        return done

    return run


@pytest.mark.parametrize(
    ("by", "field", "expected"),
    [
        ("model", "model", [("openai/gpt-4o", 2), ("m", 0)]),
        ("key", "key_id", [("key_a", 1), ("key_b", 1)]),
        ("account", "account_id", [("acct_a", 1), ("acct_b", 1)]),
        ("tag", "tag", [("t", 1), (None, 1)]),
        ("day", "day", [("2027-01-01", 1), ("2027-01-02", 1)]),
    ],
)
def test_usage_by_what_is_asked_for(run: Run, by: str, field: str, expected: list[tuple[str | None, int]]) -> None:
    found = msgspec.json.decode(run("--by", by, "--json").stdout)
    assert [(one[field], one["requests"]) for one in found] == expected
    assert sum(one["cost_nanos"] for one in found) == 1_500_000_001
    assert sum(one["errors"] for one in found) == 1


def test_costs_are_numbers_that_are_not_rounded(run: Run) -> None:
    printed = run("--json").stdout
    assert '"cost_usd": 1.500000001' in printed
    assert msgspec.json.decode(printed)[1]["cost_usd"] == 0


def test_a_table_for_people(run: Run) -> None:
    done = run()
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["MODEL", "REQUESTS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "COST", "$", "UPSTREAM", "$"]
    assert first.split() == ["openai/gpt-4o", "2", "0", "20", "0", "10", "1.500000001", "0.0000018"]
    assert second.split()[:3] == ["m", "0", "1"]
    assert "Since 2026-12-12 00:00:00Z" in done.stderr


def test_since_and_account_narrow_it_down(run: Run) -> None:
    since = msgspec.json.decode(run("--since", "2027-01-02", "--by", "key", "--json").stdout)
    assert [one["key_id"] for one in since] == ["key_b", "key_a"]
    below = msgspec.json.decode(run("--account", "acct_b", "--json").stdout)
    assert [one["requests"] for one in below] == [1]


def test_nothing_used_is_said(run: Run) -> None:
    done = run("--since", "1h")
    assert done.stdout == ""
    assert "Nothing was used since" in done.stderr
    assert msgspec.json.decode(run("--since", "1h", "--json").stdout) == []


def test_refusals(run: Run) -> None:
    assert "acct_gone" in run("--account", "acct_gone", exit_code=1).stderr
    run("--since", "long ago", exit_code=2)
    run("--by", "colour", exit_code=2)
