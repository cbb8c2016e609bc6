"""The tables of money: budgets and credit, pots and leases, the ledger and what is told of it.

Amounts are whole nano-dollars. The ledger has no index but its key, which has the time, the call, the attempt and the
kind of entry in it (trunkline.ids), so the path of a call maintains one tree and nothing else.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from trunkline.storage.schema import metadata

Whole = BigInteger().with_variant(Integer, "sqlite")
"""SQLite gives only INTEGER PRIMARY KEY the table's own tree."""

# `alerts`: a JSON list of percent. A budget that was taken away keeps its row, for what was counted under it.
budgets = Table(
    "budgets",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("budget_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("period", String(8), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("limit_nanos", BigInteger, nullable=False),
    Column("alerts", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("ended_at", Float(53), nullable=True),
    PrimaryKeyConstraint("account_id", "budget_id"),
    UniqueConstraint("budget_id"),
    CheckConstraint("limit_nanos >= 0", name="limit"),
)
# One budget in force for each scope and period.
Index(
    "uq_budgets_scope",
    budgets.c.account_id,
    budgets.c.kind,
    budgets.c.subject,
    budgets.c.period,
    unique=True,
    sqlite_where=budgets.c.ended_at.is_(None),
    postgresql_where=budgets.c.ended_at.is_(None),
)

# Top-ups (above 0) and debits (below 0). Their sum is the limit of the account's wallet.
credit_entries = Table(
    "credit_entries",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("credit_id", String(64), nullable=False),
    Column("amount_nanos", BigInteger, nullable=False),
    Column("note", String(500), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("created_at", Float(53), nullable=False),
    PrimaryKeyConstraint("account_id", "credit_id"),
)

# `source`: a budget's id, or `wallet:` and an account's. `limit_nanos` follows the budget or the credit.
# `alerted`: the highest percent that has been told of.
pots = Table(
    "pots",
    metadata,
    Column("pot_id", Whole, primary_key=True),
    Column("account_id", String(64), nullable=False),
    Column("source", String(80), nullable=False),
    Column("period_start", Float(53), nullable=False),
    Column("period_end", Float(53), nullable=True),
    Column("limit_nanos", BigInteger, nullable=False),
    Column("spent_nanos", BigInteger, nullable=False),
    Column("leased_nanos", BigInteger, nullable=False),
    Column("alerts", Text, nullable=False),
    Column("alerted", Integer, nullable=False),
    UniqueConstraint("source", "period_start"),
    CheckConstraint("leased_nanos >= 0", name="leased"),
)

# A process that may lease. `oldest_number`: every call of it with a smaller number has ended, on disk.
# `state`: live; fenced (it opens nothing any more, and is being recovered); dead. A slot is used again by a later row.
holders = Table(
    "holders",
    metadata,
    Column("holder_id", Whole, primary_key=True),
    Column("slot", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("started_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("oldest_number", BigInteger, nullable=False),
)

# `granted_nanos`: what is held and what is free of it; what is spent goes over to the pot.
# `state`: live; fenced (no new holds, what is held may still be settled); closed; dead (its process is gone).
leases = Table(
    "leases",
    metadata,
    Column("lease_id", Whole, primary_key=True),
    Column("pot_id", BigInteger, ForeignKey("pots.pot_id"), nullable=False, index=True),
    Column("holder_id", BigInteger, ForeignKey("holders.holder_id"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("granted_nanos", BigInteger, nullable=False),
    CheckConstraint("granted_nanos >= 0", name="granted"),
)

# The columns are the fields of ports.ledger.Entry in their order, and `leases` of an opened entry: `lease:nanos,…`.
ledger = Table(
    "ledger",
    metadata,
    Column("entry_id", Whole, primary_key=True),
    Column("state", String(8), nullable=False),
    Column("account_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("tag", String(64), nullable=True),
    Column("end_user", String(256), nullable=True),
    Column("model", String(256), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("protocol", String(32), nullable=False),
    Column("endpoint", String(32), nullable=False),
    Column("held_nanos", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    Column("upstream_cost_nanos", BigInteger, nullable=False),
    Column("overshoot_nanos", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("input_audio_tokens", BigInteger, nullable=False),
    Column("output_audio_tokens", BigInteger, nullable=False),
    Column("images", Integer, nullable=False),
    Column("estimated", Boolean(create_constraint=False), nullable=False),
    Column("batch", Boolean(create_constraint=False), nullable=False),
    Column("service_tier", String(32), nullable=True),
    Column("price_version", String(80), nullable=False),
    Column("status", Integer, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("settled_at_ms", BigInteger, nullable=True),
    Column("pots", Text, nullable=True),
    Column("leases", Text, nullable=True),
)

# Events somebody is to be told of, written in the transaction that made them true. `content` is JSON.
outbox = Table(
    "outbox",
    metadata,
    Column("event_id", Whole, primary_key=True),
    Column("account_id", String(64), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("delivered_at", Float(53), nullable=True),
)
