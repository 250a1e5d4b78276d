from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError, LineageError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store import realign
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import (
    DataSet,
    DataSetHierarchy,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    QualityFlagArray,
    Target,
    TargetSpecificTime,
    TESSObservation,
)

APERTURE = Named("Aperture", "[electron / s] Simple aperture photometry")
DETRENDED = Named("Detrended", "[] Slow trends removed")
FLAG = "tess_quality_flag"


@pytest.fixture(scope="module")
def connection(dsn: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(dsn, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture(autouse=True)
def rolled_back(connection: sa.Connection) -> Iterator[None]:
    with connection.begin() as transaction:
        yield
        transaction.rollback()


def product(target: int = 1, cadences: Sequence[int] = (10, 11, 12), **changes: Any) -> Product:
    """Make a product whose numbers follow from target and cadence alone."""
    cadence = np.array(cadences, np.int64)
    flux = target * 1000.0 + cadence.astype(np.float64)
    sector = changes.pop("sector", 1)
    fields = {"sector": sector, "author": "SPOC", "exptime": 120, "orbit_number": None}
    given: dict[str, Any] = {
        "label": f"target {target}",
        "mission": "TESS",
        "catalog": "TIC",
        "target": target,
        "observation_type": "tess_observation",
        "observation_fields": fields,
        "instrument": ("TESS", "Camera 1", "CCD 2"),
        "cadence": cadence,
        "time": np.where(cadence % 7 == 0, np.nan, 1325 + cadence / 720 + target * 1e-4),
        "quality": {FLAG: (cadence % 4).astype(np.int32)},
        "curves": (
            Curve(APERTURE, None, None, flux, flux / 100),
            Curve(APERTURE, DETRENDED, 0, np.where(cadence % 5 == 0, np.nan, flux / 1000)),
        ),
    }
    return Product(**(given | changes))


def content(connection: sa.Connection) -> dict[tuple[Any, ...], Any]:
    """Read all that is stored, by names and cadence numbers instead of ids and positions."""
    with orm.Session(connection) as session:
        found: dict[tuple[Any, ...], Any] = {}
        for dataset in session.scalars(sa.select(DataSet)):
            observation, photometry = dataset.observation, dataset.photometry_source
            assert isinstance(observation, TESSObservation)
            assert photometry is not None
            reference = observation.cadence_reference.tolist()
            name = (
                *(dataset.target.name, observation.sector, observation.instrument.name),
                *(photometry.name, getattr(dataset.processing_method, "name", None)),
            )
            assert name not in found
            (times,) = [t for t in observation.target_specific_times if t.target is dataset.target]
            flags = [f for f in observation.quality_flag_arrays if f.target is dataset.target]
            arrays: list[Any] = [dataset.values, dataset.errors, times.barycentric_julian_dates]
            arrays += [f.quality_flags for f in sorted(flags, key=lambda f: f.type)]
            assert {array.size for array in arrays if array is not None} == {len(reference)}
            found[name] = (
                reference,
                [repr(None if array is None else array.tolist()) for array in arrays],
                sorted(s.processing_method is None for s in dataset.source_datasets),
            )
        return found


def count(connection: sa.Connection, model: type[Any]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def counts(connection: sa.Connection) -> dict[str, int]:
    models = (
        *(Mission, MissionCatalog, Target, Instrument, Observation, TargetSpecificTime),
        *(PhotometricSource, ProcessingMethod, DataSet, DataSetHierarchy, QualityFlagArray),
    )
    return {model.__name__: count(connection, model) for model in models}


def statuses(connection: sa.Connection, *products: Product) -> list[str]:
    return [outcome.status for outcome in store(connection, products)]


def refusal(connection: sa.Connection, refused: Product, **options: Any) -> Exception:
    """Store one product that is refused, and give the reason; nothing may have changed."""
    before = counts(connection)
    (outcome,) = store(connection, [refused], **options)
    assert outcome.status == "skipped"
    assert counts(connection) == before
    assert outcome.error is not None
    return outcome.error


def test_everything_a_product_names_is_created_once(connection: sa.Connection) -> None:
    first, second = store(connection, [product(1), product(2)])
    assert (first.status, first.light_curves, len(first.datasets)) == ("added", 2, 2)
    assert set(first.datasets) & set(second.datasets) == set()
    assert counts(connection) == {
        "Mission": 1,
        "MissionCatalog": 1,
        "Target": 2,
        "Instrument": 3,
        "Observation": 1,
        "TargetSpecificTime": 2,
        "PhotometricSource": 1,
        "ProcessingMethod": 1,
        "DataSet": 4,
        "DataSetHierarchy": 2,
        "QualityFlagArray": 2,
    }
    with orm.Session(connection) as session:
        observation = session.scalars(sa.select(TESSObservation)).one()
        assert (observation.sector, observation.author, observation.exptime) == (1, "SPOC", 120)
        assert observation.orbit_number is None
        path = [observation.instrument, observation.instrument.parent]
        assert [level.name for level in path if level] == ["CCD 2", "Camera 1"]
        mission = session.scalars(sa.select(Mission)).one()
        assert (mission.time_epoch, mission.time_format_name) == (Decimal(2_457_000), "btjd")
        detrended = session.get_one(DataSet, first.datasets[1])
        assert [source.id for source in detrended.source_datasets] == [first.datasets[0]]
        assert detrended.processing_method is not None
        assert detrended.processing_method.description == DETRENDED.description


def test_arrays_come_back_bit_for_bit(connection: sa.Connection) -> None:
    flux = np.array([np.nan, -0.0, np.inf])
    given = product(curves=(Curve(APERTURE, None, None, flux, None),))
    ((dataset,),) = [outcome.datasets for outcome in store(connection, [given])]
    with orm.Session(connection) as session:
        row = session.get_one(DataSet, dataset)
        assert row.values.tobytes() == flux.tobytes()
        assert row.errors is None
        (times,) = row.observation.target_specific_times
        assert times.barycentric_julian_dates.tobytes() == given.time.tobytes()
        (flags,) = row.observation.quality_flag_arrays
        assert flags.quality_flags.tolist() == given.quality[FLAG].tolist()


def test_values_are_placed_by_cadence_and_missing_ones_are_nan(connection: sa.Connection) -> None:
    store(connection, [product(1, (10, 11, 13)), product(2, (11, 12))])
    found = content(connection)
    reference, (values, errors, _, flags), _ = found[2, 1, "CCD 2", "Aperture", None]
    assert reference == [10, 11, 12, 13]
    assert values == "[nan, 2011.0, 2012.0, nan]"
    assert errors == "[nan, 20.11, 20.12, nan]"
    assert flags == "[0, 3, 0, 0]"


def test_new_cadences_realign_everything_stored_before(connection: sa.Connection) -> None:
    store(connection, [product(1, (12, 14))])
    with orm.Session(connection) as session:
        observation = session.scalars(sa.select(Observation)).one()
        everyones = np.array([8, 16], np.int32)
        session.add(QualityFlagArray(observation=observation, quality_flags=everyones))
        session.flush()
    store(connection, [product(2, (11, 13, 15))])
    reference, (values, _, time, flags), _ = content(connection)[1, 1, "CCD 2", "Aperture", None]
    assert reference == [11, 12, 13, 14, 15]
    assert values == "[nan, 1012.0, nan, 1014.0, nan]"
    assert flags == "[0, 0, 0, 2, 0]"
    assert time.count("nan") == 4
    shared = sa.select(QualityFlagArray.quality_flags).where(QualityFlagArray.target_id.is_(None))
    found = connection.scalar(shared)
    assert found is not None
    assert found.tolist() == [0, 8, 0, 16, 0]


@pytest.mark.parametrize("chunk", [1, 10_000])
def test_realigning_in_chunks_changes_nothing(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(realign, "CHUNK_BYTES", chunk)
    store(connection, [product(target, range(20, 40)) for target in range(1, 6)])
    store(connection, [product(6, range(10, 30))])
    found = content(connection)
    assert len(found) == 12
    for target in range(1, 6):
        reference, (values, *_), _ = found[target, 1, "CCD 2", "Aperture", None]
        assert reference == [*range(10, 40)]
        assert values == repr([np.nan] * 10 + [target * 1000.0 + c for c in range(20, 40)])


CADENCES = st.sets(st.integers(0, 30), min_size=1, max_size=12)


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    files=st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 2), CADENCES),
        min_size=2,
        max_size=6,
        unique_by=lambda file: file[:2],
    ),
    random=st.randoms(use_true_random=False),
)
def test_the_order_and_batches_of_arrival_leave_no_trace(
    connection: sa.Connection, files: list[tuple[int, int, set[int]]], random: Random
) -> None:
    products = [product(t, sorted(cadences), sector=sector) for t, sector, cadences in files]
    expected = None
    for _ in range(2):
        with connection.begin_nested() as savepoint:
            left = list(products)
            while left:
                size = random.randint(1, len(left))
                assert set(statuses(connection, *left[:size])) == {"added"}
                left = left[size:]
            again = list(products)
            random.shuffle(again)
            assert set(statuses(connection, *again)) == {"unchanged"}
            found = content(connection)
            savepoint.rollback()
        assert len(found) == 2 * len(files)
        assert expected in (None, found)
        expected = found
        random.shuffle(products)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(CADENCES, min_size=2, max_size=4), random=st.randoms(use_true_random=False))
