"""`trunkline accounts` and `trunkline admin-link`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import typer

from trunkline.cli import amount, output
from trunkline.cli.store import ConfigFile, DataDir, Json, opened
from trunkline.http.server import ServerOptions
from trunkline.ids import ROOT_ACCOUNT, AccountId, random_base62
from trunkline.money import usd_text
from trunkline.ports.accounts import Account, AccountDraft, AccountFilter
from trunkline.ports.admin import LINK_LIFE_S, LINK_PATH
from trunkline.ports.budget_store import BudgetDraft, BudgetFigures, BudgetFilter
from trunkline.ports.budgets import Period, ScopeKind
from trunkline.ports.credit import Balance, CreditDraft
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.storage.store import Store
from trunkline.wire.amounts import dollars

app = typer.Typer(help="Accounts: who keys belong to, what they may spend and have paid.", no_args_is_help=True)

AccountIdentity = Annotated[str, typer.Argument(metavar="ID", help="As `accounts list` shows it: acct_…")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What people call it.")],
    parent: Annotated[str, typer.Option(metavar="ID", help="The account it belongs to.")] = ROOT_ACCOUNT,
    models: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="A model or pattern that it may use; repeat for more.")
    ] = None,
    markup_percent: Annotated[
        str | None, typer.Option(metavar="N", help="On top of the provider's price. Default: as the account above.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Of its calls that bring none.")] = None,
    external_ref: Annotated[str | None, typer.Option(metavar="TEXT", help="What you call it elsewhere.")] = None,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make an account and print its id."""
    draft = AccountDraft(
        name=name,
        parent_id=AccountId(parent),
        models=tuple(models or ()),
        markup_millionths=None if markup_percent is None else _millionths(markup_percent),
        default_tag=tag,
        external_ref=external_ref,
    )
    with output.refusals(), opened(config, data_dir) as (_, store):
        account = store.accounts.create(draft)
    if json:
        output.say_json(account)
    else:
        output.say(account.id)


