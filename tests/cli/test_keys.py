from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from trunkline import clock
from trunkline.cli.keys import app
from trunkline.cli.store import opened
from trunkline.ports.budget_store import BudgetFilter
from trunkline.ports.keys import KeyRecord
from trunkline.ports.pages import Cursor

Run = Callable[..., "Printed"]


class Printed(msgspec.Struct, frozen=True):
    out: str
    errors: str

    def json(self) -> Any:
        return msgspec.json.decode(self.out)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str, exit_code: int = 0, stdin: str | bytes = "") -> Printed:
        done = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)], input=stdin, catch_exceptions=False)
        assert done.exit_code == exit_code, done.stderr
        return Printed(done.stdout, done.stderr)

    return run


def found(tmp_path: Path, key: str) -> KeyRecord | None:
    with opened(None, tmp_path) as (_, store):
        return store.serving_keys.find(store.digest(key))


def test_create_prints_the_key_alone(run: Run, tmp_path: Path) -> None:
    printed = run("create")
    key = printed.out.removesuffix("\n")
    assert key.startswith("sk-tl-")
    assert not set(key) & set(" \n")
    assert key not in printed.errors
    assert printed.errors.startswith("key_")
    assert found(tmp_path, key) is not None


def test_create_with_everything(run: Run, tmp_path: Path) -> None:
    before_s = clock.now_s()
    answer = run(
        *("create", "--name", "build", "--models", "openai/*", "--models", "fast", "--expires", "30d"),
        *("--admin", "--manage", "--json"),
    ).json()
    assert set(answer) == {"id", "key", "name", "account_id"}
    record = found(tmp_path, answer["key"])
    assert record is not None
    assert (record.key_id, record.name, record.models) == (answer["id"], "build", ("openai/*", "fast"))
    assert (record.admin, record.manage) == (True, True)
    assert record.expires_at == pytest.approx(before_s + 30 * 86_400, abs=60)


def test_list_has_the_fields_that_scripts_read(run: Run) -> None:
    run("create", "--name", "build")
    [key] = run("list", "--json").json()
    assert set(key) >= {"id", "name", "account_id", "state", "created_at", "last_used_at"}
    assert (key["name"], key["account_id"], key["state"], key["last_used_at"]) == ("build", "acct_root", "active", None)
    assert isinstance(key["created_at"], int)
    table = run("list").out
    assert key["id"] in table
    assert "build" in table
    assert run("list", "--account", "acct_root", "--json").json() == [key]


def test_an_empty_list(run: Run) -> None:
    assert run("list", "--json").json() == []
    assert run("list").out.startswith("ID")


def test_rotate_keeps_the_id(run: Run, tmp_path: Path) -> None:
    first = run("create", "--json").json()
    second = run("rotate", first["id"]).out.strip()
    old, new = found(tmp_path, first["key"]), found(tmp_path, second)
    assert old is not None
    assert new is not None
    assert old.key_id == new.key_id == first["id"]
    assert old.expires_at == pytest.approx(clock.now_s() + 86_400, abs=60)
    third = run("rotate", first["id"], "--grace", "0", "--json").json()
    assert [found(tmp_path, key) is not None for key in (first["key"], second, third["key"])] == [False, False, True]


def test_revoke_ends_it(run: Run, tmp_path: Path) -> None:
    made = run("create", "--json").json()
    assert run("revoke", made["id"]).out == ""
    assert found(tmp_path, made["key"]) is None
    assert run("revoke", made["id"], "--json").json() == {"id": made["id"], "state": "revoked"}
    assert [key["state"] for key in run("list", "--json").json()] == ["revoked"]


