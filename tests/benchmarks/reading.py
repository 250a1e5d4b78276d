"""Arrays out of the database into numpy, against the wire's own speed and other drivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import sqlalchemy as sa
from drivers import Read, by_adbc, by_orm, by_psycopg, counted
from floor import commands_of, throw_away, throw_away_unseen, with_floor
from measure import Job, side_by_side
from report import Row, duration
from sky import LONG, SHORT, Sky, libpq_url, url_of

import lcdb_notebook as lcdb


def against_floor(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare reading with the same COPY discarded unread."""
    db = sky.light_curves
    for sector, number, what in _sizes(sky):
        sky.report(f"reading {what} and throwing the same COPY away")
        selection = db.search(sector=sector)
        commands = commands_of(partial(_read, selection))
        medians = side_by_side(
            {
                "listed": Job(partial(_read, selection)),
                "floor": Job(partial(throw_away_unseen, db, commands)),
                "searched": Job(partial(_search, db, sector=sector)),
            },
            repeat,
        )
        for name, how in (("listed", "found before"), ("searched", "search included")):
            yield Row(
                f"read {what} with errors into numpy, {how}",
                "the same COPY discarded unread",
                "at most",
                medians[name] / medians["floor"],
                1.10 if sector == LONG else 1.20,
                duration(medians[name], number),
                duration(medians["floor"], number),
            )


def against_orm(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare reading with the ORM over psycopg2, as LightcurveDB reads today."""
    engine = sa.create_engine(url_of(sky.light_curves))
    share = sky.scale.share
    yield from _against(sky, repeat, "ORM rows with psycopg2", partial(by_orm, engine), 8, share)
    engine.dispose()


def against_psycopg(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare reading with psycopg 3 and binary results."""
    import psycopg

    with psycopg.connect(libpq_url(sky.light_curves), autocommit=True) as connection:
        name = "psycopg 3 with binary results"
        yield from _against(sky, repeat, name, partial(by_psycopg, connection), 1)


def against_adbc(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare reading with ADBC, whose driver decodes the binary COPY in C++."""
    import adbc_driver_postgresql.dbapi

    url = libpq_url(sky.light_curves)
    with closing(adbc_driver_postgresql.dbapi.connect(url, autocommit=True)) as connection:
        yield from _against(sky, repeat, "ADBC", partial(by_adbc, connection), 1)


def over_connections(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare bulk reads over several connections with one."""
    db = sky.light_curves
    for sector, number, what in _sizes(sky):
        sky.report(f"reading {what} over several connections")
        selection = db.search(sector=sector)
        medians = side_by_side(
            {
                str(connections): Job(partial(_read, selection, connections=connections))
                for connections in (1, 2, 4)
            },
            repeat,
        )
        for connections in (2, 4):
            yield Row(
                f"read {what} into numpy with `connections={connections}`",
                "`connections=1`",
                "faster",
                medians["1"] / medians[str(connections)],
                None,
                duration(medians[str(connections)], number),
                duration(medians["1"], number),
            )


def bytes_received(sky: Sky, repeat: int) -> Iterator[Row]:  # noqa: ARG001
    """Compare what the server sends with what the arrays are in its own format."""
    db = sky.light_curves
    for sector, _, what in _sizes(sky):
        selection = db.search(sector=sector)
        received = throw_away(db, commands_of(partial(_read, selection)))
        needed = _array_bytes(selection.read(progress=False))
        yield Row(
            f"bytes received for {what}",
            "the distinct array bytes in wire format",
            "at most",
            received / needed,
            1.02,
            f"{received / 1e6:.2f} MB",
            f"{needed / 1e6:.2f} MB",
        )


def _sizes(sky: Sky, share: float = 1) -> Iterator[tuple[int, int, str]]:
    """Yield the sector, the number and a description of each kind of light curve."""
    for sector, number, cadences in (
        (LONG, sky.scale.long, "12,000"),
        (SHORT, sky.scale.short, "1,200"),
    ):
        part = round(share * number)
        yield sector, part, f"{part:,} light curves of {cadences} cadences"


def _against(
    sky: Sky,
    repeat: int,
    other: str,
    read: Callable[[int, int], Read],
    goal: float,
    share: float = 1,
) -> Iterator[Row]:
    db = sky.light_curves
    for sector, number, what in _sizes(sky, share):
        sky.report(f"reading {what}, and with {other}")
        criteria = (
            {"sector": sector} if share == 1 else {"sector": sector, "target": range(1, number + 1)}
        )
        ours = partial(_search, db, **criteria)
        commands = commands_of(ours)
        medians = side_by_side(
            {
                "ours": Job(ours),
                "other": Job(partial(read, sector, number)),
                "floor": Job(partial(throw_away_unseen, db, commands)),
            },
            repeat,
        )
        row = Row(
            f"search and read {what} into numpy",
            other,
            "faster",
            medians["other"] / medians["ours"],
            goal,
            duration(medians["ours"], number),
            duration(medians["other"], number),
        )
        yield from with_floor(row, medians, number)


# This package


def _read(selection: lcdb.Selection, *, connections: int = 1) -> Read:
    return counted(
        (data.flux, data.flux_err, data.time, data.quality["tess_quality_flag"])
        for data in selection.read(progress=False, connections=connections)
    )


def _search(db: lcdb.Database, **criteria: Any) -> Read:
    return _read(db.search(**criteria))


def _array_bytes(light_curves: Iterable[lcdb.LightCurveData]) -> int:
    """Count the bytes of every distinct array as ``array_send`` writes it.

    Twenty bytes of header, then a length of four bytes and the number itself for each element.
    """
    size = 0
    observations: set[int] = set()
    pairs: set[tuple[int, int]] = set()
    for data in light_curves:
        cadences = data.cadence.size
        size += 20 + 12 * cadences  # values
        size += 0 if data.flux_err is None else 20 + 12 * cadences
        pair = data.target, data.observation.id
        if pair not in pairs:
            pairs.add(pair)
            size += 20 + 12 * cadences  # times
            size += len(data.quality) * (20 + 8 * cadences)
        if data.observation.id not in observations:
            observations.add(data.observation.id)
            size += 20 + 12 * cadences  # cadence numbers
    return size
