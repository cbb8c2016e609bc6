from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from tests.storage.summed import BEGAN_MS, FIRST, entry, write
from trunkline import clock
from trunkline.cli import ledger
from trunkline.cli.ledger import app
from trunkline.cli.store import opened
from trunkline.ids import ENTRY_ADJUSTED, call_id
from trunkline.storage.ledger_lines import AttemptLine
from trunkline.storage.money_schema import credit_entries

Run = Callable[..., Any]
DAY_MS = 86_400_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(clock, "now_s", lambda: BEGAN_MS / 1000 + 3 * 86_400)
    with opened(None, tmp_path) as (_, store):
        write(
            store.database,
            [
                entry(FIRST, tag="=1+1", status=200),
                entry(FIRST, state="released", attempt=2, cost_nanos=0, status=502),
                entry(FIRST + 1, model="openai/o3", opened_at_ms=BEGAN_MS + DAY_MS, held_nanos=40),
                entry(FIRST + 1, ENTRY_ADJUSTED, "adjusted", opened_at_ms=BEGAN_MS + DAY_MS, model="openai/o3"),
            ],
        )
        with store.database.writing() as connection:
            connection.execute(
                insert(credit_entries).values(
                    account_id="acct_root",
                    credit_id="credit_1",
                    amount_nanos=5,
                    note="paid",
                    actor="cli",
                    created_at=BEGAN_MS / 1000 + 86_400,
                )
            )

    def run(*arguments: str, exit_code: int = 0) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)], catch_exceptions=False)
        assert done.exit_code == exit_code, done.stderr
        return done

    return run


def lines_of(done: Any) -> list[Any]:
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def test_export_writes_a_line_for_each_attempt(run: Run) -> None:
    lines = lines_of(run("export"))
    assert [(line["call_id"], line["attempt"], line["state"]) for line in lines] == [
        (call_id(FIRST), 1, "settled"),
        (call_id(FIRST), 2, "released"),
        (call_id(FIRST + 1), 1, "settled"),
    ]
    assert tuple(lines[0]) == AttemptLine.__struct_fields__
    assert lines[2]["cost_nanos"] == 2000
    assert run("export", "--json").stdout == run("export").stdout


def test_export_with_corrections_and_credit(run: Run) -> None:
    lines = lines_of(run("export", "--kind", "adjustments", "--kind", "credit"))
    assert [line.get("kind") for line in lines] == [None, None, None, "adjustment", "credit"]
    assert lines[3]["cost_nanos"] == 1000
    assert lines[4] == {
        "credit_id": "credit_1",
        "account_id": "acct_root",
        "amount_nanos": 5,
        "note": "paid",
        "actor": "cli",
        "created_at": BEGAN_MS / 1000 + 86_400,
        "kind": "credit",
    }


def test_export_since(run: Run) -> None:
    assert [line["model"] for line in lines_of(run("export", "--since", "2027-01-02"))] == ["openai/o3"]
    assert [line["model"] for line in lines_of(run("export", "--since", "48h"))] == ["openai/o3"]
    assert run("export", "--since", "1h").stdout == ""


def test_export_as_a_table(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export", "--csv").stdout)))
    assert tuple(rows[0]) == AttemptLine.__struct_fields__
    assert (rows[0]["tag"], rows[0]["estimated"], rows[1]["tag"]) == ("'=1+1", "false", "")
    more = list(csv.DictReader(io.StringIO(run("export", "--csv", "--kind", "credit").stdout)))
    assert (more[-1]["kind"], more[-1]["amount_nanos"], more[0]["kind"]) == ("credit", "5", "")


def test_export_in_pieces(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("export").stdout
    monkeypatch.setattr(ledger, "WRITTEN_TOGETHER", 2)
    assert run("export").stdout == whole


def test_an_empty_ledger(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", "--data-dir", str(tmp_path / "new")])
    assert (done.exit_code, done.stdout) == (0, "")


def test_wrong_usage(run: Run) -> None:
    run("export", "--since", "long ago", exit_code=2)
    run("export", "--csv", "--json", exit_code=2)
    run("export", "--kind", "colours", exit_code=2)
    run("reconcile", exit_code=2)


@pytest.fixture
def bill(tmp_path: Path) -> Callable[[str], str]:
    def bill(text: str) -> str:
        (tmp_path / "bill.csv").write_text("date,model,input_tokens,output_tokens,cost\n" + text)
        return str(tmp_path / "bill.csv")

    return bill


def test_a_bill_that_agrees(run: Run, bill: Callable[[str], str]) -> None:
    file = bill("2027-01-01,gpt-4o,20,10,0.000001800\n2027-01-02,o3,20,10,0.0000018\n")
    done = run("reconcile", file)
    assert done.stdout == ""
    assert "2027-01-01 to 2027-01-02: no mismatches." in done.stderr
    assert msgspec.json.decode(run("reconcile", file, "--json").stdout) == []


def test_a_bill_that_does_not(run: Run, bill: Callable[[str], str]) -> None:
    file = bill("2027-01-01,gpt-4o,20,11,0.000001800\n2027-01-02,gpt-4o,1,0,0\n")
    found = msgspec.json.decode(run("reconcile", file, "--json", exit_code=1).stdout)
    assert [
        (one["day"], one["model"], one["what"], one["ours"], one["theirs"], one["difference"]) for one in found
    ] == [
        ("2027-01-01", "gpt-4o", "output_tokens", 10, 11, 1),
        ("2027-01-02", "gpt-4o", "input_tokens", 0, 1, 1),
        ("2027-01-02", "openai/o3", "input_tokens", 20, 0, -20),
        ("2027-01-02", "openai/o3", "output_tokens", 10, 0, -10),
        ("2027-01-02", "openai/o3", "cost_nanos", 1800, 0, -1800),
    ]
    done = run("reconcile", file, exit_code=1)
    assert done.stdout.splitlines()[-1].split() == [
        "2027-01-02",
        "openai/o3",
        "cost",
        "$",
        "0.0000018",
        "0",
        "-0.0000018",
    ]
    assert "5 mismatches" in done.stderr


def test_a_bill_is_of_one_provider_and_within_a_tolerance(run: Run, bill: Callable[[str], str]) -> None:
    file = bill("2027-01-01,gpt-4o,20,10,0.000002800\n2027-01-02,o3,20,10,0.0000018\n")
    assert "1 mismatch." in run("reconcile", file, exit_code=1).stderr
    run("reconcile", file, "--tolerance-usd", "0.000001")
    found = msgspec.json.decode(run("reconcile", file, "--provider", "azure", "--json", exit_code=1).stdout)
    assert {one["ours"] for one in found} == {0}


def test_a_bill_that_cannot_be_read(run: Run, tmp_path: Path, bill: Callable[[str], str]) -> None:
    assert "cannot be read" in run("reconcile", str(tmp_path / "missing.csv"), exit_code=1).stderr
    (tmp_path / "other.csv").write_text("name,colour\n")
    assert "columns" in run("reconcile", str(tmp_path / "other.csv"), exit_code=1).stderr
    assert "row 2" in run("reconcile", bill("2027-01-01,gpt-4o,many,0,0\n"), exit_code=1).stderr
    assert "no day: no mismatches." in run("reconcile", bill("")).stderr
