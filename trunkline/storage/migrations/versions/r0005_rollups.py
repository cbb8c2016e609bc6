"""Sums of the ledger by the hour and by the day, and how far they reach."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass
