"""The examples of the schema's documentation, as written but for the package's name."""

# Their comments and layout are the documentation's.

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import orm

from lcdb_notebook.models import (
    Instrument,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    QualityFlagArray,
    Target,
    TESSObservation,
)

from .conftest import Sky


@pytest.fixture
def aperture_source(sky: Sky) -> PhotometricSource:
    return sky.aperture


@pytest.fixture
def detrending_method(sky: Sky) -> ProcessingMethod:
    return sky.detrending


def test_querying_mission_specific_data(
    sky: Sky, session: orm.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    tess = TESSObservation(
        sector=1,
        orbit_number=9,
        spacecraft_quaternion={"q": [0.1, 0.2, 0.3, 0.9]},
        cosmic_ray_mitigation=True,
        cadence_reference=np.arange(5),
        instrument=sky.ccd,
    )
    session.add(tess)
    session.delete(sky.observation)
    session.commit()
    session.expunge_all()

    # Query all observations (any mission)
    all_obs = session.query(Observation).all()

    # Query only TESS observations
    tess_obs = session.query(TESSObservation).filter_by(sector=1).all()

    # Polymorphic loading - automatically returns correct subclass
    obs = session.query(Observation).first()
    if isinstance(obs, TESSObservation):
        print(f"TESS Sector: {obs.sector}")  # noqa: T201

    assert capsys.readouterr().out == "TESS Sector: 1\n"
    assert isinstance(obs, TESSObservation)
    assert all_obs == tess_obs == [obs]
    assert obs.spacecraft_quaternion == {"q": [0.1, 0.2, 0.3, 0.9]}
    assert (obs.orbit_number, obs.cosmic_ray_mitigation) == (9, True)
    assert session.query(TESSObservation).filter_by(sector=2).all() == []


@pytest.mark.usefixtures("sky")
def test_querying_for_a_targets_lightcurves(
    session: orm.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.expunge_all()

    # Get all lightcurves for a specific TIC ID
    target = session.query(Target).filter_by(name=12345678).first()
    assert target is not None
    lightcurves = target.datasets

    # Get lightcurves with specific processing
    for lc in lightcurves:
        photometry = lc.photometry_source.name if lc.photometry_source else "N/A"
        processing = lc.processing_method.name if lc.processing_method else "Raw"
        print(f"Photometry: {photometry}, Processing: {processing}")  # noqa: T201
        print(f"Values: {lc.values}")  # noqa: T201

    assert capsys.readouterr().out.splitlines() == [
        "Photometry: SAP, Processing: Raw",
        "Values: [ 1. nan  3.]",
        "Photometry: SAP, Processing: PDC",
        "Values: [1.5 nan 2.5]",
    ]


def test_creating_an_instrument_hierarchy(session: orm.Session) -> None:
    # Create camera with CCDs
    camera = Instrument(name="TESS Camera 1")
    ccd1 = Instrument(name="CCD 1", parent=camera)
    ccd2 = Instrument(name="CCD 2", parent=camera)

    session.add_all([camera, ccd1, ccd2])

    session.commit()
    assert camera.children == [ccd1, ccd2]
    assert ccd2.parent is camera
    assert (camera.parent, camera.properties) == (None, {})


@pytest.mark.usefixtures("sky")
def test_working_with_quality_flags(
    session: orm.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.expunge_all()

    # Get quality flags for a specific target observation
    target = session.query(Target).filter_by(name=12345678).first()
    assert target is not None
    observation = target.observations[0]

    # Get quality flags for this target in this observation
    quality_flags = session.query(QualityFlagArray).filter_by(
        observation=observation,
        target=target,
        type="base_quality_flag"
    ).first()  # fmt: skip

    if quality_flags:
        # Check for cosmic ray events (bit 0)
        cosmic_ray_mask = (quality_flags.quality_flags & 1) != 0
        num_cosmic_rays = np.sum(cosmic_ray_mask)
        print(f"Found {num_cosmic_rays} cadences with cosmic ray events")  # noqa: T201

        # Check for saturated pixels (bit 1)
        saturation_mask = (quality_flags.quality_flags & 2) != 0
        print(f"Saturated in {np.sum(saturation_mask)} cadences")  # noqa: T201

    assert capsys.readouterr().out.splitlines() == [
        "Found 2 cadences with cosmic ray events",
        "Saturated in 1 cadences",
    ]
    assert quality_flags is not None
    assert quality_flags.created_on.tzinfo is not None
    assert observation.targets == [target]


def test_tracking_data_lineage(
    sky: Sky,
    session: orm.Session,
    aperture_source: PhotometricSource,
    detrending_method: ProcessingMethod,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target, observation = sky.target, sky.observation

    from lcdb_notebook.models import DataSet

    # Create raw photometry dataset
    raw_flux = np.random.normal(1.0, 0.01, 1000)  # noqa: NPY002
    raw_dataset = DataSet(
        target=target,
        observation=observation,
        photometry_source=aperture_source,
        processing_method=None,  # Raw data, no processing
        values=raw_flux
    )  # fmt: skip
    session.add(raw_dataset)
    session.flush()

    # Create detrended dataset derived from raw
    detrended_flux = raw_flux - np.polyval([0.001, 0], range(1000))
    detrended_dataset = DataSet(
        target=target,
        observation=observation,
        photometry_source=aperture_source,
        processing_method=detrending_method,
        values=detrended_flux
    )  # fmt: skip

    # Establish hierarchical relationship
    detrended_dataset.source_datasets.append(raw_dataset)
    session.add(detrended_dataset)
    session.commit()

    # Query the hierarchy
    print(f"Raw dataset has {len(raw_dataset.derived_datasets)} derived products")  # noqa: T201
    print(f"Detrended dataset has {len(detrended_dataset.source_datasets)} sources")  # noqa: T201

    assert capsys.readouterr().out.splitlines() == [
        "Raw dataset has 1 derived products",
        "Detrended dataset has 1 sources",
    ]
    assert np.array_equal(raw_dataset.values, raw_flux)
    assert np.array_equal(detrended_dataset.values, detrended_flux)


def test_the_key_relationships_lead_from_each_end_to_the_other(sky: Sky) -> None:
    sky.session.expire_all()
    assert sky.mission.catalogs == [sky.catalog]
    assert sky.catalog.targets == [sky.target]
    assert (sky.target.catalog, sky.catalog.host_mission) == (sky.catalog, sky.mission)
    assert sky.ccd.observations == [sky.observation]
    assert sky.observation.instrument is sky.ccd
    assert sky.aperture.datasets == [sky.raw, sky.detrended]
    assert sky.detrending.datasets == [sky.detrended]
    assert sky.observation.quality_flag_arrays == sky.target.quality_flag_arrays == [sky.flags]
    assert sky.observation.target_specific_times == sky.target.target_specific_times == [sky.times]
    assert sky.observation.fits_frames == [sky.frame]
    assert sky.frame.observation is sky.times.observation is sky.flags.observation
    assert sky.times.target is sky.flags.target is sky.target
    assert sky.observation.datasets == sky.target.datasets == [sky.raw, sky.detrended]
    assert sky.target.observations == [sky.observation]
    assert sky.observation.targets == [sky.target]
    assert sky.raw.derived_datasets == [sky.detrended]
    assert sky.detrended.source_datasets == [sky.raw]
