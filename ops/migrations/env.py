"""What Alembic runs for a migration: within the transaction of whoever asked for it, on the tables of one line."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes

context.configure(
    connection=_given["connection"],
    target_metadata=_given["metadata"],
    # SQLite changes a table by making it anew, which Alembic does in a batch.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
