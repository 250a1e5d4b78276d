"""A newer release of a file may have fewer cadences than the older one, or others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits

import lcdb_notebook as lcdb
from lcdb_notebook.models import DataSet, QualityFlagArray, TargetSpecificTime

PI_MENSAE = "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz"
OTHER_STAR = 7

# Rows of the file of pi Mensae; fluxes are NaN in rows 1831 to 1833, whose times are known.
OLD = np.arange(1500, 2100)
FEWER = np.setdiff1d(np.arange(1520, 2080), np.arange(1700, 1720))
OTHERS = np.setdiff1d(np.arange(1550, 2150), np.arange(1700, 1720))
WITHOUT_MISSING_FLUX = np.setdiff1d(OLD, [1831, 1832, 1833])

WriteRelease = Callable[..., Path]


@pytest.fixture
def write_release(data_folder: Path, tmp_path: Path) -> WriteRelease:
    """Write some rows of the file of pi Mensae as a release with other cards and background."""

    def write_release(
        number: int, rows: Any, *, target: int = 261136679, other_flux: bool = False
    ) -> Path:
        path = tmp_path / f"release-{number}-{target}.fits"
        with fits.open(data_folder / PI_MENSAE) as hdus:
            primary = {"DATA_REL": number, "TICID": target, "TEFF": 6000.0 + number}
            hdus[0].header.update(primary)
            for hdu in hdus:
                for key in ("CHECKSUM", "DATASUM"):
                    hdu.header.pop(key, None)
            hdus[1].data = hdus[1].data[rows]
            hdus[1].data["SAP_BKG"] *= 1 + 1e-3 * number
            if other_flux:
                for column in ("SAP_FLUX", "PDCSAP_FLUX"):
                    hdus[1].data[column] *= 1 + 1e-4 * number
                hdus[1].data["TIME"] += 1e-7 * number
                hdus[1].data["QUALITY"][7] = number
            hdus.writeto(path, overwrite=True)
        return path

    return write_release


@pytest.fixture(scope="module")
def shared_database(new_tables: Callable[[], str]) -> Iterator[lcdb.Database]:
    with lcdb.connect(new_tables(), write=True) as db:
        yield db


@pytest.fixture
def db(shared_database: lcdb.Database) -> Iterator[lcdb.Database]:
    """An empty database."""
    yield shared_database
    shared_database.session.rollback()
    with shared_database.session.begin():
        shared_database.session.execute(sa.text("TRUNCATE observation, target CASCADE"))


def by_cadence(db: lcdb.Database, target: int) -> dict[Any, dict[int, Any]]:
    """Read all arrays of a target, by name and cadence, without the gaps."""
    db.session.expire_all()
    found: dict[Any, dict[int, Any]] = {}
    (numbers,) = {
        tuple(row.observation.cadence_reference) for row in db.session.scalars(sa.select(DataSet))
    }
    assert list(numbers) == sorted(set(numbers))
    arrays: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
        (DataSet, ("values", "errors")),
        (TargetSpecificTime, ("barycentric_julian_dates",)),
        (QualityFlagArray, ("quality_flags",)),
    )
    for model, columns in arrays:
        for row in db.session.scalars(sa.select(model)):
            if row.target.name == target:
                photometry = getattr(row, "photometry_source", None)
                processing = getattr(row, "processing_method", None)
                name = (model, *(getattr(one, "name", None) for one in (photometry, processing)))
                for column in columns:
                    array = getattr(row, column)
                    assert array.size == len(numbers)
                    known = array != 0 if array.dtype.kind == "i" else np.isfinite(array)
                    values = zip(np.array(numbers)[known], array[known], strict=True)
                    found[*name, column] = {int(cadence): value for cadence, value in values}
    for table in ("lcdb_notebook_header", "lcdb_notebook_column", "lcdb_notebook_release"):
        rows = db.session.scalars(
            sa.text(
                f"SELECT (to_jsonb(one) - 'target_id' - 'observation_id')::text FROM {table} one "
                "JOIN target ON target.id = target_id WHERE target.name = :target ORDER BY 1"
            ),
            {"target": target},
        )
        found[table] = dict(enumerate(rows))
    db.session.rollback()
    return found


@pytest.mark.parametrize("calls", [pytest.param("one", marks=pytest.mark.slow), "each"])
@pytest.mark.parametrize(
    ("rows", "other_flux"),
    [
        pytest.param(FEWER, True, id="fewer"),
        pytest.param(OTHERS, True, id="others"),
        pytest.param(WITHOUT_MISSING_FLUX, False, id="without-missing-flux"),
        pytest.param(np.arange(1480, 2100), False, id="more"),
        pytest.param(OLD, False, id="same"),
    ],
)
def test_ingest_ends_with_the_cadences_of_the_newer_release_in_every_order(
    db: lcdb.Database, write_release: WriteRelease, rows: Any, other_flux: bool, calls: str
) -> None:
    old = write_release(1, OLD, other_flux=other_flux)
    new = write_release(40, rows, other_flux=other_flux)
    other_star = write_release(1, OLD, target=OTHER_STAR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lightkurve.read(new, quality_bitmask="none")
    found = []
    for order, statuses in (
        ([old, new], ["added", "replaced"]),
        ([new, old], ["added", "unchanged"]),
        ([new], ["added"]),
    ):
        with db.session.begin():
            db.session.execute(sa.text("TRUNCATE observation, target CASCADE"))
        db.ingest(other_star, progress=False)
        before = by_cadence(db, OTHER_STAR)
        batches: list[Any] = [order] if calls == "one" else list(order)
        reports = [db.ingest(paths, replace="newer", progress=False) for paths in batches]
        assert [file.status for report in reports for file in report.files] == statuses
        assert by_cadence(db, OTHER_STAR) == before
        found.append(by_cadence(db, 261136679))
        ours = db.lightcurve(
            261136679, processing="PDCSAP", quality_bitmask="none", columns=["sap_bkg"]
        )
        for name in ("cadenceno", "quality"):
            assert np.array_equal(ours[name], theirs[name])
        for name in ("time", "flux", "flux_err", "sap_bkg"):
            one, other = (np.ma.filled(lc[name].value, np.nan) for lc in (ours, theirs))
            assert np.array_equal(one, other, equal_nan=True), name
        assert ours.meta["TEFF"] == 6040
        again = db.ingest([old, new], replace="newer", progress=False)
        assert [file.status for file in again.files] == ["unchanged", "unchanged"]
    assert found[0] == found[1] == found[2]


def test_ingest_replaces_a_release_with_cadences_without_flux_only_on_request(
    db: lcdb.Database, write_release: WriteRelease
) -> None:
    def status(path: Path, replace: Any) -> str:
        (file,) = db.ingest(path, replace=replace, progress=False).files
        return file.status

    db.ingest(write_release(1, OLD), progress=False)
    before = by_cadence(db, 261136679)
    lc = db.lightcurve(261136679, processing="PDCSAP", quality_bitmask="none")
    new = write_release(40, WITHOUT_MISSING_FLUX)
    assert status(new, False) == "unchanged"
    (added,) = db.add(lc.normalize(), derived_from=lc, processing="normalized").files
    (refused,) = db.ingest(new, replace="newer", progress=False).files
    assert (
        f"DataSets {added.datasets[0]} were derived from the stored light curve" in refused.reason
    )
    same = write_release(1, WITHOUT_MISSING_FLUX)
    assert status(same, "newer") == "unchanged"
    # It is unknown which of the two is newer, and the other light curve has the same times.
    assert status(same, True) == "unchanged"
    after = by_cadence(db, 261136679)
    assert {name: after[name] for name in before} == before
    assert status(new, True) == "replaced"
    for processing in ("PDCSAP", "normalized"):
        found = db.lightcurve(261136679, processing=processing, quality_bitmask="none")
        assert len(found) == len(lc) - 3
    with db.session.begin():
        db.session.execute(sa.delete(DataSet).where(DataSet.id == added.datasets[0]))
    assert status(write_release(40, FEWER), True) == "replaced"
    assert status(write_release(40, FEWER), True) == "unchanged"
