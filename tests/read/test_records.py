"""From rows to records: what is joined, what is refused, and how often an array is sent."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook.errors import DataError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.models import DataSet, Observation, QualityFlagArray
from lcdb_notebook.read import chunks, records
from lcdb_notebook.read import fetch as fetching
from lcdb_notebook.read.assemble import Assembly
from lcdb_notebook.read.fetch import Arrays
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import missions
from lcdb_notebook.search.streaming import Pages

SIZE = 6
APERTURE = Named("SPOC SAP", "[electron / s] Simple aperture photometry")
PDCSAP = Named("PDCSAP", "[] Corrected")

SessionScope = Callable[[], Any]


def product(target: int, sector: int, **changes: Any) -> Product:
    """Two light curves of a star, six cadences each."""
    flux = 1000 * target + np.arange(SIZE, dtype=float)
    fields: dict[str, Any] = {
        "label": f"TIC {target}, sector {sector}",
        "mission": "TESS",
        "catalog": "TIC",
        "target": target,
        "observation_type": "tess_observation",
        "observation_fields": {"sector": sector, "author": "SPOC", "exptime": 120},
        "instrument": ("TESS", "Camera 1", "CCD 2"),
        "cadence": np.arange(100 * sector, 100 * sector + SIZE),
        "time": 1325 + 27 * sector + np.arange(SIZE) / 720,
        "quality": {"tess_quality_flag": np.arange(SIZE, dtype=np.int32)},
        "curves": (
            Curve(APERTURE, None, None, flux, flux / 100),
            Curve(APERTURE, PDCSAP, 0, flux + 0.5, None),
        ),
    }
    return Product(**(fields | changes))


@pytest.fixture(scope="module")
def sessions(new_tables: Callable[[], str], undone: Callable[[str], Any]) -> Any:
    """Sessions on two stars in sectors 1 and 2, two light curves each: eight in all."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        products = [product(target, sector) for target in (101, 102) for sector in (1, 2)]
        outcomes = store(db.session.connection(), products)
        assert not [outcome.error for outcome in outcomes if outcome.error]
        db.session.commit()
    return undone(url)


@pytest.fixture
def session_scope(sessions: Any) -> Iterator[SessionScope]:
    with sessions() as session:

        @contextmanager
        def lend() -> Iterator[orm.Session]:
            yield session

        yield lend


class Lender:
    def __init__(self, session_scope: SessionScope) -> None:
        self.session_scope = session_scope


def read_all(
    session_scope: SessionScope, on_error: Any = "raise", **options: Any
) -> list[LightCurveData]:
    return list(stream(session_scope, on_error, **options))


def stream(
    session_scope: SessionScope, on_error: Any = "raise", **options: Any
) -> Iterator[LightCurveData]:
    with session_scope() as session:
        found = Search(Lender(session_scope), criteria()).found(session)
        known = missions(session)
    return records.records(session_scope, Pages.of(found), known, on_error=on_error, **options)


def dataset_ids(session_scope: SessionScope) -> list[DataSetId]:
    return [data.dataset for data in read_all(session_scope)]


def change(session_scope: SessionScope, statement: str, **values: Any) -> None:
    """Run a statement, in which THIS is the condition on the DataSet ``dataset``."""
    if isinstance(values.get("dataset"), str):
        columns = "observation_id, target_id, photometric_method_id, processing_method_id"
        this = f"concat_ws(':', {columns}) = :dataset"
    else:
        this = "id = :dataset"
    with session_scope() as session:
        session.execute(sa.text(statement.replace("THIS", this)), values)


def first_of(session_scope: SessionScope, target: int = 101, sector: int = 1) -> tuple[Any, int]:
    """Ids of the raw light curve of a star in a sector, and of the observation."""
    found = [
        data
        for data in read_all(session_scope)
        if (data.target, data.observation.fields["sector"]) == (target, sector)
    ]
    return found[0].dataset, found[0].observation.id


# What comes out


def test_records_come_in_the_order_of_the_search(session_scope: SessionScope) -> None:
    order = [
        (d.target, d.observation.fields["sector"], d.processing) for d in read_all(session_scope)
    ]
    assert order == [
        (target, sector, processing)
        for target in (101, 102)
        for sector in (1, 2)
        for processing in (None, "PDCSAP")
    ]


