"""One light curve with all that belongs to it, and own processes for tests that map classes."""

from __future__ import annotations

import multiprocessing
import os
import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import (
    DataSet,
    FITSFrame,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    QualityFlagArray,
    Target,
    TargetSpecificTime,
)

ALONE = "LCDB_TEST_IN_OWN_PROCESS"

# An interpreter that has imported these forks for each of the tests, which is some seconds faster
# than to import them again; nothing else runs in it.
FORKS = multiprocessing.get_context("forkserver")
SCRIPT = Path(__file__).with_name("alone.py")
LONGEST = 300
"""Seconds until a process that does not end is killed."""
IMPORTED = [
    *("pytest", "hypothesis", "alembic.command", "lightkurve"),
    *("lcdb_notebook.database", "lcdb_notebook.demo"),
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "own_process: maps classes that no other test may see",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave it to the other interpreter to make what such a test needs."""
    if item.get_closest_marker("own_process") is not None and ALONE not in os.environ:
        assert isinstance(item, pytest.Function)
        item.fixturenames[:] = ["server_url", "tmp_path"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is marked so in another interpreter, on the same server."""
    if pyfuncitem.get_closest_marker("own_process") is None or ALONE in os.environ:
        return None
    server = pyfuncitem.funcargs["server_url"]
    assert isinstance(server, sa.URL)
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--override-ini=addopts=",
        "--import-mode=importlib",
    ]
    arguments += [f"--lcdb-dsn={server.render_as_string(hide_password=False)}", pyfuncitem.nodeid]
    output = Path(str(pyfuncitem.funcargs["tmp_path"])) / "output"
    # Plugins take longer to load than such a test takes.
    environment = os.environ | {ALONE: "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    job = {
        "arguments": arguments,
        "environment": environment,
        "output": output,
        "patience": 0.9 * LONGEST,
    }
    FORKS.set_forkserver_preload(IMPORTED)
    process = FORKS.Process(target=runpy.run_path, args=(str(SCRIPT), {"JOB": job}, "__main__"))
    process.start()
    process.join(LONGEST)
    if process.exitcode is None:
        process.kill()
        process.join()
    if process.exitcode != pytest.ExitCode.OK:
        pytest.fail(f"exit code {process.exitcode}\n{output.read_text()}", pytrace=False)
    return True


@dataclass
class Sky:
    """One row of every table, stored, and the session that they are in."""

    session: orm.Session
    mission: Mission
    catalog: MissionCatalog
    target: Target
    camera: Instrument
    ccd: Instrument
    observation: Observation
    frame: FITSFrame
    times: TargetSpecificTime
    flags: QualityFlagArray
    aperture: PhotometricSource
    detrending: ProcessingMethod
    raw: DataSet
    detrended: DataSet

    def dataset(self, *sources: DataSet) -> DataSet:
        """Make another light curve of the target; it is not stored yet."""
        return DataSet(
            target=self.target,
            observation=self.observation,
            values=np.ones(3),
            source_datasets=list(sources),
        )


def make_sky(session: orm.Session) -> Sky:
    mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    catalog = MissionCatalog(name="TIC", host_mission=mission)
    target = Target(name=12345678, catalog=catalog)
    camera = Instrument(name="TESS Camera 1")
    ccd = Instrument(name="CCD 1", parent=camera)
    observation = Observation(cadence_reference=[10, 11, 12], instrument=ccd)
    frame = FITSFrame(
        cadence=11, bitpix=-32, naxis=2, naxis_values=[2136, 2078], observation=observation
    )
    times = TargetSpecificTime(
        target=target,
        observation=observation,
        barycentric_julian_dates=[2458325, np.nan, 2458326],
    )
    flags = QualityFlagArray(target=target, observation=observation, quality_flags=[0, 1, 3])
    aperture = PhotometricSource(name="SAP", description="[electron / s] Simple aperture")
    detrending = ProcessingMethod(name="PDC")
    raw = DataSet(
        target=target,
        observation=observation,
        photometry_source=aperture,
        values=[1.0, np.nan, 3.0],
        errors=[0.1, 0.2, np.inf],
    )
    detrended = DataSet(
        target=target,
        observation=observation,
        photometry_source=aperture,
        processing_method=detrending,
        values=[1.5, np.nan, 2.5],
        source_datasets=[raw],
    )
    rows = (mission, catalog, target, camera, ccd, observation, frame, times, flags)
    sky = Sky(session, *rows, aperture, detrending, raw, detrended)
    session.add_all([*rows, aperture, detrending, raw, detrended])
    session.commit()
    return sky


@pytest.fixture
def sky(session: orm.Session) -> Sky:
    return make_sky(session)
