"""Every error this package raises on purpose, as one tree.

An ``except LCDBError`` catches them all, and none of them carries a password::

    LCDBError
    ├── ConfigurationError          a URL, a config file or an option makes no sense
    │   └── ArgumentError           an argument is wrong (also a ValueError and a TypeError)
    ├── ConnectionFailedError       no server answers, or it answers no
    │   └── EmbeddedServerError     the server in the home folder does not start
    ├── MissingExtraError           a package of an extra is not installed (also an ImportError)
    ├── SchemaError                 the database is not (yet) a LightcurveDB
    ├── ReadOnlyError               a change was asked of a database opened for reading
    ├── StatementTimeoutError       the server gave up on a statement that took too long
    ├── NotFoundError               nothing matches (also a LookupError)
    │   ├── TargetNotFoundError     no such catalog number
    │   ├── NameNotFoundError       no catalog, instrument, photometry or processing so named
    │   ├── LightCurveNotFoundError the names exist, their combination does not
    │   └── FrameNotFoundError      a frame's file is gone (also a FileNotFoundError)
    ├── AmbiguousError              several match where one was wanted (also a LookupError)
    ├── DataError                   stored arrays contradict each other (also a ValueError)
    ├── WireError                   bytes that are no binary COPY stream (also a ValueError)
    ├── TimeFormatError             a mission's clock cannot be told (also a ValueError)
    ├── LineageError                a light curve would descend from itself (also a ValueError)
    ├── IngestError                 a file that cannot be taken in (also a ValueError)
    ├── ExportError                 a file that cannot be written or read back (also a ValueError)
    └── BackupError                 a backup that cannot be made, or not be brought back
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
    "WireError",
]


class LCDBError(Exception):
    """The root of the tree."""


class ConfigurationError(LCDBError):
    """A URL, a configuration file or an option that makes no sense."""


class ArgumentError(ConfigurationError, ValueError, TypeError):
    """An argument of the wrong type or with an impossible value; the message names it."""


class ConnectionFailedError(LCDBError):
    """No server answers, or it refuses."""


class EmbeddedServerError(ConnectionFailedError):
    """The embedded server cannot be started or must not be used."""


class MissingExtraError(LCDBError, ImportError):
    """Something was asked for that needs a package of an extra, which is not installed."""


class SchemaError(LCDBError):
    """The database lacks tables or columns that the models need."""


class ReadOnlyError(LCDBError):
    """A change was asked of a database that was opened for reading."""


class StatementTimeoutError(LCDBError):
    """The server cancelled a statement that ran past ``statement_timeout``."""


class NotFoundError(LCDBError, LookupError):
    """Nothing in the database matches what was asked."""


class TargetNotFoundError(NotFoundError):
    """No target with that catalog number."""


class NameNotFoundError(NotFoundError):
    """No catalog, instrument, photometric source or processing method of that name."""


class LightCurveNotFoundError(NotFoundError):
    """Each thing asked for exists, but no DataSet combines them."""


class FrameNotFoundError(NotFoundError, FileNotFoundError):
    """A frame's FITS file is not where the database says."""


class AmbiguousError(LCDBError, LookupError):
    """Several things match where exactly one was wanted."""


class DataError(LCDBError, ValueError):
    """Arrays in the database contradict each other, so no light curve can be trusted."""


class WireError(LCDBError, ValueError):
    """Bytes that are not a PostgreSQL binary COPY stream of the expected shape."""


class TimeFormatError(LCDBError, ValueError):
    """A Mission's time format cannot be built, or contradicts an existing one."""


class LineageError(LCDBError, ValueError):
    """A DataSet would become its own ancestor."""


class IngestError(LCDBError, ValueError):
    """A file, or a light curve, that cannot be taken in; the message says why."""


class ExportError(LCDBError, ValueError):
    """A light curve that a file cannot hold, or a file that cannot be written or read back."""


class BackupError(LCDBError):
    """A backup that cannot be made, or cannot be brought back; nothing was changed."""