@app.command("list")
def list_(
    archived: Annotated[bool, typer.Option("--archived", help="Those that have ended, too.")] = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """All accounts, oldest first."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        accounts = _all(store, AccountFilter(itself=True, archived=archived))
    if json:
        output.say_json(accounts)
        return
    rows = [
        (account.id, account.name, account.parent_id or "-", output.moment(account.created_at)) for account in accounts
    ]
    output.say_table(("ID", "NAME", "PARENT", "MADE"), rows)


@app.command()
def show(account_id: AccountIdentity, json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """One account: its place, budgets, balance and keys."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        way = store.accounts.ancestors(account_id)
        budgets = store.budgets.page(BudgetFilter(account_id=account_id), Cursor(limit=MOST_ITEMS)).items
        balance = store.credit.balance(account_id)
        keys = store.keys.list(account_id)
    account, path = way[0], [one.id for one in reversed(way)]
    if json:
        output.say_json(
            {
                **msgspec.structs.asdict(account),
                "path": path,
                "budgets": [_told_budget(budget) for budget in budgets],
                "balance": _told_balance(balance),
                "keys": keys,
            }
        )
        return
    output.say(f"{account.id}  {account.name}  made {output.moment(account.created_at)}")
    if account.archived_at is not None:
        output.say(f"archived: {output.moment(account.archived_at)}")
    output.say(f"parent: {account.parent_id or '-'}")
    output.say(f"path: {' > '.join(path)}")
    for figures in budgets:
        output.say(_line(figures))
    if balance.account_id is not None:
        output.say(
            f"credit: {usd_text(balance.free_nanos)} free of {usd_text(balance.credit_nanos)} USD"
            f" in the wallet of {balance.account_id}"
        )
    for key in keys:
        output.say(f"key: {key.id}  {key.name}  {key.state}")


@app.command()
def credit(
    account_id: AccountIdentity,
    usd: Annotated[str, typer.Option(metavar="USD", help="How much: 10, 0.25.")],
    debit: Annotated[bool, typer.Option("--debit", help="Take it out instead of paying it in.")] = False,
    entry_id: Annotated[
        str | None, typer.Option("--id", metavar="TEXT", help="Your name for it; the same again changes nothing.")
    ] = None,
    note: Annotated[str, typer.Option(help="What it was for.")] = "",
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Pay credit in to an account, which then pays for its calls, and print the balance."""
    draft = CreditDraft(entry_id=entry_id or "credit_" + random_base62(16), amount_nanos=amount.nanos(usd), note=note)
    with output.refusals(), opened(config, data_dir) as (_, store):
        book = store.credit.debit if debit else store.credit.top_up
        entry = book(account_id, draft)
        balance = store.credit.balance(account_id)
    if json:
        output.say_json({"id": entry.id, "amount_usd": dollars(entry.amount_nanos), "balance": _told_balance(balance)})
    else:
        output.say(f"{usd_text(balance.free_nanos)} USD")


@app.command()
def budget(
    account_id: AccountIdentity,
    usd: Annotated[str | None, typer.Option(metavar="USD", help="The limit: 5, 0.25.")] = None,
    period: Annotated[Period, typer.Option(help="When it begins anew.")] = "never",
    zone: Annotated[str, typer.Option(metavar="NAME", help="Whose days they are: Europe/Berlin.")] = "UTC",
    alert: Annotated[
        list[int] | None, typer.Option(metavar="PERCENT", help="Tell of it when so much is used; repeat for more.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Of this key.")] = None,
    tag: Annotated[str | None, typer.Option(help="Of calls with this tag, here and below.")] = None,
    end_user: Annotated[
        str | None, typer.Option(metavar="ID", help="Of calls for this end user, here and below.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="GLOB", help="Of calls of this model, here and below.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Set a budget of an account, or of one key, tag, end user or model in it, and print it."""
    if remove is (usd is not None):
        raise typer.BadParameter("give --usd or --remove")
    kind, subject = _scope(account_id, {"key": key, "tag": tag, "end_user": end_user, "model": model})
    with output.refusals(), opened(config, data_dir) as (_, store):
        if usd is None:
            _remove_budget(store, BudgetFilter(account_id=account_id, kind=kind, subject=subject, period=period))
            return
        figures = store.budgets.put(
            BudgetDraft(
                account_id=account_id,
                kind=kind,
                subject=subject,
                limit_nanos=amount.nanos(usd),
                period=period,
                zone=zone,
                alerts=tuple(alert or ()),
            )
        )
    if json:
        output.say_json(_told_budget(figures))
    else:
        output.say(_line(figures))


@app.command()
def archive(
    account_id: AccountIdentity, json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """End an account and all below it, for good: their keys are revoked."""
    with output.refusals(), opened(config, data_dir) as (_, store):
        account = store.accounts.archive(account_id)
    if json:
        output.say_json(account)
    else:
        output.note(f"{account.id} is archived.")


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


def _millionths(percent: str) -> int:
    """A percent is ten thousand of them. Raises typer.BadParameter."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,4})?%?", percent, re.ASCII):
        raise typer.BadParameter(f"{percent[:40]!r} is no percentage; write 5 or 2.5, with at most 4 decimals.")
    return int(Decimal(percent.removesuffix("%")) * 10_000)


def _all(store: Store, wanted: AccountFilter) -> list[Account]:
    found: list[Account] = []
    has_more = True
    while has_more:
        page = store.accounts.page(wanted, Cursor(limit=MOST_ITEMS, after=found[-1].id if found else None))
        found += page.items
        has_more = page.has_more
    return found


def _scope(account_id: str, narrower: dict[ScopeKind, str | None]) -> tuple[ScopeKind, str]:
    """Whose budget it is: the account's own when nothing narrower is named."""
    named = [(kind, subject) for kind, subject in narrower.items() if subject is not None]
    if len(named) > 1:
        raise typer.BadParameter("give at most one of --key, --tag, --end-user and --model")
    return named[0] if named else ("account", account_id)


def _remove_budget(store: Store, wanted: BudgetFilter) -> None:
    found = store.budgets.page(wanted, Cursor(limit=1)).items
    for figures in found:
        store.budgets.remove(figures.budget.id)
    output.note("The budget is gone." if found else "There was no such budget.")


def _line(figures: BudgetFigures) -> str:
    budget = figures.budget
    whose = "" if budget.kind == "account" else f" of {budget.kind} {budget.subject}"
    return (
        f"budget: {budget.id}{whose}  {usd_text(figures.spent_nanos)} spent and"
        f" {usd_text(figures.held_nanos)} held of {usd_text(budget.limit_nanos)} USD,"
        f" begins anew: {budget.period if figures.resets_at is None else output.moment(int(figures.resets_at))}"
    )


def _told_budget(figures: BudgetFigures) -> dict[str, Any]:
    budget = figures.budget
    return {
        "id": budget.id,
        "kind": budget.kind,
        "subject": budget.subject,
        "period": budget.period,
        "zone": budget.zone,
        "alerts": budget.alerts,
        "limit_usd": dollars(budget.limit_nanos),
        "spent_usd": dollars(figures.spent_nanos),
        "held_usd": dollars(figures.held_nanos),
        "remaining_usd": dollars(figures.remaining_nanos),
        "resets_at": None if figures.resets_at is None else int(figures.resets_at),
    }


def _told_balance(balance: Balance) -> dict[str, Any] | None:
    """None: nothing was ever paid in, here or above."""
    if balance.account_id is None:
        return None
    return {
        "account_id": balance.account_id,
        "credit_usd": dollars(balance.credit_nanos),
        "spent_usd": dollars(balance.spent_nanos),
        "held_usd": dollars(balance.held_nanos),
        "free_usd": dollars(balance.free_nanos),
    }
