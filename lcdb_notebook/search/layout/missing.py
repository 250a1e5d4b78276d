"""Tables and columns of this package that a database does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lcdb_notebook.models import Base
from lcdb_notebook.models.tables.stored import StoredColumn

__all__ = ["is_plain", "is_readable", "missing_parts"]


def is_readable(columns: Mapping[str, StoredColumn]) -> bool:
    """Check whether the role may read all columns of a table."""
    return all(column.readable for column in columns.values())


def is_plain(columns: Mapping[str, StoredColumn]) -> bool:
    """Check whether the columns are those of a plain table."""
    return bool(columns) and all(column.is_table for column in columns.values())


def missing_parts(tables: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """Name the tables and columns in which this package writes, and that do not exist."""
    # Classes of the package; those of a notebook may be meant for another database.
    package = __name__.partition(".")[0]
    ours = [m for m in Base.registry.mappers if m.class_.__module__.partition(".")[0] == package]
    columns = {column for mapper in ours for column in mapper.columns}
    for table in Base.metadata.sorted_tables:
        read = [column for column in table.c if column in columns]
        if read and table.name not in tables:
            yield f"table {table.name}"
        elif read:
            yield from (f"column {c}" for c in read if c.name not in tables[table.name])
