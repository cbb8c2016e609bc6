"""The ledger, budgets and credit, pots and leases, their holders and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
IN_FORCE = sa.text("ended_at IS NULL")


def upgrade() -> None:
    _budgets()
    _credit_entries()
    _pots()
    _holders()
    _leases()
    _ledger()
    _outbox()


def _budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("budget_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("limit_nanos", sa.BigInteger, nullable=False),
        sa.Column("alerts", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("ended_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "budget_id", name="pk_budgets"),
        sa.CheckConstraint("limit_nanos >= 0", name="ck_budgets_limit"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_budgets_account_id"),
        sa.UniqueConstraint("budget_id", name="uq_budgets_budget_id"),
    )
    op.create_index("uq_budgets_scope", "budgets", ["account_id", "kind", "subject", "period"], unique=True, sqlite_where=IN_FORCE, postgresql_where=IN_FORCE)


def _credit_entries() -> None:
    op.create_table(
        "credit_entries",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("credit_id", sa.String(64), nullable=False),
        sa.Column("amount_nanos", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "credit_id", name="pk_credit_entries"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_credit_entries_account_id"),
    )


def _pots() -> None:
    op.create_table(
        "pots",
        sa.Column("pot_id", WHOLE, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(80), nullable=False),
        sa.Column("period_start", sa.Float(53), nullable=False),
        sa.Column("period_end", sa.Float(53), nullable=True),
        sa.Column("limit_nanos", sa.BigInteger, nullable=False),
        sa.Column("spent_nanos", sa.BigInteger, nullable=False),
        sa.Column("leased_nanos", sa.BigInteger, nullable=False),
        sa.Column("alerts", sa.Text, nullable=False),
        sa.Column("alerted", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("pot_id", name="pk_pots"),
        sa.CheckConstraint("leased_nanos >= 0", name="ck_pots_leased"),
        sa.UniqueConstraint("source", "period_start", name="uq_pots_source_period_start"),
    )


def _holders() -> None:
    op.create_table(
        "holders",
        sa.Column("holder_id", WHOLE, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("started_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("oldest_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("holder_id", name="pk_holders"),
    )
    op.create_index("ix_holders_state", "holders", ["state"])


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("lease_id", WHOLE, nullable=False),
        sa.Column("pot_id", sa.BigInteger, nullable=False),
        sa.Column("holder_id", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("granted_nanos", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("lease_id", name="pk_leases"),
        sa.CheckConstraint("granted_nanos >= 0", name="ck_leases_granted"),
        sa.ForeignKeyConstraint(["holder_id"], ["holders.holder_id"], name="fk_leases_holder_id"),
        sa.ForeignKeyConstraint(["pot_id"], ["pots.pot_id"], name="fk_leases_pot_id"),
    )
    op.create_index("ix_leases_holder_id", "leases", ["holder_id"])
    op.create_index("ix_leases_pot_id", "leases", ["pot_id"])


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("entry_id", WHOLE, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("tag", sa.String(64), nullable=True),
        sa.Column("end_user", sa.String(256), nullable=True),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("protocol", sa.String(32), nullable=False),
        sa.Column("endpoint", sa.String(32), nullable=False),
        sa.Column("held_nanos", sa.BigInteger, nullable=False),
        sa.Column("cost_nanos", sa.BigInteger, nullable=False),
        sa.Column("upstream_cost_nanos", sa.BigInteger, nullable=False),
        sa.Column("overshoot_nanos", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("input_audio_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_audio_tokens", sa.BigInteger, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("estimated", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("batch", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("service_tier", sa.String(32), nullable=True),
        sa.Column("price_version", sa.String(80), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger, nullable=True),
        sa.Column("pots", sa.Text, nullable=True),
        sa.Column("leases", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("entry_id", name="pk_ledger"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("event_id", WHOLE, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("delivered_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name="pk_outbox"),
    )