def test_light_curves_of_one_target_on_different_cadences_share_their_times(
    connection: sa.Connection, parts: list[set[int]], random: Random
) -> None:
    products = []
    for number, cadences in enumerate(parts):
        whole = product(1, sorted(cadences))
        named = Named(f"Method {number}", "[] One of several")
        curve = Curve(APERTURE, named, None, whole.curves[0].flux)
        products.append(replace(whole, curves=(curve,)))
    expected = None
    for _ in range(2):
        with connection.begin_nested() as savepoint:
            for item in products:
                assert statuses(connection, item) == ["added"]
            found = content(connection)
            assert count(connection, TargetSpecificTime) == 1
            savepoint.rollback()
        assert expected in (None, found)
        expected = found
        random.shuffle(products)


def test_the_same_product_twice_changes_nothing(connection: sa.Connection) -> None:
    (first,) = store(connection, [product()])
    before = counts(connection)
    (second,) = store(connection, [product()])
    assert (second.status, second.light_curves) == ("unchanged", 0)
    assert second.datasets == first.datasets
    assert counts(connection) == before


def test_a_product_repeated_in_a_batch_is_stored_once(connection: sa.Connection) -> None:
    first, second = store(connection, [product(), product()])
    assert (first.status, second.status) == ("added", "unchanged")
    assert first.datasets == second.datasets
    assert count(connection, DataSet) == 2