def test_what_a_key_may_spend_and_where_it_may_be_used(run: Run, tmp_path: Path) -> None:
    answer = run(
        *("create", "--budget-usd", "0.1", "--budget-period", "day", "--rpm", "60", "--tpm", "1000"),
        *("--concurrency", "2", "--address", "192.0.2.7", "--route", "chat", "--tag", "shop", "--note", "n", "--json"),
    ).json()
    [key] = run("list", "--json").json()
    assert (key["requests_per_minute"], key["tokens_per_minute"], key["concurrency"]) == (60, 1000, 2)
    assert (key["addresses"], key["routes"]) == (["192.0.2.7/32"], ["chat"])
    assert (key["default_tag"], key["note"], key["created_by"]) == ("shop", "n", "cli")
    with opened(None, tmp_path) as (_, store):
        [figures] = store.budgets.page(BudgetFilter(), Cursor()).items
    assert (figures.budget.subject, figures.budget.limit_nanos, figures.budget.period) == (
        answer["id"],
        100_000_000,
        "day",
    )


def test_a_viewer(run: Run) -> None:
    run("create", "--viewer")
    assert [(key["role"], key["manage"]) for key in run("list", "--json").json()] == [("viewer", False)]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_import_reads_standard_input_and_prints_the_id(run: Run, tmp_path: Path, ending: str) -> None:
    printed = run("import", "--name", "old", stdin="any-string-from-elsewhere" + ending)
    record = found(tmp_path, "any-string-from-elsewhere")
    assert record is not None
    assert printed.out == f"{record.key_id}\n"
    assert record.name == "old"
    assert "any-string" not in printed.out + printed.errors


@pytest.mark.parametrize(
    ("arguments", "stdin", "exit_code", "said"),
    [
        (("revoke", "key_none"), "", 1, "There is no key 'key_none'"),
        (("rotate", "key_none"), "", 1, "There is no key 'key_none'"),
        (("rotate", "key_none", "--grace", "soon"), "", 2, "no length of time"),
        (("create", "--account", "acct_none"), "", 1, "There is no account 'acct_none'"),
        (("create", "--expires", "tomorrow"), "", 2, "no length of time"),
        (("create", "--expires", "0"), "", 1, "must end in the future"),
        (("create", "--models", ""), "", 1, "model pattern"),
        (("create", "--budget-usd", "much"), "", 2, "no amount of USD"),
        (("create", "--budget-usd", "1.0000000001"), "", 2, "no amount of USD"),
        (("create", "--budget-usd", "1.000000000000000000000000000001"), "", 2, "no amount of USD"),
        (("create", "--budget-usd", "5", "--budget-period", "year"), "", 2, "budget-period"),
        (("create", "--rpm", "0"), "", 2, "rpm"),
        (("create", "--address", "here"), "", 1, "An address is IPv4 or IPv6"),
        (("create", "--route", "chess"), "", 1, "A route is one of"),
        (("create", "--viewer", "--admin"), "", 2, "neither manages"),
        (("list", "--account", "acct_none"), "", 1, "There is no account 'acct_none'"),
        (("import",), "", 1, "too short"),
        (("import",), "sk-1234\n", 1, "too short"),
        (("import",), "password\n", 1, "first that anybody would try"),
        (("import",), "one-key-here\nanother-key\n", 1, "without spaces"),
        (("import",), "k" * 5000, 1, "more than a key"),
        (("import",), b"\xff" * 20, 1, "printable ASCII"),
        (("revoke",), "", 2, "ID"),
    ],
)
def test_refusals_are_sentences(
    run: Run, arguments: tuple[str, ...], stdin: str | bytes, exit_code: int, said: str
) -> None:
    printed = run(*arguments, stdin=stdin, exit_code=exit_code)
    assert said in " ".join(printed.errors.replace("│", " ").split())
    assert "Traceback" not in printed.errors
    assert printed.out == ""
    assert exit_code == 2 or printed.errors.count("\n") == 1


def test_a_settings_file_that_is_wrong_is_a_sentence(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text("[databse]\n")
    assert "databse" in run("list", "--config", str(file), exit_code=1).errors
