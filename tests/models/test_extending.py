"""Classes that missions add: fields bind their own rows only, and unknown types still load."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import models
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import (
    FITSFrame,
    KeplerObservation,
    Observation,
    QualityFlagArray,
    TESSObservation,
)
from lcdb_notebook.models.tables import schema

from .conftest import Sky, make_sky

own_process = pytest.mark.own_process

INSERT = "INSERT INTO observation (type, cadence_reference, instrument_id{names}) SELECT '{type}', "
INSERT += "'{{1}}', id{values} FROM instrument LIMIT 1"


def insert(session: orm.Session, type_: str, **fields: str) -> int:
    """Store an observation by SQL alone, and give its id."""
    names = "".join(f", {name}" for name in fields)
    values = "".join(f", {value}" for value in fields.values())
    statement = INSERT.format(names=names, type=type_, values=values) + " "
    with session.begin_nested():
        id_: int = session.scalars(sa.text(statement + "RETURNING id")).one()
        return id_


# Fields of a class bind the rows of that class


def test_a_field_of_one_mission_is_not_required_of_another(sky: Sky) -> None:
    sky.session.add(KeplerObservation(quarter=5, instrument=sky.ccd, cadence_reference=[1]))
    sky.session.add(Observation(instrument=sky.ccd, cadence_reference=[1]))
    sky.session.commit()
    assert insert(sky.session, "observation")
    assert insert(sky.session, "kepler_observation", quarter="5")
    assert insert(sky.session, "a_mission_that_nobody_imported")


@pytest.mark.parametrize("sql", [True, False], ids=["SQL", "ORM"])
def test_a_tess_observation_cannot_do_without_its_sector(sky: Sky, sql: bool) -> None:
    if not sql:
        sky.session.add(TESSObservation(instrument=sky.ccd, cadence_reference=[1]))
    with pytest.raises(sa.exc.IntegrityError, match="ck_observation_tess_observation_sector"):
        # Which flushes first.
        insert(sky.session, "tess_observation", orbit_number="9")


def test_a_tess_observation_cannot_lose_its_sector(sky: Sky) -> None:
    id_ = insert(sky.session, "tess_observation", sector="1")
    tess = sky.session.get_one(TESSObservation, id_)
    tess.sector = None  # type: ignore[assignment]
    with pytest.raises(sa.exc.IntegrityError, match="tess_observation_sector"):
        sky.session.flush()


def test_a_row_cannot_become_a_type_whose_fields_are_missing(sky: Sky) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="tess_observation_sector"):
        sky.session.execute(sa.text("UPDATE observation SET type = 'tess_observation'"))


def test_json_of_none_is_null(sky: Sky) -> None:
    tess = TESSObservation(
        sector=1, instrument=sky.ccd, cadence_reference=[1], spacecraft_quaternion=None
    )
    sky.session.add(tess)
    sky.session.flush()
    query = "SELECT spacecraft_quaternion IS NULL FROM observation WHERE sector = 1"
    assert sky.session.scalar(sa.text(query)) is True


# Types that no class claims


@pytest.mark.parametrize("model", [Observation, FITSFrame, QualityFlagArray])
def test_a_row_whose_type_no_class_claims_loads_as_the_base_and_keeps_its_type(
    sky: Sky, model: Any
) -> None:
    table = model.__tablename__
    sky.session.execute(sa.text(f"UPDATE {table} SET type = 'of_another_mission'"))
    sky.session.expunge_all()
    row = sky.session.query(model).one()
    assert type(row) is model
    assert "type='of_another_mission'" in repr(row)
    if model is FITSFrame:
        row.cadence = 12
    elif model is Observation:
        row.cadence_reference = np.array([1, 2])
    else:
        row.quality_flags = np.array([0, 0, 7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sky.session.commit()
    assert sky.session.scalar(sa.text(f"SELECT type FROM {table}")) == "of_another_mission"
    assert sky.session.query(model).filter_by(type="of_another_mission").one() is row


def test_a_row_of_unclaimed_type_comes_along_with_what_belongs_to_it(sky: Sky) -> None:
    sky.session.execute(sa.text("UPDATE observation SET type = 'of_another_mission'"))
    sky.session.expire_all()
    assert type(sky.raw.observation) is Observation
    assert type(sky.target.observations[0]) is Observation


def test_a_type_that_another_class_claims_is_warned_of(sky: Sky) -> None:
    id_ = insert(sky.session, "tess_observation", sector="1")
    sky.session.get_one(TESSObservation, id_).type = "kepler_observation"
    warned = pytest.warns(sa.exc.SAWarning, match="incompatible polymorphic identity")
    with warned, pytest.raises(sa.exc.IntegrityError):
        sky.session.flush()


def test_rows_load_as_their_own_class(sky: Sky) -> None:
    insert(sky.session, "tess_observation", sector="1")
    insert(sky.session, "kepler_observation", quarter="3")
    found = sky.session.query(Observation).order_by(Observation.id).all()
    assert [type(o) for o in found] == [Observation, TESSObservation, KeplerObservation]


# A class defined again


def test_the_class_of_the_documentation_is_the_one_that_ships() -> None:
    class TESSObservation(Observation):
        """TESS-specific observation with orbit and sector information."""

        __mapper_args__ = {  # noqa: RUF012
            "polymorphic_identity": "tess_observation",
        }

        # TESS-specific fields
        sector: orm.Mapped[int]
        orbit_number: orm.Mapped[int]
        spacecraft_quaternion: orm.Mapped[dict]  # type: ignore[type-arg]  # Store as JSON
        cosmic_ray_mitigation: orm.Mapped[bool]

    assert TESSObservation is models.TESSObservation  # type: ignore[comparison-overlap]
    assert "author" in TESSObservation.__doc__  # type: ignore[operator]


def test_an_identity_belongs_to_one_class() -> None:
    with pytest.raises(SchemaError, match=r"'tess_observation' of MyTESS is already used by"):

        class MyTESS(Observation):
            __mapper_args__ = {"polymorphic_identity": "tess_observation"}  # noqa: RUF012


def test_a_column_has_one_type() -> None:
    with pytest.raises(
        SchemaError, match=r"sector is declared as TEXT, but .*sector already exists as INTEGER"
    ):

        class Plato(Observation):
            __mapper_args__ = {"polymorphic_identity": "plato"}  # noqa: RUF012

            sector: orm.Mapped[str]

    assert "plato" not in sa.inspect(Observation).polymorphic_map


@own_process
@pytest.mark.usefixtures("server_url")
def test_a_cell_that_defines_a_class_can_run_twice_and_be_changed() -> None:
    def cell() -> Any:
        class HSTObservation(Observation):
            __mapper_args__ = {"polymorphic_identity": "hst_observation"}  # noqa: RUF012

            visit_id: orm.Mapped[str]

            def label(self) -> str:
                return "first"

        return HSTObservation

    def changed() -> Any:
        class HSTObservation(Observation):
            __mapper_args__ = {"polymorphic_identity": "hst_observation"}  # noqa: RUF012

            visit_id: orm.Mapped[str]
            program_id: orm.Mapped[int]

            def label(self) -> str:
                return "second " + super().__repr__()

        return HSTObservation

    first = cell()
    old = first(visit_id="a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cell() is first
        assert changed() is first
    assert old.label() == "second <HSTObservation new type='hst_observation'>"
    assert first(visit_id="b", program_id=3).program_id == 3
    names = {str(c.name) for c in Observation.__table__.constraints}  # type: ignore[attr-defined]
    assert {f"ck_observation_hst_observation_{n}" for n in ("visit_id", "program_id")} <= names


# A class defined after the database was made


@own_process
def test_a_class_defined_after_connecting_gets_its_columns(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        sky = make_sky(db.session)
        tables = sa.text("SELECT count(*), max(id) FROM observation")
        before = db.session.execute(tables).one()
        db.session.commit()

        class HSTObservation(Observation):
            """Hubble Space Telescope observation with visit information."""

            __mapper_args__ = {  # noqa: RUF012
                "polymorphic_identity": "hst_observation",
            }

            visit_id: orm.Mapped[str]
            program_id: orm.Mapped[int]
            filter_name: orm.Mapped[str]
            exposure_time: orm.Mapped[float]

        needed = ["exposure_time", "filter_name", "program_id", "visit_id"]
        with lcdb.connect(blank_dsn) as reading:
            assert len(reading.search().table) == 2
            for name in needed:
                with pytest.raises(
                    SchemaError,
                    match=rf"column observation.{name} does not exist.*sector.*db\.create\(\)",
                ):
                    reading.search(**dict[str, Any]({name: "01"}))
        with pytest.raises(SchemaError, match=r"column observation.visit_id does not"):
            db.session.query(HSTObservation).all()
        db.session.rollback()

        assert sorted(db.create()) == [f"observation.{name}" for name in needed]
        assert db.create() == []
        assert db.session.execute(tables).one() == before
        rows = db.session.scalars(sa.text("SELECT visit_id FROM observation")).all()
        assert rows == [None]

        hst = HSTObservation(
            visit_id="01",
            program_id=12345,
            filter_name="F606W",
            exposure_time=1.5,
            cadence_reference=[1, 2],
            instrument=sky.ccd,
        )
        db.session.add(hst)
        db.session.commit()
        db.session.expunge_all()
        obs = db.session.query(Observation).filter_by(type="hst_observation").one()
        assert isinstance(obs, HSTObservation)
        assert (obs.visit_id, obs.program_id, obs.exposure_time) == ("01", 12345, 1.5)
        assert db.session.query(HSTObservation).filter_by(program_id=12345).one() is obs
        for name in needed:
            given = {n: "'1'" if n in ("visit_id", "filter_name") else "1" for n in needed}
            del given[name]
            with pytest.raises(sa.exc.IntegrityError, match=f"hst_observation_{name}"):
                insert(db.session, "hst_observation", **given)
        assert insert(db.session, "tess_observation", sector="1")
        db.session.rollback()


@own_process
def test_rows_without_the_fields_of_a_new_class_are_unchanged(blank_dsn: str) -> None:
    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    with orm.Session(engine) as session:
        make_sky(session)
        old = insert(session, "hst''s 50% observation")
        session.commit()

        class HSTObservation(Observation):
            __mapper_args__ = {"polymorphic_identity": "hst's 50% observation"}  # noqa: RUF012

            visit_id: orm.Mapped[str]

        with engine.begin() as connection:
            assert schema.create(connection) == ["observation.visit_id"]
        hst = session.get_one(HSTObservation, old)
        assert repr(hst.visit_id) == "None"
        with pytest.raises(sa.exc.IntegrityError):
            insert(session, "hst''s 50% observation")
        hst.visit_id = "01"
        session.commit()
    with engine.begin() as connection:
        assert schema.create(connection) == []
    engine.dispose()


@own_process
def test_a_class_may_bring_indexes_keys_and_quoted_names(blank_dsn: str) -> None:
    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)

    class Ground(Observation):
        __mapper_args__ = {"polymorphic_identity": "ground"}  # noqa: RUF012

        night: orm.Mapped[int] = orm.mapped_column(index=True)
        order: orm.Mapped[str] = orm.mapped_column("Order", unique=True)
        reference_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("observation.id"))

    with engine.begin() as connection:
        schema.create(connection)
    found = sa.inspect(engine)
    assert ["night"] in [index["column_names"] for index in found.get_indexes("observation")]
    unique = found.get_unique_constraints("observation")
    assert ["Order"] in [constraint["column_names"] for constraint in unique]
    keys = found.get_foreign_keys("observation")
    assert ["reference_id"] in [key["constrained_columns"] for key in keys]
    with engine.begin() as connection:
        assert schema.create(connection) == []
    engine.dispose()


@own_process
def test_a_deep_family_inherits_what_is_required(blank_dsn: str) -> None:
    class Kilometre(Observation):
        __mapper_args__ = {"polymorphic_identity": "kilometre"}  # noqa: RUF012
        dish: orm.Mapped[int]

    class Array(Kilometre):
        __mapper_args__ = {"polymorphic_identity": "array"}  # noqa: RUF012
        baseline: orm.Mapped[float]

    class Correlated(Kilometre):
        __tablename__ = "correlated"
        __mapper_args__ = {"polymorphic_identity": "correlated"}  # noqa: RUF012
        id: orm.Mapped[int] = orm.mapped_column(
            sa.ForeignKey("observation.id", ondelete="CASCADE"), primary_key=True
        )
        lag: orm.Mapped[int]

    class Narrow(Correlated):
        __mapper_args__ = {"polymorphic_identity": "narrow"}  # noqa: RUF012
        channel: orm.Mapped[int]

    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    with orm.Session(engine) as session:
        sky = make_sky(session)
        common: dict[str, Any] = {"instrument": sky.ccd, "cadence_reference": [1]}
        session.add_all(
            [
                Kilometre(dish=1, **common),
                Array(dish=2, baseline=1.5, **common),
                Correlated(dish=3, lag=4, **common),
                Narrow(dish=5, lag=6, channel=7, **common),
            ]
        )
        session.commit()
        for identity in ("kilometre", "array", "correlated", "narrow"):
            with pytest.raises(sa.exc.IntegrityError, match=f"{identity}_dish"):
                insert(session, identity, baseline="1")
        with pytest.raises(sa.exc.IntegrityError, match="array_baseline"):
            insert(session, "array", dish="1")
        assert insert(session, "kilometre", dish="1")
        session.rollback()
        session.expunge_all()
        kinds = [type(o) for o in session.query(Observation).order_by(Observation.id)]
        assert kinds == [Observation, Kilometre, Array, Correlated, Narrow]
        narrow = session.query(Correlated).filter_by(lag=6).one()
        assert isinstance(narrow, Narrow)
        assert (narrow.dish, narrow.channel) == (5, 7)

        # A type below a class that has its own table, which this process does not know.
        session.execute(sa.text("UPDATE observation SET type = 'unheard of' WHERE type = 'narrow'"))
        session.expunge_all()
        stranger = session.query(Correlated).filter_by(lag=6).one()
        assert (type(stranger), stranger.type, stranger.dish) == (Correlated, "unheard of", 5)
        stranger.lag = 9
        session.flush()
        id_ = stranger.id
        session.expunge_all()
        assert type(session.get_one(Observation, id_)) is Observation
        session.rollback()
    engine.dispose()


@own_process
@pytest.mark.parametrize("own_table", [True, False])
def test_flags_and_frames_are_extended_alike(blank_dsn: str, own_table: bool) -> None:
    joined: dict[str, Any] = {}
    if own_table:
        joined = {
            "__tablename__": "hst_flags",
            "id": orm.mapped_column(sa.ForeignKey("quality_flag_array.id"), primary_key=True),
        }

    class HSTFlags(QualityFlagArray):
        __mapper_args__ = {"polymorphic_identity": "hst_flags"}  # noqa: RUF012
        locals().update(joined)
        pipeline: orm.Mapped[str]

    class DarkFrame(FITSFrame):
        __mapper_args__ = {"polymorphic_identity": "dark"}  # noqa: RUF012
        exposure: orm.Mapped[float]

    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    with orm.Session(engine) as session:
        sky = make_sky(session)
        flags = HSTFlags(observation=sky.observation, quality_flags=[1, 2, 3], pipeline="calacs")
        # The cadence of another frame, which is of another type.
        dark = DarkFrame(
            observation=sky.observation,
            cadence=sky.frame.cadence,
            bitpix=16,
            naxis=0,
            naxis_values=[],
            exposure=2.5,
        )
        session.add_all([flags, dark])
        session.commit()
        session.expunge_all()
        found = session.query(QualityFlagArray).filter_by(type="hst_flags").one()
        assert isinstance(found, HSTFlags)
        assert found.pipeline == "calacs"
        frames = session.query(FITSFrame).order_by(FITSFrame.id).all()
        assert [type(frame) for frame in frames] == [FITSFrame, DarkFrame]
        session.add(HSTFlags(observation=found.observation, quality_flags=[0]))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()
    engine.dispose()


@own_process
def test_two_missions_can_share_a_field_that_only_one_requires(blank_dsn: str) -> None:
    class Optional(Observation):
        __mapper_args__ = {"polymorphic_identity": "optional"}  # noqa: RUF012
        filter_name: orm.Mapped[str | None]

    class Required(Observation):
        __mapper_args__ = {"polymorphic_identity": "required"}  # noqa: RUF012
        filter_name: orm.Mapped[str]

    class OptionalToo(Observation):
        __mapper_args__ = {"polymorphic_identity": "optional_too"}  # noqa: RUF012
        filter_name: orm.Mapped[str | None]

    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    with orm.Session(engine) as session:
        make_sky(session)
        assert insert(session, "optional")
        assert insert(session, "optional_too")
        assert insert(session, "required", filter_name="'V'")
        with pytest.raises(sa.exc.IntegrityError, match="required_filter_name"):
            insert(session, "required")
        fields = [o.filter_name for o in session.query(Required)]
        assert fields == ["V"]
    engine.dispose()


@own_process
def test_a_field_may_come_from_a_mixin(blank_dsn: str) -> None:
    class Filtered:
        filter_name: orm.Mapped[str]

    class Ground(Filtered, Observation):
        __mapper_args__ = {"polymorphic_identity": "ground"}  # noqa: RUF012

    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    with orm.Session(engine) as session:
        make_sky(session)
        assert insert(session, "ground", filter_name="'V'")
        with pytest.raises(sa.exc.IntegrityError, match="ground_filter_name"):
            insert(session, "ground")
    engine.dispose()