def test_a_record_has_the_arrays_and_the_names_that_were_stored(
    session_scope: SessionScope,
) -> None:
    raw, derived = read_all(session_scope)[2:4]
    original = product(101, 2)
    for data, curve in ((raw, original.curves[0]), (derived, original.curves[1])):
        assert np.array_equal(data.cadence, original.cadence)
        assert np.array_equal(data.time, original.time)
        assert np.array_equal(data.flux, curve.flux)
        assert np.array_equal(data.quality["tess_quality_flag"], np.arange(SIZE))
        assert (data.catalog, data.target, data.mission) == ("TIC", 101, "TESS")
        assert data.observation.fields["author"] == "SPOC"
        assert data.observation.instrument == ("TESS", "Camera 1", "CCD 2")
        assert data.clock.format_name == "btjd"
        assert data.stored_time == "mission"
    assert raw.flux_err is not None
    assert np.array_equal(raw.flux_err, 1010 + np.arange(SIZE) / 100)
    assert derived.flux_err is None
    assert raw.cadence.dtype == np.int64
    assert raw.quality["tess_quality_flag"].dtype == np.int64


def test_the_unit_of_the_processing_goes_before_that_of_the_photometry(
    session_scope: SessionScope,
) -> None:
    assert [data.unit for data in read_all(session_scope)[:2]] == ["electron / s", ""]


@pytest.mark.parametrize(
    ("photometry", "processing", "unit"),
    [
        ("[electron / s] Aperture", "no brackets", "electron / s"),
        ("[electron / s] Aperture", "[mag] Magnitudes", "mag"),
        ("[electron / s] Aperture", "  [ adu ] Spaces", " adu "),
        ("Aperture [of 3 pixels]", "Detrended [spline]", ""),
        ("[electron / s] Aperture", "[] Relative", ""),
    ],
)
def test_a_unit_is_read_from_brackets_at_the_beginning(
    session_scope: SessionScope, photometry: str, processing: str, unit: str
) -> None:
    change(session_scope, "UPDATE photometric_source SET description = :text", text=photometry)
    change(session_scope, "UPDATE processing_method SET description = :text", text=processing)
    assert read_all(session_scope)[1].unit == unit


def test_stored_bjd_and_stored_btjd_are_the_same_instants(session_scope: SessionScope) -> None:
    # The two sectors of each star, as two databases might have them.
    change(
        session_scope,
        "UPDATE target_specific_time SET barycentric_julian_dates = "
        "(SELECT array_agg(t + 2457000) FROM unnest(barycentric_julian_dates) AS t) "
        "WHERE observation_id = :observation",
        observation=first_of(session_scope)[1],
    )
    as_bjd, as_btjd = read_all(session_scope)[0], read_all(session_scope)[2]
    assert (as_bjd.stored_time, as_btjd.stored_time) == ("bjd", "mission")
    # A float64 near 2.4 million days is spaced 40 microseconds.
    assert as_bjd.time == pytest.approx(product(101, 1).time, abs=5e-10)
    assert np.array_equal(as_btjd.time, product(101, 2).time)


def test_a_bjd_column_with_few_values_is_recognized(
    session_scope: SessionScope,
) -> None:
    dataset, observation = first_of(session_scope)
    times = "{NaN,NaN,2458352.0,NaN,2458352.5,NaN}"
    change(
        session_scope,
        "UPDATE target_specific_time SET barycentric_julian_dates = :times "
        "WHERE observation_id = :observation",
        times=times,
        observation=observation,
    )
    data = next(data for data in read_all(session_scope) if data.dataset == dataset)
    assert data.stored_time == "bjd"
    assert data.time[[2, 4]].tolist() == [1352.0, 1352.5]
    assert np.isnan(data.time[[0, 1, 3, 5]]).all()


def test_null_elements_of_floats_are_nan(session_scope: SessionScope) -> None:
    dataset, _ = first_of(session_scope)
    change(
        session_scope,
        "UPDATE dataset SET values = '{NULL,1,2,3,4,NULL}' WHERE THIS",
        dataset=dataset,
    )
    data = next(data for data in read_all(session_scope) if data.dataset == dataset)
    assert np.isnan(data.flux).tolist() == [True, False, False, False, False, True]


