"""`trunkline keys`."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from trunkline import clock
from trunkline.cli import output
from trunkline.cli.duration import seconds
from trunkline.cli.store import ConfigFile, DataDir, Json, opened
from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT
from trunkline.observe import Secret
from trunkline.storage.keys import Grant

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
Admin = Annotated[bool, typer.Option("--admin", help="It may also manage the whole installation.")]
Manage = Annotated[
    bool, typer.Option("--manage", help="It may also manage its account. An account's first key always may.")
]
KeyIdentity = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it: key_…")]

app = typer.Typer(help="Keys: made, listed, rotated, revoked, taken over.", no_args_is_help=True)


@app.command()
def create(
    name: Name = "key",
    account: Account = ROOT_ACCOUNT,
    models: Models = None,
    expires: Expires = None,
    admin: Admin = False,
    manage: Manage = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once."""
    grant = _grant(name, account, models, expires)
    grant = msgspec.structs.replace(grant, admin=admin, manage=manage)
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
    models: Models = None,
    expires: Expires = None,
    admin: Admin = False,
    manage: Manage = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Read any string on standard input, make it a key and print its id."""
    grant = _grant(name, account, models, expires)
    grant = msgspec.structs.replace(grant, admin=admin, manage=manage)
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
