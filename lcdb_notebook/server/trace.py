"""Pass the statements of a database, with their durations, to functions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

__all__ = ["Statement", "Trace", "Tracer", "traced"]

# Characters of a statement that print() shows; lists of ids can be megabytes long.
_SHOWN = 500


@dataclass(frozen=True)
class Statement:
    """One statement that was sent to the server.

    Parameters
    ----------
    sql : str
        The statement, with the values of its parameters.
    seconds : float
        Time in seconds until its last row was received. A COPY includes the decoding of its rows.

    Examples
    --------
    >>> print(Statement("SELECT 1", 0.0123))
        12.3 ms  SELECT 1
    """

    sql: str
    seconds: float

    def __str__(self) -> str:
        text = " ".join(self.sql.split())
        text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
        return f"{self.seconds * 1e3:8.1f} ms  {text}"


class Tracer:
    """The functions that receive the statements of one database."""

    def __init__(self) -> None:
        self._functions: list[Callable[[Statement], object]] = []
        # Threads that are in such a function.
        self._reporting: set[int] = set()

    def add(self, function: Callable[[Statement], object]) -> Trace:
        """Call a function with statements from now on."""
        self._functions.append(function)
        return Trace(self._functions, function)

    def report(self, sql: Callable[[], str], seconds: float) -> None:
        """Pass one statement to all functions, except statements that these functions send."""
        thread = threading.get_ident()
        if self._functions and thread not in self._reporting:
            self._reporting.add(thread)
            try:
                statement = Statement(sql(), seconds)
                for function in list(self._functions):
                    function(statement)
            finally:
                self._reporting.discard(thread)


class Trace:
    """A running trace. It ends with :meth:`stop`, or with the ``with`` block."""

    def __init__(
        self,
        functions: list[Callable[[Statement], object]],
        function: Callable[[Statement], object],
    ) -> None:
        self._functions = functions
        self._function: Callable[[Statement], object] | None = function

    def stop(self) -> None:
        """Call the function with no further statements."""
        if self._function is not None:
            self._functions.remove(self._function)
            self._function = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Trace{' (stopped)' if self._function is None else ''}>"


@contextmanager
def traced(connection: Any, sql: Callable[[], str]) -> Iterator[None]:
    """Report the statement that is sent inside the block, even if it fails.

    Parameters
    ----------
    connection : psycopg2.extensions.connection
        The connection on which it is sent.
    sql : callable
        Returns the statement; called only if someone traces.
    """
    tracer: Tracer | None = getattr(connection, "tracer", None)
    began = time.perf_counter()
    try:
        yield
    finally:
        if tracer is not None:
            tracer.report(sql, time.perf_counter() - began)