def test_flags_of_the_observation_and_of_the_target_are_combined(
    session_scope: SessionScope,
) -> None:
    _, observation = first_of(session_scope)
    with session_scope() as session:
        for flag_type, bit in (("tess_quality_flag", 64), ("base_quality_flag", 2)):
            session.add(
                QualityFlagArray(
                    type=flag_type,
                    observation_id=observation,
                    quality_flags=np.full(SIZE, bit, np.int32),
                )
            )
        session.flush()
    first, _, other_sector, *_ = read_all(session_scope)
    assert first.quality["tess_quality_flag"].tolist() == [64 | bit for bit in range(SIZE)]
    assert first.quality["base_quality_flag"].tolist() == [2] * SIZE
    assert set(other_sector.quality) == {"tess_quality_flag"}


def test_the_highest_bit_survives_combination(session_scope: SessionScope) -> None:
    _, observation = first_of(session_scope)
    change(
        session_scope,
        "INSERT INTO quality_flag_array (type, observation_id, quality_flags) "
        "VALUES ('tess_quality_flag', :id, array_fill(-2147483648, ARRAY[6]))",
        id=observation,
    )
    combined = read_all(session_scope)[0].quality["tess_quality_flag"]
    assert combined.tolist() == [2**31 | bit for bit in range(SIZE)]


def test_a_light_curve_without_flags_is_read_all_the_same(session_scope: SessionScope) -> None:
    change(session_scope, "DELETE FROM quality_flag_array")
    assert [dict(data.quality) for data in read_all(session_scope)] == [{}] * 8


def test_arrays_shared_by_light_curves_are_read_only(
    session_scope: SessionScope,
) -> None:
    data = read_all(session_scope)[0]
    for shared in (data.cadence, data.time, data.quality["tess_quality_flag"]):
        with pytest.raises(ValueError, match="read-only"):
            shared[0] = 0
    data.flux[0] = 0  # a change by the user


@pytest.mark.own_tables  # only they are written
def test_uncommitted_rows_are_seen(session_scope: SessionScope) -> None:
    with session_scope() as session:
        store(session.connection(), [product(103, 1)])
    assert {data.target for data in read_all(session_scope)} == {101, 102, 103}


# What is refused

BROKEN = {
    "values": (
        "UPDATE dataset SET values = values[1:5] WHERE THIS",
        "5 values",
    ),
    "errors": (
        "UPDATE dataset SET errors = errors || 1.0::float8 WHERE THIS",
        "7 errors",
    ),
    "times": (
        "UPDATE target_specific_time SET barycentric_julian_dates = "
        "barycentric_julian_dates[2:] WHERE observation_id = :observation",
        "5 times",
    ),
    "flags": (
        "UPDATE quality_flag_array SET quality_flags = quality_flags[1:4] "
        "WHERE observation_id = :observation",
        "4 flags of tess_quality_flag",
    ),
    "cadences": (
        "UPDATE observation SET cadence_reference = cadence_reference[1:3] WHERE id = :observation",
        "3 cadence numbers",
    ),
    "flags of the whole observation": (
        "INSERT INTO quality_flag_array (type, observation_id, quality_flags) "
        "VALUES ('base_quality_flag', :observation, '{1,2}')",
        "2 flags of base_quality_flag",
    ),
    "flags of both kinds": (
        "INSERT INTO quality_flag_array (type, observation_id, quality_flags) "
        "VALUES ('tess_quality_flag', :observation, '{1,2}')",
        "2 flags of tess_quality_flag for the observation, 6 for the target",
    ),
}


@pytest.mark.parametrize(("statement", "error_text"), BROKEN.values(), ids=BROKEN)
def test_lengths_that_disagree_are_an_error_that_names_them(
    session_scope: SessionScope, statement: str, error_text: str
) -> None:
    dataset, observation = first_of(session_scope)
    change(session_scope, statement, dataset=dataset, observation=observation)
    with pytest.raises(DataError, match=r"refusing to align by position") as raised:
        read_all(session_scope)
    message = str(raised.value)
    assert message.startswith(f"DataSet {dataset} (TIC 101, observation {observation})")
    assert error_text in message
    assert "6 " in message


