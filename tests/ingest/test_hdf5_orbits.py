from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.database import Database
from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.ingest.from_lightkurve.add import add
from lcdb_notebook.ingest.product import SharedData
from lcdb_notebook.ingest.readers import hdf5, orbit_files
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.ingest.readers.find_files import find_files
from lcdb_notebook.ingest.readers.hdf5_orbits import sector_of
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, Observation, QualityFlagArray, TESSObservation

from .test_science_products import not_kept

ORBIT = Path("orbit-147/ffi")
CCD = ORBIT / "cam1/ccd1"
STAR = "176220787.h5.gz"
FIRST, LAST = 855_745, 861_263


@pytest.fixture
def qlp(data_folder: Path) -> Path:
    return data_folder / "qlp-h5"


@pytest.fixture
def own_engine(empty_dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(empty_dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def orbit(qlp: Path, tmp_path: Path) -> Path:
    """A copy of orbit 147, in which things can be changed."""
    shutil.copytree(qlp / "orbit-147", tmp_path / "orbit-147")
    return tmp_path


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


@pytest.fixture
def changed(qlp: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a copy of a real file with something changed in it, and nothing beside it."""

    def change(how: Callable[[Any], Any], source: str = f"{CCD}/LC/{STAR}") -> Path:
        path = tmp_path / "star.h5"
        path.write_bytes(content(qlp / source))
        with h5py.File(path, "r+") as file:
            how(file)
        return path

    return change


def test_a_qlp_file_is_an_orbit_of_one_ccd(qlp: Path) -> None:
    product = read_product(qlp / CCD / "LC" / STAR)
    assert (product.mission, product.catalog, product.target) == ("TESS", "TIC", 176220787)
    assert product.observation_type == "tess_observation"
    assert product.observation_fields == {
        "sector": 70,
        "orbit_number": 147,
        "cosmic_ray_mitigation": None,
        "author": "QLP",
        "exptime": 200,
    }
    assert product.instrument == ("TESS", "Camera 1", "CCD 1")
    assert product.cadence.size == product.time.size == 5428
    assert (product.cadence[0], product.cadence[-1]) == (FIRST, LAST)
    with gzip.open(qlp / CCD / "LC" / STAR) as packed, h5py.File(packed) as file:
        assert product.time.tobytes() == file["LightCurve/BJD"][()].tobytes()
        for curve in product.curves:
            name = curve.photometry.name.removeprefix("QLP ")
            raw = file[f"LightCurve/AperturePhotometry/{name}/RawMagnitude"][()]
            assert curve.flux.tobytes() == raw.tobytes()
    assert [curve.photometry.name for curve in product.curves] == [
        f"QLP Aperture_00{number}" for number in range(5)
    ]
    assert all(curve.photometry.description.startswith("[mag] ") for curve in product.curves)


def test_detrended_magnitudes_descend_from_the_raw_ones_of_their_aperture(qlp: Path) -> None:
    curves = read_product(qlp / CCD / "LC-qsp" / STAR).curves
    assert [curve.processing and curve.processing.name for curve in curves] == [
        *(None, "QSPIntermediate", "QSP")
    ] * 5
    for start in range(0, 15, 3):
        assert [curve.source for curve in curves[start : start + 3]] == [None, start, start + 1]
        assert len({curve.photometry.name for curve in curves[start : start + 3]}) == 1
    for curve in curves:
        assert curve.processing is None or curve.processing.description.startswith("[mag] ")


def test_errors_are_magnitudes_of_the_size_of_the_scatter(qlp: Path) -> None:
    good = content(qlp / ORBIT / "run/cam1ccd1_qflag.txt.gz").splitlines()
    used = np.array([float(line.split()[1]) for line in good]) == 0
    for curve in read_product(qlp / CCD / "LC-qsp" / STAR).curves[:9]:
        scatter = 1.4826 * np.nanmedian(np.abs(np.diff(curve.flux[used]))) / np.sqrt(2)
        if curve.processing is not None and curve.processing.name == "QSPIntermediate":
            assert curve.flux_err is None
            continue
        assert curve.flux_err is not None
        # Photon noise explains most of the scatter, and never more than there is.
        assert 0.7 * scatter < np.nanmedian(curve.flux_err[used]) < 1.4 * scatter


def test_an_error_of_2000_that_is_not_shown_to_be_photon_noise_is_left_out(
    changed: Callable[..., Path],
) -> None:
    def double(file: Any) -> None:
        file["LightCurve/AperturePhotometry/Aperture_001/RawMagnitudeError"][:] *= 2
        del file["LightCurve/AperturePhotometry/Aperture_002"].attrs["radius"]

    errors = [curve.flux_err is None for curve in read_product(changed(double)).curves]
    assert errors == [False, True, True, False, False]


@pytest.mark.parametrize(
    "path",
    [f"{CCD}/LC/{STAR}", f"{CCD}/LC-qsp/{STAR}", "orbit-121/ffi/cam4/ccd4/LC/1400694779.h5.gz"],
)
def test_read_product_keeps_what_is_not_documented_as_not_kept(qlp: Path, path: str) -> None:
    product = read_product(qlp / path)
    kept: list[Any] = [product.time, product.cadence, *product.quality.values()]
    kept += [curve.flux for curve in product.curves]
    kept += [curve.flux_err for curve in product.curves if curve.flux_err is not None]
    dropped: set[str] = set()

    def compare(name: str, member: Any) -> None:
        dropped.update(member.attrs)
        if isinstance(member, h5py.Dataset):
            values = member[()]
            if not any(np.array_equal(values, array, equal_nan=True) for array in kept):
                dropped.add(name.rpartition("/")[2])

    with gzip.open(qlp / path) as packed, h5py.File(packed) as file:
        compare("", file)
        file.visititems(compare)
    # These are in the fields of the observation and the descriptions of the photometry.
    dropped -= {"BJDoffset", "CCD", "Camera", "Orbit", "Sector", "TIC ID"}
    dropped -= {"radius", "annulus", "description"}
    listed = not_kept("HDF5 files")
    assert dropped <= listed
    always = {"X", "Y", "Value", "Error", "RA", "Dec", "TessMag", "RawMagnitudeError"}
    assert always <= dropped


def test_tglc_files_have_fluxes_and_the_magnitudes_derived_from_them(qlp: Path) -> None:
    product = read_product(qlp / "orbit-121/ffi/cam4/ccd4/LC/1400694779.h5.gz")
    assert product.observation_fields["author"] == "TGLC"
    assert product.observation_fields["sector"] == 57
    assert product.instrument == ("TESS", "Camera 4", "CCD 4")
    names = [(c.photometry.name, c.processing and c.processing.name) for c in product.curves]
    assert names == [
        (f"TGLC {size}Aperture", processing)
        for size in ("Large", "Primary", "Small")
        for processing in (None, "Magnitude")
    ]
    flux, magnitude = product.curves[2:4]
    assert (flux.source, magnitude.source) == (None, 2)
    assert flux.photometry.description.startswith("[electron] ")
    assert magnitude.processing is not None
    assert magnitude.processing.description.startswith("[mag] ")
    # All of its errors are NaN.
    assert magnitude.flux_err is None
    assert flux.flux_err is not None
    positive = flux.flux > 0
    assert np.array_equal(np.isfinite(magnitude.flux), positive)
    zero_point = magnitude.flux[positive] + 2.5 * np.log10(flux.flux[positive])
    assert np.ptp(zero_point) < 1e-9
    flags = product.quality["tess_quality_flag"]
    assert int(np.count_nonzero(flags)) == int(np.count_nonzero(flags == 2)) == 224


def test_upstream_tglc_files_without_fluxes_have_magnitudes_alone(
    changed: Callable[..., Path],
) -> None:
    def without(file: Any) -> None:
        for name in ("RawFlux", "RawFluxError"):
            del file[f"LightCurve/AperturePhotometry/SmallAperture/{name}"]

    source = "orbit-121/ffi/cam4/ccd4/LC/1400694779.h5.gz"
    *_, curve = read_product(changed(without, source)).curves
    assert curve.processing is not None
    assert (curve.photometry.name, curve.processing.name) == ("TGLC SmallAperture", "Magnitude")
    assert curve.source is None


def test_metadata_missing_from_the_attributes_are_read_from_the_path(
    orbit: Path, qlp: Path
) -> None:
    path = orbit / CCD / "LC" / "176220787.h5"
    path.write_bytes(content(qlp / CCD / "LC" / STAR))
    expected = read_product(path)
    with h5py.File(path, "r+") as file:
        file.attrs.clear()
    found = read_product(path)
    assert found.target == expected.target
    assert found.observation_fields == expected.observation_fields
    assert found.instrument == expected.instrument


@pytest.mark.parametrize(
    ("orbit_number", "sector"), [(9, 1), (10, 1), (55, 24), (56, 24), (119, 56), (147, 70)]
)
def test_two_orbits_are_a_sector(orbit_number: int, sector: int) -> None:
    assert sector_of(orbit_number) == sector


@pytest.mark.parametrize("orbit_number", [8, 201])
def test_the_sector_of_an_orbit_that_is_not_known_is_not_guessed(orbit_number: int) -> None:
    with pytest.raises(IngestError, match=f"the sector of orbit {orbit_number} is unknown"):
        sector_of(orbit_number)


def test_files_beside_are_found_compressed_or_not_the_full_quaternions_first(orbit: Path) -> None:
    path, run = orbit / CCD / "LC" / STAR, orbit / ORBIT / "run"
    full = read_product(path).shared
    assert full is not None
    assert full.cadence.size == 5428
    assert np.count_nonzero(full.quality["qlp_orbit_flag"]) == 1594
    pointing = full.fields["spacecraft_quaternion"]
    assert list(pointing)[:3] == ["cadence", "q1_mean", "q1_std"]
    assert (len(pointing["cadence"]), len(pointing["q3_skew"])) == (5428, 5428)
    assert pointing["q1_mean"][1] == -0.00244102876
    assert sum(pointing["flag"]) == 5
    for name in ("cam1ccd1_qflag.txt", "cam1_quat_full.txt"):
        (run / name).write_bytes(content(run / f"{name}.gz"))
        (run / f"{name}.gz").unlink()
    plain = read_product(path).shared
    assert plain is not None
    assert plain.fields == full.fields
    assert np.array_equal(plain.quality["qlp_orbit_flag"], full.quality["qlp_orbit_flag"])
    (run / "cam1_quat_full.txt").unlink()
    (run / "cam1ccd1_qflag.txt").unlink()
    for_frames = read_product(path).shared
    assert for_frames is not None
    assert for_frames.fields["spacecraft_quaternion"]["cadence"] == [*range(857_000, 857_005)]
    assert not for_frames.quality
    shutil.rmtree(run)
    assert read_product(path).shared is None


def test_a_file_beside_is_read_again_only_when_it_changes(orbit: Path) -> None:
    path, flags = orbit / CCD / "LC" / STAR, orbit / ORBIT / "run/cam1ccd1_qflag.txt"
    (orbit / ORBIT / "run/cam1ccd1_qflag.txt.gz").unlink()
    flags.write_text("855745 1\n")
    before = orbit_files._flags.cache_info().misses
    once, twice = (read_product(path).shared for _ in range(2))
    assert orbit_files._flags.cache_info().misses == before + 1
    assert once is not None
    assert twice is not None
    assert once.cadence is twice.cadence
    flags.write_text("855745 0\n855746, 1\n")
    again = read_product(path).shared
    assert again is not None
    assert again.quality["qlp_orbit_flag"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("cam1ccd1_qflag.txt", b"", "is empty"),
        ("cam1ccd1_qflag.txt", b"855745 1\n855746\n", "is not a table of numbers"),
        ("cam1ccd1_qflag.txt", b"855745 1 2\n", "columns cadence and flag, got 3"),
        ("cam1ccd1_qflag.txt", b"855745 0.5\n", "non-negative integers, got 0.5"),
        ("cam1ccd1_qflag.txt", b"855745 -1\n", "non-negative integers, got -1.0"),
        ("cam1ccd1_qflag.txt", b"855745 nan\n", "non-negative integers, got nan"),
        ("cam1ccd1_qflag.txt", b"855745 9e9\n", "non-negative integers, got 9"),
        ("cam1ccd1_qflag.txt", b"855745 0\n855745 1\n", "cadence 855745 in more than one line"),
        ("cam1ccd1_qflag.txt", b"\x89HDF\r\n", "is not a text file"),
        ("cam1_quat_full.txt", b"1,2,3\n1,2,3\n", "names of its columns"),
        ("cam1_quat_full.txt", b"q1,q2\n1,2\n", "no duplicates, got q1, q2"),
        ("cam1_quat_full.txt", b"q1,cadence\n1\n", "has 1 columns and 2 names"),
        ("cam1_quat_full.txt", b"q1,cadence\n", "lines of numbers, got 0"),
    ],
)
def test_a_bad_file_beside_is_named_with_the_reason(
    orbit: Path, name: str, text: bytes, reason: str
) -> None:
    run = orbit / ORBIT / "run"
    (run / f"{name}.gz").unlink()
    (run / name).write_bytes(text)
    with pytest.raises(IngestError) as refused:
        read_product(orbit / CCD / "LC" / STAR)
    assert str(refused.value).startswith(str(orbit / CCD / "LC" / STAR))
    assert str(run / name) in str(refused.value)
    assert reason in str(refused.value)


def test_quaternions_that_are_nan_are_null_in_json(orbit: Path) -> None:
    run = orbit / ORBIT / "run"
    (run / "cam1_quat_full.txt.gz").unlink()
    (run / "cam1_quat_full.txt").write_text("q1_mean,cadence\nnan,7\n0.5,6\n")
    shared = read_product(orbit / CCD / "LC" / STAR).shared
    assert shared is not None
    assert shared.fields["spacecraft_quaternion"] == {"cadence": [6, 7], "q1_mean": [0.5, None]}


def replaced(name: str, values: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if name in file:
            del file[name]
        file[name] = values

    return change


def elsewhere(file: Any) -> None:
    del file["LightCurve/BJD"]
    file["LightCurve/BJD"] = h5py.ExternalLink("/etc/passwd", "/")


def external(file: Any) -> None:
    del file["LightCurve/BJD"]
    file["LightCurve"].create_dataset("BJD", (5428,), "f8", external="/etc/passwd")


def endless(file: Any) -> None:
    del file["LightCurve/Cadence"]
    file["LightCurve"].create_dataset("Cadence", (2**50,), "i8", chunks=(1024,))


def without_orbit(file: Any) -> None:
    del file.attrs["Orbit"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda f: f.pop("LightCurve"), "LightCurve is missing; the file contains nothing"),
        (lambda f: f["LightCurve"].pop("BJD"), "BJD is missing; LightCurve contains Apert"),
        (replaced("LightCurve", 1.0), "LightCurve is not a group"),
        (replaced("LightCurve/BJD", np.arange(3.0)), "LightCurve/BJD has 3 values for 5428"),
        (replaced("LightCurve/BJD", np.zeros((5428, 2))), "must be one-dimensional and not empty"),
        (replaced("LightCurve/Cadence", np.zeros(0, int)), "must be one-dimensional and not empty"),
        (replaced("LightCurve/Cadence", np.arange(5428.0)), "must contain integers, got float64"),
        (replaced("LightCurve/Cadence", np.zeros(5428, int)), "Cadence 0 is in more than"),
        (replaced("LightCurve/Cadence", np.arange(5428) - 9), "cadence number -9 is negative"),
        (replaced("LightCurve/BJD", np.arange(5428.0)[::-1]), "times are not increasing"),
        (
            replaced("LightCurve/BJD", np.full(5428, 2.46e6)),
            "is 2460000.0, which cannot be days since 2457000",
        ),
        (replaced("LightCurve/BJD", np.full(5428, np.nan)), "all 5428 times are NaN"),
        (replaced("LightCurve/BJD", np.r_[2e3, np.full(5427, np.nan)]), "too few finite times"),
        (replaced("LightCurve/BJD", np.arange(5428.0)), "BTJD (BJD - 2457000) between the start"),
        (replaced("LightCurve/BJD", 1300 + 0.4 * np.arange(5428)), "cadences are 34560 s apart"),
        (replaced("LightCurve/AperturePhotometry/Mine/X", 1), "unknown pipeline"),
        (elsewhere, "LightCurve/BJD is a soft or external link"),
        (external, "is stored in another file"),
        (endless, "declares 1125899906842624 values"),
        (lambda f: f.attrs.update({"BJDoffset": "2454833"}), "must be 2457000 (BTJD), got"),
        (lambda f: f.attrs.update({"Camera": 5}), "Camera must be an integer from 1 to 4, got 5"),
        (lambda f: f.attrs.update({"TIC ID": "Vega"}), "got 'Vega'"),
        (without_orbit, "attribute Orbit is missing, and the path is not that of a QLP file"),
        (replaced("LightCurve/QualityFlag", np.full(5428, 2**40)), "do not fit into 32 bits"),
    ],
)
def test_a_file_that_contradicts_its_format_is_refused_in_one_sentence(
    changed: Callable[..., Path], how: Callable[[Any], Any], reason: str
) -> None:
    path = changed(how)
    with pytest.raises(IngestError) as refused:
        read_product(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda b: b[:-1000], "truncated HDF5 file"),
        (lambda b: b[:100], "truncated HDF5 file"),
        (lambda _: b"SIMPLE  = ", "not an HDF5 file (it begins with b'SIMPLE  ')"),
        (lambda _: b"", "not an HDF5 file"),
        (lambda b: gzip.compress(b)[:-2000], "truncated gzip file"),
    ],
)
def test_a_file_that_is_cut_short_is_refused(
    qlp: Path, tmp_path: Path, cut: Callable[[bytes], bytes], reason: str
) -> None:
    path = tmp_path / "star.h5"
    path.write_bytes(cut(content(qlp / CCD / "LC" / STAR)))
    with pytest.raises(IngestError) as refused:
        read_product(path)
    assert reason in str(refused.value)


def test_rows_out_of_order_are_sorted_with_all_that_belongs_to_them(
    changed: Callable[..., Path], qlp: Path
) -> None:
    def shuffle(file: Any) -> None:
        order = np.random.default_rng(1).permutation(5428)
        datasets: list[Any] = []
        file.visititems(lambda _, o: datasets.append(o) if isinstance(o, h5py.Dataset) else None)
        for dataset in datasets:
            dataset[:] = dataset[()][order]

    expected, found = read_product(qlp / CCD / "LC" / STAR), read_product(changed(shuffle))
    assert np.array_equal(found.cadence, expected.cadence)
    assert np.array_equal(found.time, expected.time)
    for one, other in zip(found.curves, expected.curves, strict=True):
        assert one.flux.tobytes() == other.flux.tobytes()
        assert one.flux_err is not None
        assert other.flux_err is not None
        assert np.allclose(one.flux_err, other.flux_err, rtol=1e-12, equal_nan=True)


def mutations(original: bytes, seed: int) -> bytes:
    """Change a few bytes where HDF5 keeps its structure, or cut the end off."""
    rng = random.Random(seed)
    damaged = bytearray(original)
    for _ in range(rng.randrange(1, 5)):
        where = rng.randrange(rng.choice([512, 4096, 20_000, len(damaged)]))
        damaged[where] = rng.choice([0, 255, rng.randrange(256)])
    if rng.random() < 0.1:
        del damaged[rng.randrange(len(damaged)) :]
    return bytes(damaged)


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 250), marks=pytest.mark.slow)], ids=["some", "more"]
)
def test_damaged_files_are_read_or_refused_and_nothing_else(
    qlp: Path, tmp_path: Path, seeds: range
) -> None:
    original = content(qlp / CCD / "LC" / STAR)
    path = tmp_path / "star.h5"
    readable = 0
    for seed in seeds:
        path.write_bytes(mutations(original, seed))
        # Any other exception, and any warning, fails the test.
        with suppress(IngestError):
            read_product(path)
            readable += 1
    assert 0.1 < readable / len(seeds) < 0.9


def test_a_text_heap_that_the_library_would_never_leave_is_refused(
    qlp: Path, tmp_path: Path
) -> None:
    damaged = bytearray(content(qlp / CCD / "LC" / STAR))
    heap = damaged.index(b"GCOL\x01")
    first = int.from_bytes(damaged[heap + 24 : heap + 32], "little")
    second = heap + 16 + 16 + (first + 7) // 8 * 8
    # Free space with a length of zero.
    damaged[second : second + 16] = bytes(16)
    path = tmp_path / "star.h5"
    path.write_bytes(damaged)
    with pytest.raises(IngestError, match="global heap"):
        read_product(path)


def test_no_more_than_a_limit_is_read_of_a_file_beside(
    orbit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orbit_files, "_LARGEST", 2 * 1024 * 1024 // 10)
    orbit_files._quaternions.cache_clear()
    orbit_files._flags.cache_clear()
    with pytest.raises(IngestError, match="larger than"):
        read_product(orbit / CCD / "LC" / STAR)


def test_no_array_longer_than_a_limit_is_read(qlp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "LONGEST", 5427)
    with pytest.raises(IngestError, match="LightCurve/Cadence declares 5428 values"):
        read_product(qlp / CCD / "LC" / STAR)


def test_text_files_in_a_folder_are_not_listed(qlp: Path) -> None:
    found = find_files(qlp)
    assert len(found.files) == 5
    assert {path.name.split(".", 1)[1] for path in found.files} == {"h5.gz"}
    assert not found.problems


def processing(dataset: DataSet) -> str:
    return "raw" if dataset.processing_method is None else dataset.processing_method.name


@pytest.mark.parametrize("folders", [("LC", "LC-qsp"), ("LC-qsp", "LC")])
def test_raw_and_detrended_files_share_the_raw_light_curve_in_either_order(
    own_engine: sa.Engine, qlp: Path, folders: tuple[str, str]
) -> None:
    reports = [ingest(own_engine, qlp / CCD / folder / STAR) for folder in folders]
    assert sum(report.light_curves for report in reports) == 15
    with orm.Session(own_engine) as session:
        observation = session.scalars(sa.select(Observation)).one()
        assert len(observation.datasets) == 15
        expected = {"raw": [], "QSPIntermediate": ["raw"], "QSP": ["QSPIntermediate"]}
        for dataset in observation.datasets:
            sources = [processing(source) for source in dataset.source_datasets]
            assert sources == expected[processing(dataset)]


def test_flags_and_quaternions_belong_to_the_observation_and_are_stored_once(
    own_engine: sa.Engine, qlp: Path
) -> None:
    report = ingest(own_engine, qlp / "orbit-147")
    assert (report.added, report.skipped) == (3, 0)
    with orm.Session(own_engine) as session:
        observation = session.scalars(sa.select(TESSObservation)).one()
        row = session.scalars(sa.select(QualityFlagArray)).one()
        assert (row.type, row.target_id) == ("qlp_orbit_flag", None)
        lines = content(qlp / ORBIT / "run/cam1ccd1_qflag.txt.gz").decode().splitlines()
        expected = {int(float(c)): int(float(f)) for c, f in map(str.split, lines)}
        reference = observation.cadence_reference.tolist()
        assert dict(zip(reference, row.quality_flags.tolist(), strict=True)) == expected
        shared = read_product(qlp / CCD / "LC" / STAR).shared
        assert shared is not None
        assert observation.spacecraft_quaternion == shared.fields["spacecraft_quaternion"]
    again = ingest(own_engine, qlp / "orbit-147")
    assert (again.added, again.unchanged) == (0, 3)


def test_files_that_come_to_lie_beside_later_are_added_without_another_light_curve(
    own_engine: sa.Engine, orbit: Path
) -> None:
    run, elsewhere = orbit / ORBIT / "run", orbit / "elsewhere"
    run.rename(elsewhere)
    ingest(own_engine, orbit)
    run.mkdir()
    # Cadences that no star has, before and after: they become the observation's.
    (run / "cam1ccd1_qflag.txt").write_text(f"{FIRST - 1} 1\n{FIRST} 1\n{LAST + 1} 1\n")
    report = ingest(own_engine, orbit)
    assert (report.added, report.unchanged, report.light_curves) == (1, 2, 0)
    (run / "cam1ccd1_qflag.txt").write_text(f"{FIRST + 1} 1\n")
    (elsewhere / "cam1_quat_full.txt.gz").rename(run / "cam1_quat_full.txt.gz")
    assert ingest(own_engine, orbit).light_curves == 0
    with orm.Session(own_engine) as session:
        observation = session.scalars(sa.select(TESSObservation)).one()
        reference = observation.cadence_reference
        assert (reference[0], reference[-1], reference.size) == (FIRST - 1, LAST + 1, 5430)
        row = session.scalars(sa.select(QualityFlagArray)).one()
        flagged = reference[row.quality_flags != 0].tolist()
        assert flagged == [FIRST - 1, FIRST, FIRST + 1, LAST + 1]
        assert observation.spacecraft_quaternion is not None
        for dataset in session.scalars(sa.select(DataSet)):
            assert np.isnan(dataset.values[[0, -1]]).all()
            assert np.isfinite(dataset.values[1])


def test_other_quaternions_than_the_stored_ones_are_refused(
    own_engine: sa.Engine, orbit: Path
) -> None:
    path = orbit / CCD / "LC" / STAR
    ingest(own_engine, path)
    (orbit / ORBIT / "run/cam1_quat_full.txt.gz").unlink()
    (outcome,) = ingest(own_engine, path).files
    assert "the spacecraft_quaternion of its files differs from the one stored" in outcome.reason


def test_a_shared_field_has_to_be_one_of_the_observations(own_engine: sa.Engine, qlp: Path) -> None:
    shared = SharedData(np.empty(0, np.int64), {}, {"colour": "red"})
    product = replace(read_product(qlp / CCD / "LC" / STAR), shared=shared)
    with own_engine.begin() as connection:
        (outcome,) = store(connection, [product])
    assert "TESSObservation has no field colour" in outcome.reason


def test_a_stored_flag_array_of_another_length_stops_the_file(
    own_engine: sa.Engine, qlp: Path
) -> None:
    ingest(own_engine, qlp / CCD / "LC" / STAR)
    with own_engine.begin() as connection:
        connection.execute(sa.text("UPDATE quality_flag_array SET quality_flags = '{1,2}'"))
    (outcome,) = ingest(own_engine, qlp / CCD / "LC" / "9004616.h5.gz").files
    assert "does not have a value for each of the 5428 cadences" in outcome.reason


@pytest.fixture
def db(own_engine: sa.Engine, qlp: Path, empty_dsn: str) -> Iterator[Database]:
    import lcdb_notebook as lcdb

    ingest(own_engine, qlp)
    with lcdb.connect(empty_dsn) as db:
        yield db


def test_a_sector_has_both_orbits_joined_in_time(db: Database) -> None:
    found = db.search(1400694779, sector=57, photometry="TGLC PrimaryAperture")
    assert sorted(set(found.table["orbit_number"])) == [121, 122]
    chosen = db.search(
        1400694779, sector=57, photometry="TGLC PrimaryAperture", processing="Magnitude"
    )
    first, second = chosen.lightcurves(quality_bitmask="none")
    assert first.time.value.max() < second.time.value.min()
    assert (len(first), len(second)) == (4560, 6241)
    stitched = chosen.lightcurves().stitch(corrector_func=None)
    assert (np.diff(stitched.time.value) > 0).all()
    assert len(stitched) == 4560 - 224 + 6241 - 1


def test_magnitudes_become_relative_flux_with_their_errors(db: Database, qlp: Path) -> None:
    chosen: dict[str, Any] = {"sector": 70, "photometry": "QLP Aperture_002", "processing": "QSP"}
    flux = db.lightcurve(176220787, **chosen, quality_bitmask="none")
    magnitude = db.lightcurve(176220787, **chosen, quality_bitmask="none", as_flux=False)
    assert magnitude.flux.unit == "mag"
    assert flux.flux.unit == ""
    median = np.nanmedian(magnitude.flux.value)
    expected = 10 ** (-0.4 * (magnitude.flux.value - median))
    assert np.allclose(flux.flux.value, expected, rtol=1e-12, equal_nan=True)
    slope = 0.4 * np.log(10) * expected
    assert np.allclose(
        flux.flux_err.value, slope * magnitude.flux_err.value, rtol=1e-12, equal_nan=True
    )
    source = read_product(qlp / CCD / "LC-qsp" / STAR).curves[8]
    assert np.array_equal(magnitude.flux.value, source.flux, equal_nan=True)


def test_cadences_that_qlp_rejects_are_dropped_for_every_star(db: Database) -> None:
    for star in (176220787, 9004616):
        kept = db.lightcurve(star, sector=70, photometry="QLP Aperture_002", processing="raw")
        assert len(kept) == 5428 - 1594


def test_a_light_curve_made_from_an_orbit_goes_back_to_that_orbit(
    db: Database, own_engine: sa.Engine
) -> None:
    chosen: dict[str, Any] = {"sector": 70, "photometry": "QLP Aperture_002", "processing": "QSP"}
    lightcurve = db.lightcurve(176220787, **chosen)
    source = lightcurve.meta["DATASET"]
    add(own_engine, lightcurve, processing="Mine", derived_from=source)
    with orm.Session(own_engine) as session:
        (made,) = session.get_one(DataSet, source).derived_datasets
        assert made.observation is session.get_one(DataSet, source).observation
        flags = session.scalars(sa.select(QualityFlagArray.type)).all()
        assert set(flags) == {"qlp_orbit_flag", "tess_quality_flag"}
