"""Arrays and files into the database, against raw COPY and against the ORM."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plain
import sqlalchemy as sa
from measure import Job, side_by_side
from report import Row, duration
from sky import SHORT, Sky, outside_transactions, store_all, url_of
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.copying import Types, column_types, write_rows
from lcdb_notebook.server import wire

# In an order in which every row finds those that it refers to; ``values`` is a word of SQL's.
FILLED = {
    "target": ("id", "catalog_id", "name"),
    "target_specific_time": ("target_id", "observation_id", "barycentric_julian_dates"),
    "quality_flag_array": ("type", "observation_id", "target_id", "quality_flags"),
    "dataset": (
        *("id", "target_id", "observation_id"),
        *("photometric_method_id", "processing_method_id", "values", "errors"),
    ),
}
OF_ARRAYS = ("target_specific_time", "quality_flag_array", "dataset")


def against_raw(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare loading with a raw COPY of the same bytes, kept in memory."""
    number = sky.scale.collected
    db = sky.new_database("loading")
    made = demo.products(number, sectors=[SHORT], cadences=1_200, apertures=1, steps=0)
    products = list(made)
    # The first time makes the observation and all names, which then stay.
    store_all(db, products)
    streams = {table: _stream(db, table) for table in FILLED}
    arrays = {table: streams[table] for table in OF_ARRAYS}
    types = column_types(db.session.connection(), OF_ARRAYS)
    rows = {
        table: wire.decode(stream, [types[table, column] for column in FILLED[table]])
        for table, stream in arrays.items()
    }
    size = sum(map(len, arrays.values())) / 1e6
    sky.report(f"storing {number:,} light curves, {size:.0f} MB")
    without_arrays = partial(_empty, db, OF_ARRAYS)
    without_targets = partial(_empty, db, ("target",))
    medians = side_by_side(
        {
            "write": Job(partial(_write, db, rows, types), without_arrays),
            "raw": Job(partial(_copy_raw, db, arrays), without_arrays),
        },
        repeat,
    )
    medians |= side_by_side(
        {
            "store": Job(partial(store_all, db, products), without_targets),
            "all raw": Job(partial(_copy_raw, db, streams), without_targets),
        },
        repeat,
    )
    for work, name, raw in (
        (f"loading the arrays of {number:,} light curves of 1,200 cadences", "write", "raw"),
        ("the same with new targets, looked up, checked and aligned", "store", "all raw"),
    ):
        yield Row(
            work,
            "raw `COPY FROM` of the same bytes",
            "at most",
            medians[name] / medians[raw],
            1.25,
            duration(medians[name], number),
            duration(medians[raw], number),
        )


def files(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare ingesting FITS files with reading them by lightkurve and adding them by the ORM."""
    paths = sky.copies[: sky.scale.ingested]
    db = sky.new_database("ingest")
    # The first time makes the observation and all names, which then stay.
    _ingest(db, paths[:1])
    sky.report(f"ingesting {len(paths)} files")
    engine = sa.create_engine(url_of(db))
    before = partial(_empty, db)
    medians = side_by_side(
        {
            "ours": Job(partial(_ingest, db, paths), before),
            "orm": Job(partial(_add_by_orm, engine, paths), before),
        },
        # Reading files takes long.
        (repeat + 1) // 2,
    )
    engine.dispose()
    yield Row(
        f"ingest of {len(paths)} FITS files",
        "`lightkurve.read` + ORM `add`",
        "faster",
        medians["orm"] / medians["ours"],
        15,
        duration(medians["ours"], len(paths)),
        duration(medians["orm"], len(paths)),
    )


def _empty(db: lcdb.Database, tables: Iterable[str] = ("target",)) -> None:
    """Empty tables and what refers to them; names and observations stay."""
    with outside_transactions(url_of(db)) as connection:
        connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)} CASCADE")
        connection.exec_driver_sql("CHECKPOINT")


def _stream(db: lcdb.Database, table: str) -> bytes:
    """Keep what a table holds, as COPY writes and reads it."""
    stream = io.BytesIO()
    command = f"COPY (SELECT {_named(table)} FROM {table} ORDER BY id) TO STDOUT (FORMAT binary)"
    with _driver(db).cursor() as cursor:
        cursor.copy_expert(command, stream)
    db.session.rollback()
    return stream.getvalue()


def _copy_raw(db: lcdb.Database, streams: Mapping[str, bytes]) -> int:
    for table, stream in streams.items():
        command = f"COPY {table} ({_named(table)}) FROM STDIN (FORMAT binary)"
        with _driver(db).cursor() as cursor:
            cursor.copy_expert(command, io.BytesIO(stream), size=1 << 18)
            copied: int = cursor.rowcount
    db.session.commit()
    return copied


def _write(db: lcdb.Database, rows: Mapping[str, Sequence[tuple[Any, ...]]], types: Types) -> int:
    for table, some in rows.items():
        write_rows(db.session.connection(), table, FILLED[table], some, types)
    db.session.commit()
    return len(some)


def _named(table: str) -> str:
    return ", ".join(f'"{column}"' for column in FILLED[table])


def _driver(db: lcdb.Database) -> Any:
    return db.session.connection().connection.driver_connection


def _ingest(db: lcdb.Database, paths: Sequence[Path]) -> int:
    return db.ingest(paths, progress=False, on_error="raise").light_curves


def _add_by_orm(engine: sa.Engine, paths: Sequence[Path]) -> int:
    import lightkurve

    number = 0
    with orm.Session(engine) as session:
        catalog = _id(session, "mission_catalog", "TIC")
        photometry = _id(session, "photometric_source", "TESS-SPOC SAP")
        pdcsap = _id(session, "processing_method", "PDCSAP")
        observation = session.scalars(sa.select(plain.Observation.id)).one()
        for path in paths:
            lightcurve = lightkurve.read(path, quality_bitmask="none")
            target = plain.Target(catalog_id=catalog, name=lightcurve.meta["TICID"])
            time = plain.TargetSpecificTime(
                target=target,
                observation_id=observation,
                barycentric_julian_dates=lightcurve.time.jd.tolist(),
            )
            flags = plain.QualityFlagArray(
                target=target,
                observation_id=observation,
                type="tess_quality_flag",
                quality_flags=lightcurve["quality"].tolist(),
            )
            session.add_all([time, flags])
            for column, processing in (("sap_flux", None), ("pdcsap_flux", pdcsap)):
                number += 1
                dataset = plain.DataSet(
                    target=target,
                    observation_id=observation,
                    photometric_method_id=photometry,
                    processing_method_id=processing,
                    values=np.asarray(lightcurve[column].value).tolist(),
                    errors=np.asarray(lightcurve[f"{column}_err"].value).tolist(),
                )
                session.add(dataset)
        session.commit()
    return number


def _id(session: orm.Session, table: str, name: str) -> int:
    query = sa.text(f"SELECT id FROM {table} WHERE name = :name")
    found: int = session.execute(query, {"name": name}).scalar_one()
    return found
