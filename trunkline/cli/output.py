"""What commands print: answers on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
import typer

from trunkline.errors import TrunklineError
from trunkline.wire import codec


def say(line: str) -> None:
    print(line, flush=True)


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def say_json(answer: object) -> None:
    say(msgspec.json.format(codec.encode(answer), indent=2).decode())


def say_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell. Nothing is cut, so that ids can be copied and piped."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def moment(unix_s: int | None) -> str:
    """For people, in UTC."""
    return "never" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@contextmanager
def refusals() -> Iterator[None]:
    """An error of ours is one sentence on standard error and exit code 1; a wrong usage is Typer's, and 2."""
    try:
        yield
    except TrunklineError as error:
        note(f"trunkline: {error.message}")
        raise typer.Exit(1) from None
