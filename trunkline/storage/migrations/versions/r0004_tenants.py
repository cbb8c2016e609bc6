"""What accounts and keys have besides their names; service accounts, rate limits, users, invites, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _accounts()
    _keys()
    _service_accounts()
    _rate_limits()
    _people()
    _spend_alerts()
    _audit_log()


def _accounts() -> None:
    for column in (
        sa.Column("archived_at", sa.Float(53), nullable=True),
        sa.Column("models", sa.Text, nullable=False, server_default="[]"),
        sa.Column("markup_millionths", sa.Integer, nullable=True),
        sa.Column("default_tag", sa.String(64), nullable=True),
        sa.Column("external_ref", sa.String(200), nullable=True),
        sa.Column("metadata", sa.Text, nullable=False, server_default="{}"),
    ):
        op.add_column("accounts", column)
    op.create_index("ix_accounts_external_ref", "accounts", ["external_ref"])
    op.create_index("ix_accounts_created_at_account_id", "accounts", ["created_at", "account_id"])


def _keys() -> None:
    for column in (
        sa.Column("viewer", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()),
        sa.Column("requests_per_minute", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger, nullable=True),
        sa.Column("concurrency", sa.Integer, nullable=True),
        sa.Column("addresses", sa.Text, nullable=False, server_default="[]"),
        sa.Column("routes", sa.Text, nullable=False, server_default="[]"),
        sa.Column("default_tag", sa.String(64), nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.Column("owner_id", sa.String(64), nullable=True),
        sa.Column("created_by", sa.String(64), nullable=True),
    ):
        op.add_column("keys", column)
    op.create_index("ix_keys_owner_id", "keys", ["owner_id"])
    op.create_index("ix_keys_created_at_key_id", "keys", ["created_at", "key_id"])
    retires: sa.Column[bool] = sa.Column(
        "retires", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()
    )
    op.add_column("key_secrets", retires)


def _service_accounts() -> None:
    op.create_table(
        "service_accounts",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("service_account_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("deleted_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "service_account_id", name="pk_service_accounts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_service_accounts_account_id"),
        sa.UniqueConstraint("service_account_id", name="uq_service_accounts_service_account_id"),
    )


def _rate_limits() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger, nullable=True),
        sa.Column("images_per_minute", sa.BigInteger, nullable=True),
        sa.Column("audio_megabytes_per_minute", sa.BigInteger, nullable=True),
        sa.Column("requests_per_day", sa.BigInteger, nullable=True),
        sa.Column("batch_tokens_per_day", sa.BigInteger, nullable=True),
        sa.Column("concurrency", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "model", name="pk_rate_limits"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_rate_limits_account_id"),
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("added_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_users"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_users_account_id"),
        sa.UniqueConstraint("user_id", name="uq_users_user_id"),
        sa.UniqueConstraint("account_id", "email", name="uq_users_account_id_email"),
    )
    op.create_table(
        "memberships",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("organization_id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("added_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_memberships_account_id"),
        sa.ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["users.account_id", "users.user_id"],
            name="fk_memberships_organization_id_user_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])
    op.create_table(
        "invites",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("invite_id", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("memberships", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("accepted_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "invite_id", name="pk_invites"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_invites_account_id"),
        sa.UniqueConstraint("invite_id", name="uq_invites_invite_id"),
    )


def _spend_alerts() -> None:
    op.create_table(
        "spend_alerts",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("threshold_nanos", sa.BigInteger, nullable=False),
        sa.Column("recipients", sa.Text, nullable=False),
        sa.Column("subject_prefix", sa.String(100), nullable=True),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "alert_id", name="pk_spend_alerts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_spend_alerts_account_id"),
        sa.UniqueConstraint("alert_id", name="uq_spend_alerts_alert_id"),
    )


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("audit_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("target_id", sa.String(80), nullable=False),
        sa.Column("actor_kind", sa.String(8), nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("actor_account_id", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("before", sa.Text, nullable=True),
        sa.Column("after", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "audit_id", name="pk_audit_log"),
        sa.UniqueConstraint("audit_id", name="uq_audit_log_audit_id"),
    )
    op.create_index("ix_audit_log_target_id", "audit_log", ["target_id"])
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{change.lower()} BEFORE {change} ON audit_log"
                " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
