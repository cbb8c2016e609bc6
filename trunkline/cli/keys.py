"""`trunkline keys`."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from trunkline import clock
from trunkline.cli import amount, output
from trunkline.cli.duration import seconds
from trunkline.cli.store import ConfigFile, DataDir, Json, opened
from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT
from trunkline.observe import Secret
from trunkline.ports.budgets import Period
from trunkline.ports.keys import Grant

# A key on standard input is a line; whatever is longer is not one, and is not read.
LONGEST_INPUT = 4096

Name = Annotated[str, typer.Option(help="What people call it.")]
Account = Annotated[str, typer.Option(metavar="ID", help="The account it belongs to.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="A model, an alias or a pattern it may use; repeat for more. Default: every model."
    ),
]
Expires = Annotated[str | None, typer.Option(metavar="TIME", help="When it ends: 30d, 12h, 2w. Default: never.")]
BudgetUsd = Annotated[str | None, typer.Option(metavar="USD", help="What it may spend: 5, 0.25. Default: no limit.")]
BudgetPeriod = Annotated[Period, typer.Option(help="When its budget begins anew.")]
Rpm = Annotated[int | None, typer.Option("--rpm", metavar="N", min=1, help="Requests a minute.")]
Tpm = Annotated[int | None, typer.Option("--tpm", metavar="N", min=1, help="Tokens a minute.")]
Concurrency = Annotated[int | None, typer.Option(metavar="N", min=1, help="Calls at a time.")]
Addresses = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="NETWORK", help="Where it may be used from: 192.0.2.0/24; repeat for more."),
]
Routes = Annotated[
    list[str] | None,
    typer.Option("--route", metavar="NAME", help="What it may use: chat, images; repeat for more."),
]
Tag = Annotated[str | None, typer.Option(help="Of its calls that bring none.")]
Note = Annotated[str | None, typer.Option(help="For whoever reads the list.")]
ViewerOnly = Annotated[bool, typer.Option("--viewer", help="It may read figures of its account, and make no calls.")]
Admin = Annotated[
    bool,
    typer.Option("--admin", help="It may also manage people and admin keys; of the root account, the whole gateway."),
]
Manage = Annotated[
    bool, typer.Option("--manage", help="It may also manage its account. An account's first key always may.")
]
KeyIdentity = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it: key_…")]

app = typer.Typer(help="Keys: made, listed, rotated, revoked, taken over.", no_args_is_help=True)


@app.command()
def create(
    name: Name = "key",
    account: Account = ROOT_ACCOUNT,
    budget_usd: BudgetUsd = None,
    budget_period: BudgetPeriod = "never",
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    models: Models = None,
    expires: Expires = None,
    address: Addresses = None,
    route: Routes = None,
    tag: Tag = None,
    note: Note = None,
    admin: Admin = False,
    manage: Manage = False,
    viewer: ViewerOnly = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once."""
    if viewer and (admin or manage):
        raise typer.BadParameter("a viewer's key neither manages nor administers")
    grant = msgspec.structs.replace(
        _grant(name, account, models, expires),
        admin=admin,
        manage=manage,
        role="viewer" if viewer else None,
        budget_nanos=None if budget_usd is None else amount.nanos(budget_usd),
        budget_period=budget_period,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        concurrency=concurrency,
        addresses=tuple(address or ()),
        routes=tuple(route or ()),
        default_tag=tag,
        note=note,
    )
    with output.refusals(), opened(config, data_dir) as (_, store):
        issued = store.keys.create(grant)
    if json:
        output.say_json({"id": issued.id, "key": issued.key.reveal(), "name": grant.name, "account_id": account})
        return
    output.say(issued.key.reveal())
    output.note(f"{issued.id}: it is not kept and not shown again.")


@app.command("import")
def import_(
    name: Name = "imported",
    account: Account = ROOT_ACCOUNT,
    budget_usd: BudgetUsd = None,
    budget_period: BudgetPeriod = "never",
    models: Models = None,
    expires: Expires = None,
    admin: Admin = False,
    manage: Manage = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Read any string on standard input, make it a key and print its id."""
    grant = msgspec.structs.replace(
        _grant(name, account, models, expires),
        admin=admin,
        manage=manage,
        budget_nanos=None if budget_usd is None else amount.nanos(budget_usd),
        budget_period=budget_period,
    )
    with output.refusals():
        key = _read_key()
        with opened(config, data_dir) as (_, store):
            key_id = store.keys.take_over(key, grant)
    if json:
        output.say_json({"id": key_id, "name": grant.name, "account_id": account})
    else:
        output.say(key_id)


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only this account's.")] = None,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """All keys, oldest first."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        keys = store.keys.list(account)
    if json:
        output.say_json(keys)
        return
    rows = [
        (
            key.id,
            key.name,
            key.account_id,
            key.state,
            output.moment(key.created_at),
            output.moment(key.last_used_at),
            output.moment(key.expires_at),
            f"…{key.last4}" if key.last4 else "",
        )
        for key in keys
    ]
    output.say_table(("ID", "NAME", "ACCOUNT", "STATE", "MADE", "LAST USED", "ENDS", "SECRET"), rows)


@app.command()
def rotate(
    key_id: KeyIdentity,
    grace: Annotated[str, typer.Option(metavar="TIME", help="How long the old one still works: 24h, 0.")] = "24h",
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Give a key another secret and print it, this once. Its id stays."""
    grace_s = seconds(grace)
    with output.refusals(), opened(config, data_dir) as (_, store):
        issued = store.keys.rotate(key_id, grace_s)
        old_ends_at = int(clock.now_s()) + grace_s
    if json:
        output.say_json({"id": issued.id, "key": issued.key.reveal(), "old_ends_at": old_ends_at})
        return
    output.say(issued.key.reveal())
    output.note(
        f"{issued.id}: the old one works until {output.moment(old_ends_at)}."
        if grace_s
        else f"{issued.id}: the old one has ended."
    )


@app.command()
def revoke(key_id: KeyIdentity, json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """End a key: running servers refuse it within a second."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        changed = store.keys.revoke(key_id)
    if json:
        output.say_json({"id": key_id, "state": "revoked"})
    else:
        output.note(f"{key_id} is revoked." if changed else f"{key_id} was revoked before.")


def _grant(name: str, account: str, models: list[str] | None, expires: str | None) -> Grant:
    expires_at = None if expires is None else clock.now_s() + seconds(expires)
    return Grant(name=name, account_id=account, models=tuple(models or ()), expires_at=expires_at)


def _read_key() -> Secret:
    if sys.stdin.isatty():
        return Secret(typer.prompt("Key", hide_input=True, err=True))
    line = sys.stdin.buffer.read(LONGEST_INPUT + 1)
    if len(line) > LONGEST_INPUT:
        raise InvalidRequest("Standard input holds more than a key.", param="key")
    text = line.decode("utf-8", "replace")  # what is no text is refused with what is not ASCII
    return Secret(text.removesuffix("\n").removesuffix("\r"))