REFUSED = {
    "no times": (
        "DELETE FROM target_specific_time WHERE observation_id = :observation AND target_id = "
        "(SELECT target_id FROM dataset WHERE THIS)",
        "cannot be read: it has no times",
    ),
    "two arrays of times": (
        # As in tables of the first version.
        "ALTER TABLE target_specific_time "
        "DROP CONSTRAINT uq_target_specific_time_target_id_observation_id;"
        "INSERT INTO target_specific_time (target_id, observation_id, barycentric_julian_dates) "
        "SELECT target_id, observation_id, barycentric_julian_dates FROM target_specific_time "
        "WHERE observation_id = :observation",
        "it has 2 arrays of times; delete all but one",
    ),
    "times out of order": (
        "UPDATE target_specific_time SET barycentric_julian_dates[2] = 5000 "
        "WHERE observation_id = :observation",
        "times are not increasing",
    ),
    "values of two dimensions": (
        "UPDATE dataset SET values = ARRAY[ARRAY[1,2,3],ARRAY[4,5,6]] WHERE THIS",
        "its values have 2 dimensions",
    ),
    "errors of two dimensions": (
        "UPDATE dataset SET errors = ARRAY[ARRAY[1,2,3],ARRAY[4,5,6]] WHERE THIS",
        "its errors have 2 dimensions",
    ),
    "times of two dimensions": (
        "UPDATE target_specific_time SET barycentric_julian_dates = ARRAY[ARRAY[1],ARRAY[2]] "
        "WHERE observation_id = :observation",
        "its times have 2 dimensions",
    ),
    "a NULL among the cadences": (
        "UPDATE observation SET cadence_reference[3] = NULL WHERE id = :observation",
        "its cadence numbers have NULL elements",
    ),
    "a NULL among the flags": (
        "UPDATE quality_flag_array SET quality_flags[3] = NULL WHERE observation_id = :observation",
        "its tess_quality_flag have NULL elements",
    ),
    "a NULL among the flags of all": (
        "INSERT INTO quality_flag_array (type, observation_id, quality_flags) "
        "VALUES ('base_quality_flag', :observation, '{1,NULL}')",
        "its base_quality_flag have NULL elements",
    ),
}


def cases(*all_cases: dict[str, tuple[str, str]]) -> pytest.MarkDecorator:
    """Parametrize a test; where tables have a unique key, there is one array of times."""
    own = {"two arrays of times": pytest.mark.own_tables}
    return pytest.mark.parametrize(
        ("statement", "error_text"),
        [
            pytest.param(*case, id=name, marks=own.get(name, ()))
            for some in all_cases
            for name, case in some.items()
        ],
    )


def test_chunks_of_short_light_curves_let_the_first_be_used_soon(
    session_scope: SessionScope,
) -> None:
    with session_scope() as session:
        found = Search(Lender(session_scope), criteria()).found(session)
    two_cadences = {id_: (data, 2) for id_, (data, _) in found.observations.items()}
    many = replace(found, rows=[*found.rows] * 2_000, observations=two_cadences)
    sizes = [len(part.rows) for part in chunks.chunks([many], chunks.CHUNK_BYTES)]
    assert sum(sizes) == len(many.rows) >= 8_000
    assert max(sizes) < 2_000


@cases(REFUSED)
@pytest.mark.parametrize("chunk_bytes", [None, 1], ids=["at once", "in chunks"])
def test_arrays_that_do_not_form_a_light_curve_raise_with_the_reason(
    session_scope: SessionScope, statement: str, error_text: str, chunk_bytes: int | None
) -> None:
    dataset, observation = first_of(session_scope)
    change(session_scope, statement, dataset=dataset, observation=observation)
    with pytest.raises(DataError) as raised:
        read_all(session_scope, chunk_bytes=chunk_bytes)
    assert f"DataSet {dataset} (TIC 101, observation {observation})" in str(raised.value)
    assert error_text in str(raised.value)


