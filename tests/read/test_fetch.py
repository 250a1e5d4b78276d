"""Arrays out of the database: one COPY, keyed by ids, on the session's own connection."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import WireError
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    QualityFlagArray,
    Target,
    TargetSpecificTime,
    TESSObservation,
)
from lcdb_notebook.read.fetch import LINK, Arrays, copy_out, fetch, raw_connection
from lcdb_notebook.read.unreadable import Unreadable, find_unreadable
from lcdb_notebook.server import wire


@pytest.fixture
def stored(session: orm.Session) -> dict[str, Any]:
    """Two targets in one observation, each with a light curve, times and flags."""
    mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    catalog = MissionCatalog(name="TIC", host_mission=mission)
    observation = TESSObservation(
        sector=1, cadence_reference=np.array([5, 6, 2**40]), instrument=Instrument(name="TESS")
    )
    targets = [Target(catalog=catalog, name=number) for number in (1, 2)]
    datasets = []
    for target in targets:
        datasets.append(
            DataSet(target=target, observation=observation, values=np.full(3, target.name + 0.5))
        )
        session.add_all(
            [
                TargetSpecificTime(
                    target=target, observation=observation, barycentric_julian_dates=np.arange(3.0)
                ),
                QualityFlagArray(
                    type="tess_quality_flag",
                    target=target,
                    observation=observation,
                    quality_flags=np.array([0, target.name, -(2**31)]),
                ),
            ]
        )
    everyones = QualityFlagArray(
        type="base_quality_flag", observation=observation, quality_flags=np.array([1, 2, 3])
    )
    session.add_all([*datasets, everyones])
    session.flush()
    return {
        "datasets": [dataset.id for dataset in datasets],
        "pairs": [(target.id, observation.id) for target in targets],
        "observations": [observation.id],
    }


def plain(found: Any) -> Any:
    """Arrays as lists, inside whatever holds them."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return found.tolist() if isinstance(found, np.ndarray) else found


def test_everything_is_fetched_by_id(session: orm.Session, stored: dict[str, Any]) -> None:
    arrays = fetch(session, **stored)
    (observation,) = stored["observations"]
    first, second = stored["pairs"]
    one, two = stored["datasets"]
    assert plain(arrays.cadences) == {observation: [5, 6, 2**40]}
    assert plain(arrays.times) == {first: [[0.0, 1.0, 2.0]], second: [[0.0, 1.0, 2.0]]}
    assert plain(arrays.flags) == {
        (None, observation): {"base_quality_flag": [1, 2, 3]},
        first: {"tess_quality_flag": [0, 1, -(2**31)]},
        second: {"tess_quality_flag": [0, 2, -(2**31)]},
    }
    assert plain(arrays.datasets) == {one: [[1.5] * 3, None], two: [[2.5] * 3, None]}


@pytest.mark.parametrize("only", ["datasets", "pairs", "observations"])
def test_only_requested_columns_are_fetched(
    session: orm.Session, stored: dict[str, Any], only: str
) -> None:
    arrays = fetch(session, **{only: stored[only]})
    assert bool(arrays.datasets) is (only == "datasets")
    assert bool(arrays.times) is (only == "pairs")
    assert bool(arrays.cadences) is (only == "observations")
    assert (
        set(arrays.flags)
        == {
            "datasets": set(),
            "pairs": set(stored["pairs"]),
            "observations": {(None, stored["observations"][0])},
        }[only]
    )


def test_missing_ids_are_omitted(session: orm.Session) -> None:
    arrays = fetch(session, datasets=[1], pairs=[(2, 3)], observations=[4])
    assert arrays == Arrays()


def test_fetch_is_one_statement(
    session: orm.Session,
    stored: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    statements: list[str],
) -> None:
    statements.clear()
    with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
        fetch(session, **stored)
    assert len([message for message in caplog.messages if message.startswith("COPY")]) == 1
    assert statements == []


@pytest.mark.parametrize("bad", ["1); DROP TABLE target; --", None, 1.5, "1"])
def test_nothing_but_integers_gets_into_the_statement(session: orm.Session, bad: Any) -> None:
    if bad in (1.5, "1"):
        assert not fetch(session, datasets=[bad]).datasets  # int() of it is a number
        return
    with pytest.raises((TypeError, ValueError)):
        fetch(session, datasets=[bad])


# Rows that cannot be read