@pytest.mark.parametrize("together", [True, False])
def test_a_different_light_curve_of_the_same_name_is_refused(
    connection: sa.Connection, together: bool
) -> None:
    other = product()
    flux = other.curves[0].flux + np.array([0, 1e-9, 0])
    other = replace(other, curves=(replace(other.curves[0], flux=flux), other.curves[1]))
    if together:
        first, second = store(connection, [product(), other])
    else:
        (first,), (second,) = store(connection, [product()]), store(connection, [other])
    assert (first.status, second.status) == ("added", "skipped")
    which = "another file in this batch" if together else f"DataSet {first.datasets[0]}"
    assert f"Aperture, raw of TIC 1 differs from the stored one ({which})" in second.reason
    assert count(connection, DataSet) == 2


def test_a_light_curve_more_joins_those_that_are_there(connection: sa.Connection) -> None:
    whole = product()
    (first,) = store(connection, [replace(whole, curves=whole.curves[:1])])
    (second,) = store(connection, [whole])
    assert (second.status, second.light_curves) == ("added", 1)
    assert second.datasets[0] == first.datasets[0]
    assert content(connection)[1, 1, "CCD 2", "Aperture", "Detrended"][2] == [True]


def test_a_source_that_comes_after_what_was_derived_from_it_is_linked(
    connection: sa.Connection,
) -> None:
    whole = product()
    store(connection, [replace(whole, curves=(replace(whole.curves[1], source=None),))])
    assert count(connection, DataSetHierarchy) == 0
    store(connection, [whole])
    assert count(connection, DataSetHierarchy) == 1
    assert statuses(connection, whole) == ["unchanged"]


