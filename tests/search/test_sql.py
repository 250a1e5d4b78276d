"""The SQL of searches and listings: what it finds, and that no table is read in full for it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import event, orm

import lcdb_notebook as lcdb
from lcdb_notebook.explore.widget.own_connection import _SETTINGS
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    KeplerObservation,
    Observation,
    Target,
    TESSObservation,
)
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search import browse, layout, sql
from lcdb_notebook.search.browse import TargetFilter, spread
from lcdb_notebook.search.constants import constants
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.size import Size
from lcdb_notebook.server.engine import BEFORE

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightkurve"),
]


def product(target: int, sector: int, author: str = "SPOC", **changes: Any) -> Product:
    flux = np.ones(4)
    fields: dict[str, Any] = {
        "label": f"TIC {target}, sector {sector}, {author}",
        "mission": "TESS",
        "catalog": "TIC",
        "target": target,
        "observation_type": "tess_observation",
        "observation_fields": {"sector": sector, "author": author, "exptime": 120},
        "instrument": ("TESS", "Camera 1", f"CCD {1 + sector % 2}"),
        "cadence": np.arange(4) + 1000 - sector,
        "time": np.arange(4.0),
        "quality": {},
        "curves": (
            Curve(Named("SAP", ""), None, None, flux),
            Curve(Named("SAP", ""), Named("DET", ""), 0, flux),
            Curve(Named("ring", ""), None, None, flux),
        ),
    }
    return Product(**(fields | changes))


@pytest.fixture
def filled(session: orm.Session) -> orm.Session:
    """Two stars of TESS in three sectors, one by two pipelines; one star of Kepler."""
    kepler = product(
        1,
        0,
        mission="Kepler",
        catalog="KIC",
        observation_type="kepler_observation",
        observation_fields={"quarter": 3, "author": "Kepler", "exptime": 1800},
        instrument=("Kepler", "Channel 33"),
    )
    stored = [product(t, s) for t in (2, 1) for s in (3, 1, 2)] + [product(1, 1, "QLP"), kepler]
    outcomes = store(session.connection(), stored)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return session


def found(session: orm.Session, *args: Any, **search: Any) -> list[Any]:
    wanted = criteria(*args, **search)
    rows = list(session.execute(*sql.datasets(wanted)))
    by_ids = constants(session, wanted).select().subquery()
    counted = sa.select(sa.func.count()).select_from(by_ids)
    assert session.scalar(counted, sql.parameters(wanted)) == len(rows)
    return rows


def labels(rows: list[Any]) -> set[tuple[str, int]]:
    return {(row.catalog, row.target) for row in rows}


# What is found

SEARCHES: list[tuple[dict[str, Any], int]] = [
    ({}, 24),
    ({"target": 1}, 15),
    ({"target": 2}, 9),
    ({"target": [1, 2, 3]}, 24),
    ({"target": 3}, 0),
    ({"target": "TIC 1"}, 12),
    ({"target": 1, "catalog": "KIC"}, 3),
    ({"catalog": ["KIC", "TIC"]}, 24),
    ({"catalog": "EPIC"}, 0),
    ({"sector": 1}, 9),
    ({"sector": [1, 3]}, 15),
    ({"sector": None}, 3),
    ({"sector": [1, None]}, 12),
    ({"orbit_number": None}, 24),
    ({"quarter": 3}, 3),
    ({"author": "QLP"}, 3),
    ({"author": ["QLP", "Kepler"]}, 6),
    ({"sector": 1, "author": "SPOC"}, 6),
    ({"sector": 1.5}, 0),
    ({"exptime": 1800, "sector": 1}, 0),
    ({"observation": TESSObservation}, 21),
    ({"observation": KeplerObservation}, 3),
    ({"observation": Observation}, 24),
    ({"observation": [TESSObservation, KeplerObservation]}, 24),
    ({"observation": 10**6}, 0),
    ({"instrument": "TESS"}, 21),
    ({"instrument": "Camera 1"}, 21),
    ({"instrument": "CCD 1"}, 6),
    ({"instrument": ["CCD 1", "Kepler"]}, 9),
    ({"instrument": "Camera 2"}, 0),
    ({"instrument": uuid.UUID(int=1)}, 0),
    ({"photometry": "SAP"}, 16),
    ({"photometry": ["SAP", "ring"]}, 24),
    ({"photometry": "ring", "processing": "DET"}, 0),
    ({"processing": "raw"}, 16),
    ({"processing": "DET"}, 8),
    ({"processing": ["raw", "DET"]}, 24),
    ({"processing": ["DET", "no such"]}, 8),
]


@pytest.mark.parametrize(("search", "number"), SEARCHES, ids=lambda value: str(value)[:60])
def test_search_finds_datasets_that_match_all_criteria(
    filled: orm.Session, search: dict[str, Any], number: int
) -> None:
    assert len(found(filled, **search)) == number


def test_a_list_of_ids_and_classes_is_either(filled: orm.Session) -> None:
    tess = filled.scalars(sa.select(TESSObservation.id).where(TESSObservation.sector == 3)).one()
    assert len(found(filled, observation=[tess, KeplerObservation])) == 9


def test_objects_find_their_own(filled: orm.Session) -> None:
    dataset = filled.scalars(sa.select(DataSet).where(DataSet.processing_method_id > 0)).first()
    assert dataset is not None
    rows = found(
        filled,
        dataset.target,
        observation=dataset.observation,
        instrument=dataset.observation.instrument,
        photometry=dataset.photometry_source,
        processing=dataset.processing_method,
    )
    assert [row.dataset for row in rows] == [dataset.id]


def test_an_instrument_is_found_with_all_its_parts_by_its_id(filled: orm.Session) -> None:
    camera = filled.scalars(sa.select(Instrument).where(Instrument.name == "Camera 1")).one()
    assert labels(found(filled, instrument=camera.id)) == {("TIC", 1), ("TIC", 2)}


def test_an_instrument_that_is_part_of_itself_does_not_hang(filled: orm.Session) -> None:
    loop = Instrument(name="loop")
    filled.add(loop)
    filled.flush()
    filled.execute(sa.update(Instrument).where(Instrument.id == loop.id).values(parent_id=loop.id))
    observation = filled.scalars(sa.select(TESSObservation)).first()
    assert observation is not None
    observation.instrument = loop
    filled.flush()
    filled.execute(sa.text("SET LOCAL statement_timeout = '20s'"))
    assert found(filled, instrument="loop")
    (described,) = filled.execute(*sql.observations([observation.id]))
    assert set(described.instrument) == {"loop"}


# In which order


def test_rows_are_ordered_by_target_catalog_time_photometry_and_processing(
    filled: orm.Session,
) -> None:
    rows = found(filled)
    sectors = dict(filled.execute(sa.select(TESSObservation.id, TESSObservation.sector)).all())
    # Cadence numbers fall as sectors rise here, so it is the sector that counts.
    order = [
        (
            row.target,
            row.catalog,
            sectors.get(row.observation, 0),
            row.observation,
            row.photometry,
            row.processing or "",
        )
        for row in rows
    ]
    assert order == sorted(order)
    assert len(set(order)) == 24


def test_observations_that_no_field_orders_are_ordered_by_their_first_cadence(
    filled: orm.Session,
) -> None:
    target = filled.scalars(sa.select(Target)).first()
    instrument = filled.scalars(sa.select(Instrument)).first()
    for first in (500, 20, 300):
        observation = Observation(
            cadence_reference=np.arange(first, first + 2), instrument=instrument
        )
        filled.add(DataSet(target=target, observation=observation, values=np.ones(2)))
    filled.flush()
    rows = found(filled, observation=[row.id for row in _plain_observations(filled)])
    firsts = {row.id: row.cadence_reference[0] for row in _plain_observations(filled)}
    assert [firsts[row.observation] for row in rows] == [20, 300, 500]


def _plain_observations(session: orm.Session) -> list[Observation]:
    return list(session.scalars(sa.select(Observation).where(Observation.type == "observation")))


@pytest.mark.parametrize(("limit", "offset"), [(5, 0), (5, 20), (None, 22), (0, 0), (3, 100)])
def test_pages_are_runs_of_the_whole(filled: orm.Session, limit: int | None, offset: int) -> None:
    everything = [row.dataset for row in found(filled)]
    page = filled.execute(*sql.datasets(criteria(), limit=limit, offset=offset))
    stop = None if limit is None else offset + limit
    assert [row.dataset for row in page] == everything[offset:stop]


# Observations


def test_an_observation_is_described_by_its_fields_and_its_instrument(
    filled: orm.Session,
) -> None:
    ids = [row.observation for row in found(filled, 1)]
    described = {row.id: row for row in filled.execute(*sql.observations(ids))}
    assert set(described) == set(ids)
    for row in described.values():
        values = row._mapping
        assert row.cadences == 4
        if row.type == "kepler_observation":
            assert row.instrument == ["Kepler", "Channel 33"]
            assert (values["observation.quarter"], values["observation.sector"]) == (3, None)
        else:
            assert row.instrument[:2] == ["TESS", "Camera 1"]
            assert values["observation.quarter"] is None
            assert values["observation.sector"] in (1, 2, 3)


def test_no_statement_of_a_search_reads_an_array(filled: orm.Session) -> None:
    columns = set(filled.execute(*sql.datasets(criteria())).keys())
    columns |= set(filled.execute(*sql.observations([1])).keys())
    assert not {c for c in columns if "values" in c or "cadence_reference" in c}


# Statements that are kept


def test_searches_for_the_same_things_are_one_statement_with_other_values() -> None:
    wanted = criteria(1, sector=1, processing=["DET", "raw"])
    also_wanted = criteria([2, 3], sector=[4, 5], processing=["raw", "x"])
    one, first = sql.datasets(wanted, limit=5)
    other, second = sql.datasets(also_wanted, limit=9)
    assert one is other
    assert first != second
    assert sql.observations([1])[0] is sql.observations([2, 3])[0]


@pytest.mark.parametrize(
    "other",
    [
        {"target": 1},
        {"target": 1, "sector": None},
        {"target": 1, "sector": [1, None]},
        {"target": 1, "author": 1},
        {"sector": 1},
        {"target": 1, "sector": 1, "processing": "raw"},
        {"target": 1, "sector": 1, "instrument": "CCD 1"},
        {"target": 1, "sector": 1, "instrument": uuid.UUID(int=1)},
    ],
    ids=str,
)
def test_searches_for_other_things_are_other_statements(other: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {
        name: "x" if name == "author" else value for name, value in other.items()
    }
    statement, _ = sql.datasets(criteria(1, sector=1))
    assert sql.datasets(criteria(**wanted))[0] is not statement


LATER = """
import sys, lcdb_notebook as lcdb, numpy as np, sqlalchemy as sa
from sqlalchemy import orm
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, Instrument, Observation, Target
with lcdb.connect(sys.argv[1], write=True, create=True) as db:
    store(db.session.connection(), list(demo.products(1, sectors=[1], cadences=4)))
    db.session.commit()
    before = db.search().table
    assert len(db.search(sector=1)) == len(before) and len(db.observations()) == 1

    class Night(Observation):
        __mapper_args__ = {"polymorphic_identity": "night"}
        __chronology__ = ("night",)
        night: orm.Mapped[int]

    db.create()
    target = db.session.scalars(sa.select(Target)).one()
    camera = db.session.scalars(sa.select(Instrument)).first()
    # The later the night, the lower its cadences: only the field can order them.
    for night in (3, 1, 2):
        seen = Night(night=night, instrument=camera, cadence_reference=np.arange(2) - night)
        db.session.add(DataSet(target=target, observation=seen, values=np.ones(2)))
    db.session.commit()
    table = db.search(observation=Night).table
    assert table["night"].tolist() == [1, 2, 3], table
    assert len(db.search(night=[1, 3])) == 2
    assert len(db.search().table) == len(before) + 3
    assert db.observations(observation=Night)["night"].tolist() == [3, 1, 2]
