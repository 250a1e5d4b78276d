"""The JavaScript of the figure: its types, and that it computes what Python computes."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pandas as pd
import pytest
from astropy.time import Time

import lcdb_notebook as lcdb
from lcdb_notebook.explore.figure.arrays import Packed, pack
from lcdb_notebook.explore.figure.encoding import encode
from lcdb_notebook.explore.figure.lineage_graph import LineageGraph
from lcdb_notebook.explore.figure.widget import Figure
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.curves import records_of
from lcdb_notebook.plot.drawing import limits
from lcdb_notebook.plot.flagged import count, flagged_cadences, legend_entries, marks_of
from lcdb_notebook.plot.folding import phase_bins, phases
from lcdb_notebook.plot.levels import on_one_level

HERE = Path(__file__).parent
FIGURE = HERE.parents[1] / "lcdb_notebook" / "explore" / "figure"
PRESETS = ("none", "default", "hard", "hardest")
PERIOD, BIN = 1.2345, 30.0

REAL = {
    "SPOC": "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
    "QLP": "qlp/hlsp_qlp_tess_ffi_s0056-0000000267574918_tess_v01_llc.fits.gz",
    "K2 over a leap second": "kepler/ktwo211117077-c04_llc.fits.gz",
    "Kepler": "kepler/kplr011446443-2009166043257_llc.fits.gz",
}


def tool(name: str) -> str:
    found = os.environ.get(f"LCDB_{name.upper()}") or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; put it on PATH or name it in LCDB_{name.upper()}")
    return found


def real(folder: Path, name: str) -> LightCurveData:
    read = lightkurve.read(str(folder / REAL[name]), quality_bitmask="none")
    (record,) = records_of(read)
    return record


def listed(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def case(name: str, *given: LightCurveData) -> dict[str, Any]:
    """Write down what Python computes of light curves, in float32 as the page has it."""
    packed = pack(given)
    time, flux = packed.buffers[0], packed.buffers[1].astype(np.float64)
    shown = np.isfinite(flux)
    epoch = float(time[shown][0])
    phase = phases(time, PERIOD, epoch)
    width, many = BIN / 1440, max(1, round(PERIOD / (BIN / 1440)))
    about, arrays = encode(packed.buffers)
    encoded = [base64.b64encode(array.tobytes()).decode() for array in arrays]
    return {
        "name": name,
        "encoded": {"about": about, "arrays": encoded},
        "time": time.tolist(),
        "flux": listed(flux),
        "planes": [plane.tolist() for plane in packed.buffers[2:]],
        "curves": packed.curves,
        "panels": packed.panels,
        "flags": packed.flags,
        "period": PERIOD,
        "epoch": epoch,
        "bin": BIN,
        "phase": phase.tolist(),
        "presets": {preset: expected(packed, preset, phase, width, many) for preset in PRESETS},
        "readout": [
            [i + curve["start"], *readout(data, i)]
            for data, curve in zip(packed.records, packed.curves, strict=True)
            for i in np.flatnonzero(shown[curve["start"] : curve["stop"]])[[0, 7, 500, -1]].tolist()
        ],
    }


def expected(packed: Packed, preset: str, phase: Any, width: float, many: int) -> dict[str, Any]:
    records = packed.records
    time, flux = packed.buffers[0], packed.buffers[1].astype(np.float64)
    masks = [flagged_mask(data, preset) for data in records]
    bad, shown = np.concatenate(masks), np.isfinite(flux)
    good = shown & ~bad
    level = np.concatenate([data.flux for data in on_one_level(records, preset)])
    binned = pd.Series(flux[good]).groupby(np.floor(time[good] / width)).median()
    # Several sectors are folded on one level.
    folded = level.astype(np.float32).astype(np.float64) if len(records) > 1 else flux
    flagged = flagged_cadences(records, preset)
    marks = legend_entries(flagged, marks_of([flagged]))
    return {
        "chosen": packed.presets[preset],
        "flagged": np.flatnonzero(bad & shown).tolist(),
        "marks": [[name, count(records, carried)] for name, _, carried in marks],
        "limits": list(limits(records, masks)),
        "level": listed(np.where(shown, level, np.nan)),
        "phaseBins": [v.tolist() for v in phase_bins(phase[good], folded[good], PERIOD, many)],
        "timeBins": [((binned.index + 0.5) * width).tolist(), binned.tolist()],
    }


def readout(data: LightCurveData, i: int) -> list[Any]:
    when = Time(data.time[i], format=data.clock.time_format().name, scale="tdb").utc
    rounded = Time(round(when.unix), format="unix")
    return [int(data.cadence[i]), rounded.strftime("%Y-%m-%d %H:%M:%S")]


@pytest.fixture(scope="module")
def cases(
    data_folder: Path, demo_database: lcdb.Database, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    found = demo_database.search(1, exptime=1800, processing="raw", photometry="DEMO aperture 2px")
    sectors = list(found.read())
    table = [case("demo", sectors[0]), case("two sectors", *sectors)]
    table += [case(name, real(data_folder, name)) for name in REAL]
    path = tmp_path_factory.mktemp("figure") / "cases.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def test_the_page_computes_what_python_computes(cases: Path) -> None:
    run = subprocess.run(
        [tool("node"), "--test", str(HERE / "figure.test.mjs")],
        env={**os.environ, "LCDB_CASES": str(cases)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # One test for each case, and none skipped.
    assert re.search(r"^# skipped 0$", run.stdout, re.MULTILINE), run.stdout
    for name in ("two sectors", *REAL):
        assert f"{name}: the same as in Python" in run.stdout


def test_types_of_the_modules_are_right() -> None:
    run = subprocess.run(
        [tool("tsc"), "-p", str(FIGURE)], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("widget", [Figure, LineageGraph])
def test_module_joins_modules_to_one_that_parses(tmp_path: Path, widget: Any) -> None:
    joined = tmp_path / "joined.mjs"
    joined.write_text(widget._module.default_value, encoding="utf-8")
    assert not re.search(r"^import\b", joined.read_text(encoding="utf-8"), re.MULTILINE)
    subprocess.run([tool("node"), "--check", str(joined)], check=True, timeout=60)


def test_modules_have_less_than_1600_lines_of_100_columns() -> None:
    lines = {path.name: path.read_text().splitlines() for path in FIGURE.glob("*.mjs")}
    assert sum(map(len, lines.values())) < 1600
    assert {name: [x for x in found if len(x) > 100] for name, found in lines.items()} == {
        name: [] for name in lines
    }
