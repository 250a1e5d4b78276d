"""The Database that a user holds, and :func:`connect`, which opens it."""

from lcdb_notebook.database.connect import connect
from lcdb_notebook.database.database import Database

__all__ = ["Database", "connect"]
