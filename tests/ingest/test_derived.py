"""Light curves that were changed in the notebook, back into the database."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import demo, models
from lcdb_notebook.errors import ArgumentError, DataError, IngestError, LineageError
from lcdb_notebook.ingest import add

HERE: dict[str, Any] = {"photometry": "DEMO aperture 2px", "processing": "raw"}


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, targets=4)
    return url


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    """A database of four stars, from which the test's light curves go again."""
    with lcdb.connect(url, write=True) as db:
        before = db.session.scalar(sa.select(sa.func.max(models.DataSet.id)))
        observed = db.session.scalar(sa.select(sa.func.max(models.Observation.id)))
        db.session.commit()
        yield db
        db.session.rollback()
        for model, last in ((models.DataSet, before), (models.Observation, observed)):
            db.session.execute(sa.delete(model).where(model.id > last))
        db.session.commit()


def sources(db: lcdb.Database, dataset: int) -> list[Any]:
    return list(db.lineage(dataset).sources(dataset))


@pytest.mark.parametrize(
    "source",
    [
        lambda _db, lc: lc.meta["DATASET"],
        lambda _db, lc: lc,
        lambda _db, _lc: True,
        lambda db, lc: db.session.get(models.DataSet, lc.meta["DATASET"]),
        lambda db, _lc: next(db.search(3, sector=1, **HERE).read()),
    ],
    ids=["its id", "the light curve", "True", "the DataSet", "the record"],
)
def test_a_flattened_light_curve_goes_back_beside_its_source(
    db: lcdb.Database, source: Callable[[Any, Any], Any]
) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    flat = lc.remove_nans().flatten()
    report = db.add(flat, derived_from=source(db, lc), processing="flattened")
    (new,) = report.files[0].datasets
    assert sources(db, new) == [lc.meta["DATASET"]]
    again = db.lightcurve(3, sector=1, processing="flattened", flagged="keep")
    assert (
        again.meta["LINEAGE"] == f"DEMO aperture 2px raw #{lc.meta['DATASET']} -> flattened #{new}"
    )
    assert again.meta["OBSERVATION"] == lc.meta["OBSERVATION"]
    assert again.flux.unit == flat.flux.unit
    kept = np.isin(again["cadenceno"], flat["cadenceno"])
    assert np.array_equal(again.flux.value[kept], flat.flux.value)
    assert np.array_equal(again.flux_err.value[kept], flat.flux_err.value)
    assert np.array_equal(again.time.value[kept], flat.time.value)
    assert np.isnan(again.flux.value[~kept]).all()
    assert 0 < np.count_nonzero(~kept) < len(again)
    whole = db.lightcurve(3, sector=1, flagged="keep", **HERE)
    assert np.array_equal(again["quality"], whole["quality"])