"""


def test_a_class_that_is_mapped_later_is_searched_ordered_and_described(blank_dsn: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATER, blank_dsn], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# At any size

STARS = 200_000
BIG = frozenset({"target", "dataset", "target_specific_time", "quality_flag_array", "fits_frame"})
ROWS = f"""
INSERT INTO mission (id, name, description, time_unit, time_epoch, time_epoch_scale,
                     time_epoch_format, time_format_name)
VALUES ('00000000-0000-0000-0000-000000000001', 'TESS', '', 'd', 2457000, 'tdb', 'jd', 'btjd');
INSERT INTO mission_catalog (id, host_mission_id, name)
VALUES (1, '00000000-0000-0000-0000-000000000001', 'TIC');
INSERT INTO instrument (id, name, properties)
VALUES ('00000000-0000-0000-0000-000000000002', 'Camera 1', '{{}}');
INSERT INTO photometric_source (id, name, description) VALUES (1, 'SAP', '');
INSERT INTO processing_method (id, name, description) VALUES (1, 'DET', '');
INSERT INTO observation (id, type, cadence_reference, instrument_id, sector)
SELECT n, 'tess_observation', '{{1,2}}', '00000000-0000-0000-0000-000000000002', n
FROM generate_series(1, 40) n;
INSERT INTO target (id, catalog_id, name) SELECT n, 1, n * 7 FROM generate_series(1, {STARS}) n;
INSERT INTO target_specific_time (target_id, observation_id, barycentric_julian_dates)
SELECT n, 1 + n % 40, '{{1,2}}' FROM generate_series(1, {STARS}) n;
INSERT INTO quality_flag_array (type, target_id, observation_id, quality_flags)
SELECT 'tess_quality_flag', n, 1 + n % 40, '{{0,0}}' FROM generate_series(1, {STARS}) n;
INSERT INTO dataset (target_id, observation_id, photometric_method_id, processing_method_id,
                     values)
