"""How the schema came to be, one revision a file. Alembic reads this folder; `storage.upgrade` calls it."""
