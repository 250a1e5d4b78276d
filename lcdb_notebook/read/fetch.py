"""Fetch arrays with one binary COPY, which sends each distinct array once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import psycopg2
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import WireError
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.keys import (
    is_for_all,
    literal,
    of_datasets,
    of_flags,
    of_pairs,
    of_positions,
    parts,
)
from lcdb_notebook.search import layout
from lcdb_notebook.search.layout.keyed import Keyed
from lcdb_notebook.server import wire
from lcdb_notebook.server.copy import run_copy
from lcdb_notebook.server.interrupt import interruptible
from lcdb_notebook.server.trace import traced

__all__ = [
    "CADENCES",
    "CARDS",
    "DATASET",
    "FLAGS",
    "LINK",
    "POSITIONS",
    "TIMES",
    "Arrays",
    "Pair",
    "copy_out",
    "fetch",
    "raw_connection",
]

Vector = npt.NDArray[Any]
#: A target and an observation, by id.
Pair = tuple[int, int]

_log = logging.getLogger(__name__)

# Length of the part of a statement that errors show; its ids grow with the selection.
_SHOWN = 200

# The table of a row of the stream; the first field of every row.
CADENCES, TIMES, FLAGS, DATASET, VERSION, POSITIONS, CARDS, LINK = range(8)

_FIELDS = (
    wire.INT4.named("kind"),
    wire.INT8.named("id"),
    wire.INT8.named("observation_id"),
    wire.FLOAT_ARRAY.named("values or times"),
    wire.FLOAT_ARRAY.named("errors"),
    wire.INT_ARRAY.named("cadence_reference"),
    wire.INT_ARRAY.named("quality_flags"),
    wire.TEXT.named("flag type or text"),
)


@dataclass(slots=True)
class Arrays:
    """Arrays by the ids of their rows.

    Keys of ``flags`` are (target or None, observation). ``times`` has a list for each pair, because
    tables of other programs may have several rows. An array is None if it is NULL in the database,
    which tables of other programs may allow. ``versions`` change when the cadence numbers or the
    observation-wide flags of an observation change.
    """

    cadences: dict[int, Vector | None] = field(default_factory=dict)
    times: dict[Pair, list[Vector | None]] = field(default_factory=dict)
    flags: dict[tuple[int | None, int], dict[str, Vector | None]] = field(default_factory=dict)
    datasets: dict[DataSetId, tuple[Vector | None, Vector | None]] = field(default_factory=dict)
    #: Positions of the star by the id of their processing method.
    positions: dict[Pair, dict[int, Vector | None]] = field(default_factory=dict)
    versions: dict[int, str] = field(default_factory=dict)
    #: Kind, ids, two arrays and the decoded JSON of the rows of other queries.
    origins: list[tuple[Any, ...]] = field(default_factory=list)
    #: DataSets by their position in the stream, from 1; None if the stream has their ids.
    by_place: Sequence[DataSetId] | None = None

    def dataset(self, sent: int) -> DataSetId:
        """Return the id of a DataSet in the stream."""
        return sent if self.by_place is None else self.by_place[sent - 1]

    def take(self, rows: wire.Rows) -> None:
        """Store a run of rows of the stream by their ids."""
        for kind, id_, observation, floats, errors, cadences, flags, flag_type in rows:
            if kind == DATASET:
                self.datasets[self.dataset(id_)] = (floats, errors)
            elif kind == TIMES:
                self.times.setdefault((id_, observation), []).append(floats)
            elif kind == FLAGS:
                self.flags.setdefault((id_, observation), {})[flag_type] = flags
            elif kind == POSITIONS:
                self.positions.setdefault((id_, observation), {})[int(flag_type)] = floats
            elif kind == VERSION:
                self.versions[id_] = flag_type
            elif kind in (CARDS, LINK):
                # Decoded here, while the server sends the next arrays.
                written = json.loads(flag_type)
                self.origins.append((kind, id_, observation, floats, errors, written))
            else:
                self.cadences[id_] = cadences


def fetch(
    session: orm.Session,
    *,
    datasets: Sequence[DataSetId] = (),
    pairs: Sequence[Pair] = (),
    observations: Sequence[int] = (),
    versions: Sequence[int] = (),
    further: Sequence[str] = (),
    meanwhile: Callable[[int], object] | None = None,
    into: Arrays | None = None,
    take: Callable[[wire.Rows], object] | None = None,
) -> Arrays:
    """Fetch the arrays of rows in one statement, on the session's connection.

    One statement sees a consistent state of the database, so related arrays agree even while other
    clients write. In LightcurveDB 3, there is one statement for every few observations.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session; its uncommitted rows are included.
    datasets : sequence of int, default ()
        Ids of the DataSets whose values and errors are read.
    pairs : sequence of Pair, default ()
        (target id, observation id) to read times, flags and positions of.
    observations : sequence of int, default ()
        Ids of the observations whose cadence numbers and observation-wide flags are read.
    versions : sequence of int, default ()
        Ids of the observations whose versions are read.
    further : sequence of str, default ()
        Other queries for the same statement, whose rows are kept as ``origins``.
    meanwhile : callable, optional
        Called ten times a second with the number of DataSets received.
    into : Arrays, optional
        Filled and returned; by default a new object.
    take : callable, optional
        Called with each run of rows, in the thread that copies, instead of :meth:`Arrays.take`.

    Returns
    -------
    Arrays
        ``into``, or the new object.

    Raises
    ------
    WireError
        If a stored array is not valid in a light curve: two-dimensional, or integers with NULLs.
    """
    arrays = Arrays() if into is None else into
    arranged = layout.of(session)
    given: dict[str, Any] = {
        "flags": "quality_flag_array" not in arranged.missing,
        "by_type": arranged.flags_by_type,
        "positions": arranged.positions,
    }
    tick = None if meanwhile is None else lambda: meanwhile(len(arrays.datasets))
    if arranged.keyed is None:
        reader = wire.RowReader(_FIELDS, take or arrays.take)
        sql = _statement(datasets, pairs, observations, versions, further, **given)
        copy_out(session, sql, reader, tick)
        return arrays
    for part in parts(datasets, pairs, observations):
        arrays.by_place = part[0]
        reader = wire.RowReader(_FIELDS, take or arrays.take)
        sql = _statement(*part, versions, further, **given, keyed=arranged.keyed)
        copy_out(session, sql, reader, tick)
        versions = further = ()
    return arrays


def copy_out(
    session: orm.Session,
    sql: str,
    reader: wire.RowReader,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Run ``COPY (sql) TO STDOUT`` into a reader; an interrupt cancels it on the server.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        If the server reports an error, or the connection is lost.
    WireError
        If the stream differs from what the reader expects; the connection stays usable.
    """
    driver = raw_connection(session)
    command = f"COPY ({sql}) TO STDOUT (FORMAT binary)"
    _log.debug("%s", command)

    def copy() -> None:
        with driver.cursor() as cursor:
            try:
                with reader:
                    run_copy(cursor, command, reader, size=1 << 16)
            except (WireError, ValueError, RecursionError):
                # Also JSON that Python does not read, such as a number of 5,000 digits.
                # libpq then discards the rest of the stream, and the server stops sending.
                cursor.execute("SELECT 1")
                raise

    try:
        with traced(driver, lambda: command):
            interruptible(driver, copy, meanwhile=meanwhile)
    except psycopg2.Error as error:
        shown = command if len(command) <= _SHOWN else f"{command[:_SHOWN]} ..."
        raise sa.exc.DBAPIError.instance(shown, None, error, psycopg2.Error) from error


