"""Hundreds of damaged files at once: refused by name or stored completely, at low cost.

The mutants are made from real files by a seeded generator, always the same ones. They are
ingested by one call in a separate process, so that a crash is seen and its memory is known.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import sqlalchemy as sa
from astropy.io import fits

from lcdb_notebook.models import DataSet, Observation, QualityFlagArray, Target, TargetSpecificTime
from lcdb_notebook.models.tables import schema

# Hundreds of files; those of tests/ingest/test_pipelines.py are damaged in the quick tests, too.
pytestmark = pytest.mark.slow

FITS = {
    "tess-spoc": "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits.gz",
    "qlp": "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz",
    "tglc": "tglc/hlsp_tglc_tess_ffi_gaiaid-5707485527450614656-s0007-cam2-ccd3_tess_v2_llc"
    ".fits.gz",
    "kepler": "kepler/kplr011446443-2009131105131_llc.fits.gz",
}
ORBIT = "qlp-h5/orbit-147/ffi/cam1/ccd1/LC/9004616.h5.gz"
MOST_MEMORY = 1 << 30
LONGEST = 900

INGEST = """
import json, pathlib, re, resource, sys
import lcdb_notebook as lcdb
with lcdb.connect(sys.argv[1], write=True) as db:
    report = db.ingest(sys.argv[2], progress=False)
files = [(o.label, o.status, o.reason, o.light_curves) for o in report.files]
status = pathlib.Path("/proc/self/status")
if status.exists():
    # ru_maxrss would count what the tests' own process held when it forked.
    memory = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
else:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"files": files, "memory": memory}))
"""

Rows = npt.NDArray[np.void]
Edit = Callable[[Rows], Rows]


def unsummed(content: bytes) -> bytes:
    """Without checksums: they alone would give every other damage away."""
    return content.replace(b"CHECKSUM=", b"REMOVED =")


def header_at(content: bytes) -> int:
    return content.index(b"XTENSION= 'BINTABLE'")


def with_card(content: bytes, key: str, value: object) -> bytes:
    at = content.index(f"{key:<8}=".encode(), header_at(content))
    return content[:at] + str(fits.Card(key, value)).encode() + content[at + 80 :]


def with_rows(content: bytes, edit: Edit) -> bytes:
    """Return the file with its rows (big-endian) replaced by the result of ``edit``."""
    with fits.open(io.BytesIO(content)) as hdus:
        start, count = hdus[1].fileinfo()["datLoc"], hdus[1].header["NAXIS2"]
        dtype = hdus[1].columns.dtype.newbyteorder(">")
    rows = edit(np.frombuffer(content, dtype, count, start).copy())
    return content[:start] + rows.tobytes() + content[start + count * dtype.itemsize :]


def column(content: bytes, name: str) -> int:
    """Number of a column, counted from 1."""
    with fits.open(io.BytesIO(content)) as hdus:
        return int(hdus[1].columns.names.index(name)) + 1


def name_of(rows: Rows, name: str) -> str:
    return next(n for n in rows.dtype.names or () if n.upper() == name)


def with_times(value: float, which: slice) -> Edit:
    def edit(rows: Rows) -> Rows:
        rows[name_of(rows, "TIME")][which] = value
        return rows

    return edit


def backwards_in_the_middle(rows: Rows) -> Rows:
    """Times that no sorting by cadence mends."""
    times = name_of(rows, "TIME")
    middle = rows[times][np.isfinite(rows[times])]
    rows[times][np.isfinite(rows[times])] = middle[::-1]
    return rows


def twice(rows: Rows) -> Rows:
    rows[7] = rows[8]
    return rows


@dataclass(frozen=True)
class Damage:
    """One way to spoil a FITS file, and a word of the reason with which it is refused."""

    name: str
    spoil: Callable[[bytes], bytes]
    reason: str


def renamed(name: str) -> Callable[[bytes], bytes]:
    def spoil(content: bytes) -> bytes:
        return with_card(content, f"TTYPE{column(content, name)}", "SOMETHING")

    return spoil


def retyped(name: str, form: str) -> Callable[[bytes], bytes]:
    def spoil(content: bytes) -> bytes:
        return with_card(content, f"TFORM{column(content, name)}", form)

    return spoil


def edited(edit: Edit) -> Callable[[bytes], bytes]:
    return lambda content: with_rows(content, edit)


def card(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda content: with_card(content, key, value)


def damages(kind: str) -> list[Damage]:
    time_, number, flux = {
        "tess-spoc": ("TIME", "CADENCENO", "PDCSAP_FLUX"),
        "qlp": ("TIME", "CADENCENO", "KSPSAP_FLUX"),
        "tglc": ("time", "cadence_num", "cal_psf_flux"),
        "kepler": ("TIME", "CADENCENO", "PDCSAP_FLUX"),
    }[kind]
    found = [
        Damage("time-renamed", renamed(time_), f"{time_} is missing"),
        Damage("flux-renamed", renamed(flux), "of the columns" if kind == "qlp" else "is missing"),
        Damage("time-integer", retyped(time_, "K"), "must contain floating-point"),
        Damage("flux-wider", retyped(flux, "2D"), "NAXIS1 is"),
        Damage("flux-text", retyped(flux, "4A"), "must contain floating-point"),
        Damage("form-foreign", retyped(flux, "Z"), "has an invalid format"),
        Damage("times-nan", edited(with_times(np.nan, slice(None))), "time"),
        Damage("time-infinite", edited(with_times(np.inf, slice(5, 6))), "time of cadence"),
        Damage("time-huge", edited(with_times(1e300, slice(5, 6))), "time of cadence"),
        Damage("time-full-bjd", edited(with_times(2458955.5, slice(5, 6))), "time of cadence"),
        Damage(
            "times-backwards",
            edited(backwards_in_the_middle),
            "are -1800.02 s apart" if kind == "tglc" else "times are not increasing",
        ),
        Damage("little-endian", edited(lambda rows: rows.byteswap()), ""),
        Damage("rows-absurd", card("NAXIS2", 10**15), "truncated: the file has "),
        Damage("rows-negative", card("NAXIS2", -7), "NAXIS2"),
        Damage("rows-none", card("NAXIS2", 0), "no rows"),
        Damage("row-absurd", card("NAXIS1", 2**40), "NAXIS1"),
        Damage("columns-absurd", card("TFIELDS", 10**6), "TFIELDS"),
        Damage("image", lambda b: b.replace(b"'BINTABLE'", b"'IMAGE   '"), ""),
        Damage("headless", lambda b: b[2880:], "not a FITS file"),
        Damage("gzip-cut", lambda b: gzip.compress(b)[:-500], "truncated gzip file"),
    ]
    if kind != "tglc":
        # That one's rows have no numbers at all: they are counted.
        found.append(Damage("number-twice", edited(twice), "more than one row"))
        found.append(Damage("number-renamed", renamed(number), "CADENCENO is missing"))
        found.append(Damage("number-float", retyped(number, "E"), "must contain integers"))
    return found


def at_random(content: bytes, random: np.random.Generator) -> bytes:
    """Cut, flip bits, or exchange one card of a header for another."""
    how = int(random.integers(4))
    if how == 0:
        return content[: int(random.integers(len(content)))]
    mutant = bytearray(content)
    headers = header_at(content) + 2880 * 4
    if how == 3:
        one, other = (int(n) * 80 for n in random.integers(headers // 80, size=2))
        mutant[one : one + 80] = content[other : other + 80]
        return bytes(mutant)
    for _ in range(int(random.integers(1, 6))):
        at = int(random.integers(headers if how == 1 else len(content)))
        mutant[at] ^= 1 << int(random.integers(8))
    return bytes(mutant)


def spoil_orbit(file: Any, how: str) -> None:
    curve = file["LightCurve"]
    aperture = curve["AperturePhotometry"][next(iter(curve["AperturePhotometry"]))]
    magnitude = "RawMagnitude"
    if how == "time-missing":
        del curve["BJD"]
    elif how == "time-renamed":
        curve.move("BJD", "Epoch")
    elif how == "number-missing":
        del curve["Cadence"]
    elif how == "flux-short":
        replace(aperture, magnitude, aperture[magnitude][:-7])
    elif how == "time-short":
        replace(curve, "BJD", curve["BJD"][:-7])
    elif how == "flux-text":
        replace(aperture, magnitude, np.array([b"bright"] * len(aperture[magnitude])))
    elif how == "flux-2d":
        replace(aperture, magnitude, aperture[magnitude][:5400].reshape(2, -1))
    elif how == "flux-group":
        del aperture[magnitude]
        aperture.create_group(magnitude)
    elif how == "times-nan":
        curve["BJD"][:] = np.nan
    elif how == "time-infinite":
        curve["BJD"][9] = np.inf
    elif how == "number-twice":
        curve["Cadence"][9] = curve["Cadence"][10]
    elif how == "number-negative":
        curve["Cadence"][:] = -curve["Cadence"][()]


ORBIT_DAMAGES = [
    "time-missing",
    "time-renamed",
    "number-missing",
    "flux-short",
    "time-short",
    "flux-text",
    "flux-2d",
    "flux-group",
    "times-nan",
    "time-infinite",
    "number-twice",
    "number-negative",
]


def replace(group: Any, name: str, values: npt.NDArray[Any]) -> None:
    del group[name]
    group[name] = values


def write_mutants(data_folder: Path, folder: Path) -> dict[str, str]:
    """Write every mutant; return those that must be refused, with a word of the reason."""
    refused: dict[str, str] = {}
    random = np.random.default_rng(20261122)
    for kind, name in FITS.items():
        content = unsummed(gzip.decompress((data_folder / name).read_bytes()))
        for damage in damages(kind):
            file = f"{kind}-{damage.name}.fits"
            (folder / file).write_bytes(damage.spoil(content))
            refused[file] = damage.reason
        for number in range(55):
            (folder / f"{kind}-random-{number}.fits").write_bytes(at_random(content, random))
    content = gzip.decompress((data_folder / ORBIT).read_bytes())
    for how in ORBIT_DAMAGES:
        path = folder / f"orbit-{how}.h5"
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            spoil_orbit(file, how)
        refused[path.name] = ""
    for number in range(20):
        mutant = bytearray(content)
        for at in random.integers(20_000, size=4).tolist():
            mutant[at] = int(random.integers(256))
        (folder / f"orbit-random-{number}.h5").write_bytes(mutant)
    bomb = gzip.compress(bytes(1 << 20), mtime=0) * 600
    (folder / "bomb.fits.gz").write_bytes(bomb)
    (folder / "bomb.h5.gz").write_bytes(bomb)
    refused |= {"bomb.fits.gz": "larger than 128 MB", "bomb.h5.gz": "larger than"}
    (folder / "folder.fits").mkdir()
    (folder / "loop").symlink_to(folder)
    (folder / "self.fits").symlink_to("self.fits")
    os.mkfifo(folder / "pipe.fits")
    refused |= {"self.fits": "broken link", "pipe.fits": "not a regular file"}
    return refused


@dataclass
class Ingested:
    """What one ingest of all mutants left behind."""

    engine: sa.Engine
    refused: dict[str, str]
    files: dict[str, tuple[str, str, int]]
    mutants: set[str]
    memory: int


@pytest.fixture(scope="module")
def ingested(
    data_folder: Path,
    new_database: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ingested]:
    url = new_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        schema.create(connection)
    folder = tmp_path_factory.mktemp("mutants")
    refused = write_mutants(data_folder, folder)
    done = subprocess.run(
        [sys.executable, "-c", INGEST, url, str(folder)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    files = {Path(label).name: (status, why, n) for label, status, why, n in summary["files"]}
    mutants = {path.name for path in folder.iterdir()} - {"loop", "folder.fits"}
    yield Ingested(engine, refused, files, mutants, summary["memory"])
    engine.dispose()


def test_every_mutant_is_in_the_report_with_what_became_of_it(ingested: Ingested) -> None:
    assert set(ingested.files) == ingested.mutants
    assert len(ingested.mutants) >= 300
    for name, (status, reason, light_curves) in ingested.files.items():
        assert (status == "skipped") == bool(reason), name
        assert status == "added" or light_curves == 0, name
        assert len(reason) < 400, name
        assert "\n" not in reason, name


def test_impossible_files_are_refused_with_the_reason(ingested: Ingested) -> None:
    wrong = {
        name: ingested.files[name]
        for name, word in ingested.refused.items()
        if ingested.files[name][0] != "skipped" or word not in ingested.files[name][1]
    }
    assert not wrong


def test_no_mutant_costs_a_gigabyte_or_the_others_their_turn(ingested: Ingested) -> None:
    assert ingested.memory < MOST_MEMORY
    assert {status for status, _, _ in ingested.files.values()} >= {"added", "skipped"}


def test_nothing_of_a_refused_file_is_in_the_database(ingested: Ingested) -> None:
    with ingested.engine.connect() as connection:
        stored = connection.scalar(sa.select(sa.func.count()).select_from(DataSet))
        assert stored == sum(light_curves for _, _, light_curves in ingested.files.values())
        for table in (Target, Observation):
            without = sa.select(table.id).where(
                ~sa.exists().where(
                    (DataSet.target_id if table is Target else DataSet.observation_id) == table.id
                )
            )
            assert connection.scalars(without).all() == [], f"{table.__name__} without light curve"


@pytest.mark.parametrize(
    ("table", "array"),
    [
        (DataSet, "values"),
        (DataSet, "errors"),
        (TargetSpecificTime, "barycentric_julian_dates"),
        (QualityFlagArray, "quality_flags"),
    ],
)
def test_every_array_is_as_long_as_its_observation(
    ingested: Ingested, table: Any, array: str
) -> None:
    stored = table.__table__.c[array]
    wrong = (
        sa.select(sa.func.count())
        .select_from(table.__table__)
        .join(Observation.__table__, table.__table__.c.observation_id == Observation.id)
        .where(
            sa.func.array_length(stored, 1)
            != sa.func.array_length(Observation.__table__.c.cadence_reference, 1)
        )
    )
    with ingested.engine.connect() as connection:
        assert connection.scalar(wrong) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(table.__table__))
