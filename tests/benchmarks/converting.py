"""From the database to the objects that astronomers use, against files and plain SQL."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from floor import commands_of, throw_away_unseen, with_floor
from measure import Job, side_by_side
from report import Row, duration
from sky import SHORT, NoDataError, Sky, url_of

import lcdb_notebook as lcdb

# What lightkurve takes as flux where a file has several: SPOC and Kepler, QLP, TGLC.
DEFAULT_PROCESSING = ("PDCSAP", "KSPSAP", "DET", "TGLC CAL")

NUMBERS = {"time": float, "flux": float, "flux_err": float, "cadenceno": int, "quality": int}
EXPLODED = """
SELECT t.name AS target, s.barycentric_julian_dates AS time, d.values AS flux,
       d.errors AS flux_err, o.cadence_reference AS cadenceno, q.quality_flags AS quality
FROM dataset d
JOIN observation o ON o.id = d.observation_id
JOIN target t ON t.id = d.target_id
JOIN target_specific_time s USING (target_id, observation_id)
JOIN quality_flag_array q USING (target_id, observation_id)
WHERE o.sector = {sector} AND t.name <= {targets}
ORDER BY t.name
"""


def one(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare one target's LightCurve with lightkurve reading its file, for each real file."""
    db, report = sky.real
    expected, paths = [], []
    for outcome in report.files:
        if outcome.datasets and _lightkurve_reads(outcome.label):
            expected.append(_default_flux(db, outcome.datasets))
            paths.append(outcome.label)
    if not paths:
        raise NoDataError("no real file could be read")
    sky.report(f"making a LightCurve of each of {len(paths)} real files")
    commands = commands_of(partial(_one_by_one, db, expected))
    medians = side_by_side(
        {
            "ours": Job(partial(_one_by_one, db, expected)),
            "files": Job(partial(_files_one_by_one, paths)),
            "floor": Job(partial(throw_away_unseen, db, commands)),
        },
        repeat,
    )
    row = Row(
        f"one target to a `LightCurve`, mean of {len(paths)} real files",
        "`lightkurve.read` of its file, cached",
        "faster",
        medians["files"] / medians["ours"],
        10,
        duration(medians["ours"], len(paths)),
        duration(medians["files"], len(paths)),
    )
    yield from with_floor(row, medians, len(paths))


def many(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare a LightCurveCollection with lightkurve reading as many files."""
    paths = sky.copies
    db = sky.copied
    number = len(paths)
    sky.report(f"making a LightCurveCollection of {number:,} DataSets")
    medians = side_by_side(
        {"ours": Job(partial(_collection, db)), "files": Job(partial(_collection_of_files, paths))},
        # Reading files takes minutes a round.
        (repeat + 1) // 2,
    )
    yield Row(
        f"{number:,} DataSets to a `LightCurveCollection`",
        f"`lightkurve.read` of {number:,} FITS files, cached",
        "faster",
        medians["files"] / medians["ours"],
        8,
        duration(medians["ours"], number),
        duration(medians["files"], number),
    )


def frame(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare one DataFrame with pandas' own way to it."""
    number = sky.scale.collected
    db = sky.light_curves
    sky.report(f"making a DataFrame of {number:,} DataSets")
    engine = sa.create_engine(url_of(db))
    query = EXPLODED.format(sector=SHORT, targets=number)
    commands = commands_of(partial(_frame, db, number))
    medians = side_by_side(
        {
            "ours": Job(partial(_frame, db, number)),
            "pandas": Job(partial(_exploded, engine, query)),
            "floor": Job(partial(throw_away_unseen, db, commands)),
        },
        repeat,
    )
    engine.dispose()
    row = Row(
        f"{number:,} DataSets to one DataFrame",
        "`pandas.read_sql` + `explode` + `astype`",
        "faster",
        medians["pandas"] / medians["ours"],
        20,
        duration(medians["ours"], number),
        duration(medians["pandas"], number),
    )
    yield from with_floor(row, medians, number)


def _default_flux(db: lcdb.Database, datasets: Sequence[int]) -> dict[str, Any]:
    """Return the criteria for the light curve that lightkurve reads from the same file."""
    query = sa.text(
        "SELECT t.name AS target, d.observation_id AS observation, p.name AS photometry, "
        "m.name AS processing FROM dataset d "
        "JOIN target t ON t.id = d.target_id "
        "JOIN photometric_source p ON p.id = d.photometric_method_id "
        "JOIN processing_method m ON m.id = d.processing_method_id "
        "WHERE d.id = ANY (:ids) AND m.name = ANY (:methods) ORDER BY d.id LIMIT 1"
    )
    with db.session_scope() as session:
        given = {"ids": list(datasets), "methods": list(DEFAULT_PROCESSING)}
        return dict(session.execute(query, given).mappings().one())


def _one_by_one(db: lcdb.Database, expected: Sequence[dict[str, Any]]) -> None:
    for which in expected:
        db.lightcurve(**which)


def _files_one_by_one(paths: Sequence[str | Path]) -> None:
    for path in paths:
        _read_file(path)


def _collection(db: lcdb.Database) -> Hashable:
    found = db.search(processing="PDCSAP").lightcurves(progress=False)
    return len(found), len(found[0])


def _collection_of_files(paths: Sequence[Path]) -> Hashable:
    import lightkurve

    found = lightkurve.LightCurveCollection([_read_file(path) for path in paths])
    return len(found), len(found[0])


def _read_file(path: str | Path) -> Any:
    import lightkurve

    return lightkurve.read(path, quality_bitmask="default")


def _lightkurve_reads(path: str) -> bool:
    """Try; as it warns of the cadences that it drops, which this package does as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _read_file(path)
        except Exception:  # lightkurve wraps every error in its own classes
            return False
    return True


def _frame(db: lcdb.Database, number: int) -> None:
    db.search(range(1, number + 1), sector=SHORT).to_pandas(progress=False)


def _exploded(engine: sa.Engine, query: str) -> None:
    frame = pd.read_sql(query, engine).explode(list(NUMBERS), ignore_index=True)
    # What it exploded are Python objects, with which nothing can be computed.
    frame.astype(NUMBERS)
