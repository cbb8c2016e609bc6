"""Accounts, keys and their secrets, admin links, and the version counter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from trunkline import clock

revision = "0001"
down_revision = None


def upgrade() -> None:
    _accounts()
    _keys()
    _admin_links()
    _version()


def _accounts() -> None:
    accounts = op.create_table(
        "accounts",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("parent_id", sa.String(64), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_accounts"),
        sa.ForeignKeyConstraint(["parent_id"], ["accounts.account_id"], name="fk_accounts_parent_id"),
    )
    op.create_index("ix_accounts_parent_id", "accounts", ["parent_id"])
    op.bulk_insert(
        accounts, [{"account_id": "acct_root", "parent_id": None, "name": "root", "created_at": clock.now_s()}]
    )


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("admin", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("manage", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=True),
        sa.Column("revoked_at", sa.Float(53), nullable=True),
        sa.Column("last_used_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "key_id", name="pk_keys"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_keys_account_id"),
        sa.UniqueConstraint("key_id", name="uq_keys_key_id"),
    )
    op.create_table(
        "key_secrets",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("public_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=True),
        sa.Column("revoked_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "key_id", "public_id", name="pk_key_secrets"),
        sa.ForeignKeyConstraint(
            ["account_id", "key_id"], ["keys.account_id", "keys.key_id"], name="fk_key_secrets_account_id_key_id"
        ),
        sa.UniqueConstraint("public_id", name="uq_key_secrets_public_id"),
        sa.UniqueConstraint("digest", name="uq_key_secrets_digest"),
    )


def _admin_links() -> None:
    op.create_table(
        "admin_links",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("used_at", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "digest", name="pk_admin_links"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_admin_links_account_id"),
        sa.UniqueConstraint("digest", name="uq_admin_links_digest"),
    )


def _version() -> None:
    version = op.create_table(
        "version",
        sa.Column("row", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("pepper_check", sa.LargeBinary(32), nullable=True),
        sa.PrimaryKeyConstraint("row", name="pk_version"),
        sa.CheckConstraint("row = 1", name="ck_version_one_row"),
    )
    op.bulk_insert(version, [{"row": 1, "number": 1, "pepper_check": None}])
