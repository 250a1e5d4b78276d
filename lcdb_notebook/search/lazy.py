"""Search: criteria and a range of rows; the database is queried once, when first needed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.search import explain, layout, sql, stars
from lcdb_notebook.search.constants import (
    Constants,
    constants,
    constants_column,
    constants_of,
)
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.results import Found, find
from lcdb_notebook.search.size import COUNTED, Size, size_of
from lcdb_notebook.search.size_block import SIZE, read_size, size_block

__all__ = ["Search", "Sessions"]

# Missing targets that are listed.
_LISTED = 10

# No table has so many rows.
_MOST = 2**62


class Sessions(Protocol):
    """The part of a database that a search uses."""

    def session_scope(self) -> AbstractContextManager[orm.Session]:
        """Return a context with the session, which turns errors of the driver into LCDBErrors."""


class Search:
    """A search, or a range of its rows; the database is queried once, when first needed.

    Parameters
    ----------
    sessions : Sessions
        The database.
    criteria : Criteria
        The criteria of the search.
    limit : int, optional
        Number of rows at most; None for all.
    offset : int, default 0
        Number of rows to skip.
    """

    def __init__(
        self, sessions: Sessions, criteria: Criteria, *, limit: int | None = None, offset: int = 0
    ) -> None:
        self.sessions = sessions
        self.criteria = criteria
        self.limit = limit
        self.offset = offset
        self.kept: Found | None = None

    def within(self, sessions: Sessions) -> Search:
        """Return the same rows as a search of other sessions.

        Parameters
        ----------
        sessions : Sessions
            On the same database.
        """
        search = Search(sessions, self.criteria, limit=self.limit, offset=self.offset)
        search.kept = self.kept
        return search

    def found(self, session: orm.Session) -> Found:
        """Return the results; the first time, warn of requested targets that do not exist."""
        if self.kept is None:
            self.kept = find(session, self.criteria, limit=self.limit, offset=self.offset)
            missing = self.missing(session)
            if missing:
                warn(missing)
        return self.kept

    def missing(self, session: orm.Session, known: tuple[int, Sequence[int]] | None = None) -> str:
        """List in a sentence which of several requested targets do not exist; "" if all do.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        known : tuple of int and sequence of int, optional
            How many do not exist, and the first ten of them, if it was looked up.
        """
        numbers = self._several()
        if self.kept is not None and numbers <= {row.target for row in self.kept.rows}:
            return ""
        if known is None:
            missing = explain.missing_numbers(session, self.criteria) if numbers else []
            known = len(missing), missing[:_LISTED]
        number, first = known
        if not number:
            return ""
        listed = ", ".join(map(str, first)) + (", ..." if number > _LISTED else "")
        return f"{number} of {len(numbers)} targets are not in the database: {listed}"

    def count(self) -> int:
        """Count the rows, without fetching them."""
        if self.kept is not None:
            return len(self.kept.rows)
        with self.sessions.session_scope() as session:
            criteria = stars.with_aliases(session, self.criteria)
            # The names of methods and observations are looked up first, so that an index alone
            # counts the DataSets of an observation.
            most = None if self.limit is None else self.offset + self.limit
            rows = constants(session, criteria).select().limit(most)
            statement = sa.select(sa.func.count()).select_from(rows.subquery())
            counted = 0
            for fitted in layout.parts(session, statement, criteria):
                counted += session.scalar(fitted, sql.parameters(criteria)) or 0
                if most is not None and counted >= most:
                    counted = most
                    break
        return max(0, counted - self.offset)

    def overview(self, session: orm.Session, number: int) -> tuple[Found, Size, str]:
        """Find the first rows, count or estimate all, and list which targets do not exist.

        That takes one round trip. It takes up to two more if the table was not small when its
        layout was read, and the role may not use PL/pgSQL; and more in LightcurveDB 3, or if
        targets are searched with their aliases.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        number : int
            Number of rows to find; those that were found before are all returned.
        """
        if self.kept is not None:
            return self.kept, Size(len(self.kept.rows)), self.missing(session)
        first = self.cut(slice(0, number))
        arranged = layout.of(session)
        gone = explain.missing_column(self.criteria, _LISTED) if self._several() else sa.null()
        size: Size | None = None
        known: Constants | None = None
        missing: tuple[int, Sequence[int]] | None = None

        def run(column: sa.ColumnElement[Any], block: str | None = None) -> tuple[Found, Any]:
            nonlocal missing
            both = sa.func.json_build_array(column, gone)
            page = partial(find, session, self.criteria, limit=first.limit, offset=first.offset)
            found = page(column=both, block=block)
            value, missing = found.further or (None, None)
            return found, value

        if self.criteria.aliases or arranged.keyed is not None:
            found = first.found(session)
        elif self.limit is not None and self.limit <= number:
            # A count would read all rows before these.
            found, _ = run(sa.null())
            size = Size(len(found.rows))
        elif arranged.is_small and self.is_whole():
            found, counted = run(sql.counted(self.criteria, COUNTED + 1))
            if counted is not None and counted <= COUNTED:
                size = Size(counted)
        elif arranged.has_plpgsql:
            block = size_block(session, self.criteria, limit=self.limit, offset=self.offset)
            found, result = run(SIZE, block)
            size = read_size(result, limit=self.limit, offset=self.offset)
        else:
            found, ids = run(constants_column(self.criteria))
            known = constants_of(self.criteria, ids or ())
        if len(found.rows) < number:
            size = Size(len(found.rows))
        if size is None:
            size = self.size(known)
        return found, size, self.missing(session, missing)

    def _several(self) -> set[int]:
        """Return the requested numbers of targets, if they are several."""
        numbers = set(self.criteria.numbers or ()) if self.is_whole() else set()
        return numbers if len(numbers) > 1 else set()

    def size(self, known: Constants | None = None) -> Size:
        """Count the rows if they are few, or estimate how many there are.

        Parameters
        ----------
        known : Constants, optional
            What the criteria mean, if it was looked up.
        """
        if self.kept is not None:
            return Size(len(self.kept.rows))
        with self.sessions.session_scope() as session:
            criteria = stars.with_aliases(session, self.criteria)
            rows = (known or constants(session, criteria)).select()
            return size_of(
                session,
                rows,
                sql.parameters(criteria),
                parts=partial(layout.parts, session, criteria=criteria),
                limit=self.limit,
                offset=self.offset,
            )

    def is_whole(self) -> bool:
        """Check whether this is a search, and not a range of its rows."""
        return self.limit is None and self.offset == 0

    def one(self, number: int) -> Search | None:
        """Return one row as another search, or None if there is none of that number.

        Parameters
        ----------
        number : int
            From 0 on, or from -1 backwards. Both read the same number of rows.
        """
        if number < 0 and not (self.is_whole() and self.kept is None):
            number += self.count()
            if number < 0:
                return None
        if number < -_MOST:
            return None
        backwards = number < 0
        part = self.cut(slice(0, 1) if backwards else slice(number, number + 1))
        with self.sessions.session_scope() as session:
            if part.kept is None:
                offset = -1 - number if backwards else part.offset
                part.kept = find(
                    session, self.criteria, limit=part.limit, offset=offset, backwards=backwards
                )
        return part if part.kept.rows else None

    def cut(self, which: slice) -> Search:
        """Return a range of the rows as another search.

        Raises
        ------
        ArgumentError
            If the slice has a step.
        """
        if which.step not in (None, 1):
            raise ArgumentError(
                f"a Selection must be sliced without a step, got selection[::{which.step}]"
            )
        ends = [operator.index(end) for end in (which.start, which.stop) if end is not None]
        # Rows are counted only if an end is negative.
        start, stop, _ = which.indices(self.count() if min(ends, default=0) < 0 else _MOST)
        length = None if which.stop is None else max(0, stop - start)
        if self.limit is not None:
            left = max(0, self.limit - start)
            length = left if length is None else min(length, left)
        part = Search(self.sessions, self.criteria, limit=length, offset=self.offset + start)
        if self.kept is not None:
            part.kept = self.kept.part(start, None if length is None else start + length)
        return part