UNFIT: dict[str, tuple[str, str, str]] = {
    "values": (
        "UPDATE dataset SET values = ARRAY[ARRAY[1.0],ARRAY[2.0]] WHERE id = :dataset",
        "datasets",
        "its values have 2 dimensions",
    ),
    "errors": (
        "UPDATE dataset SET errors = ARRAY[ARRAY[1.0],ARRAY[2.0]] WHERE id = :dataset",
        "datasets",
        "its errors have 2 dimensions",
    ),
    "times": (
        "UPDATE target_specific_time SET barycentric_julian_dates = ARRAY[ARRAY[1.0],ARRAY[2.0]] "
        "WHERE target_id = :target",
        "pairs",
        "its times have 2 dimensions",
    ),
    "flags of a target": (
        "UPDATE quality_flag_array SET quality_flags[1] = NULL WHERE target_id = :target",
        "pairs",
        "its tess_quality_flag have NULL elements",
    ),
    "flags of all": (
        "UPDATE quality_flag_array SET quality_flags[1] = NULL WHERE target_id IS NULL",
        "observations",
        "its base_quality_flag have NULL elements",
    ),
    "cadences": (
        "UPDATE observation SET cadence_reference = ARRAY[ARRAY[1],ARRAY[2]]",
        "observations",
        "its cadence numbers have 2 dimensions",
    ),
}


@pytest.mark.parametrize(("sql", "kind", "why"), UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("name", ["target", "dataset"])
def test_arrays_that_cannot_be_read_fail_and_are_found(
    session: orm.Session, stored: dict[str, Any], sql: str, kind: str, why: str, name: str
) -> None:
    ids = {"dataset": stored["datasets"][0], "target": stored["pairs"][0][0]}
    session.execute(sa.text(sql), {key: id_ for key, id_ in ids.items() if f":{key}" in sql})
    with pytest.raises(WireError):
        fetch(session, **stored)
    # The connection is usable, and so is the transaction.
    expected = Unreadable()
    getattr(expected, kind)[stored[kind][0]] = why
    assert find_unreadable(session, **stored) == expected
    rest = {what: stored[what][1:] for what in ("datasets", "pairs")}
    assert len(fetch(session, **rest).datasets) == 1
    assert name in ids


def test_readable_rows_are_not_reported_as_unreadable(
    session: orm.Session, stored: dict[str, Any], statements: list[str]
) -> None:
    session.execute(sa.text("UPDATE dataset SET values = '{NULL,1,2}'"))
    statements.clear()
    assert find_unreadable(session, **stored) == Unreadable()
    assert len(statements) == 1


# The COPY itself


def test_a_statement_that_the_server_refuses_raises_as_in_sqlalchemy(
    session: orm.Session,
) -> None:
    reader = wire.RowReader([wire.INT4], lambda _: None)
    with pytest.raises(sa.exc.DBAPIError, match="division by zero"), session.begin_nested():
        copy_out(session, "SELECT 1/0", reader)


def test_a_reader_that_fails_leaves_nothing_running(session: orm.Session) -> None:
    def refuse(_rows: wire.Rows) -> None:
        raise WireError("not this one")

    reader = wire.RowReader([wire.INT4], refuse, block_bytes=1000)
    with pytest.raises(WireError, match="not this one"):
        copy_out(session, "SELECT generate_series(1, 1000000)", reader)
    driver = raw_connection(session)
    assert driver.info.transaction_status == 2  # in a transaction, and idle
    assert session.scalar(sa.text("SELECT 1")) == 1


def test_fetch_of_json_that_python_does_not_read_leaves_nothing_running(
    session: orm.Session,
) -> None:
    nulls = "NULL::int8, NULL::int8, NULL::float8[], NULL::float8[], NULL::int8[], NULL::int4[]"
    digits = f"SELECT {LINK}, {nulls}, '[{'7' * 5000}]'::json::text FROM generate_series(1, 9000)"
    with pytest.raises(ValueError, match="4300 digits"):
        fetch(session, further=[digits])
    assert raw_connection(session).info.transaction_status == 2  # in a transaction, and idle


def test_progress_counts_light_curves(session: orm.Session, stored: dict[str, Any]) -> None:
    import threading

    counts: list[int] = []
    seen = threading.Event()

    def note(received: int) -> None:
        counts.append(received)
        seen.set()

    session.execute(
        sa.text(
            "CREATE FUNCTION pg_temp.slowly(a float8[]) RETURNS float8[] LANGUAGE sql VOLATILE "
            "AS 'SELECT a FROM pg_sleep(0.5)'"
        )
    )
    session.execute(
        sa.text(
            "CREATE TEMPORARY VIEW dataset AS SELECT id, pg_temp.slowly(values) AS values, errors "
            "FROM public.dataset"
        )
    )
    arrays = fetch(session, **stored, meanwhile=note)
    assert len(arrays.datasets) == 2
    assert seen.is_set()
    assert set(counts) <= {0, 1, 2}