def test_a_link_that_is_missing_is_added_to_light_curves_that_are_there(
    connection: sa.Connection,
) -> None:
    store(connection, [product()])
    connection.execute(sa.delete(DataSetHierarchy))
    (outcome,) = store(connection, [product()])
    assert (outcome.status, outcome.light_curves) == ("added", 0)
    assert count(connection, DataSetHierarchy) == 1


def test_a_light_curve_can_be_derived_from_a_stored_one(connection: sa.Connection) -> None:
    whole = product()
    ((raw, _),) = [outcome.datasets for outcome in store(connection, [whole])]
    curve = Curve(APERTURE, Named("Mine", "[] By hand"), None, whole.curves[0].flux)
    mine = replace(whole, curves=(curve,))
    ((dataset,),) = [o.datasets for o in store(connection, [mine], derived_from=raw)]
    links = connection.execute(
        sa.select(DataSetHierarchy.source_dataset_id).where(
            DataSetHierarchy.child_dataset_id == dataset
        )
    )
    assert links.scalars().all() == [raw]


def test_a_light_curve_never_becomes_its_own_ancestor(connection: sa.Connection) -> None:
    whole = product()
    ((raw, detrended),) = [outcome.datasets for outcome in store(connection, [whole])]
    only_raw = replace(whole, curves=whole.curves[:1])
    for ancestor in (raw, detrended):
        error = refusal(connection, only_raw, derived_from=ancestor)
        assert isinstance(error, LineageError)
        assert "would be derived from itself" in str(error)


@pytest.mark.parametrize("source", [1, 2, -1])
def test_a_source_has_to_come_before_what_is_derived_from_it(
    connection: sa.Connection, source: int
) -> None:
    whole = product()
    curves = (whole.curves[0], replace(whole.curves[1], source=source))
    assert isinstance(refusal(connection, replace(whole, curves=curves)), LineageError)


def test_a_dataset_to_derive_from_has_to_exist(connection: sa.Connection) -> None:
    with pytest.raises(IngestError, match="derived_from=7: no such DataSet"):
        store(connection, [product()], derived_from=7)


def test_observations_are_distinguished_by_every_field_and_the_instrument(
    connection: sa.Connection,
) -> None:
    one = product()
    fields = dict(one.observation_fields)
    others = [
        replace(one, observation_fields=fields | {"author": "QLP"}),
        replace(one, observation_fields=fields | {"author": None}),
        replace(one, observation_fields=fields | {"orbit_number": 9}),
        replace(one, instrument=("TESS", "Camera 1", "CCD 3")),
        replace(one, instrument=("TESS", "Camera 2", "CCD 2")),
        replace(one, observation_fields=fields | {"spacecraft_quaternion": {"w": 1.0, "x": []}}),
    ]
    assert set(statuses(connection, one, *others)) == {"added"}
    assert count(connection, Observation) == 7
    assert set(statuses(connection, *others, one)) == {"unchanged"}
    assert count(connection, Observation) == 7
    assert count(connection, Instrument) == 6


def rows_only(start: float = 1325.0, size: int = 3, **changes: Any) -> Product:
    """Make a product without cadence numbers."""
    time = start + np.arange(size) / 48
    return product(cadences=range(size), numbered=False, time=time, **changes)


def test_files_without_cadence_numbers_have_an_observation_each(connection: sa.Connection) -> None:
    several = [rows_only(), rows_only(target=2), product(3, (0, 1, 2))]
    assert set(statuses(connection, *several)) == {"added"}
    assert count(connection, Observation) == 3
    assert set(statuses(connection, *several[::-1])) == {"unchanged"}
    assert set(statuses(connection, product(4, (0, 1, 2)))) == {"added"}
    assert count(connection, Observation) == 3
    assert content(connection)[1, 1, "CCD 2", "Aperture", None][0] == [-3, -2, -1]


