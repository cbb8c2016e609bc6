from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from trunkline.cli import accounts, keys
from trunkline.cli.store import opened
from trunkline.http.server import ServerOptions
from trunkline.ports.admin import LINK_PATH

Run = Callable[..., str]


def program() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.add_typer(accounts.app, name="accounts")
    app.add_typer(keys.app, name="keys")
    app.command("admin-link")(accounts.admin_link)
    return app


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str, exit_code: int = 0) -> str:
        done = CliRunner().invoke(program(), [*arguments, "--data-dir", str(tmp_path)], catch_exceptions=False)
        assert done.exit_code == exit_code, done.stderr
        return done.stdout if exit_code == 0 else done.stderr

    return run


def test_create_prints_the_id_alone(run: Run) -> None:
    child = run("accounts", "create", "--name", "child").strip()
    assert child.startswith("acct_")
    assert len(child.split()) == 1
    grandchild = msgspec.json.decode(run("accounts", "create", "--name", "grandchild", "--parent", child, "--json"))
    assert (grandchild["parent_id"], grandchild["name"]) == (child, "grandchild")


def test_list_and_show(run: Run) -> None:
    child = run("accounts", "create", "--name", "child").strip()
    run("keys", "create", "--account", child, "--name", "build")
    listed = msgspec.json.decode(run("accounts", "list", "--json"))
    assert [(one["id"], one["name"], one["parent_id"]) for one in listed] == [
        ("acct_root", "root", None),
        (child, "child", "acct_root"),
    ]
    assert child in run("accounts", "list")
    shown = msgspec.json.decode(run("accounts", "show", child, "--json"))
    assert shown["id"] == child
    assert [key["name"] for key in shown["keys"]] == ["build"]
    assert "build" in run("accounts", "show", child)
    assert "parent: -" in run("accounts", "show", "acct_root")


def test_an_account_has_a_place_budgets_and_a_balance(run: Run) -> None:
    child = run("accounts", "create", "--name", "child", "--models", "openai/*", "--markup-percent", "2.5").strip()
    grandchild = run("accounts", "create", "--name", "grandchild", "--parent", child).strip()
    assert run("accounts", "credit", child, "--usd", "10", "--id", "order-7") == "10 USD\n"
    assert run("accounts", "credit", child, "--usd", "10", "--id", "order-7") == "10 USD\n", "the same again"
    assert run("accounts", "credit", child, "--usd", "0.000000001", "--debit") == "9.999999999 USD\n"
    run("accounts", "budget", grandchild, "--usd", "5.5", "--period", "month", "--alert", "80", "--zone", "Asia/Tokyo")
    run("accounts", "budget", grandchild, "--usd", "1", "--tag", "shop")
    text = run("accounts", "show", grandchild, "--json")
    shown = msgspec.json.decode(text)
    assert shown["path"] == ["acct_root", child, grandchild]
    assert '"limit_usd": 5.5' in text
    assert [(one["kind"], one["subject"], one["period"], one["alerts"]) for one in shown["budgets"]] == [
        ("account", grandchild, "month", [80]),
        ("tag", "shop", "never", []),
    ]
    assert shown["balance"]["account_id"] == child
    assert '"free_usd": 9.999999999' in text
    said = run("accounts", "show", grandchild)
    assert f"path: acct_root > {child} > {grandchild}" in said
    assert "0 spent and 0 held of 5.5 USD" in said
    assert f"credit: 9.999999999 free of 9.999999999 USD in the wallet of {child}" in said
    above = msgspec.json.decode(run("accounts", "show", child, "--json"))
    assert (above["models"], above["markup_millionths"]) == (["openai/*"], 25_000)
    assert (above["budgets"], above["keys"]) == ([], [])


def test_a_budget_is_set_again_and_taken_away(run: Run) -> None:
    first = msgspec.json.decode(run("accounts", "budget", "acct_root", "--usd", "5", "--json"))
    again = msgspec.json.decode(run("accounts", "budget", "acct_root", "--usd", "4", "--json"))
    assert (first["id"], again["limit_usd"]) == (again["id"], 4)
    assert again["resets_at"] is None
    run("accounts", "budget", "acct_root", "--remove")
    run("accounts", "budget", "acct_root", "--remove")
    assert msgspec.json.decode(run("accounts", "show", "acct_root", "--json"))["budgets"] == []


