"""Version 0003: tables for the header cards of files, and for columns that are not light curves."""

from __future__ import annotations

from alembic import op

from lcdb_notebook.models.tables import contents

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables, which hold no data yet."""
    contents.create(op.get_bind())