def test_other_rows_without_numbers_are_never_joined_by_position(
    connection: sa.Connection,
) -> None:
    store(connection, [rows_only()])
    for name, other in (("Mine", rows_only(1325.5)), ("Yours", rows_only(size=2))):
        message = str(refusal(connection, other))
        assert re.search(
            r"delete DataSet \d+ first, or give this light curve another name", message
        )
        curve = Curve(APERTURE, Named(name, "[] By hand"), None, other.curves[0].flux)
        assert statuses(connection, replace(other, curves=(curve,))) == ["added"]
    assert count(connection, Observation) == 3


def test_an_observation_without_numbers_that_another_target_shares_is_left_alone(
    connection: sa.Connection,
) -> None:
    store(connection, [rows_only(), product(2)])
    connection.execute(
        sa.text(
            "INSERT INTO target_specific_time (target_id, observation_id, barycentric_julian_dates)"
            " SELECT t.id, o.id, '{1, 2, 3}' FROM target t, observation o"
            " WHERE t.name = 2 AND o.cadence_reference[1] < 0"
        )
    )
    assert statuses(connection, rows_only()) == ["added"]
    assert count(connection, Observation) == 3


def test_rows_without_numbers_join_by_the_negative_numbers_they_are_stored_under(
    connection: sa.Connection,
) -> None:
    whole = rows_only()
    store(connection, [whole])
    curve = Curve(APERTURE, Named("Mine", "[] By hand"), None, np.array([2.5]))
    part = replace(
        whole,
        cadence=np.array([-2]),
        time=whole.time[1:2],
        quality={FLAG: whole.quality[FLAG][1:2]},
        curves=(curve,),
    )
    assert statuses(connection, part) == ["added"]
    assert count(connection, Observation) == 1
    assert content(connection)[1, 1, "CCD 2", "Aperture", "Mine"][1][0] == "[nan, 2.5, nan]"


def test_times_stored_as_bjd_are_compared_and_completed_as_bjd(connection: sa.Connection) -> None:
    store(connection, [product(1, (10, 11))])
    bjd = sa.text("UPDATE target_specific_time SET barycentric_julian_dates = :times")
    time = product(1, (10, 11)).time + 2_457_000
    connection.execute(bjd, {"times": time.tolist()})
    assert statuses(connection, product(1, (10, 11))) == ["unchanged"]
    longer = product(1, (10, 11, 12))
    curve = Curve(APERTURE, Named("Mine", "[] By hand"), None, longer.curves[0].flux)
    assert statuses(connection, replace(longer, curves=(curve,))) == ["added"]
    stored = connection.scalar(sa.select(TargetSpecificTime.barycentric_julian_dates))
    assert stored is not None
    assert np.allclose(stored, longer.time + 2_457_000, rtol=0, atol=1e-9)


def test_an_existing_mission_is_reused_unchanged(connection: sa.Connection) -> None:
    connection.execute(
        sa.insert(Mission).values(name="TESS", time_epoch=2_457_000, time_format_name="tess_days")
    )
    assert statuses(connection, product()) == ["added"]
    assert connection.scalars(sa.select(Mission.time_format_name)).all() == ["tess_days"]


def test_a_mission_with_another_clock_is_refused(connection: sa.Connection) -> None:
    connection.execute(
        sa.insert(Mission).values(name="TESS", time_epoch=2_400_000, time_format_name="btjd")
    )
    assert "mission TESS counts d from 2400000" in str(refusal(connection, product()))


def test_a_custom_mission_requires_only_a_row(connection: sa.Connection) -> None:
    mine = replace(product(), mission="PLATO", catalog="PIC", instrument=("PLATO",))
    assert "no mission 'PLATO' in this database" in str(refusal(connection, mine))
    connection.execute(
        sa.insert(Mission).values(name="PLATO", time_epoch=2_460_000, time_format_name="plato_days")
    )
    assert statuses(connection, mine) == ["added"]


