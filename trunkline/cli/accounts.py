"""`trunkline accounts` and `trunkline admin-link`."""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline.cli import output
from trunkline.cli.store import ConfigFile, DataDir, Json, opened
from trunkline.http.server import ServerOptions
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.admin import LINK_LIFE_S, LINK_PATH

app = typer.Typer(help="Accounts: who keys belong to.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What people call it.")],
    parent: Annotated[str, typer.Option(metavar="ID", help="The account it belongs to.")] = ROOT_ACCOUNT,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make an account and print its id."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        account = store.accounts.create(name, parent)
    if json:
        output.say_json(account)
    else:
        output.say(account.id)


@app.command("list")
def list_(json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """All accounts, oldest first."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        accounts = store.accounts.list()
    if json:
        output.say_json(accounts)
        return
    rows = [
        (account.id, account.name, account.parent_id or "-", output.moment(account.created_at)) for account in accounts
    ]
    output.say_table(("ID", "NAME", "PARENT", "MADE"), rows)


@app.command()
def show(
    account_id: Annotated[str, typer.Argument(metavar="ID")],
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """One account and its keys."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        account = store.accounts.show(account_id)
        keys = store.keys.list(account_id)
    if json:
        output.say_json(
            {
                "id": account.id,
                "parent_id": account.parent_id,
                "name": account.name,
                "created_at": account.created_at,
                "keys": keys,
            }
        )
        return
    output.say(f"{account.id}  {account.name}  made {output.moment(account.created_at)}")
    output.say(f"parent: {account.parent_id or '-'}")
    for key in keys:
        output.say(f"key: {key.id}  {key.name}  {key.state}")


def admin_link(json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Make a link that opens the console once, within an hour."""
    with output.refusals(), opened(config, data_dir) as (settings, store):
        url = link_url(settings.server, store.admin_links.create())
    if json:
        output.say_json({"url": url, "expires_in_s": int(LINK_LIFE_S)})
    else:
        output.say(url)


def link_url(server: ServerOptions, token: str) -> str:
    """Where the server listens, seen from its own machine."""
    scheme = "https" if server.tls_cert is not None else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host).strip("[]")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}{LINK_PATH}?token={token}"
