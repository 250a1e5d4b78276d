"""The methods of a Database that run SQL, and that show the SQL that is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.errors import ArgumentError, ConnectionFailedError, LCDBError, ReadOnlyError
from lcdb_notebook.server.statements import statements
from lcdb_notebook.server.trace import Statement, Trace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sql", "trace"]

# Commands that return rows. PostgreSQL refuses changes inside them in a read-only transaction.
_READING = ("SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN")


def sql(self: Open, statement: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
    r"""Run one SQL statement that reads, and return its rows.

    The tables are those of :mod:`lcdb_notebook.models`, or of the LightcurveDB that is open. Also
    in a database opened with ``write=True``, the statement cannot change anything; use
    ``db.session`` for changes. It sees changes that are not committed yet.

    Parameters
    ----------
    statement : str
        One statement that begins with SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN. ``:name``
        is a parameter; write ``\:name`` for a literal colon before a name.
    parameters : mapping of str to object, optional
        A value for each parameter: a number, a string, or a list or array for ``= ANY(:name)``.

    Returns
    -------
    pandas.DataFrame
        The rows, with the columns of the statement. Arrays are lists, NUMERIC is float.

    Raises
    ------
    ArgumentError
        If it is not one statement, or a parameter is missing or unknown.
    ReadOnlyError
        If the statement would change the database.
    LCDBError
        If the server reports an error.

    Examples
    --------
    >>> db.sql("SELECT name FROM target WHERE name <= :last ORDER BY name", {"last": 2})
       name
    0     1
    1     2
    """
    import pandas as pd

    _check_reads(statement)
    text = sa.text(statement)
    given = {name: _plain(value) for name, value in (parameters or {}).items()}
    _check_names(set(text.compile().params), set(given))
    failure: LCDBError | None = None
    with self.session_scope() as session:
        connection = session.connection()
        if not self._write:
            result = connection.execute(text, given)
            columns, rows = list(result.keys()), result.all()
        else:
            savepoint = connection.begin_nested()
            try:
                connection.exec_driver_sql("SET LOCAL transaction_read_only = on")
                result = connection.execute(text, given)
                columns, rows = list(result.keys()), result.all()
            except ConnectionFailedError:
                raise
            except LCDBError as error:
                # Raised below, because an error in the block would undo uncommitted changes.
                failure = error
            savepoint.rollback()
    if isinstance(failure, ReadOnlyError):
        raise ReadOnlyError(
            "db.sql() only reads; use db.session.execute() and db.session.commit() for changes"
        ) from failure
    if failure is not None:
        raise failure
    frame: pd.DataFrame = pd.DataFrame.from_records(
        [tuple(row) for row in rows], columns=columns, coerce_float=True
    )
    return frame


def trace(self: Open, function: Callable[[Statement], object]) -> Trace:
    """Call a function with each statement that is sent to the server, and its duration.

    Parameters
    ----------
    function : callable
        Called with a Statement after each statement, also after one that failed: ``sql`` is the
        text with the values of its parameters, and ``seconds`` is the duration. ``print`` prints
        both in one line. Statements that the function sends itself are not passed to it.

    Returns
    -------
    Trace
        Usable in a ``with`` statement, at whose end the trace stops; otherwise it stops with
        ``stop()``.

    Notes
    -----
    The arrays of light curves are read and written with COPY, whose duration includes decoding.
    Statements of worker processes of ``map``, and BEGIN, COMMIT and ROLLBACK, are not passed.

    Examples
    --------
    >>> sent = []
    >>> with db.trace(sent.append):
    ...     lc = db.lightcurve(3, sector=1, photometry="DEMO aperture 2px", processing="raw")
    >>> len([one for one in sent if one.sql.startswith("COPY")])
    1
    """
    if not callable(function):
        raise ArgumentError(f"function must be callable, such as print, got {function!r}")
    return self._tracer.add(function)


def _check_reads(statement: object) -> None:
    if not isinstance(statement, str):
        raise ArgumentError(f"statement must be a string of SQL, got {statement!r}")
    found = statements(statement)
    if len(found) != 1:
        raise ArgumentError(f"statement must be one SQL statement, got {len(found)}")
    word = found[0][0] if found[0] else ""
    if word not in _READING:
        raise ReadOnlyError(
            f"db.sql() runs statements that begin with {', '.join(_READING)}, got {word or '?'}; "
            "use db.session.execute() for others"
        )


def _check_names(named: set[str], given: set[str]) -> None:
    if missing := sorted(named - given):
        raise ArgumentError(
            f"parameters must have a value for each :name in the statement; missing: "
            f"{', '.join(missing)}"
        )
    if unknown := sorted(given - named):
        raise ArgumentError(
            f"the statement has no parameter :{unknown[0]}; it has: "
            f"{', '.join(sorted(named)) or 'none'}"
        )


def _plain(value: Any) -> Any:
    """Return numbers and arrays of numpy and pandas as those of Python, which psycopg2 knows."""
    return value.tolist() if hasattr(value, "tolist") else value