@pytest.mark.parametrize("together", [True, False])
def test_a_catalog_of_another_mission_is_refused(connection: sa.Connection, together: bool) -> None:
    kepler = replace(
        product(),
        mission="Kepler",
        observation_type="kepler_observation",
        observation_fields={"quarter": 1, "author": "Kepler", "exptime": 1800},
    )
    if together:
        _, outcome = store(connection, [product(), kepler])
    else:
        store(connection, [product()])
        (outcome,) = store(connection, [kepler])
    assert "catalog TIC belongs to mission TESS" in outcome.reason
    assert count(connection, Mission) == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_method_whose_unit_is_another_is_refused_by_name(
    connection: sa.Connection, together: bool
) -> None:
    other = product(2)
    changed = Named("Detrended", "[electron / s] Slow trends removed")
    other = replace(other, curves=(other.curves[0], replace(other.curves[1], processing=changed)))
    if together:
        _, outcome = store(connection, [product(), other])
    else:
        store(connection, [product()])
        (outcome,) = store(connection, [other])
    assert "light curves of 'Detrended' in this database are in no unit" in outcome.reason
    assert "this one is in electron / s" in outcome.reason
    assert count(connection, Target) == 1


def test_a_unit_may_be_spelt_otherwise(connection: sa.Connection) -> None:
    connection.execute(
        sa.insert(PhotometricSource).values(name="Aperture", description="[electron s-1] Mine")
    )
    assert statuses(connection, product()) == ["added"]
    assert connection.scalar(sa.select(PhotometricSource.description)) == "[electron s-1] Mine"


def test_a_repeated_instrument_is_refused(connection: sa.Connection) -> None:
    connection.execute(sa.insert(Instrument), [{"name": "TESS"}, {"name": "TESS"}])
    assert "several instruments TESS" in str(refusal(connection, product()))


def test_two_observations_of_the_same_fields_are_refused(connection: sa.Connection) -> None:
    store(connection, [product()])
    connection.execute(
        sa.text(
            "INSERT INTO observation (type, cadence_reference, instrument_id, sector, author, "
            "exptime) SELECT type, cadence_reference, instrument_id, sector, author, exptime "
            "FROM observation"
        )
    )
    assert "have the same fields" in str(refusal(connection, product(2)))


def set_reference(connection: sa.Connection, cadences: Sequence[int]) -> None:
    connection.execute(
        sa.text("UPDATE observation SET cadence_reference = :cadences"), {"cadences": [*cadences]}
    )


@pytest.mark.parametrize(("cadences", "grows"), [((11, 12), False), ((11, 13), True)])
def test_a_reference_that_is_not_sorted_is_followed_by_number(
    connection: sa.Connection, cadences: tuple[int, int], grows: bool
) -> None:
    store(connection, [product(1, (10, 11, 12))])
    set_reference(connection, (12, 10, 11))
    # The values at 10, 11, 12 are now at 12, 10, 11 according to the database.
    assert statuses(connection, product(2, cadences)) == ["added"]
    found = content(connection)
    reference, (values, *_), _ = found[2, 1, "CCD 2", "Aperture", None]
    assert reference == ([10, 11, 12, 13] if grows else [12, 10, 11])
    expected = {c: 2000.0 + c for c in cadences}
    assert values == repr([expected.get(c, np.nan) for c in reference])
    reference, (values, *_), _ = found[1, 1, "CCD 2", "Aperture", None]
    expected = {12: 1010.0, 10: 1011.0, 11: 1012.0}
    assert values == repr([expected.get(c, np.nan) for c in reference])


def test_a_reference_with_a_cadence_twice_is_refused(connection: sa.Connection) -> None:
    store(connection, [product(1, (10, 11, 12))])
    set_reference(connection, (10, 11, 11))
    message = str(refusal(connection, product(2)))
    assert "has duplicate cadence numbers" in message


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("dataset", "errors"),
        ("dataset", "values"),
        ("quality_flag_array", "quality_flags"),
        ("target_specific_time", "barycentric_julian_dates"),
    ],
)
def test_arrays_of_another_length_are_neither_realigned_nor_compared(
    connection: sa.Connection, table: str, column: str
) -> None:
    store(connection, [product(1)])
    shorter = f'UPDATE {table} SET "{column}" = "{column}"[1:2] WHERE "{column}" IS NOT NULL'
    connection.exec_driver_sql(shorter)
    for message in (
        str(refusal(connection, product(2, (9, 10, 11)))),
        str(refusal(connection, product(1))),
    ):
        assert f"{table} " in message
        assert "has 2 values for the 3 cadences of observation" in message
    assert statuses(connection, product(2)) == ["added"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("batches", ["one", "each"])
def test_store_joins_the_parts_of_an_observation(
    connection: sa.Connection, order: tuple[int, ...], batches: str
) -> None:
    months = [product(1, c, part=True) for c in ((1, 2, 3), (5, 6), (8, 9))]
    parts = [months[i] for i in order]
    if batches == "one":
        outcomes = store(connection, parts)
    else:
        outcomes = [store(connection, [part])[0] for part in parts]
    assert [outcome.status for outcome in outcomes] == ["added"] * 3
    curves = len(parts[0].curves)
    assert [outcome.light_curves for outcome in outcomes] == [curves, 0, 0]
    assert len({outcome.datasets for outcome in outcomes}) == 1
    reference, *_ = connection.scalars(sa.select(Observation.cadence_reference)).all()
    assert reference.tolist() == [1, 2, 3, 5, 6, 8, 9]
    whole = product(1, (1, 2, 3, 5, 6, 8, 9))
    rows = connection.execute(
        sa.select(DataSet.__table__.c["values"], DataSet.__table__.c.errors).order_by("id")
    ).all()
    for (values, errors), curve in zip(rows, whole.curves, strict=True):
        assert np.array_equal(values, curve.flux, equal_nan=True)
        if curve.flux_err is not None:
            assert np.array_equal(errors, curve.flux_err, equal_nan=True)
    assert [outcome.status for outcome in store(connection, months)] == ["unchanged"] * 3


def test_store_refuses_a_part_with_other_values(connection: sa.Connection) -> None:
    store(connection, [product(1, (1, 2, 3), part=True)])
    overlapping = product(1, (3, 4), part=True)
    overlapping.curves[0].flux[0] += 1
    assert "differs from the stored one" in str(refusal(connection, overlapping))
    assert statuses(connection, product(1, (3, 4), part=True)) == ["added"]


def test_store_joins_files_only_if_they_are_parts(connection: sa.Connection) -> None:
    store(connection, [product(1, (1, 2, 3))])
    assert "differs from the stored one" in str(refusal(connection, product(1, (4, 5))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cadence": np.array([10, 12, 11])}, "must be strictly increasing"),
        ({"cadence": np.array([10, 11, 11])}, "must be strictly increasing"),
        ({"cadence": np.array([-1, 11, 12])}, "cadence number -1 is negative"),
        (
            {"cadence": np.array([1, 2, 3]), "numbered": False},
            "must have cadence = 0, 1, 2, ...",
        ),
        ({"cadence": np.empty(0, np.int64)}, "no cadences"),
        ({"time": np.array([1.0, 2.0])}, "time has 2 values for 3 cadences"),
        ({"time": np.array([3.0, np.nan, 2.0])}, "must increase with the cadence numbers"),
        ({"time": np.array([1.0, 2.0, np.inf])}, "must increase with the cadence numbers"),
        ({"quality": {FLAG: np.zeros(3)}}, "must be a vector of integers"),
        ({"quality": {FLAG: np.zeros(3, np.int64)}}, "must be int32"),
        ({"curves": ()}, "no light curve"),
        ({"target": 2**63}, "must be from 0 to 2**63 - 1, got 9223372036854775808"),
        ({"target": -1}, "must be from 0 to 2**63 - 1, got -1"),
        ({"instrument": ()}, "must have a name at each level"),
        ({"observation_type": "hubble"}, "no class of observations has the type 'hubble'"),
        ({"observation_fields": {"sektor": 1}}, "TESSObservation has no field sektor"),
        ({"curves": (Curve(APERTURE, None, None, np.ones(2)),)}, "has 2 values for 3 cadences"),
        ({"curves": (Curve(APERTURE, None, None, np.ones(3)),) * 2}, "duplicate light curve"),
    ],
)
def test_a_product_that_contradicts_itself_is_refused_alone(
    connection: sa.Connection, changes: dict[str, Any], message: str
) -> None:
    bad, good = store(connection, [replace(product(1), **changes), product(2)])
    assert (bad.status, good.status) == ("skipped", "added")
    assert isinstance(bad.error, IngestError)
    assert message in bad.reason
    assert str(bad.error) == f"target 1: {bad.reason}"
    assert count(connection, Target) == 1


@pytest.mark.parametrize("grown", [False, True])
def test_the_number_of_statements_does_not_depend_on_the_number_of_products(
    connection: sa.Connection, statements: list[str], grown: bool
) -> None:
    store(connection, [product(99, (10, 11))])
    numbers = []
    for first, size in ((100, 2), (200, 40)):
        cadences = (10, 11, first) if grown else (10, 11)
        statements.clear()
        store(connection, [product(first + i, cadences) for i in range(size)])
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] <= 40