def test_an_archived_account_ends(run: Run) -> None:
    child = run("accounts", "create", "--name", "child").strip()
    run("keys", "create", "--account", child)
    archived = msgspec.json.decode(run("accounts", "archive", child, "--json"))
    assert archived["archived_at"] is not None
    assert child not in run("accounts", "list")
    assert child in run("accounts", "list", "--archived")
    shown = msgspec.json.decode(run("accounts", "show", child, "--json"))
    assert [key["state"] for key in shown["keys"]] == ["revoked"]
    assert "archived: " in run("accounts", "show", child)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("accounts", "show", "acct_none"), 1, "There is no account 'acct_none'"),
        (("accounts", "create", "--name", "x", "--parent", "acct_none"), 1, "There is no account 'acct_none'"),
        (("accounts", "create", "--name", ""), 1, "printable characters"),
        (("accounts", "create"), 2, "--name"),
        (("accounts", "create", "--name", "x", "--markup-percent", "some"), 2, "no percentage"),
        (("accounts", "create", "--name", "x", "--markup-percent", "0.00001"), 2, "no percentage"),
        (("accounts", "create", "--name", "x", "--markup-percent", "nan"), 2, "no percentage"),
        (("accounts", "create", "--name", "x", "--markup-percent", "1e999"), 2, "no percentage"),
        (("accounts", "credit", "acct_none", "--usd", "1"), 1, "There is no account 'acct_none'"),
        (("accounts", "credit", "acct_root", "--usd", "1", "--debit"), 1, "neither spent nor held"),
        (("accounts", "credit", "acct_root", "--usd", "much"), 2, "no amount of USD"),
        (("accounts", "credit", "acct_root", "--usd", "0"), 1, "An amount is above 0"),
        (("accounts", "budget", "acct_root"), 2, "--usd or --remove"),
        (("accounts", "budget", "acct_root", "--usd", "1", "--remove"), 2, "--usd or --remove"),
        (("accounts", "budget", "acct_root", "--usd", "1", "--tag", "a", "--model", "b"), 2, "at most one"),
        (("accounts", "budget", "acct_root", "--usd", "1", "--zone", "Middle/Earth"), 1, "no time zone"),
        (("accounts", "budget", "acct_root", "--usd", "1", "--key", "key_none"), 1, "no key of that id"),
        (("accounts", "archive", "acct_root"), 1, "root account cannot be archived"),
        (("accounts", "show"), 2, "ID"),
    ],
)
def test_refusals_are_sentences(run: Run, arguments: tuple[str, ...], exit_code: int, said: str) -> None:
    errors = run(*arguments, exit_code=exit_code)
    assert said in " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in errors
    assert exit_code == 2 or errors.count("\n") == 1


def test_an_admin_link_opens_once(run: Run, tmp_path: Path) -> None:
    link = urlsplit(run("admin-link").strip())
    assert (link.scheme, link.netloc, link.path) == ("http", "127.0.0.1:8080", LINK_PATH)
    [token] = parse_qs(link.query)["token"]
    with opened(None, tmp_path) as (_, store):
        assert store.admin_links.redeem(token)
        assert not store.admin_links.redeem(token)
    answer = msgspec.json.decode(run("admin-link", "--json"))
    assert answer["expires_in_s"] == 3600
    assert answer["url"].startswith("http://127.0.0.1:8080/")


@pytest.mark.parametrize(
    ("server", "origin"),
    [
        (ServerOptions(), "http://127.0.0.1:8080"),
        (ServerOptions(host="0.0.0.0", port=1), "http://127.0.0.1:1"),
        (ServerOptions(host="::"), "http://[::1]:8080"),
        (ServerOptions(host="::1"), "http://[::1]:8080"),
        (ServerOptions(host="[::1]"), "http://[::1]:8080"),
        (ServerOptions(host="gw.example", tls_cert="c", tls_key="k"), "https://gw.example:8080"),
    ],
)
def test_a_link_leads_to_where_the_server_listens(server: ServerOptions, origin: str) -> None:
    assert accounts.link_url(server, "abc") == f"{origin}{LINK_PATH}?token=abc"
