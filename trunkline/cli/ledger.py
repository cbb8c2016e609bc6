"""`trunkline ledger`"""

from __future__ import annotations

import csv
import datetime as dt
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from sqlalchemy import Connection

from trunkline.cli import output
from trunkline.cli.moments import moment
from trunkline.cli.store import ConfigFile, DataDir, Json, opened
from trunkline.errors import InvalidRequest
from trunkline.money import NANOS_PER_USD, usd_text
from trunkline.policy.reconciliation import Mismatch, compare
from trunkline.ports.reports import UsageQuery, UsageResult
from trunkline.storage import ledger_lines, reports
from trunkline.storage.ledger_lines import AdjustmentLine, AttemptLine, CreditLine
from trunkline.wire.codec import encode
from trunkline.wire.usage_exports import UsageExport, read_export

DAY_S: Final = 86_400
WRITTEN_TOGETHER: Final = 1000
LONGEST_EXPORT: Final = 1 << 30
LABELS: Final = {"input_tokens": "input tokens", "output_tokens": "output tokens", "cost_nanos": "cost $"}


class More(Enum):
    """What an export may have besides attempts."""

    adjustments = "adjustments"
    credit = "credit"


app = typer.Typer(
    help="The ledger: every attempt and what it cost, as lines; a provider's bill, checked.", no_args_is_help=True
)


@app.command()
def export(
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Opened since then: 30d, 24h ago, or a date of UTC. Default: everything."),
    ] = None,
    kind: Annotated[
        list[More] | None,
        typer.Option(help="Also top-ups and debits of credit, or corrections by themselves; repeat for both."),
    ] = None,
    table: Annotated[bool, typer.Option("--csv", help="Write a table with commas.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write JSON lines, which is the default.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write the ledger as JSON lines, one for each attempt of a call, all of one moment.

    Corrections are in the costs and tokens of their attempts. With --kind, further lines follow, told by their `kind`.
    """
    if json and table:
        raise typer.BadParameter("A line is either JSON or a row of a table.", param_hint="--csv")
    since_s = 0.0 if since is None else moment(since)
    wanted = set(kind or ())
    with output.refusals(), opened(config, data_dir) as (_, store), store.database.reading() as connection:
        lines = _lines(connection, since_s, wanted)
        if table:
            _write_table(lines, _columns(wanted))
        else:
            _write(map(encode, lines), sys.stdout.buffer.write)


@app.command()
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the provider exported: JSON or a table.")],
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The provider in your settings that sent it. Default: whose export it is."),
    ] = None,
    tolerance_usd: Annotated[
        float, typer.Option(min=0.0, max=1e6, help="By how much the cost of a model in a day may differ.")
    ] = 0.0,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Compare what a provider says was used with the ledger, by day of UTC and model. Exit code 1 when they differ.

    Reads usage and cost exports of OpenAI, Anthropic and OpenRouter, and tables with the columns date, model,
    input_tokens, output_tokens and cost.
    """
    with output.refusals():
        said = _read(file)
        with opened(config, data_dir) as (_, store), store.database.reading() as connection:
            ours = _ours(connection, said, provider or said.provider)
        tolerance_nanos = int(Decimal(str(tolerance_usd)) * NANOS_PER_USD)
        mismatches = compare(ours, said.lines, tolerance_nanos)
    if json:
        output.say_json([_shown(mismatch) for mismatch in mismatches])
    elif mismatches:
        output.say_table(("DAY", "MODEL", "WHAT", "OURS", "THEIRS", "DIFFERENCE"), [_row(one) for one in mismatches])
    days = sorted({line.day for line in said.lines})
    span = f"{days[0]} to {days[-1]}" if days else "no day"
    output.note(f"{said.kind}, {span}: {len(mismatches) or 'no'} mismatch{'' if len(mismatches) == 1 else 'es'}.")
    if mismatches:
        raise typer.Exit(1)


def _lines(connection: Connection, since_s: float, wanted: set[More]) -> Iterator[msgspec.Struct]:
    lines: Iterator[msgspec.Struct] = ledger_lines.attempts(connection, since_s)
    if More.adjustments in wanted:
        lines = chain(lines, ledger_lines.adjustments(connection, since_s))
    if More.credit in wanted:
        lines = chain(lines, ledger_lines.credit(connection, since_s))
    return lines


def _columns(wanted: set[More]) -> list[str]:
    shapes: list[type[msgspec.Struct]] = [AttemptLine]
    shapes += [AdjustmentLine] if More.adjustments in wanted else []
    shapes += [CreditLine] if More.credit in wanted else []
    return list(dict.fromkeys(name for shape in shapes for name in shape.__struct_fields__))


def _write(lines: Iterable[bytes], write: Callable[[bytes], Any]) -> None:
    together: list[bytes] = []
    for line in lines:
        together.append(line)
        if len(together) == WRITTEN_TOGETHER:
            write(b"\n".join(together) + b"\n")
            together.clear()
    if together:
        write(b"\n".join(together) + b"\n")
    sys.stdout.flush()


def _write_table(lines: Iterable[msgspec.Struct], columns: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow([_cell(getattr(line, name, None)) for name in columns])
    sys.stdout.flush()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets a quote before it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _read(file: Path) -> UsageExport:
    try:
        if file.stat().st_size > LONGEST_EXPORT:
            raise InvalidRequest(f"{file} is larger than a gigabyte; export fewer days.", param="file")
        content = file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.", param="file") from None
    return read_export(content)


def _ours(connection: Connection, said: UsageExport, provider: str | None) -> tuple[UsageResult, ...]:
    """Of the days of the export."""
    if not said.lines:
        return ()
    days = sorted(dt.datetime.fromisoformat(line.day).replace(tzinfo=dt.UTC).timestamp() for line in said.lines)
    query = UsageQuery(
        start_s=int(days[0]),
        end_s=int(days[-1]) + DAY_S,
        group_by=("day", "model"),
        providers=None if provider is None else (provider,),
    )
    [bucket] = reports.usage(connection, query).buckets
    return bucket.results


def _shown(mismatch: Mismatch) -> dict[str, Any]:
    return {**msgspec.structs.asdict(mismatch), "difference": mismatch.difference}


def _row(mismatch: Mismatch) -> tuple[str, ...]:
    show = usd_text if mismatch.what == "cost_nanos" else "{:,}".format
    figures = (mismatch.ours, mismatch.theirs, mismatch.difference)
    return (mismatch.day, mismatch.model, LABELS[mismatch.what], *map(show, figures))
