"""The tables of sums of the ledger: what is summed, and by what.

A *cut* is one such table: sums for each hour or day of UTC in which attempts were opened, and for each combination of
its dimensions. What an entry lacks, such as a tag, is an empty text here. Keys begin with the time, so that what is
written now lies together.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Integer, PrimaryKeyConstraint, String, Table

from trunkline.ids import ENTRY_ADJUSTED, ENTRY_ENDED
from trunkline.ports.ledger import RELEASED, SETTLED
from trunkline.ports.reports import Sums
from trunkline.storage.schema import metadata

HOUR_S: Final = 3600
DAY_S: Final = 86_400

# An adjustment is the difference between the truth and the release of an attempt in its owner's absence
# (storage/entries.py): with any use in it the attempt was settled after all. The release was estimated, the truth may
# not be.
_ENDED: Final = f"(entry_id & 3) = {ENTRY_ENDED}"
_ADJUSTED: Final = f"(entry_id & 3) = {ENTRY_ADJUSTED}"
_USED: Final = f"({_ADJUSTED} AND (cost_nanos <> 0 OR input_tokens <> 0 OR output_tokens <> 0 OR images <> 0))"
_COUNTED: Final = {
    "requests": f"(state = '{SETTLED}') + {_USED}",
    "errors": f"(state = '{RELEASED}') - {_USED}",
    "estimated": f"estimated - ({_ADJUSTED})",
}
SUMS: Final = MappingProxyType({name: _COUNTED.get(name, name) for name in Sums.__struct_fields__})
"""Name of a sum -> what is summed over rows of the ledger."""
COUNTS: Final = f"({_ENDED} OR {_ADJUSTED})"
"""Which rows of the ledger are summed: those that end attempts or correct their ends."""

DIMENSIONS: Final = MappingProxyType(
    {
        "account": "account_id",
        "key": "key_id",
        "model": "model",
        "provider": "provider",
        "endpoint": "endpoint",
        "tag": "tag",
        "batch": "batch",
        "service_tier": "service_tier",
    }
)
"""Dimension -> its column, in the ledger and in the cuts."""
LACKING: Final = frozenset({"tag", "service_tier"})
"""What an entry may be without."""
_TYPES: Final[dict[str, Any]] = {
    "account_id": String(64),
    "key_id": String(64),
    "model": String(256),
    "provider": String(64),
    "endpoint": String(32),
    "tag": String(64),
    "batch": Boolean(create_constraint=False),
    "service_tier": String(32),
}


class Cut(msgspec.Struct, frozen=True):
    table: str
    unit_s: int
    dimensions: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(DIMENSIONS[name] for name in self.dimensions)


_OF_CALLS: Final = ("model", "provider", "endpoint", "batch", "service_tier")

CUTS: Final = (
    Cut("usage_total_days", DAY_S, _OF_CALLS),
    Cut("usage_totals", HOUR_S, _OF_CALLS),
    Cut("usage_accounts", DAY_S, ("account",)),
    Cut("usage_total_tags", DAY_S, ("tag",)),
    Cut("usage_tags", DAY_S, ("account", "tag")),
    Cut("usage_days", DAY_S, ("account", *_OF_CALLS)),
    Cut("usage_keys", DAY_S, ("account", "key")),
    Cut("usage_hours", HOUR_S, tuple(DIMENSIONS)),
)
"""Those with the fewest rows first; the last one has everything."""


def ledger_value(dimension: str) -> str:
    """The SQL of a dimension of a row of the ledger, as cuts have it."""
    column = DIMENSIONS[dimension]
    return f"coalesce({column}, '')" if dimension in LACKING else column


def _table(cut: Cut) -> Table:
    columns: list[Any] = [Column("start_s", BigInteger, nullable=False)]
    columns += [Column(name, _TYPES[name], nullable=False) for name in cut.columns]
    columns += [Column(name, BigInteger, nullable=False) for name in SUMS]
    key = PrimaryKeyConstraint("start_s", *cut.columns)
    return Table(cut.table, metadata, *columns, key, sqlite_with_rowid=False)


TABLES: Final = {cut.table: _table(cut) for cut in CUTS}

# For each hour in which attempts were opened: between which entries these are, and between which moments they lie.
usage_spans = Table(
    "usage_spans",
    metadata,
    Column("start_s", BigInteger, nullable=False),
    Column("first_entry", BigInteger, nullable=False),
    Column("last_entry", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("start_s"),
    sqlite_with_rowid=False,
)

# One row: entries of calls with a smaller number are in the sums, all others are not.
usage_progress = Table(
    "usage_progress",
    metadata,
    Column("one", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("one"),
)
