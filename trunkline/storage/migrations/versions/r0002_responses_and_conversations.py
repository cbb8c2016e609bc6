"""Responses and their events, conversations and their items, and the sidecar of reasoning state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

RUNNING = sa.text("background AND status IN ('queued', 'in_progress')")


def upgrade() -> None:
    _responses()
    _conversations()
    _sidecar()


def _responses() -> None:
    op.create_table(
        "responses",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("response_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("touched_at", sa.Float(53), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("background", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("previous_response_id", sa.String(64), nullable=True),
        sa.Column("conversation_id", sa.String(64), nullable=True),
        sa.Column("position", sa.Integer, nullable=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "response_id", name="pk_responses"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_responses_account_id"),
    )
    op.create_index("ix_responses_expires_at", "responses", ["expires_at"])
    op.create_index(
        "ix_responses_touched_at", "responses", ["touched_at"], sqlite_where=RUNNING, postgresql_where=RUNNING
    )
    op.create_table(
        "response_events",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("response_id", sa.String(64), nullable=False),
        sa.Column("first_sequence", sa.Integer, nullable=False),
        sa.Column("last_sequence", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "response_id", "first_sequence", name="pk_response_events"),
        sa.ForeignKeyConstraint(
            ["account_id", "response_id"],
            ["responses.account_id", "responses.response_id"],
            name="fk_response_events_account_id_response_id",
            ondelete="CASCADE",
        ),
    )


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("next_position", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "conversation_id", name="pk_conversations"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_conversations_account_id"),
    )
    op.create_table(
        "conversation_items",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(128), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "conversation_id", "item_id", name="pk_conversation_items"),
        sa.UniqueConstraint(
            "account_id",
            "conversation_id",
            "position",
            name="uq_conversation_items_account_id_conversation_id_position",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "conversation_id"],
            ["conversations.account_id", "conversations.conversation_id"],
            name="fk_conversation_items_account_id_conversation_id",
            ondelete="CASCADE",
        ),
    )


def _sidecar() -> None:
    op.create_table(
        "sidecar",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "digest", name="pk_sidecar"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_sidecar_account_id"),
    )
    op.create_index("ix_sidecar_expires_at", "sidecar", ["expires_at"])
