"""`trunkline usage`"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Final

import msgspec
import typer

from trunkline import clock
from trunkline.cli import output
from trunkline.cli.moments import moment
from trunkline.cli.store import ConfigFile, DataDir, Json, opened
from trunkline.errors import NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.money import usd_text
from trunkline.ports.reports import Dimension, UsageQuery, UsageResult
from trunkline.storage import reports
from trunkline.storage.whose import accounts_of

HOUR_S: Final = 3600
HEAD: Final = ("REQUESTS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "COST $", "UPSTREAM $")


class By(Enum):
    model = "model"
    key = "key"
    account = "account"
    tag = "tag"
    day = "day"


COLUMNS: Final = {By.key: "key_id", By.account: "account_id"}


def usage(
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.model,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="How long ago, as 30d, 24h; or a date of UTC, as 2026-04-30.")
    ] = "30d",
    account: Annotated[str, typer.Option(metavar="ID", help="Only this account and those below it.")] = ROOT_ACCOUNT,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """What was used and what it cost, from the ledger, exact to now. It begins at a whole hour."""
    # Whole hours are read from sums.
    start_s = int(moment(since)) // HOUR_S * HOUR_S
    dimension: Dimension = by.value
    query = UsageQuery(
        start_s=start_s,
        end_s=max(int(clock.now_s()), start_s) + 1,
        group_by=(dimension,),
        root=AccountId(account),
    )
    with output.refusals(), opened(config, data_dir) as (_, store), store.database.reading() as connection:
        if accounts_of(connection, query.root, None) == []:
            raise NotFound(
                f"There is no account {account!r}; `trunkline accounts list` shows those there are.", param="account"
            )
        [bucket] = reports.usage(connection, query).buckets
    results = sorted(bucket.results, key=lambda result: result.day or "")
    if json:
        output.say_json([line(result, by) for result in results])
    elif results:
        output.say_table((by.value.upper(), *HEAD), [row(result, by) for result in results])
        output.note(f"Since {output.moment(start_s)}.")
    else:
        output.note(f"Nothing was used since {output.moment(start_s)}.")


def line(result: UsageResult, by: By) -> dict[str, Any]:
    sums = result.sums
    return {
        COLUMNS.get(by, by.value): _group(result, by),
        "requests": sums.requests,
        "errors": sums.errors,
        "estimated": sums.estimated,
        "input_tokens": sums.input_tokens,
        "cached_input_tokens": sums.cached_input_tokens,
        "cache_write_tokens": sums.cache_write_tokens,
        "output_tokens": sums.output_tokens,
        "reasoning_tokens": sums.reasoning_tokens,
        "cost_usd": msgspec.Raw(usd_text(sums.cost_nanos).encode()),
        "cost_nanos": sums.cost_nanos,
        "upstream_cost_nanos": sums.upstream_cost_nanos,
    }


def row(result: UsageResult, by: By) -> tuple[str, ...]:
    sums = result.sums
    counts = (sums.requests, sums.errors, sums.input_tokens, sums.cached_input_tokens, sums.output_tokens)
    return (
        _group(result, by) or "-",
        *(f"{count:,}" for count in counts),
        usd_text(sums.cost_nanos),
        usd_text(sums.upstream_cost_nanos),
    )


def _group(result: UsageResult, by: By) -> str | None:
    group: str | None = getattr(result, COLUMNS.get(by, by.value))
    return group