@cases(BROKEN, REFUSED)
@pytest.mark.parametrize("chunk_bytes", [None, 1], ids=["at once", "in chunks"])
def test_the_others_are_read_if_bad_ones_may_be_skipped(
    session_scope: SessionScope, statement: str, error_text: str, chunk_bytes: int | None
) -> None:
    everything = read_all(session_scope)
    dataset, observation = first_of(session_scope)
    change(session_scope, statement, dataset=dataset, observation=observation)
    with pytest.warns(UserWarning, match="light curves were skipped") as caught:
        left = read_all(session_scope, "skip", chunk_bytes=chunk_bytes)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert error_text in message
    assert caught[0].filename == __file__
    gone = {data.dataset for data in everything} - {data.dataset for data in left}
    assert dataset in gone
    assert all(f"DataSet {id_} " in message for id_ in gone)
    assert message.startswith(f"{len(gone)} of 8 light curves")
    # Nothing but what shares the bad array is lost.
    assert {d.observation.fields["sector"] for d in everything if d.dataset in gone} == {1}
    unharmed = {data.dataset: data for data in everything}
    for data in left:
        assert np.array_equal(data.flux, unharmed[data.dataset].flux)
        assert np.array_equal(data.time, unharmed[data.dataset].time)


def test_null_arrays_of_another_makers_tables_are_named(session_scope: SessionScope) -> None:
    dataset, _ = first_of(session_scope)
    change(session_scope, "ALTER TABLE dataset ALTER values DROP NOT NULL")
    change(session_scope, "UPDATE dataset SET values = NULL WHERE THIS", dataset=dataset)
    with pytest.raises(DataError, match=rf"DataSet {dataset} .* its values are NULL"):
        read_all(session_scope)


@pytest.mark.parametrize(
    ("table", "column", "what"),
    [
        ("target_specific_time", "barycentric_julian_dates", "times are"),
        ("observation", "cadence_reference", "cadence numbers are"),
        ("quality_flag_array", "quality_flags", "tess_quality_flag is"),
    ],
)
def test_null_arrays_that_light_curves_share_are_named(
    session_scope: SessionScope, table: str, column: str, what: str
) -> None:
    with session_scope() as session:
        found = Search(Lender(session_scope), criteria()).found(session)
        known = missions(session)
    change(session_scope, f"ALTER TABLE {table} ALTER {column} DROP NOT NULL")
    change(session_scope, f"UPDATE {table} SET {column} = NULL")
    with pytest.raises(DataError, match=f"its {what} NULL"):
        list(records.records(session_scope, Pages.of(found), known))


def test_a_light_curve_that_was_deleted_since_it_was_found_is_named(
    session_scope: SessionScope,
) -> None:
    ids = dataset_ids(session_scope)
    found = stream(session_scope, "skip")
    change(session_scope, "DELETE FROM dataset WHERE THIS", dataset=ids[0])
    with pytest.warns(UserWarning, match=rf"1 of 8 .*DataSet {ids[0]} .*deleted in the meantime"):
        assert {data.dataset for data in found} == set(ids[1:])


def test_an_observation_that_was_deleted_since_it_was_found_is_named(
    session_scope: SessionScope,
) -> None:
    _, observation = first_of(session_scope)
    found = stream(session_scope, "skip")
    change(session_scope, "DELETE FROM observation WHERE id = :id", id=observation)
    with pytest.warns(UserWarning, match=r"4 of 8 .*deleted in the meantime"):
        assert len(list(found)) == 4


def test_good_light_curves_do_not_warn(session_scope: SessionScope) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_all(session_scope, "skip")) == 8


# While another client writes

GROWN = (
    "UPDATE observation SET cadence_reference = cadence_reference || "
    "(cadence_reference[cardinality(cadence_reference)] + 1)",
    "UPDATE dataset SET values = values || 7.5::float8, "
    "errors = CASE WHEN errors IS NOT NULL THEN errors || 1::float8 END",
    "UPDATE target_specific_time SET barycentric_julian_dates = barycentric_julian_dates || "
    "(barycentric_julian_dates[cardinality(barycentric_julian_dates)] + 0.1)",
    "UPDATE quality_flag_array SET quality_flags = quality_flags || 0",
)
RENUMBERED = (
    "UPDATE observation SET cadence_reference = "
    "(SELECT array_agg(c + 1000) FROM unnest(cadence_reference) c)",
)
FLAGGED = (
    "UPDATE quality_flag_array SET quality_flags = array_fill(8, ARRAY[cardinality(quality_flags)])"
    " WHERE target_id IS NULL",
)


