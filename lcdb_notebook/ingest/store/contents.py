"""Write header cards and further columns of files, in databases that have tables for them."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg2
import sqlalchemy as sa

from lcdb_notebook.ingest.product import IntVector, Product
from lcdb_notebook.ingest.store.copying import integers
from lcdb_notebook.ingest.store.names import Names
from lcdb_notebook.ingest.store.plan import Accepted, numbered
from lcdb_notebook.models.tables.contents import COLUMNS, HEADERS

__all__ = ["write"]

Key = tuple[int, int]
"""Ids of a target and of an observation."""

# PostgreSQL manual, COPY, "Binary Format".
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"

# Kepler Archive Manual, appendix A: when an exposure ends, and how long it lasts, in days.
_ENDS = ("DATE-END", "TSTOP", "LC_END")
_DURATIONS = ("EXPOSURE", "LIVETIME")


@dataclass(frozen=True, eq=False)
class Written:
    """The rows of a target in an observation; ``curves`` has the names of flux columns."""

    cards: Mapping[str, Any]
    curves: Mapping[str, Any]
    cadence: IntVector
    columns: Mapping[str, tuple[str, npt.NDArray[Any]]]


def write(connection: sa.Connection, names: Names, accepted: Sequence[Accepted]) -> None:
    """Write the contents of accepted products, unless they are stored and were not replaced.

    The parts of an observation (Kepler's short cadence) are joined.
    """
    items: dict[Key, list[Accepted]] = {}
    for item in accepted:
        if item.product.contents is not None and item.observation.id is not None:
            target = names.targets[item.product.catalog, int(item.product.target)]
            items.setdefault((target, item.observation.id), []).append(item)
    if not items or not _writable(connection):
        return
    stored = _stored(connection, items)
    written: dict[Key, Written] = {}
    for key, of_pair in items.items():
        for item in of_pair:
            known, found = written.get(key), _of(item.product)
            # A file has more than the metadata of a light curve that was added before.
            is_first = key not in stored or (bool(found.curves) and not stored[key])
            if (known is None and is_first) or item.replaced:
                written[key] = found
            elif item.product.part and item.changed:
                written[key] = _joined(known or _read(connection, key), found)
    if not written:
        return
    connection.exec_driver_sql(
        f"DELETE FROM {HEADERS} USING (SELECT unnest({integers(t for t, _ in written)}) AS t, "
        f"unnest({integers(o for _, o in written)}) AS o) AS key "
        "WHERE target_id = t AND observation_id = o"
    )
    _copy(connection, HEADERS, _header_rows(written))
    _copy(connection, COLUMNS, _column_rows(written))


def _of(product: Product) -> Written:
    assert product.contents is not None
    curves: dict[str, Any] = {}
    for curve in product.curves:
        named = curve.processing or curve.photometry
        unit = named.description.partition("]")[0].removeprefix("[")
        names = curve.photometry.name, curve.processing.name if curve.processing else None
        if curve.column:
            curves[curve.column.lower()] = [*names, "values", unit]
        if curve.error_column:
            curves[curve.error_column.lower()] = [*names, "errors", unit]
    return Written(product.contents.cards, curves, numbered(product), product.contents.columns)


def _joined(first: Written, second: Written) -> Written:
    """Join two parts; the second one takes precedence at common cadences."""
    added = ~np.isin(first.cadence, second.cadence)
    cadence = np.concatenate([first.cadence[added], second.cadence])
    order = np.argsort(cadence, kind="stable")
    columns = {}
    for name in {**first.columns, **second.columns}:
        halves = []
        for part, rows in ((first, added), (second, np.full(second.cadence.size, True))):
            unit, values = part.columns.get(name, ("", None))
            if values is None or values.size == 0:
                values = np.full(part.cadence.size, np.nan)
            halves.append((unit, values[rows]))
        joined = np.concatenate([values for _, values in halves])[order]
        columns[name] = (halves[0][0] or halves[1][0], joined)
    is_new = bool(added.all())
    cards = (first.cards, second.cards)
    if first.cadence.size and second.cadence.size and second.cadence[0] < first.cadence[0]:
        cards = (second.cards, first.cards)
    curves = {**first.curves, **second.curves}
    return Written(_cards_of_parts(*cards, add=is_new), curves, cadence[order], columns)


def _cards_of_parts(
    earlier: Mapping[str, Any], later: Mapping[str, Any], *, add: bool
) -> dict[str, Any]:
    """Return the cards of two parts: those of the earlier one, from its start to the later end.

    Parameters
    ----------
    earlier, later : mapping of str to (object, str)
        Values and comments.
    add : bool
        Whether the parts have no common cadences, so that durations are added.
    """
    cards = {**later, **earlier}
    cards |= {key: later[key] for key in _ENDS if later.get(key, (None,))[0] is not None}
    for key in _DURATIONS if add else ():
        numbers = [part.get(key, (None,))[0] for part in (earlier, later)]
        if all(isinstance(number, int | float) for number in numbers):
            cards[key] = (sum(numbers), earlier[key][1])
    start, stop = (cards.get(key, (None,))[0] for key in ("TSTART", "TSTOP"))
    if "TELAPSE" in cards and isinstance(start, int | float) and isinstance(stop, int | float):
        cards["TELAPSE"] = (stop - start, cards["TELAPSE"][1])
    return cards


def _read(connection: sa.Connection, key: Key) -> Written:
    where = {"target": key[0], "observation": key[1]}
    cards, curves, cadences = connection.execute(
        sa.text(
            f"SELECT cards, curves, cadences FROM {HEADERS} "
            "WHERE target_id = :target AND observation_id = :observation"
        ),
        where,
    ).one()
    rows = connection.execute(
        sa.text(
            f'SELECT name, unit, type, "values" FROM {COLUMNS} '
            "WHERE target_id = :target AND observation_id = :observation"
        ),
        where,
    )
    columns = {name: (unit, np.frombuffer(values, type_)) for name, unit, type_, values in rows}
    return Written(cards, curves, np.frombuffer(cadences, "<i8"), columns)


def _writable(connection: sa.Connection) -> bool:
    return bool(
        connection.scalar(
            sa.text(
                "SELECT has_table_privilege(to_regclass(:headers), 'INSERT, DELETE') "
                "AND has_table_privilege(to_regclass(:columns), 'INSERT')"
            ),
            {"headers": HEADERS, "columns": COLUMNS},
        )
    )


def _stored(connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, bool]:
    """Return which contents are stored, and whether they are those of a file."""
    keys = list(keys)
    rows = connection.exec_driver_sql(
        f"SELECT target_id, observation_id, curves <> '{{}}' FROM {HEADERS} JOIN "
        f"(SELECT unnest({integers(t for t, _ in keys)}) AS target_id, "
        f"unnest({integers(o for _, o in keys)}) AS observation_id) AS key "
        "USING (target_id, observation_id)"
    )
    return {(target, observation): of_file for target, observation, of_file in rows}


def _header_rows(written: Mapping[Key, Written]) -> Iterator[list[bytes | None]]:
    for (target, observation), found in written.items():
        yield [
            struct.pack(">q", target),
            struct.pack(">i", observation),
            *(_degrees(found.cards, keys) for keys in (_RIGHT_ASCENSION, _DECLINATION)),
            # The binary format of jsonb begins with its version.
            b"\x01" + json.dumps(_plain(found.cards)).encode(),
            b"\x01" + json.dumps(found.curves).encode(),
            found.cadence.astype("<i8").tobytes(),
        ]


def _column_rows(written: Mapping[Key, Written]) -> Iterator[list[bytes | None]]:
    for (target, observation), found in written.items():
        for name, (unit, values) in found.columns.items():
            little = values.astype(values.dtype.newbyteorder("<"), copy=False)
            yield [
                struct.pack(">q", target),
                struct.pack(">i", observation),
                *(text.replace("\0", "").encode() for text in (name, unit, little.dtype.str)),
                little.tobytes(),
            ]


_RIGHT_ASCENSION = ("RA_OBJ", "CEN_RA")
_DECLINATION = ("DEC_OBJ", "CEN_DEC")


def _degrees(cards: Mapping[str, Any], keys: Sequence[str]) -> bytes | None:
    for key in keys:
        found = cards.get(key, (None,))[0]
        if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
            return struct.pack(">d", found)
    return None


def _plain(cards: Mapping[str, Any]) -> dict[str, Any]:
    """Return cards as JSON can have them, without NUL characters and infinite numbers."""
    plain = {}
    for key, (found, comment) in cards.items():
        if isinstance(found, float) and not math.isfinite(found):
            found = None
        elif isinstance(found, str):
            found = found.replace("\0", "")
        elif not isinstance(found, bool | int | float | None):
            found = str(found)
        plain[key] = [found, comment.replace("\0", "")]
    return plain


def _copy(connection: sa.Connection, table: str, rows: Iterable[list[bytes | None]]) -> None:
    stream = io.BytesIO()
    stream.write(_SIGNATURE)
    for row in rows:
        stream.write(struct.pack(">h", len(row)))
        for found in row:
            stream.write(struct.pack(">i", -1 if found is None else len(found)))
            stream.write(found or b"")
    stream.write(_END)
    stream.seek(0)
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        try:
            cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT binary)", stream, 1 << 23)
        except psycopg2.Error as error:
            raise sa.exc.DBAPIError.instance(table, None, error, psycopg2.Error) from error
