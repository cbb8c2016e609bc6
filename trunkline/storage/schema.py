"""The tables of accounts, keys and what is kept for callers. Each row belongs to an account: `account_id` is in every
primary and foreign key. Those of people and of money are beside it, in tenant_schema.py and money_schema.py.

`version` is the one exception: a single row about the installation as a whole. Times are Unix seconds.
A change here needs a migration beside it; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# `models` is a JSON list of globs, `metadata` a JSON object of text.
accounts = Table(
    "accounts",
    metadata,
    Column("account_id", String(64), primary_key=True),
    Column("parent_id", String(64), ForeignKey("accounts.account_id"), nullable=True, index=True),
    Column("name", String(200), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("archived_at", Float(53), nullable=True),
    Column("models", Text, nullable=False, server_default="[]"),
    Column("markup_millionths", Integer, nullable=True),
    Column("default_tag", String(64), nullable=True),
    Column("external_ref", String(200), nullable=True, index=True),
    Column("metadata", Text, nullable=False, server_default="{}"),
)
Index("ix_accounts_created_at_account_id", accounts.c.created_at, accounts.c.account_id)

# `addresses` and `routes` are JSON lists; empty means all. `owner_id`: a service account or a user.
keys = Table(
    "keys",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("admin", Boolean(create_constraint=False), nullable=False),
    Column("manage", Boolean(create_constraint=False), nullable=False),
    Column("models", Text, nullable=False),  # a JSON list of globs; empty means every model
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=True),
    Column("revoked_at", Float(53), nullable=True),
    Column("last_used_at", Float(53), nullable=True),
    Column("viewer", Boolean(create_constraint=False), nullable=False, server_default=false()),
    Column("requests_per_minute", BigInteger, nullable=True),
    Column("tokens_per_minute", BigInteger, nullable=True),
    Column("concurrency", Integer, nullable=True),
    Column("addresses", Text, nullable=False, server_default="[]"),
    Column("routes", Text, nullable=False, server_default="[]"),
    Column("default_tag", String(64), nullable=True),
    Column("note", String(500), nullable=True),
    Column("owner_id", String(64), nullable=True, index=True),
    Column("created_by", String(64), nullable=True),
    PrimaryKeyConstraint("account_id", "key_id"),
    UniqueConstraint("key_id"),
)
Index("ix_keys_created_at_key_id", keys.c.created_at, keys.c.key_id)

# A key has one secret, and for a rotation's grace two. `retires`: the first use of this one ends those before it.
key_secrets = Table(
    "key_secrets",
    metadata,
    Column("account_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("public_id", String(64), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=True),
    Column("revoked_at", Float(53), nullable=True),
    Column("retires", Boolean(create_constraint=False), nullable=False, server_default=false()),
    PrimaryKeyConstraint("account_id", "key_id", "public_id"),
    ForeignKeyConstraint(["account_id", "key_id"], ["keys.account_id", "keys.key_id"]),
    UniqueConstraint("public_id"),
    UniqueConstraint("digest"),
)

admin_links = Table(
    "admin_links",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("used_at", Float(53), nullable=True),
    PrimaryKeyConstraint("account_id", "digest"),
    UniqueConstraint("digest"),
)

# `content` is sealed wherever it stands. `touched_at` is the last sign of life of one that runs without its caller.
# `position`: where its conversation stood before its own items. What it goes on from may have been deleted, so
# `previous_response_id` is no reference.
responses = Table(
    "responses",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("response_id", String(64), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False, index=True),
    Column("touched_at", Float(53), nullable=False),
    Column("status", String(16), nullable=False),
    Column("background", Boolean(create_constraint=False), nullable=False),
    Column("previous_response_id", String(64), nullable=True),
    Column("conversation_id", String(64), nullable=True),
    Column("position", Integer, nullable=True),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "response_id"),
)
_RUNNING = and_(responses.c.background, responses.c.status.in_(("queued", "in_progress")))
Index("ix_responses_touched_at", responses.c.touched_at, sqlite_where=_RUNNING, postgresql_where=_RUNNING)

# A row holds the events of one write.
response_events = Table(
    "response_events",
    metadata,
    Column("account_id", String(64), nullable=False),
    Column("response_id", String(64), nullable=False),
    Column("first_sequence", Integer, nullable=False),
    Column("last_sequence", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "response_id", "first_sequence"),
    ForeignKeyConstraint(
        ["account_id", "response_id"], ["responses.account_id", "responses.response_id"], ondelete="CASCADE"
    ),
)

# `next_position` is the place of the next item; places are never given twice. `content` is the metadata.
conversations = Table(
    "conversations",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("next_position", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "conversation_id"),
)

conversation_items = Table(
    "conversation_items",
    metadata,
    Column("account_id", String(64), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    Column("item_id", String(128), nullable=False),
    Column("position", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "conversation_id", "item_id"),
    UniqueConstraint("account_id", "conversation_id", "position"),
    ForeignKeyConstraint(
        ["account_id", "conversation_id"],
        ["conversations.account_id", "conversations.conversation_id"],
        ondelete="CASCADE",
    ),
)

# `digest` stands for the id of a tool call or of a response, which providers make as long as they like.
sidecar = Table(
    "sidecar",
    metadata,
    Column("account_id", String(64), ForeignKey("accounts.account_id"), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("expires_at", Float(53), nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "digest"),
)

# `number` rises with every change that running processes must see. `pepper_check` is a digest of a fixed text, so that
# a database is never served with another pepper than the one that made its keys.
version = Table(
    "version",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("pepper_check", LargeBinary(32), nullable=True),
    CheckConstraint("row = 1", name="one_row"),
)
