"""Bad rows and odd numbers, from a person's end: named or understood, and the rest is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import DataError, IngestError, LCDBError, NotFoundError
from lcdb_notebook.flags import masking
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import Observation

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightkurve")

CADENCES = 50


@pytest.fixture
def db(empty_dsn: str) -> Iterator[lcdb.Database]:
    """Eight stars in one sector, three light curves each of one aperture, and others."""
    with lcdb.connect(empty_dsn, write=True) as db:
        store(db.session.connection(), list(demo.products(8, sectors=[1], cadences=CADENCES)))
        db.session.commit()
        yield db


# Changes to the rows of stars, and the error messages.
OF_A_STAR = {
    2: ("UPDATE dataset SET values = values[2:]", "49 values"),
    3: ("UPDATE dataset SET errors = errors || errors", "100 errors"),
    4: ("UPDATE dataset SET values = ARRAY[values, values]", "its values have 2 dimensions"),
    5: (
        "UPDATE target_specific_time SET barycentric_julian_dates[7] = 0",
        "times are not increasing",
    ),
    6: (
        "UPDATE quality_flag_array SET quality_flags[3] = NULL",
        "have NULL elements",
    ),
    7: (
        "UPDATE target_specific_time SET barycentric_julian_dates = '{}'",
        "0 times",
    ),
}


def spoil(db: lcdb.Database, star: int, statement: str) -> None:
    of = "target_id = (SELECT id FROM target WHERE name = :star)"
    if "quality" in statement:
        insert = (
            "INSERT INTO quality_flag_array (type, observation_id, target_id, quality_flags) "
            "SELECT 'base_quality_flag', id, (SELECT id FROM target WHERE name = :star), "
            "array_fill(0, ARRAY[cardinality(cadence_reference)]) FROM observation"
        )
        db.session.execute(sa.text(insert), {"star": star})
    db.session.execute(sa.text(f"{statement} WHERE {of}"), {"star": star})
    db.session.commit()


READS: dict[str, Callable[..., Any]] = {
    "read": lambda found, **how: list(found.read(**how)),
    "to_pandas": lambda found, **how: found.to_pandas(**how),
    "lightcurves": lambda found, **how: found.lightcurves(**how),
}
every_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


@every_read
def test_each_bad_row_is_named_where_errors_are_raised(
    db: lcdb.Database, read: Callable[..., Any]
) -> None:
    for star, (statement, _) in OF_A_STAR.items():
        spoil(db, star, statement)
    for star, (_, error_text) in OF_A_STAR.items():
        with pytest.raises(DataError, match=re.escape(error_text)) as raised:
            read(db.search(star))
        assert re.match(rf"DataSet \d+ \(DEMO {star}, observation \d+\)", str(raised.value))
    assert len(read(db.search(8))) > 0


@every_read
def test_all_bad_rows_are_skipped_with_one_warning_that_names_each(
    db: lcdb.Database, read: Callable[..., Any]
) -> None:
    whole = {data.dataset: data.target for data in db.search()}
    for star, (statement, _) in OF_A_STAR.items():
        spoil(db, star, statement)
    with pytest.warns(UserWarning, match="were skipped") as caught:
        read(db.search(), on_error="skip")
    (warning,) = [w for w in caught if "skipped" in str(w.message)]
    assert warning.filename == __file__
    message = str(warning.message)
    bad = {id_ for id_, star in whole.items() if star in OF_A_STAR}
    assert message.startswith(f"{len(bad)} of {len(whole)} light curves")
    assert {int(n) for n in re.findall(r"DataSet (\d+)", message)} == bad
    for _, error_text in OF_A_STAR.values():
        assert error_text in message


def add_unknown_flags(db: lcdb.Database, star: int) -> None:
    insert = (
        "INSERT INTO quality_flag_array (type, observation_id, target_id, quality_flags) "
        "SELECT 'nobody_knows_flag', o.id, t.id, array_fill(-1, ARRAY[cardinality("
        "cadence_reference)]) FROM observation o, target t WHERE t.name = :star"
    )
    db.session.execute(sa.text(insert), {"star": star})
    db.session.commit()


@pytest.mark.parametrize("read", [READS["to_pandas"], READS["lightcurves"]])
def test_read_with_a_preset_takes_any_bit_of_an_unregistered_type_and_warns_once(
    db: lcdb.Database, read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_warned", set())
    add_unknown_flags(db, 2)
    with pytest.warns(UserWarning, match=r"'nobody_knows_flag'.*register") as caught:
        both = read(db.search([1, 2]))
    assert sum("nobody_knows_flag" in str(one.message) for one in caught) == 1
    good, bad = read(db.search(1)), read(db.search(2))
    assert len(good) > 0
    if isinstance(both, pd.DataFrame):
        assert (len(both), len(bad)) == (len(good), 0)
    else:
        assert [len(lc) for lc in bad] == [0] * len(bad)
    assert len(read(db.search(2), quality_bitmask="none")) > 0


def test_plain_records_have_flags_of_an_unknown_type(db: lcdb.Database) -> None:
    add_unknown_flags(db, 2)
    for data in db.search(2):
        # Bit 31 is a flag like the others, not a sign.
        assert (data.quality["nobody_knows_flag"] == 2**32 - 1).all()


@every_read
def test_an_observation_of_an_unknown_type_is_read_as_a_plain_one(
    db: lcdb.Database, read: Callable[..., Any]
) -> None:
    expected = [data.flux for data in db.search(1)]
    db.session.execute(sa.text("UPDATE observation SET type = 'nobody_knows_observation'"))
    db.session.commit()
    db.session.expire_all()
    assert len(read(db.search(1))) > 0
    found = list(db.search(1))
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one, other.flux, equal_nan=True)
    assert {data.observation.type for data in found} == {"nobody_knows_observation"}
    assert db.observations()["type"].tolist() == ["nobody_knows_observation"]
    assert type(db.session.scalars(sa.select(Observation)).one()) is Observation


# Catalog numbers

UNDERSTOOD = [
    *(1, "1", " 1 ", "0001", "DEMO 1", np.int8(1), np.uint64(1), np.array(1), [1], [[1]][0]),
    *(pd.Series([1]), {"1"}, 1.0, np.float64(1)),
]
REFUSED = [
    *(-1, 2**63, 2**70, "9" * 5000, np.uint64(2**64 - 1)),
    *("-1", "", "DEMO", "1.0", "1e3", "0x1", "1; DROP TABLE target", "1 OR 1=1", b"1"),
    *(True, np.True_, [1, True], 1.5, np.float64(1.5), float("nan"), float("inf"), 1j),
    *(np.datetime64(1, "s"), object(), [[1]]),
]
BY_TARGET: dict[str, Callable[[lcdb.Database, Any], Any]] = {
    "search": lambda db, target: db.search(target).table,
    "targets": lambda db, target: db.targets(target),
    "lightcurve": lambda db, target: db.lightcurve(
        target, photometry="DEMO aperture 2px", processing="raw"
    ),
    "dataframe": lambda db, target: db.dataframe(target),
    "observations": lambda db, target: db.observations(target=target),
    "quality_flags": lambda db, target: db.quality_flags(target),
}
BY_ID: dict[str, Callable[[lcdb.Database, Any], Any]] = {
    "search": lambda db, observation: db.search(observation=observation).table,
    "frames": lambda db, observation: db.frames(observation),
    "lineage": lambda db, dataset: db.lineage(dataset),
}


def shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:20]}"


@pytest.fixture(scope="module")
def stars(new_tables: Callable[[], str]) -> Iterator[lcdb.Database]:
    with lcdb.connect(new_tables(), write=True) as db:
        store(db.session.connection(), list(demo.products(1, sectors=[1], cadences=CADENCES)))
        db.session.commit()
        yield db


@pytest.mark.parametrize("call", BY_TARGET.values(), ids=BY_TARGET)
@pytest.mark.parametrize("target", UNDERSTOOD, ids=shown)
def test_a_catalog_number_is_understood_as_it_comes(
    stars: lcdb.Database, call: Callable[[lcdb.Database, Any], Any], target: Any
) -> None:
    assert len(call(stars, target)) > 0


def check_refused(call: Callable[[lcdb.Database, Any], Any], db: lcdb.Database, odd: Any) -> None:
    with pytest.raises((TypeError, NotFoundError)) as raised:
        call(db, odd)
    error_text = str(raised.value)
    (one,) = odd[-1:] if isinstance(odd, list) else [odd]
    named = (repr(one), str(one)[:20], type(one).__name__)
    assert any(name in error_text for name in named if name), error_text
    assert "catalog" in error_text or "observation" in error_text or "DataSet" in error_text
    assert not db.session.in_transaction()


@pytest.mark.parametrize("call", BY_TARGET.values(), ids=BY_TARGET)
@pytest.mark.parametrize("odd", REFUSED, ids=shown)
def test_an_invalid_catalog_number_is_refused_by_name(
    stars: lcdb.Database, call: Callable[[lcdb.Database, Any], Any], odd: Any
) -> None:
    check_refused(call, stars, odd)


@pytest.mark.parametrize("call", BY_ID.values(), ids=BY_ID)
@pytest.mark.parametrize("odd", [*REFUSED[:3], *REFUSED[4:-1]], ids=shown)
def test_an_invalid_id_is_refused_by_name(
    stars: lcdb.Database, call: Callable[[lcdb.Database, Any], Any], odd: Any
) -> None:
    check_refused(call, stars, odd)


@pytest.mark.parametrize("how", ["argument", "metadata"])
@pytest.mark.parametrize("odd", [-1, 2**63, 2**70, "9" * 5000, True, 1.0, "pi Men"], ids=shown)
def test_a_light_curve_with_an_invalid_catalog_number_is_not_stored(
    stars: lcdb.Database, how: str, odd: Any
) -> None:
    lc = stars.search(processing="raw")[0].lightcurve(quality_bitmask="none", flagged="keep")
    lc.meta["PROCESSING"] = "another"
    for name in ("LABEL", "OBJECT", "TICID", "KEPLERID"):
        lc.meta.pop(name, None)
    arguments = {"target": odd} if how == "argument" else {}
    if how == "metadata":
        lc.meta["TARGETID"] = odd
    with pytest.raises(
        IngestError, match=r"target must be from 0|catalog number|too large|the target is unknown"
    ):
        stars.add(lc, **arguments)
    assert len(stars.targets()) == 1


@pytest.mark.parametrize("given", [np.int16(1), np.uint64(1), 1], ids=shown)
def test_numpy_s_integers_are_catalog_numbers_to_store_under(
    stars: lcdb.Database, given: Any
) -> None:
    lc = stars.search(processing="raw")[0].lightcurve(quality_bitmask="none", flagged="keep")
    assert stars.add(lc, target=given, catalog="DEMO").unchanged == 1


def test_an_error_of_the_database_is_never_the_answer(stars: lcdb.Database) -> None:
    for call in BY_TARGET.values():
        for odd in REFUSED:
            try:
                call(stars, odd)
            except (TypeError, LCDBError) as error:
                assert not isinstance(error.__cause__, sa.exc.SQLAlchemyError)  # noqa: PT017


NULLS = {
    "time format": (
        "ALTER TABLE mission ALTER time_format_name DROP NOT NULL",
        "UPDATE mission SET time_format_name = NULL",
        "time_format_name is None",
    ),
    "mission": (
        "ALTER TABLE mission_catalog ALTER host_mission_id DROP NOT NULL",
        "UPDATE mission_catalog SET host_mission_id = NULL",
        "its catalog has no mission",
    ),
    "processing method": (
        "ALTER TABLE processing_method ALTER name DROP NOT NULL",
        "UPDATE processing_method SET name = NULL WHERE name = 'DEMO DET'",
        "the name of its processing method is NULL",
    ),
    "photometric source": (
        "ALTER TABLE photometric_source ALTER name DROP NOT NULL",
        "UPDATE photometric_source SET name = NULL",
        "the name of its photometric source is NULL",
    ),
}


@every_read
@pytest.mark.parametrize(("loosen", "update", "message"), NULLS.values(), ids=NULLS)
def test_read_names_or_skips_rows_whose_names_are_null(
    db: lcdb.Database, read: Callable[..., Any], loosen: str, update: str, message: str
) -> None:
    everything = db.search().datasets
    db.session.execute(sa.text(loosen))
    db.session.execute(sa.text(update))
    db.session.commit()
    with pytest.raises(DataError, match=rf"DataSet \d+ .* cannot be read: .*{message}"):
        read(db.search())
    with pytest.warns(UserWarning, match=message):
        kept = read(db.search(), on_error="skip")
    raw = db.search(processing="raw").datasets
    expected = set(everything) - set(everything if "processing" not in message else [])
    if "processing" in message:
        expected = {row for row in everything if row in raw} | {
            id_ for id_ in everything if id_ not in raw and id_ not in named_null(db)
        }
    found = (
        set(kept["dataset"])
        if isinstance(kept, pd.DataFrame) and len(kept)
        else {getattr(one, "dataset", None) or one.meta["DATASET"] for one in kept}
        if not isinstance(kept, pd.DataFrame)
        else set()
    )
    assert found == expected


def named_null(db: lcdb.Database) -> set[int]:
    of_method = (
        "SELECT d.id FROM dataset d JOIN processing_method p ON p.id = d.processing_method_id "
        "WHERE p.name IS NULL"
    )
    return set(db.session.scalars(sa.text(of_method)))


@pytest.mark.parametrize("unit", ["mag(AB)", "dB(W)", "furlong per fortnight", "f("])
def test_lightcurves_name_or_skip_a_unit_that_flux_cannot_have(
    db: lcdb.Database, unit: str, tmp_path: Path
) -> None:
    describe = "UPDATE processing_method SET description = :text WHERE name = 'DEMO DET'"
    db.session.execute(sa.text(describe), {"text": f"[{unit}] Detrended"})
    db.session.commit()
    bad = set(db.search(processing="DEMO DET").datasets)
    with pytest.raises(DataError, match=rf"DataSet \d+ .*{re.escape(unit)}"):
        db.search().lightcurves()
    with pytest.raises(DataError, match=rf"DataSet \d+ .*{re.escape(unit)}"):
        db.search(1, processing="DEMO DET")[0].lightcurve()
    with pytest.warns(UserWarning, match=rf"{len(bad)} of .* were skipped"):
        kept = db.search().lightcurves(on_error="skip")
    assert {lc.meta["DATASET"] for lc in kept} == set(db.search().datasets) - bad
    with pytest.warns(UserWarning, match=rf"{len(bad)} of .* were skipped"):
        report = db.search().export(tmp_path, format="csv", on_error="skip")
    assert set(report.loc[report["status"] == "skipped", "dataset"]) == bad
    assert len(db.search(1).to_pandas()) > 0
