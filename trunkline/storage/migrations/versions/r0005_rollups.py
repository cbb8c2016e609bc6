"""Sums of the ledger by the hour and by the day, and how far they reach."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

DIMENSIONS = {
    "account_id": sa.String(64),
    "key_id": sa.String(64),
    "model": sa.String(256),
    "provider": sa.String(64),
    "endpoint": sa.String(32),
    "tag": sa.String(64),
    "batch": sa.Boolean(create_constraint=False),
    "service_tier": sa.String(32),
}
OF_CALLS = ("model", "provider", "endpoint", "batch", "service_tier")
CUTS = {
    "usage_total_days": OF_CALLS,
    "usage_totals": OF_CALLS,
    "usage_accounts": ("account_id",),
    "usage_total_tags": ("tag",),
    "usage_tags": ("account_id", "tag"),
    "usage_days": ("account_id", *OF_CALLS),
    "usage_keys": ("account_id", "key_id"),
    "usage_hours": tuple(DIMENSIONS),
}
SUMS = (
    "requests", "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "images", "cost_nanos", "upstream_cost_nanos",
    "errors", "estimated",
)


def upgrade() -> None:
    for name, columns in CUTS.items():
        _table(name, {column: DIMENSIONS[column] for column in columns}, SUMS)
    _table("usage_spans", {}, ("first_entry", "last_entry", "first_ms", "last_ms"))
    progress = op.create_table(
        "usage_progress",
        sa.Column("one", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_usage_progress"),
    )
    op.execute(progress.insert().values(one=1, number=0))


def _table(name: str, dimensions: dict[str, Any], numbers: Any) -> None:
    op.create_table(
        name,
        sa.Column("start_s", sa.BigInteger, nullable=False),
        *(sa.Column(column, kind, nullable=False) for column, kind in dimensions.items()),
        *(sa.Column(column, sa.BigInteger, nullable=False) for column in numbers),
        sa.PrimaryKeyConstraint("start_s", *dimensions, name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )
