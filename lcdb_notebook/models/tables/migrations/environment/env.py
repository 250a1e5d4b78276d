"""Run a step of Alembic on the connection of the caller, in its transaction."""

from __future__ import annotations

from alembic import context

from lcdb_notebook.models.tables.migrations import TABLE

context.configure(connection=context.config.attributes["connection"], version_table=TABLE)
context.run_migrations()