def raw_connection(session: orm.Session) -> Any:
    """Return the psycopg2 connection of a session."""
    return session.connection().connection.driver_connection


def _statement(
    datasets: Sequence[DataSetId],
    pairs: Sequence[Pair],
    observations: Sequence[int],
    versions: Sequence[int],
    further: Sequence[str],
    *,
    flags: bool,
    by_type: bool,
    positions: Collection[int],
    keyed: Keyed | None = None,
) -> str:
    # COPY does not accept parameters, so the ids are part of the statement; they are integers.
    no_floats, no_cadences, no_flags = "NULL::float8[]", "NULL::int8[]", "NULL::int4[]"
    id_, rows_of = of_datasets(datasets, keyed)
    here = f"= ANY ('{literal(observations)}'::int[])"
    arms = [
        f"SELECT {CADENCES}, id::int8, NULL::int8, {no_floats}, {no_floats}, "
        f"cadence_reference, {no_flags}, NULL::text "
        f"FROM observation WHERE id {here}",
        # An UPDATE moves a row (ctid) and marks it with its transaction (xmin).
        f"SELECT {VERSION}, id::int8, NULL, {no_floats}, {no_floats}, {no_cadences}, {no_flags}, "
        "concat(o.xmin, o.ctid, (SELECT string_agg(concat(f.xmin, f.ctid), ' ' ORDER BY f.ctid) "
        f"FROM quality_flag_array f WHERE {is_for_all('= o.id', by_type=by_type)})) "
        f"FROM observation o WHERE id = ANY ('{literal(versions)}'::int[])",
        f"SELECT {FLAGS}, target_id, observation_id, {no_floats}, {no_floats}, "
        f"{no_cadences}, quality_flags, type FROM quality_flag_array "
        f"WHERE {is_for_all(here, by_type=by_type)}",
        f"SELECT {FLAGS}, f.target_id, f.observation_id, {no_floats}, {no_floats}, "
        f"{no_cadences}, f.quality_flags, f.type FROM {of_flags(pairs, by_type=by_type)} f",
        f"SELECT {TIMES}, t.target_id, t.observation_id, t.barycentric_julian_dates, "
        f"{no_floats}, {no_cadences}, {no_flags}, NULL "
        f"FROM {of_pairs('target_specific_time', pairs, pruned=keyed is not None)} t",
        f"SELECT {POSITIONS}, p.target_id, p.observation_id, p.values, {no_floats}, "
        f"{no_cadences}, {no_flags}, p.processing_method_id::text "
        f"FROM {of_positions(pairs, positions, keyed)} p",
        f"SELECT {DATASET}, {id_}, NULL, values, errors, {no_cadences}, {no_flags}, NULL "
        f"FROM {rows_of}",
    ]
    present = [
        bool(versions),
        flags and bool(observations),
        flags and bool(pairs),
        bool(pairs),
        bool(positions) and bool(pairs),
        bool(datasets),
    ]
    # The first part of the UNION defines the column types, so it is always included; without ids it
    # costs nothing. The DataSets are last, so that they are assembled when they arrive.
    first, *others = arms
    chosen = [arm for arm, is_present in zip(others, present, strict=True) if is_present]
    return " UNION ALL ".join([first, *further, *chosen])
