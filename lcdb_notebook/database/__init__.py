""":func:`connect`, and the Database that it returns."""

from lcdb_notebook.database.connect import connect
from lcdb_notebook.database.database import Database

__all__ = ["Database", "connect"]
