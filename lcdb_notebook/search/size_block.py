"""How many rows a search has, found in the round trip of the statement that finds the first ones.

The planner estimates only a statement that contains the ids which the criteria mean, and only where
it expects few rows may they be counted. From a client, that takes three statements, each of which
waits for the one before. A block of PL/pgSQL runs them on the server. It is sent in one message
with the statement of the first rows, which returns its result in a column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from psycopg2.extensions import AsIs, encodings
from sqlalchemy import orm

from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.constants import parametrised
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.size import TRUSTED, Size, bounded_count, size_from

__all__ = ["SIZE", "read_size", "size_block"]

# A parameter of the transaction in which the block leaves its result.
_RESULT = "lcdb_notebook.size"

#: A column with the result of the block that was sent before the statement; NULL if none was.
SIZE: sa.ColumnElement[str] = sa.func.current_setting(_RESULT, sa.true())

_BLOCK = """
DECLARE
    ids record;
    plan json;
    planned bigint;
    counted bigint;
BEGIN
    {look_up}
    EXECUTE {explain} INTO plan {using};
    planned := ceil((plan #>> '{{0,Plan,Plan Rows}}')::float8);
    IF LEAST(planned - {offset}, {limit}) <= {trusted} THEN
        EXECUTE {count} INTO counted {using};
    END IF;
    PERFORM set_config('{result}', json_build_array(planned, counted)::text, true);
END
"""


def size_block(
    session: orm.Session, criteria: Criteria, *, limit: int | None = None, offset: int = 0
) -> str:
    """Return a statement that counts the rows of a search, or estimates how many there are.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session. The statement is not sent.
    criteria : Criteria
        The criteria, without aliases.
    limit : int, optional
        Number of rows that count at most; None for all.
    offset : int, default 0
        Number of rows that do not count.
    """
    meant, look_up = parametrised(criteria)
    rows = meant.select()
    count = bounded_count(rows, limit, offset)
    names = [] if look_up is None else [column.name for column in look_up.selected_columns]
    # As parameters of EXECUTE, ids are known to the planner like those in the text.
    ids = {name: AsIs(f"${number}") for number, name in enumerate(names, start=1)}
    given = sql.parameters(criteria)
    block = _BLOCK.format(
        look_up=""
        if look_up is None
        else f"EXECUTE {_quoted(session, _text(session, look_up, given))} INTO ids;",
        explain=_quoted(session, f"EXPLAIN (FORMAT JSON) {_text(session, rows, given | ids)}"),
        count=_quoted(session, _text(session, count, given | ids)),
        using=f"USING {', '.join(f'ids.{name}' for name in names)}" if names else "",
        offset=int(offset),
        limit="NULL" if limit is None else int(limit),
        trusted=TRUSTED,
        result=_RESULT,
    )
    return f"DO LANGUAGE plpgsql {_quoted(session, block)}"


def read_size(result: str | None, *, limit: int | None = None, offset: int = 0) -> Size | None:
    """Return what a block has found; None if no block was sent.

    Parameters
    ----------
    result : str or None
        The value of :data:`SIZE`.
    limit : int, optional
        That of the block.
    offset : int, default 0
        That of the block.

    Examples
    --------
    >>> read_size("[74, 74]"), read_size("[4012345, null]").text
    (74, 'about 4,000,000')
    """
    if not result:
        return None
    planned, counted = json.loads(result)
    return size_from(planned, counted, limit=limit, offset=offset)


def _text(session: orm.Session, statement: sa.Select[Any], given: Mapping[str, Any]) -> str:
    """Return a statement as it would be sent."""
    dialect = session.connection().dialect
    compiled = layout.present(session, statement).compile(dialect=dialect)
    state = compiled.construct_expanded_state({**given}, escape_names=False)
    types = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
    processors = {name: type_.bind_processor(dialect) for name, type_ in types.items()}
    processors |= state.processors
    values: dict[str, Any] = {}
    for name, value in state.parameters.items():
        process = None if isinstance(value, AsIs) else processors.get(name)
        sent = compiled.escaped_bind_names.get(name, name)
        values[sent] = value if process is None else process(value)
    return _filled(session, state.statement, values)


def _quoted(session: orm.Session, text: str) -> str:
    return _filled(session, "%(text)s", {"text": text})


def _filled(session: orm.Session, text: str, values: Mapping[str, Any]) -> str:
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor:
        filled: bytes = cursor.mogrify(text, values)
    return filled.decode(encodings[driver.encoding])