def test_steps_upon_steps_keep_their_history(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    db.add(lc.flatten(), derived_from=lc, processing="flattened")
    flat = db.lightcurve(3, sector=1, processing="flattened")
    db.add(flat.remove_outliers(sigma=3), derived_from=flat, processing="clipped")
    clipped = db.lightcurve(3, sector=1, processing="clipped")
    steps = [step.rpartition(" #")[0] for step in clipped.meta["LINEAGE"].split(" -> ")]
    assert steps == ["DEMO aperture 2px raw", "flattened", "clipped"]


def test_the_same_again_changes_nothing(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    first = db.add(lc.flatten(), derived_from=lc, processing="flattened")
    again = db.add(lc.flatten(), derived_from=lc, processing="flattened")
    assert (first.added, again.unchanged) == (1, 1)
    assert first.files[0].datasets == again.files[0].datasets


def test_a_changed_light_curve_without_a_name_is_refused_with_advice(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    with pytest.raises(IngestError, match=r"it differs from DataSet .*processing='flattened'"):
        db.add(lc.remove_outliers(sigma=3), derived_from=lc)


def test_an_unchanged_light_curve_does_not_descend_from_itself(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, flagged="keep", **HERE)
    with pytest.raises(LineageError):
        db.add(lc, derived_from=True)


def test_a_binned_light_curve_has_a_separate_observation_and_its_source(
    db: lcdb.Database,
) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    report = db.add(lc.bin(0.25), derived_from=lc, processing="binned")
    (new,) = report.files[0].datasets
    assert sources(db, new) == [lc.meta["DATASET"]]
    row = db.search(3, processing="binned").table.iloc[0]
    assert row["observation"] != lc.meta["OBSERVATION"]
    assert (row["sector"], row["exptime"], row["cadences"]) == (1, 21_600, len(lc.bin(0.25)))


def test_metadata_that_arrays_do_not_have_are_copied_from_the_source(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    bare = lightkurve.LightCurve(time=lc.time, flux=lc.flux * 2, flux_err=lc.flux_err)
    bare["cadenceno"] = lc["cadenceno"]
    report = db.add(bare, derived_from=lc, processing="doubled")
    doubled = db.lightcurve(3, sector=1, processing="doubled")
    assert sources(db, report.files[0].datasets[0]) == [lc.meta["DATASET"]]
    for key in ("OBSERVATION", "TARGETID", "AUTHOR", "CAMERA", "PHOTOMETRY"):
        assert doubled.meta[key] == lc.meta[key]


def test_a_custom_mission_is_copied_from_the_source(session: orm.Session) -> None:
    mission = models.Mission(
        name="EXPORTED", time_epoch=2_460_000, time_format_name="exported_days"
    )
    catalog = models.MissionCatalog(name="XIC", host_mission=mission)
    observation = models.Observation(
        cadence_reference=np.arange(5), instrument=models.Instrument(name="Bench")
    )
    target = models.Target(name=9, catalog=catalog)
    dataset = models.DataSet(
        target=target,
        observation=observation,
        photometry_source=models.PhotometricSource(name="Mine", description="[adu] mine"),
        values=np.arange(5.0),
    )
    times = models.TargetSpecificTime(
        target=target, observation=observation, barycentric_julian_dates=np.arange(5) + 0.5
    )
    session.add_all([dataset, times])
    session.flush()
    from lcdb_notebook.lightcurve.clock import Clock

    clock = Clock("exported_days", "d", mission.time_epoch, "jd", "tdb")
    clock.time_format()
    lc = lightkurve.LightCurve(
        time={"val": np.arange(5) + 0.5, "format": "exported_days", "scale": "tdb"}["val"],
        flux=np.ones(5),
    )
    lc["cadenceno"] = np.arange(5)
    report = add(session, lc, derived_from=dataset, processing="flat")
    new = session.get_one(models.DataSet, report.files[0].datasets[0])
    assert new.observation_id == observation.id
    assert new.target_id == target.id
    assert [source.id for source in new.source_datasets] == [dataset.id]


def test_add_of_a_normalized_light_curve_has_one_cure(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    with pytest.raises(IngestError) as refused:
        db.add(lc.normalize(), derived_from=lc)
    assert str(refused.value).endswith("; name the processing: processing='flattened'")
    assert "photometry name" not in str(refused.value)


def test_add_of_a_database_names_an_unknown_argument(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    with pytest.raises(ArgumentError, match=r"no argument 'procesing'; did you mean processing="):
        db.add(lc.flatten(), derived_from=lc, procesing="flat")


def test_add_of_a_stitched_collection_names_stitching_as_the_cause(db: lcdb.Database) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stitched = db.lightcurves(3, **HERE).stitch()
    with pytest.raises(IngestError, match=r"it was stitched from 2 light curves \(sector 1, 2\)"):
        db.add(stitched, processing="stitched")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda db: db.search(4, sector=1).datasets[0], "light curve is 3, but .* is DEMO 4"),
        (lambda db: db.search(3, sector=2).datasets[0], "from sector 1, but .* is from sector 2"),
        (lambda _db: 2**40, "derived_from=1099511627776: no such DataSet"),
        (lambda _db: "PDCSAP", "derived_from is not a DataSet"),
        (lambda db: db.search(3, sector=1).datasets, "derived_from must be one DataSet, got 6"),
    ],
    ids=["another star", "another sector", "none", "a word", "several"],
)
def test_a_wrong_source_is_refused_and_nothing_is_added(
    db: lcdb.Database, wrong: Callable[[lcdb.Database], Any], message: str
) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    with pytest.raises(IngestError, match=message):
        db.add(lc.flatten(), derived_from=wrong(db), processing="flattened")
    assert not db.session.scalars(
        sa.select(models.ProcessingMethod).where(models.ProcessingMethod.name == "never")
    ).all()


def test_a_light_curve_from_elsewhere_has_no_source(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    del lc.meta["DATASET"]
    with pytest.raises(IngestError, match="no DATASET in its meta"):
        db.add(lc, derived_from=True, processing="same")


def test_a_folded_light_curve_is_refused(db: lcdb.Database) -> None:
    lc = db.lightcurve(3, sector=1, **HERE)
    with pytest.raises(IngestError, match="add it before folding"):
        db.add(lc.fold(2.0), derived_from=lc, processing="folded")


def test_a_changed_dataframe_goes_back_each_light_curve_beside_its_source(
    db: lcdb.Database,
) -> None:
    frame = db.dataframe([3, 4], sector=1, **HERE)
    frame["flux"] -= frame.groupby("dataset")["flux"].transform("median")
    report = db.add(frame, derived_from=True, processing="centred")
    assert report.added == 2
    for outcome in report.files:
        (new,) = outcome.datasets
        (source,) = sources(db, new)
        again = db.search(processing="centred").table.set_index("dataset").loc[new]
        rows = frame[frame["dataset"] == source]
        assert again["target"] == rows["target"].iloc[0]
        (record,) = [r for r in db.search(processing="centred").read() if r.dataset == new]
        kept = np.isin(record.cadence, rows["cadenceno"])
        assert np.array_equal(record.flux[kept], rows["flux"], equal_nan=True)


def test_a_dataframe_is_stored_completely_or_not_at_all(db: lcdb.Database) -> None:
    frame = db.dataframe([3, 4], sector=1, **HERE)
    last = lcdb.from_pandas(frame)[-1].meta["TARGETID"]
    lc = db.lightcurve(last, sector=1, **HERE)
    lc["flux"] /= 3
    db.add(lc, derived_from=True, processing="halved")
    frame["flux"] /= 2
    before = len(db.search())
    with pytest.raises(IngestError, match=f"of DEMO {last} differs from the stored one"):
        add(db.session, frame, derived_from=True, processing="halved")
    # In the transaction of a session, too, which goes on.
    assert len(db.search()) == before


def test_a_dataframe_of_elsewhere_is_refused(db: lcdb.Database) -> None:
    frame = db.dataframe(3, sector=1, **HERE)
    frame.attrs = {}
    with pytest.raises(DataError, match="attrs"):
        db.add(frame, derived_from=True, processing="centred")