@pytest.mark.parametrize("changes", [GROWN, RENUMBERED, FLAGGED], ids=["grown", "other", "flags"])
def test_records_is_one_version_of_each_light_curve_while_another_client_writes(
    session_scope: SessionScope, changes: tuple[str, ...]
) -> None:
    with session_scope() as session:
        for id_ in session.scalars(sa.select(Observation.id)):
            wide = QualityFlagArray(type="base_quality_flag", observation_id=id_)
            wide.quality_flags = np.zeros(SIZE, np.int32)
            session.add(wide)
        session.flush()
    stale = {data.dataset: data for data in read_all(session_scope)}
    running = stream(session_scope, chunk_bytes=1)
    first = [next(running), next(running)]
    for statement in changes:
        change(session_scope, statement)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rest = list(running)
    fresh = {data.dataset: data for data in read_all(session_scope)}
    for known, found in ((stale, first), (fresh, rest)):
        for data in found:
            expected = known[data.dataset]
            for name in ("cadence", "time", "flux"):
                assert np.array_equal(getattr(data, name), getattr(expected, name)), name
            for flag_type, bits in expected.quality.items():
                assert np.array_equal(data.quality[flag_type], bits)
    assert len(rest) == len(stale) - 2


# How often


@pytest.fixture
def arrays_sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which array was sent how often: the kind of each row that was received."""
    kinds: list[int] = []
    take = Arrays.take

    def count(self: Arrays, rows: Any) -> None:
        kinds.extend(kind for kind, *_ in rows)
        take(self, rows)

    monkeypatch.setattr(Arrays, "take", count)
    return kinds


@pytest.mark.parametrize("chunk_bytes", [None, 1, 500], ids=["at once", "one by one", "by some"])
def test_each_array_is_sent_once(
    session_scope: SessionScope, arrays_sent: list[int], chunk_bytes: int | None
) -> None:
    change(
        session_scope,
        "INSERT INTO quality_flag_array (type, observation_id, quality_flags) "
        "SELECT 'base_quality_flag', id, array_fill(1, ARRAY[6]) FROM observation",
    )
    assert len(read_all(session_scope, chunk_bytes=chunk_bytes)) == 8
    cadences, times, flags, datasets = (arrays_sent.count(kind) for kind in range(4))
    assert cadences == 2  # observations
    assert times == 4  # targets in observations
    assert flags == 4 + 2  # of targets, and of observations as a whole
    assert datasets == 8


def test_an_observation_that_no_longer_fits_is_sent_again(
    session_scope: SessionScope, arrays_sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_KEPT_BYTES", 0)
    found = read_all(session_scope, chunk_bytes=1)
    assert [data.cadence[0] for data in found] == [100, 100, 200, 200] * 2
    assert arrays_sent.count(0) == 4


@pytest.mark.parametrize(("chunk_bytes", "copies"), [(None, 1), (10**6, 1), (1, 4)])
def test_a_chunk_of_any_size_is_one_statement(
    session_scope: SessionScope,
    caplog: pytest.LogCaptureFixture,
    statements: list[str],
    chunk_bytes: int | None,
    copies: int,
) -> None:
    found = stream(session_scope, chunk_bytes=chunk_bytes)
    statements.clear()
    with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
        assert len(list(found)) == 8
    assert len([entry for entry in caplog.messages if entry.startswith("COPY")]) == copies
    assert statements == []


@pytest.mark.parametrize("broken", ["one", "all"])
def test_any_number_of_bad_arrays_costs_two_statements_more(
    session_scope: SessionScope,
    caplog: pytest.LogCaptureFixture,
    statements: list[str],
    broken: str,
) -> None:
    where = "" if broken == "all" else "WHERE THIS"
    first, _ = first_of(session_scope)
    statement = f"UPDATE dataset SET values = ARRAY[ARRAY[1],ARRAY[2]] {where}"
    change(session_scope, statement, dataset=first)
    found = stream(session_scope, "skip", chunk_bytes=None)
    statements.clear()
    with (
        caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"),
        pytest.warns(UserWarning, match="skipped"),
    ):
        list(found)
    assert len([entry for entry in caplog.messages if entry.startswith("COPY")]) == 2
    assert len(statements) == 1


def test_an_unreadable_observation_is_fetched_once(
    session_scope: SessionScope, caplog: pytest.LogCaptureFixture, statements: list[str]
) -> None:
    change(
        session_scope,
        "UPDATE observation SET cadence_reference[1] = NULL WHERE id = :id",
        id=first_of(session_scope)[1],
    )
    found = stream(session_scope, "skip", chunk_bytes=1)
    statements.clear()
    with (
        caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"),
        pytest.warns(UserWarning, match="4 of 8"),
    ):
        list(found)
    # Four chunks, of which the first has to be read again.
    assert len([entry for entry in caplog.messages if entry.startswith("COPY")]) == 5
    assert len(statements) == 1


def test_other_calls_may_come_between_two_records(session_scope: SessionScope) -> None:
    found = stream(session_scope, chunk_bytes=1)
    read_so_far = []
    for data in found:
        read_so_far.append(data.dataset)
        with session_scope() as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(DataSet)) == 8
    assert len(read_so_far) == 8


def test_a_stream_may_be_left_before_its_end(session_scope: SessionScope) -> None:
    found = stream(session_scope, chunk_bytes=1)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(read_all(session_scope)) == 8


@pytest.mark.own_tables  # only they are written
def test_memory_is_that_of_a_chunk(session_scope: SessionScope) -> None:
    # Ten thousand times the size, so that arrays are what counts.
    with session_scope() as session:
        cadence = np.arange(60_000)
        flux = cadence.astype(np.float64)
        big = product(
            104,
            3,
            cadence=cadence,
            time=1500 + cadence / 720,
            quality={},
            curves=tuple(
                Curve(Named(f"aperture {n}", ""), None, None, flux, flux) for n in range(20)
            ),
        )
        store(session.connection(), [big])
        for target in range(105, 112):
            store(session.connection(), [product(target, 3, **_same(big))])
    import tracemalloc

    count = 0
    tracemalloc.start()
    for _ in stream(session_scope, chunk_bytes=4 * 2**20):
        count += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 8 + 8 * 20
    # 160 light curves of 960 kB are 150 MB; a star's twenty, which are one chunk, 19 MB.
    assert peak < 60 * 2**20


def _same(big: Product) -> dict[str, Any]:
    return {
        "cadence": big.cadence,
        "time": big.time,
        "quality": {},
        "curves": big.curves,
    }


def test_times_that_are_missing_between_two_others_ascend_all_the_same(
    session_scope: SessionScope,
) -> None:
    change(
        session_scope,
        "UPDATE target_specific_time SET barycentric_julian_dates[3] = 'NaN' "
        "WHERE observation_id = :observation",
        observation=first_of(session_scope)[1],
    )
    assert len(read_all(session_scope)) == 8


# While the rest arrives


def test_light_curves_are_right_in_any_order_that_the_server_sends(
    session_scope: SessionScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_scope() as session:
        for observation in session.scalars(sa.select(Observation)):
            flags = np.full(observation.cadence_reference.size, 2**20)
            session.add(QualityFlagArray(observation=observation, quality_flags=flags))
        session.flush()
    expected = read_all(session_scope)
    assert all(data.quality["base_quality_flag"].all() for data in expected)
    ordered = fetching._statement

    def reversed_arms(*ids: Any, **also: Any) -> str:
        # The first one gives the columns their types.
        first, *others = re.split(r" UNION ALL (?=SELECT \d)", ordered(*ids, **also))
        return " UNION ALL ".join([first, *reversed(others)])

    monkeypatch.setattr(fetching, "_statement", reversed_arms)
    for chunk_bytes in (None, 1):
        found = read_all(session_scope, chunk_bytes=chunk_bytes)
        assert [data.dataset for data in found] == [data.dataset for data in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one.flux, other.flux, equal_nan=True)
            assert np.array_equal(one.time, other.time, equal_nan=True)
            assert one.quality.keys() == other.quality.keys()
            assert all(np.array_equal(one.quality[k], other.quality[k]) for k in one.quality)


def test_light_curves_are_made_while_others_arrive(
    session_scope: SessionScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in: set[str] = set()
    make = Assembly.light_curve

    def noted(self: Assembly, *arguments: Any) -> LightCurveData:
        made_in.add(threading.current_thread().name)
        return make(self, *arguments)

    monkeypatch.setattr(Assembly, "light_curve", noted)
    assert len(read_all(session_scope)) == 8
    # The thread that copies; outside the main thread the calling thread does everything.
    assert made_in == {"lcdb-query"}