def test_two_writers_make_one_observation(empty_dsn: str) -> None:
    engine = sa.create_engine(empty_dsn)
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def write(target: int) -> None:
        with engine.begin() as connection:
            barrier.wait(timeout=60)
            outcomes.extend(statuses(connection, product(target), product(3)))

    writers = [threading.Thread(target=write, args=(target,)) for target in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == ["added", "added", "added", "unchanged"]
    with engine.connect() as connection:
        found = counts(connection)
    assert (found["Observation"], found["Target"], found["Instrument"]) == (1, 3, 3)
    engine.dispose()


def test_readers_see_the_old_arrays_until_the_writer_commits(empty_dsn: str) -> None:
    engine = sa.create_engine(empty_dsn)
    with engine.begin() as connection:
        store(connection, [product(1)])
    with engine.connect() as reader, engine.connect() as writer:
        # It would wait for a writer that blocks readers.
        reader.exec_driver_sql("SET lock_timeout = '1s'")
        store(writer, [product(2, (8, 9))])
        assert [c[0] for c in content(reader).values()] == [[10, 11, 12]] * 2
        writer.commit()
        reader.commit()
        assert [c[0] for c in content(reader).values()] == [[8, 9, 10, 11, 12]] * 4
    engine.dispose()


def test_a_rollback_takes_back_everything(connection: sa.Connection) -> None:
    store(connection, [product(1)])
    before = content(connection)
    with connection.begin_nested() as savepoint:
        store(connection, [product(2, (8, 9))])
        savepoint.rollback()
    assert content(connection) == before
    # The temporary table of the first attempt must not be in the way of the second.
    assert statuses(connection, product(2, (8, 9))) == ["added"]


def test_a_session_sees_rows_stored_on_its_connection(session: orm.Session) -> None:
    session.add(Mission(name="TESS", time_epoch=Decimal(2_457_000), time_format_name="btjd"))
    session.flush()
    (outcome,) = store(session.connection(), [product()])
    dataset = session.get_one(DataSet, outcome.datasets[0])
    assert dataset.target.catalog.host_mission is session.scalars(sa.select(Mission)).one()


def test_a_database_whose_ids_are_wider_is_written_too(connection: sa.Connection) -> None:
    connection.exec_driver_sql(
        "ALTER TABLE dataset ALTER id TYPE bigint, ALTER observation_id TYPE bigint"
    )
    connection.exec_driver_sql("ALTER TABLE quality_flag_array ALTER quality_flags TYPE bigint[]")
    connection.exec_driver_sql("ALTER TABLE observation ALTER cadence_reference TYPE integer[]")
    assert statuses(connection, product(1), product(2, (9, 10))) == ["added", "added"]
    assert statuses(connection, product(3, (7, 8))) == ["added"]
    assert statuses(connection, product(1), product(2, (9, 10))) == ["unchanged", "unchanged"]
