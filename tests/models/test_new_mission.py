"""Another mission joins a database that was made before it: its fields, its flags, its clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import flags
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    QualityFlagArray,
    Target,
    TargetSpecificTime,
)
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import TargetFilter
from lcdb_notebook.search.size import Size

from .conftest import make_sky

own_process = pytest.mark.own_process

FIELDS = ["observation.visit_id", "observation.program_id"]
FIELDS += ["observation.filter_name", "observation.exposure_time"]
LISTINGS = ("search", "targets", "observations", "quality_flags", "frames")

TIME = np.array([10844.25, 10844.5, 10844.75])
FLUX = np.array([52_000.0, 52_100.0, 90_000.0])
SHARED_TABLE: dict[str, Any] = {}


class HSTFlag(flags.QualityFlag):
    HOT_PIXEL = 16, "A hot pixel lies in the aperture."
    COSMIC_RAY = 8192, "A cosmic ray was found while the ramp was fitted."


@pytest.fixture
def db(blank_dsn: str) -> Iterator[lcdb.Database]:
    """A database that another mission uses, open for writing."""
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        make_sky(db.session)
        yield db


def define_observation() -> Any:
    class HSTObservation(Observation):
        """Hubble Space Telescope observation with visit information."""

        __mapper_args__ = {  # noqa: RUF012
            "polymorphic_identity": "hst_observation",
        }

        visit_id: orm.Mapped[str]
        program_id: orm.Mapped[int]
        filter_name: orm.Mapped[str]
        exposure_time: orm.Mapped[float]

    return HSTObservation


def define_joined_observation() -> Any:
    class ScanObservation(Observation):
        __tablename__ = "scan_observation"
        __mapper_args__ = {"polymorphic_identity": "scan_observation"}  # noqa: RUF012

        id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("observation.id"), primary_key=True)
        scan_name: orm.Mapped[str]
        scan_rate: orm.Mapped[float]

    return ScanObservation


def define_flags(own_table: bool) -> Any:
    joined = {
        "__tablename__": "hst_flags",
        "id": orm.mapped_column(sa.ForeignKey("quality_flag_array.id"), primary_key=True),
    }

    class HSTQualityFlags(QualityFlagArray):
        __mapper_args__ = {"polymorphic_identity": "hst_dq_flag"}  # noqa: RUF012
        locals().update(joined if own_table else SHARED_TABLE)
        calibrated_by: orm.Mapped[str]

    return HSTQualityFlags


def visit(model: Any, **fields: Any) -> Any:
    """Make a light curve of three cadences, in an observation of a class."""
    mission = Mission(
        name="HST", time_epoch=48005, time_epoch_format="mjd", time_format_name="hst_day"
    )
    target = Target(name=1, catalog=MissionCatalog(name="HST demo", host_mission=mission))
    observation = model(cadence_reference=[1, 2, 3], instrument=Instrument(name="WFC3"), **fields)
    TargetSpecificTime(target=target, observation=observation, barycentric_julian_dates=TIME)
    aperture = PhotometricSource(name="WFC3 white", description="[electron / s] white light")
    DataSet(target=target, observation=observation, photometry_source=aperture, values=FLUX)
    return observation


def hst_visit(model: Any) -> Any:
    return visit(model, visit_id="lh01", program_id=99999, filter_name="G141", exposure_time=46.7)


def contents(db: lcdb.Database) -> list[Any]:
    """Each row of each table: where it lies, who wrote it, and all that it holds."""
    tables = sa.inspect(db.session.connection()).get_table_names()
    rows: list[Any] = []
    for table in sorted(tables):
        where = f"SELECT '{table}', ctid::text, xmin::text, md5(t::text), t::text FROM {table} t"
        rows += db.session.execute(sa.text(where + " ORDER BY 2")).all()
    db.session.commit()
    return rows


def columns(db: lcdb.Database) -> dict[str, list[tuple[str, str, bool]]]:
    """The columns of each table, in their order."""
    inspector = sa.inspect(db.session.connection())
    found = {
        table: [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)]
        for table in inspector.get_table_names()
    }
    db.session.commit()
    return found


# Its observations


@own_process
def test_a_field_is_unknown_then_missing_then_searched(db: lcdb.Database, blank_dsn: str) -> None:
    reading = lcdb.connect(blank_dsn)
    for listing in LISTINGS:
        with pytest.raises(TypeError, match=r"unknown argument 'visit_id'; it takes .*sector"):
            getattr(db, listing)(visit_id="lh01")

    hst_observation = define_observation()
    for listing in LISTINGS:
        with pytest.raises(SchemaError, match=r"visit_id does not exist; .* with db\.create\(\)"):
            repr(getattr(db, listing)(visit_id="lh01"))
    with pytest.raises(SchemaError, match="visit_id"):
        db.lightcurve(1, visit_id="lh01")
    with lcdb.connect(blank_dsn) as another:
        assert "visit_id" not in another.search().table

    assert db.create() == FIELDS
    assert db.create() == []
    assert db.search(visit_id="lh01").table.empty
    db.session.add(hst_visit(hst_observation))
    db.session.commit()
    for open_db in (db, reading):
        assert open_db.search(visit_id="lh01").table["filter_name"].tolist() == ["G141"]
        assert len(open_db.search(exposure_time=46.7, program_id=[1, 99999])) == 1
        assert len(open_db.search(observation=hst_observation)) == 1
        assert open_db.search(visit_id="lh02").table.empty
        assert open_db.targets(visit_id="lh01")["catalog"].tolist() == ["HST demo"]
        assert open_db.observations(visit_id="lh01")["type"].tolist() == ["hst_observation"]
        assert open_db.observations(visit_id="lh01")["program_id"].tolist() == [99999]
        lc = open_db.lightcurve(1, visit_id="lh01")
        assert lc.meta["VISIT_ID"] == "lh01"
        assert lc.meta["EXPOSURE_TIME"] == 46.7
    reading.close()


@own_process
def test_existing_rows_and_tables_are_unchanged(db: lcdb.Database) -> None:
    rows, before = contents(db), columns(db)
    define_observation()
    define_joined_observation()
    define_flags(own_table=True)

    assert sorted(db.create()) == sorted(["hst_flags", "scan_observation", *FIELDS])
    after = columns(db)
    for table, known in before.items():
        # New columns follow the existing ones, and may be empty.
        assert after[table][: len(known)] == known
        assert all(nullable for _, _, nullable in after[table][len(known) :])
    assert after.keys() - before.keys() == {"hst_flags", "scan_observation"}
    new = ",,,,"
    for old, now in zip(rows, contents(db), strict=True):
        assert now[:3] == old[:3]
        shown = old[4] if old[0] != "observation" else old[4][:-1] + new + ")"
        assert now[4] == shown
    assert [name for name, *_ in after["observation"][-4:]] == [f.split(".")[1] for f in FIELDS]


@own_process
def test_fields_in_a_separate_table_are_searched_alike(db: lcdb.Database) -> None:
    with pytest.raises(TypeError, match="unknown argument 'scan_name'"):
        db.search(scan_name="up")
    scan_observation = define_joined_observation()
    with pytest.raises(SchemaError, match=r"scan_observation.* does not exist; .*db\.create\(\)"):
        repr(db.search(scan_name="up"))
    assert db.create() == ["scan_observation"]
    db.session.add(visit(scan_observation, scan_name="up", scan_rate=0.5))
    db.session.commit()
    assert db.search(scan_name="up", scan_rate=0.5).table["scan_rate"].tolist() == [0.5]
    assert db.search(scan_name="down").table.empty
    assert len(db.search(observation=scan_observation)) == 1
    assert db.targets(scan_name="up")["target"].tolist() == [1]
    assert db.observations(scan_name="up")["scan_name"].tolist() == ["up"]
    assert db.lightcurve(1, scan_name="up").meta["SCAN_RATE"] == 0.5
    with db.session_scope() as session:
        assert browse.choices(session)["scan_name"] == ["up"]
        for whole in (Size(1), Size(1, exact=False)):
            assert browse.counts(session, TargetFilter(), "scan_name", whole) == {"up": 1}
    db.session.expunge_all()
    found = db.session.query(Observation).filter_by(type="scan_observation").one()
    assert isinstance(found, scan_observation)
    assert found.scan_name == "up"


# Its clock, its units


@own_process
def test_times_are_the_missions_and_fluxes_have_their_unit(db: lcdb.Database) -> None:
    db.session.add(hst_visit(define_observation()))
    db.create()
    lc = db.lightcurve(1, visit_id="lh01")
    assert (lc.time.format, lc.time.scale) == ("hst_day", "tdb")
    assert lc.time.value.tolist() == TIME.tolist()
    assert lc.time[1].iso == "2020-01-01 12:00:00.000"
    assert lc.flux.unit == "electron / s"
    assert lc.flux.value.tolist() == FLUX.tolist()
    db.session.commit()


# Its flags


@own_process
@pytest.mark.parametrize("own_table", [True, False])
def test_flags_mask_by_the_presets_of_their_type(db: lcdb.Database, own_table: bool) -> None:
    hst_flags = define_flags(own_table)
    observation = hst_visit(define_observation())
    flagged = hst_flags(
        observation=observation,
        target=observation.datasets[0].target,
        quality_flags=[0, HSTFlag.HOT_PIXEL, HSTFlag.HOT_PIXEL | HSTFlag.COSMIC_RAY],
        calibrated_by="calwf3",
    )
    assert ("hst_flags" if own_table else "quality_flag_array.calibrated_by") in db.create()
    db.session.add(flagged)
    db.session.commit()
    assert db.quality_flags(visit_id="lh01")["type"].tolist() == ["hst_dq_flag"]

    # Before the bits have names, any of them hides a cadence.
    with pytest.warns(UserWarning, match=r"'hst_dq_flag' is not registered.*flags\.register"):
        assert len(db.lightcurve(1, visit_id="lh01")) == 1
    assert len(db.lightcurve(1, visit_id="lh01", quality_bitmask="none")) == 3
    assert len(db.lightcurve(1, visit_id="lh01", quality_bitmask=8192)) == 2

    presets = {"default": 8192, "hard": 8208, "hardest": 8208}
    flags.register("hst_dq_flag", HSTFlag, presets)
    lc = db.lightcurve(1, visit_id="lh01")
    assert lc.flux.value.tolist() == FLUX[:2].tolist()
    assert lc.meta["QUALITY_TYPE"] == "hst_dq_flag"
    assert lc["quality"].tolist() == [0, 16]
    masked = db.lightcurve(1, visit_id="lh01", quality_bitmask="hard", flagged="mask")
    assert np.isnan(masked.flux.value).tolist() == [False, True, True]
    assert flags.names([8208], "hst_dq_flag") == [["HOT_PIXEL", "COSMIC_RAY"]]

    db.session.expunge_all()
    found = db.session.query(QualityFlagArray).filter_by(type="hst_dq_flag").one()
    assert isinstance(found, hst_flags)
    assert found.calibrated_by == "calwf3"
    assert db.session.query(hst_flags).filter_by(calibrated_by="calwf3").one() is found
    db.session.commit()


@own_process
def test_a_program_without_the_classes_reads_the_light_curve(db: lcdb.Database) -> None:
    observation = hst_visit(define_observation())
    db.create()
    db.session.add(QualityFlagArray(observation=observation, quality_flags=[0, 0, 1]))
    db.session.flush()
    for table in ("observation", "quality_flag_array"):
        statement = (
            f"UPDATE {table} SET type = 'of_nobody' WHERE id = (SELECT max(id) FROM {table})"
        )
        db.session.execute(sa.text(statement))
    db.session.commit()
    db.session.expunge_all()
    with pytest.warns(UserWarning, match="'of_nobody' is not registered"):
        assert len(db.lightcurve("HST demo 1")) == 2
    assert len(db.lightcurve("HST demo 1", quality_bitmask="none")) == 3
    assert len(db.lightcurve("HST demo 1", quality_bitmask=1)) == 2
    assert {type(o) for o in db.session.query(Observation)} == {Observation}
    db.session.commit()


@own_process
@pytest.mark.parametrize("sql", [True, False], ids=["SQL", "ORM"])
def test_a_row_in_a_separate_table_is_deleted_with_its_observation(
    db: lcdb.Database, sql: bool
) -> None:
    observation = visit(define_joined_observation(), scan_name="up", scan_rate=0.5)
    flagged = define_flags(own_table=True)(
        observation=observation, quality_flags=[0, 0, 0], calibrated_by="calwf3"
    )
    db.create()
    db.session.add(flagged)
    db.session.commit()
    id_ = observation.id
    db.session.expunge_all()
    if sql:
        db.session.execute(sa.text("DELETE FROM observation WHERE id = :id"), {"id": id_})
    else:
        db.session.delete(db.session.get_one(Observation, id_))
    db.session.commit()
    for table in ("hst_flags", "scan_observation"):
        assert db.session.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0
    db.session.commit()
