"""Account tree, budgets, credit, key limits, users, invites and the audit log."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