SELECT n, 1 + n % 40, 1, NULLIF(n % 2, 0), '{{1,2}}' FROM generate_series(1, {STARS}) n;
INSERT INTO fits_frame (type, cadence, observation_id, simple, bitpix, naxis, naxis_values,
                        extended, bscale, bzero)
SELECT 'basefits', n, 1 + n % 40, true, 32, 2, '{{1,1}}', false, 1, 0
FROM generate_series(1, {STARS // 2}) n;
"""


@pytest.fixture(scope="module")
def large(new_tables: Callable[[], str]) -> Iterator[lcdb.Database]:
    """A database of 200,000 stars, each with one short light curve."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        if db.session.scalar(sa.text("SELECT usesuper FROM pg_user WHERE usename = current_user")):
            # A million rows whose foreign keys are right need not be checked one by one.
            db.session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        db.session.execute(sa.text(ROWS))
        db.session.commit()
        db.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        db.session.execute(sa.text("VACUUM ANALYZE"))
        db.session.commit()
    with lcdb.connect(url) as db:
        yield db


@pytest.fixture(scope="module")
def large_2(large: lcdb.Database, all_layouts: Any) -> Iterator[lcdb.Database]:
    """The same stars in LightcurveDB 2, whose index of targets begins with the catalog."""
    own = large.session.get_bind().engine.url
    with all_layouts.converted(own, "2.x") as url, lcdb.connect(url) as db:
        yield db


@contextmanager
def plans(
    db: lcdb.Database,
    caplog: pytest.LogCaptureFixture,
    prepare: Callable[[lcdb.Database], Any] = lambda _: None,
) -> Iterator[list[tuple[str, Any]]]:
    """Run every statement that is sent inside the block, COPYs too, again with its plan."""
    sent: list[tuple[str, Any]] = []
    blocks: list[str | None] = []
    explained: list[tuple[str, Any]] = []

    def record(
        _c: Any, _cursor: Any, statement: str, parameters: Any, context: Any, *_rest: Any
    ) -> None:
        sent.append((statement, parameters))
        blocks.append(context.execution_options.get(BEFORE))

    engine = db.session.get_bind()
    event.listen(engine, "before_cursor_execute", record)
    caplog.clear()
    try:
        with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
            yield explained
    finally:
        event.remove(engine, "before_cursor_execute", record)
    copies = [message for message in caplog.messages if message.startswith("COPY (")]
    sent += [(copy[len("COPY (") : copy.rindex(") TO STDOUT")], None) for copy in copies]
    prepare(db)
    driver: Any = db.session.connection().connection.driver_connection
    with driver.cursor() as cursor:
        for statement, parameters in sent:
            if statement.startswith("EXPLAIN"):
                # Planned, and not run.
                continue
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            (plan,) = cursor.fetchone()
            explained.append((statement, plan if isinstance(plan, list) else json.loads(plan)))
        for block in filter(None, blocks):
            count = "THEN\n        EXECUTE ''"
            assert count in block
            plan = block.replace(count, f"{count}EXPLAIN (ANALYZE, FORMAT JSON) ")
            cursor.execute_after(
                plan.replace("counted bigint", "counted json"),
                "SELECT current_setting('lcdb_notebook.size')",
            )
            _, found = json.loads(cursor.fetchone()[0])
            explained.extend([(block, found)] * (found is not None))
    db.session.rollback()


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        plan = list(plan.values())
    if isinstance(plan, list):
        for part in plan:
            yield from nodes(part)


def full_scans(plan: Any) -> set[str]:
    """Find the tables that a plan reads from beginning to end, as far as it gets."""
    scans = (node for node in nodes(plan) if node["Node Type"] == "Seq Scan")
    return {node["Relation Name"] for node in scans}


def rows_touched(plan: Any) -> int:
    """Count the rows of large tables that were looked at, through an index or not."""
    return sum(
        node["Actual Loops"]
        * (
            node["Actual Rows"]
            + node.get("Rows Removed by Filter", 0)
            + node.get("Rows Removed by Index Recheck", 0)
        )
        for node in nodes(plan)
        if node.get("Relation Name") in BIG
    )


MANY = list(range(7, 7 * 501, 7))
LOOKUPS: dict[str, Callable[[lcdb.Database], Any]] = {
    "search by number": lambda db: db.search(7 * 77).table,
    "search by number and sector": lambda db: db.search(7 * 77, sector=[37, 38]).table,
    "search by number and names": lambda db: (
        db.search(
            7 * 77, catalog="TIC", photometry="SAP", processing="DET", instrument="Camera 1"
        ).table
    ),
    "search by 500 numbers": lambda db: db.search(MANY).table,
    "search by Target": lambda db: db.search(db.session.get(Target, 77)).table,
    "search by observation": lambda db: db.search(observation=3)[:20].table,
    "search by sector": lambda db: db.search(sector=3)[:20].table,
    "the first rows of everything": lambda db: db.search()[:20].table,
    "the last row of a sector": lambda db: db.search(sector=3)[-1].table,
    "the last row of everything": lambda db: db.search()[-1].table,
    "one row of everything": lambda db: db.search()[100].table,
    "whether there is anything": lambda db: bool(db.search()),
    "everything shown": lambda db: repr(db.search()),
    "a sector shown": lambda db: repr(db.search(sector=3)),
    "a method shown": lambda db: repr(db.search(processing="DET")),
    "count by number": lambda db: len(db.search(7 * 77)),
    "count by sector": lambda db: len(db.search(sector=3)),
    "lightcurve": lambda db: db.lightcurve(7 * 77),
    "lightcurves": lambda db: db.lightcurves(MANY[:20]),
    "read 500": lambda db: list(db.search(MANY)),
    "the first light curve of everything": lambda db: next(db.search().read()),
    "the first light curve of a method": lambda db: next(db.search(processing="DET").read()),
    "the first light curve of ten sectors": lambda db: next(
        db.search(sector=list(range(3, 13))).read()
    ),
    "read a sector": lambda db: list(db.search(sector=4, processing="DET")),
    "targets by number": lambda db: db.targets(7 * 77),
    "targets by 500 numbers": lambda db: db.targets(MANY),
    "targets by Target": lambda db: db.targets(db.session.get(Target, 77)),
    "targets of a sector": lambda db: db.targets(sector=3, limit=50),
    "targets of a sector, page 10": lambda db: db.targets(sector=3, limit=50, offset=500),
    "targets by processing": lambda db: db.targets(processing="DET", limit=50),
    "targets": lambda db: db.targets(),
    "targets, page 3": lambda db: db.targets(offset=2000),
    "observations by id": lambda db: db.observations([1, 2]),
    "observations of a target": lambda db: db.observations(target=7 * 77),
    "frames of an observation": lambda db: db.frames(5),
    "frames of a sector": lambda db: db.frames(sector=5, limit=50),
    "frames": lambda db: db.frames(limit=50),
    "flags of a target": lambda db: db.quality_flags(7 * 77),
    "flags of a Target": lambda db: db.quality_flags(db.session.get(Target, 77)),
    "flags of an observation": lambda db: db.quality_flags(observation=3, limit=50),
    "flags": lambda db: db.quality_flags(limit=50),
    "load": lambda db: db.load(
        db.session.scalars(sa.select(DataSet).order_by(DataSet.id).limit(500)).all()
    ),
    "why there is no such target": lambda db: repr(db.search([5, 6], instrument="Camera 1")),
    "why there is no such name": lambda db: repr(db.search(7 * 77, processing="no such")),
    "why there is no such combination": lambda db: repr(db.search(7 * 77, sector=1)),
    "which numbers are missing": lambda db: repr(db.search([5, 7])),
}


BY_NUMBER = [
    "search by number",
    "search by number and sector",
    "search by number and names",
    "search by 500 numbers",
    "count by number",
    "lightcurve",
    "read 500",
    "targets by number",
    "observations of a target",
    "why there is no such combination",
    "which numbers are missing",
]


@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
def test_no_statement_reads_a_large_table_in_full(
    large: lcdb.Database, caplog: pytest.LogCaptureFixture, lookup: Callable[[lcdb.Database], Any]
) -> None:
    large.session.expunge_all()
    with plans(large, caplog) as explained:
        lookup(large)
    assert explained
    for statement, plan in explained:
        shown = f"{statement}\n{json.dumps(plan, indent=1)[:5000]}"
        assert not full_scans(plan) & BIG, shown
        assert rows_touched(plan) < STARS / 8, shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "lookup", [one for name, one in LOOKUPS.items() if name in BY_NUMBER], ids=BY_NUMBER
)
def test_no_lookup_by_number_reads_all_targets_of_lightcurvedb_2(
    large_2: lcdb.Database, caplog: pytest.LogCaptureFixture, lookup: Callable[[lcdb.Database], Any]
) -> None:
    with plans(large_2, caplog) as explained:
        lookup(large_2)
    for statement, plan in explained:
        shown = f"{statement}\n{json.dumps(plan, indent=1)[:5000]}"
        assert not full_scans(plan) & BIG, shown
        assert rows_touched(plan) < STARS / 8, shown


SHOWN: dict[str, Callable[[lcdb.Database], Selection]] = {
    "everything": lambda db: db.search(),
    "counted": lambda db: db.search(sector=3),
    "estimated": lambda db: db.search(sector=[3, 4, 5]),
    "of one catalog": lambda db: db.search(catalog="TIC", photometry="SAP", processing="DET"),
    "raw": lambda db: db.search(sector=[3, 5], processing="raw"),
    "of a camera": lambda db: db.search(instrument="Camera 1"),
    "raw or not": lambda db: db.search(sector=[4, 5], processing=["raw", "DET"]),
    "quoted": lambda db: db.search(catalog=["TIC", "O'Neil", "100% \\ %s $1 ;", "$$"], sector=3),
    "one": lambda db: db.search(7 * 77),
    "several": lambda db: db.search(MANY),
    "some that are missing": lambda db: db.search([*range(20), 7 * 77]),
    "some of a catalog": lambda db: db.search([7, 8, 7], catalog="TIC"),
    "the rest": lambda db: db.search()[100_000:],
    "a part": lambda db: db.search(sector=3)[10:4_000],
    "a short part": lambda db: db.search()[1_000:1_010],
    "nothing": lambda db: db.search(sector=3)[:0],
}


@pytest.mark.parametrize("search", SHOWN.values(), ids=SHOWN)
def test_repr_sends_one_statement_and_shows_what_several_would(
    large: lcdb.Database,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
    search: Callable[[lcdb.Database], Selection],
) -> None:
    statements.clear()
    shown = repr(search(large))
    assert len(statements) == 1
    several = dataclasses.replace(layout.of(large.session), has_plpgsql=False)
    monkeypatch.setattr(layout, "of", lambda _: several)
    assert repr(search(large)) == shown
    size = search(large)._search.size().text
    assert shown.startswith(f"<Selection of {size} light curve")
    missing = search(large)._search.missing(large.session)
    assert missing in shown
    assert bool(missing) == ("not in the database" in shown)


def test_repr_counts_nothing_if_the_part_is_short(
    large: lcdb.Database, caplog: pytest.LogCaptureFixture
) -> None:
    with plans(large, caplog) as explained:
        repr(large.search()[1_000:1_010])
    assert len(explained) == 1
    assert not explained[0][0].startswith("DO ")


def test_repr_compares_many_targets_by_a_join(
    large: lcdb.Database, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = [*range(7, 7 * 20_000, 7), 5]
    with plans(large, caplog) as explained:
        shown = repr(large.search(numbers))
    assert f"1 of {len(numbers)} targets are not in the database: 5" in shown
    joins = {node.get("Join Type") for _, plan in explained for node in nodes(plan)}
    assert joins & {"Anti", "Right Anti"}


@pytest.mark.parametrize("options", [{"stream_results": True}, {"yield_per": 5}], ids=str)
def test_repr_works_on_a_session_that_streams(
    large: lcdb.Database, options: dict[str, Any]
) -> None:
    expected = repr(large.search(sector=3))
    large.session.connection(execution_options=options)
    assert repr(large.search(sector=3)) == expected
    large.session.rollback()


@pytest.mark.parametrize(
    ("search", "number"),
    [
        ({"sector": 3}, "5,000"),
        ({"sector": [3, 4]}, "10,000"),
        ({"sector": 4, "processing": "raw"}, "0"),
    ],
    ids=str,
)
def test_repr_counts_what_is_quickly_counted(
    large: lcdb.Database, search: dict[str, Any], number: str
) -> None:
    assert repr(large.search(**search)).startswith(f"<Selection of {number} light curves")


@pytest.mark.parametrize(
    ("search", "number"),
    [({}, 200_000), ({"processing": "DET"}, 100_000), ({"sector": [3, 4, 5]}, 15_000)],
    ids=str,
)
def test_repr_estimates_what_takes_long_to_count(
    large: lcdb.Database, search: dict[str, Any], number: int
) -> None:
    found = large.search(**search)
    shown = re.match(r"<Selection of about ([\d,]+) light curves, the first 20 shown", repr(found))
    assert shown is not None
    assert int(shown[1].replace(",", "")) == pytest.approx(number, rel=0.1)
    assert len(found) == number


def test_len_counts_a_few_observations_at_a_time_and_shows_progress(
    large: lcdb.Database,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lcdb_notebook.read.progress._PATIENCE", 0.0)
    monkeypatch.setattr("lcdb_notebook.read.selection.counting._ROWS", STARS // 8)
    assert len(large.search()) == STARS
    assert sum(sql.startswith("SELECT count(*)") for sql in statements) == 8
    assert "40/40" in capsys.readouterr().err


def test_len_counts_by_the_index_of_observations_alone(
    large: lcdb.Database, caplog: pytest.LogCaptureFixture
) -> None:
    with plans(large, caplog) as explained:
        assert len(large.search(sector=list(range(3, 13)))) == STARS / 4
    read = {node.get("Relation Name") for _, plan in explained for node in nodes(plan)}
    assert read & BIG == {"dataset"}
    scans = {node["Node Type"] for _, plan in explained for node in nodes(plan)}
    assert scans & {"Index Only Scan", "Bitmap Index Scan"}


@pytest.mark.parametrize(
    "statement", ["SELECT max(values[1]) FROM dataset", "SELECT count(*) FROM dataset"]
)
def test_a_full_scan_is_noticed(
    large: lcdb.Database, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    with plans(large, caplog) as explained:
        large.session.execute(sa.text(statement))
    ((_, plan),) = explained
    assert full_scans(plan) or rows_touched(plan) >= STARS / 8


# Explorers


def _load_crowd() -> Any:
    path = Path(__file__).parents[1] / "benchmarks" / "crowd.py"
    spec = importlib.util.spec_from_file_location("lcdb_test_crowd", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(
    scope="module", params=[100_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=str
)
def crowd(new_tables: Callable[[], str], request: pytest.FixtureRequest) -> Iterator[Any]:
    """A large database as pipelines fill it: sector by sector, in the order of no number."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        if not db.session.scalar(
            sa.text("SELECT usesuper FROM pg_user WHERE usename = current_user")
        ):
            pytest.skip("only a superuser can switch foreign keys off")
        _load_crowd().fill(db.session.connection(), request.param)
        db.session.commit()
        db.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        db.session.execute(sa.text("VACUUM ANALYZE"))
        db.session.commit()
    with lcdb.connect(url) as db:
        yield db


FILTERS = {
    "": TargetFilter(),
    "digits": TargetFilter("1"),
    "digits and processing": TargetFilter("1", criteria(processing="DET")),
    "sector": TargetFilter(criteria=criteria(sector=3)),
    "methods": TargetFilter(criteria=criteria(photometry="Aperture 2", processing="raw")),
    "catalog": TargetFilter(criteria=criteria(catalog="TIC")),
    "flags": TargetFilter(flagged=True),
    "sector without flags": TargetFilter(criteria=criteria(sector=8), flagged=False),
}
FACETS = ("catalog", "sector", "instrument", "photometry", "processing", "flags")


def _settled(db: lcdb.Database) -> orm.Session:
    """Set what an explorer sets on its connection, for a transaction; no sample is known."""
    spread._known.clear()
    db.session.rollback()
    db.session.connection(execution_options={"isolation_level": "READ COMMITTED"})
    db.session.execute(_SETTINGS, {"most": 60_000})
    return db.session


def sorted_rows(plan: Any) -> float:
    """Find how many rows the largest sort of a plan had to put in order."""
    sorts = [node for node in nodes(plan) if node["Node Type"] in ("Sort", "Incremental Sort")]
    return max((node["Plans"][0]["Actual Rows"] for node in sorts), default=0)


@pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("action", ["page", "count", *FACETS])
def test_no_statement_of_an_explorer_reads_or_sorts_a_large_table(
    crowd: lcdb.Database, caplog: pytest.LogCaptureFixture, wanted: TargetFilter, action: str
) -> None:
    with plans(crowd, caplog, prepare=_settled) as explained:
        session = _settled(crowd)
        if action == "page":
            page = browse.page(session, wanted)
            browse.page(session, wanted, after=page.rows[-1])
            browse.page(session, wanted, before=page.rows[-1])
        elif action == "count":
            browse.count(session, wanted)
        else:
            browse.counts(session, wanted, action)
    assert explained
    for statement, plan in explained:
        shown = f"{statement}\n{json.dumps(plan, indent=1)[:5000]}"
        assert not full_scans(plan) & BIG, shown
        # A page, or the light curves by which at most 10,000 targets are counted. PostgreSQL 14
        # sorts each of them three times for the CCD, the camera and the instrument.
        assert sorted_rows(plan) <= (200 if action == "page" else 300_000), shown


# DataSets that targets of one action have, and of a sample of them.
LOOKED_AT = 120_000


@pytest.mark.parametrize("action", ["count", *FACETS])
def test_counts_of_targets_by_their_first_digits_read_no_others(
    crowd: lcdb.Database, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    for wanted in (FILTERS["digits"], FILTERS["digits and processing"]):
        with plans(crowd, caplog, prepare=_settled) as explained:
            session = _settled(crowd)
            whole = browse.count(session, wanted)
            assert action == "count" or browse.counts(session, wanted, action, whole)
        assert whole
        touched = sum(rows_touched(plan) for _, plan in explained)
        assert touched < LOOKED_AT, "\n".join(statement for statement, _ in explained)


@pytest.mark.parametrize("facet", ["sector", "instrument", "photometry", "processing"])
def test_counts_of_many_targets_are_of_one_sample_for_all_values(
    crowd: lcdb.Database, statements: list[str], facet: str
) -> None:
    session = _settled(crowd)
    whole = Size(browse.count(session, TargetFilter()), exact=False)
    statements.clear()
    found = browse.counts(session, TargetFilter(), facet, whole)
    assert len(found) > 1
    assert all(size for size in found.values())
    assert sum("FROM dataset" in sql for sql in statements) <= 2


@pytest.mark.parametrize("name", ["", "methods", "catalog"])
def test_flags_of_many_targets_are_looked_up_in_one_sample(
    crowd: lcdb.Database, statements: list[str], name: str
) -> None:
    session = _settled(crowd)
    whole = browse.count(session, FILTERS[name])
    statements.clear()
    found = browse.counts(session, FILTERS[name], "flags", whole)
    assert sum("quality_flag_array" in sql for sql in statements) == 1
    assert found[True] + found[False] == whole


OF_VALUES = {
    "sector": "SELECT sector, count(DISTINCT target_id) FROM dataset JOIN observation "
    "ON observation.id = observation_id GROUP BY 1",
    "photometry": "SELECT name, count(DISTINCT target_id) FROM dataset JOIN photometric_source p "
    "ON p.id = photometric_method_id GROUP BY 1",
    "processing": "SELECT name, count(DISTINCT target_id) FROM dataset LEFT JOIN processing_method "
    "p ON p.id = processing_method_id GROUP BY 1",
    "flags": "SELECT has, count(*) FROM (SELECT d.target_id, bool_or(f.id IS NOT NULL) AS has "
    "FROM dataset d LEFT JOIN quality_flag_array f ON f.observation_id = d.observation_id "
    "AND f.target_id IS NULL GROUP BY 1) of_target GROUP BY 1",
}


@pytest.mark.parametrize("facet", OF_VALUES)
@pytest.mark.parametrize("name", ["", "methods", "catalog"])
def test_counts_are_exact_for_few_targets_and_about_right_for_many(
    crowd: lcdb.Database, name: str, facet: str
) -> None:
    session = _settled(crowd)
    found = browse.counts(session, FILTERS[name], facet)
    # Every target has light curves of all methods, so that only other filters change a count.
    exact: dict[Any, int] = dict(map(tuple, session.execute(sa.text(OF_VALUES[facet]))))
    assert found.keys() == exact.keys()
    for value, size in found.items():
        if size.exact:
            assert size == exact[value]
        else:
            assert size == pytest.approx(exact[value], rel=0.2, abs=2_000)
    assert facet in ("sector", "flags") or any(not size.exact for size in found.values())
