"""What Alembic runs: our connection, our tables, and no transaction but the caller's."""

from __future__ import annotations

from alembic import context

from trunkline.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can; Alembic assumes it cannot
    render_as_batch=True,  # SQLite alters a table by rebuilding it
)
with context.begin_transaction():
    context.run_migrations()
