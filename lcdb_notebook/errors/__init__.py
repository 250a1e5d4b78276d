"""All errors that this package raises, as one tree.

``except LCDBError`` catches all of them. No message contains a password::

    LCDBError
    ├── ConfigurationError          a URL, a configuration file or an option is invalid
    │   └── ArgumentError           an argument is invalid (also a ValueError and a TypeError)
    ├── ConnectionFailedError       the server cannot be reached, or refuses the connection
    │   └── EmbeddedServerError     the embedded server does not start
    ├── MissingExtraError           a package of an extra is not installed (also an ImportError)
    ├── SchemaError                 the database is not (yet) a LightcurveDB
    │   └── UpgradeError            rows violate a rule of a newer version of the tables
    ├── ReadOnlyError               a change to a database that was opened for reading
    ├── StatementTimeoutError       a statement took too long and was cancelled
    ├── NotFoundError               nothing matches (also a LookupError)
    │   ├── TargetNotFoundError     the catalog number does not exist
    │   ├── NameNotFoundError       a catalog, instrument or method does not exist
    │   ├── LightCurveNotFoundError the names exist, but not their combination
    │   │   └── LightCurveIndexError    no light curve of that number (also an IndexError)
    │   └── FrameNotFoundError      the file of a frame does not exist (also a FileNotFoundError)
    ├── AmbiguousError              several match instead of one (also a LookupError)
    ├── DataError                   stored arrays contradict each other (also a ValueError)
    ├── WireError                   bytes are not a binary COPY stream (also a ValueError)
    ├── TimeFormatError             the time format of a mission is invalid (also a ValueError)
    ├── LineageError                a light curve would descend from itself (also a ValueError)
    ├── IngestError                 a file or light curve cannot be ingested (also a ValueError)
    ├── ExportError                 a file cannot be written or read (also a ValueError)
    └── BackupError                 a backup cannot be made or restored

Exceptions that are not LCDBErrors: a violated constraint on ``db.session`` is SQLAlchemy's
``IntegrityError``, because code that writes rows catches that one; a missing or misspelt argument
is Python's ``TypeError``; what your own function or iterator raises is passed on.

Notebooks show an LCDBError with only your code and the message. To see the whole traceback, run
``%xmode Verbose`` and repeat the call, or call ``traceback.print_exception(error)``.
``error.__cause__`` is the error of the database driver, if it caused this error.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousError",
    "ArgumentError",
    "BackupError",
    "ConfigurationError",
    "ConnectionFailedError",
    "DataError",
    "EmbeddedServerError",
    "ExportError",
    "FrameNotFoundError",
    "IngestError",
    "LCDBError",
    "LightCurveIndexError",
    "LightCurveNotFoundError",
    "LineageError",
    "MissingExtraError",
    "NameNotFoundError",
    "NotFoundError",
    "ReadOnlyError",
    "SchemaError",
    "StatementTimeoutError",
    "TargetNotFoundError",
    "TimeFormatError",
    "UpgradeError",
    "WireError",
]


def __dir__() -> list[str]:
    return list(__all__)


class LCDBError(Exception):
    """Base class of all errors of this package."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing a traceback.
        from lcdb_notebook.errors.short_traceback import short_traceback

        return short_traceback(self)


class ConfigurationError(LCDBError):
    """A URL, a configuration file or an option is invalid."""


class ArgumentError(ConfigurationError, ValueError, TypeError):
    """An argument has the wrong type or an invalid value; the message names it."""


class ConnectionFailedError(LCDBError):
    """The server cannot be reached, or refuses the connection."""


class EmbeddedServerError(ConnectionFailedError):
    """The embedded server cannot be started or must not be used."""


class MissingExtraError(LCDBError, ImportError):
    """A feature needs a package of an extra that is not installed."""


class SchemaError(LCDBError):
    """Tables or columns that the models need are missing from the database, or differ."""


class UpgradeError(SchemaError):
    """Rows contradict a newer version of the tables; nothing was changed, and they can be read."""


class ReadOnlyError(LCDBError):
    """A statement would change a database that was opened for reading."""


class StatementTimeoutError(LCDBError):
    """The server cancelled a statement that exceeded ``statement_timeout``."""


class NotFoundError(LCDBError, LookupError):
    """Nothing in the database matches the request."""


class TargetNotFoundError(NotFoundError):
    """No target has that catalog number."""


class NameNotFoundError(NotFoundError):
    """No catalog, instrument, photometric source or processing method has that name."""


class LightCurveNotFoundError(NotFoundError):
    """No light curve matches all criteria, although each of them matches some."""


class LightCurveIndexError(LightCurveNotFoundError, IndexError):
    """A selection has no light curve of that number."""


class FrameNotFoundError(NotFoundError, FileNotFoundError):
    """The FITS file of a frame does not exist at the path in the database."""


class AmbiguousError(LCDBError, LookupError):
    """Several light curves or targets match instead of exactly one."""


class DataError(LCDBError, ValueError):
    """Arrays in the database contradict each other or cannot be read."""


class WireError(LCDBError, ValueError):
    """Bytes are not a PostgreSQL binary COPY stream of the expected shape."""


class TimeFormatError(LCDBError, ValueError):
    """The time format of a mission is invalid, or contradicts an existing one."""


class LineageError(LCDBError, ValueError):
    """A DataSet would become its own ancestor."""


class IngestError(LCDBError, ValueError):
    """A file or a light curve cannot be ingested; the message contains the reason."""


class ExportError(LCDBError, ValueError):
    """A light curve cannot be stored in a file, or a file cannot be written or read."""


class BackupError(LCDBError):
    """A backup cannot be made or restored; nothing was changed."""
