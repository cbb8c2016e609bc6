"""The tables of service accounts, people, rate limits, spend alerts and the audit log."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from trunkline.storage.schema import metadata

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("service_account_id", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", String(8), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("deleted_at", Float(53), nullable=True),
    PrimaryKeyConstraint("account_id", "service_account_id"),
    UniqueConstraint("service_account_id"),
)

# `model`: a model's name, or `*` for all together.
rate_limits = Table(
    "rate_limits",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("model", String(256), nullable=False),
    Column("requests_per_minute", BigInteger, nullable=True),
    Column("tokens_per_minute", BigInteger, nullable=True),
    Column("images_per_minute", BigInteger, nullable=True),
    Column("audio_megabytes_per_minute", BigInteger, nullable=True),
    Column("requests_per_day", BigInteger, nullable=True),
    Column("batch_tokens_per_day", BigInteger, nullable=True),
    Column("concurrency", Integer, nullable=True),
    PrimaryKeyConstraint("account_id", "model"),
)

# `account_id`: whose users they are.
users = Table(
    "users",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("email", String(254), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", String(8), nullable=False),
    Column("added_at", Float(53), nullable=False),
    PrimaryKeyConstraint("account_id", "user_id"),
    UniqueConstraint("user_id"),
    UniqueConstraint("account_id", "email"),
)

# `organization_id` is the account of the user's row, `account_id` the one that they are a member of.
memberships = Table(
    "memberships",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("organization_id", String(64), nullable=False),
    Column("role", String(8), nullable=False),
    Column("added_at", Float(53), nullable=False),
    PrimaryKeyConstraint("account_id", "user_id"),
    ForeignKeyConstraint(["organization_id", "user_id"], ["users.account_id", "users.user_id"], ondelete="CASCADE"),
)
Index("ix_memberships_user_id", memberships.c.user_id)

# `memberships`: a JSON list of [account, role].
invites = Table(
    "invites",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("invite_id", String(64), nullable=False),
    Column("email", String(254), nullable=False),
    Column("role", String(8), nullable=False),
    Column("memberships", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("accepted_at", Float(53), nullable=True),
    PrimaryKeyConstraint("account_id", "invite_id"),
    UniqueConstraint("invite_id"),
)

# `recipients`: a JSON list of e-mail addresses.
spend_alerts = Table(
    "spend_alerts",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("alert_id", String(64), nullable=False),
    Column("threshold_nanos", BigInteger, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("subject_prefix", String(100), nullable=True),
    Column("created_at", Float(53), nullable=False),
    PrimaryKeyConstraint("account_id", "alert_id"),
    UniqueConstraint("alert_id"),
)

# Ids grow with time, so the log is read in their order. Triggers refuse every change and deletion. `before` and `after`
# are JSON. The account is no reference: what happened stays, whatever becomes of whom it happened to.
audit_log = Table(
    "audit_log",
    metadata,
    Column("account_id", String(64), nullable=False),
    Column("audit_id", String(64), nullable=False),
    Column("type", String(40), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("target_id", String(80), nullable=False, index=True),
    Column("actor_kind", String(8), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor_account_id", String(64), nullable=False),
    Column("address", String(64), nullable=True),
    Column("before", Text, nullable=True),
    Column("after", Text, nullable=True),
    PrimaryKeyConstraint("account_id", "audit_id"),
    UniqueConstraint("audit_id"),
)
