"""Every method of lightkurve's light curves: the results on ours and on ``lightkurve.read``'s."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.time import Time, TimeDelta
from astropy.units import UnitBase
from lightkurve.periodogram import Periodogram
from lightkurve.utils import channel_to_module_output
from matplotlib.axes import Axes

import lcdb_notebook as lcdb

from .test_contents import DIFFERENT, FILES, ours_of, theirs_of, values


def in_days(lc: Any, day: float) -> Any:
    return lc.time.value[0] + day


def short(lc: Any) -> Any:
    """Return about 500 cadences without NaN, for slow methods."""
    lc = lc.remove_nans()
    return lc[:: max(1, len(lc) // 500)]


def with_flux(lc: Any) -> Any:
    lc.flux = 2 * lc.flux
    return lc


# By name, so that new methods of lightkurve are noticed.
METHODS: dict[str, Callable[[Any], Any]] = {
    "__add__": lambda lc: lc + 1 * lc.flux.unit,
    "__radd__": lambda lc: 1 * lc.flux.unit + lc,
    "__sub__": lambda lc: lc - lc,
    "__rsub__": lambda lc: 1 * lc.flux.unit - lc,
    "__mul__": lambda lc: lc * 2,
    "__rmul__": lambda lc: 2 * lc,
    "__truediv__": lambda lc: lc / 2,
    "__rtruediv__": lambda lc: 2 / lc,
    "__div__": lambda lc: lc.__div__(2),
    "__rdiv__": lambda lc: lc.__rdiv__(2),
    "__getattr__": lambda lc: [lc.ra, lc.dec, lc.mission, lc.targetid, lc.label],
    "__setattr__": lambda lc: with_flux(lc).flux,
    "time": lambda lc: lc.time.value,
    "flux": lambda lc: lc.flux,
    "flux_err": lambda lc: lc.flux_err,
    "time_format": lambda lc: lc.time_format,
    "time_scale": lambda lc: lc.time_scale,
    "astropy_time": lambda lc: lc.astropy_time.jd,
    "flux_unit": lambda lc: lc.flux_unit,
    "flux_quantity": lambda lc: lc.flux_quantity,
    "SAP_FLUX": lambda lc: lc.SAP_FLUX if "sap_flux" in lc.colnames else None,
    "PDCSAP_FLUX": lambda lc: lc.PDCSAP_FLUX if "pdcsap_flux" in lc.colnames else None,
    "select_flux": lambda lc: lc.select_flux(other_flux(lc)),
    "append": lambda lc: lc[:50].append(lc[50:90]),
    "flatten": lambda lc: short(lc).flatten(window_length=51),
    "fold": lambda lc: short(lc).fold(2.5, epoch_time=in_days(lc, 1)),
    "normalize": lambda lc: lc.normalize(),
    "remove_nans": lambda lc: lc.remove_nans(),
    "fill_gaps": lambda lc: seeded(short(lc).fill_gaps),
    "remove_outliers": lambda lc: lc.remove_outliers(sigma=3),
    "bin": lambda lc: short(lc).bin(time_bin_size=0.5),
    "estimate_cdpp": lambda lc: short(lc).estimate_cdpp(transit_duration=5, savgol_window=51),
    "plot": lambda lc: lc.plot(),
    "scatter": lambda lc: lc.scatter(),
    "errorbar": lambda lc: lc.errorbar(),
    "plot_river": lambda lc: short(lc).plot_river(2.5, epoch_time=in_days(lc, 1), bin_points=5),
    "to_table": lambda lc: lightkurve.LightCurve(lc.to_table()),
    "to_timeseries": lambda lc: lightkurve.LightCurve(lc.to_timeseries()),
    "from_timeseries": lambda lc: type(lc).from_timeseries(lc.to_timeseries()),
    "to_csv": lambda lc: pd.read_csv(io.StringIO(short(lc)["time", "flux"].to_csv())),
    "to_pandas": lambda lc: lc["time", "flux"].to_pandas(),
    "to_periodogram": lambda lc: short(lc).to_periodogram(),
    "to_fits": lambda lc: lc.to_fits()[1].data["FLUX"],
    "to_corrector": lambda lc: lc.remove_nans().to_corrector("sff").lc,
    "create_transit_mask": lambda lc: lc.create_transit_mask(2.5, in_days(lc, 1), 0.2),
    "head": lambda lc: lc.head(3),
    "tail": lambda lc: lc.tail(3),
    "truncate": lambda lc: lc.truncate(in_days(lc, 1), in_days(lc, 3)),
}
NOT_COMPARED = {
    "__init__": "makes an object",
    "read": "reads a file",
    "hdu": "the open file, which lightkurve 2 no longer keeps",
    "show_properties": "prints the metadata, which test_contents.py compares",
    "interact_bls": "a widget of bokeh; the periodogram is compared",
    "to_excel": "needs openpyxl; the DataFrame is compared",
    "to_seismology": "a periodogram of gaps filled with noise, which are both compared",
    "to_stingray": "needs stingray",
    "from_stingray": "needs stingray",
    "search_neighbors": "test_search_neighbors",
    "query_solar_system_objects": "test_query_solar_system_objects",
}
# Everything else is equal.
DIFFERENT_RESULTS = {
    "QLP": {
        "flux_err": "lightkurve assigns the errors of the detrended flux to the raw flux",
        "errorbar": "the same",
    },
    "TGLC": {
        "fill_gaps": "works; with lightkurve's an IndexError, because all cadence numbers are 0",
        "to_fits": "works; with lightkurve's a KeyError, because the flags are 16-bit integers",
    },
}


def other_flux(lc: Any) -> str:
    names = ("sap_flux", "kspsap_flux", "cal_aper_flux")
    return next(name for name in names if name in lc.colnames)


def seeded(method: Callable[[], Any]) -> Any:
    np.random.seed(1)  # noqa: NPY002
    return method()


def is_near(ours: Any, theirs: Any) -> bool:
    """Check numbers to single precision, in which lightkurve computes what it reads."""
    one, other = values(np.asarray(ours)), values(np.asarray(theirs))
    if one.shape != other.shape:
        return False
    size = np.nanmax(np.abs(other), initial=0)
    return np.allclose(one, other, rtol=1e-5, atol=1e-6 * size, equal_nan=True)


def is_same(ours: Any, theirs: Any, ignored: set[str]) -> bool:
    if isinstance(theirs, lightkurve.LightCurve):
        columns = [name for name in theirs.colnames if name not in ignored]
        return isinstance(ours, type(theirs)) and all(
            is_same(ours[name], theirs[name], ignored) for name in columns if name in ours.colnames
        ) and {"time", "flux"} <= {*ours.colnames}  # fmt: skip
    if isinstance(theirs, Periodogram):
        return is_same(ours.power, theirs.power, ignored)
    if isinstance(theirs, Time | TimeDelta):
        return is_same(ours.value, theirs.value, ignored)
    if isinstance(theirs, pd.DataFrame):
        return {*ours} == {*theirs} and all(is_near(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, Axes):
        drawn = [(line.get_xdata(), line.get_ydata()) for line in theirs.lines]
        again = [(line.get_xdata(), line.get_ydata()) for line in ours.lines]
        marks = [c.get_offsets() for c in theirs.collections if hasattr(c, "get_offsets")]
        theirs_drawn = [*drawn, *marks]
        ours_drawn = [*again, *(c.get_offsets() for c in ours.collections)]
        return len(ours_drawn) == len(theirs_drawn) and all(
            is_near(o, t) for o, t in zip(ours_drawn, theirs_drawn, strict=True)
        )
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(is_same, ours, theirs, [ignored] * len(theirs)))
    if isinstance(theirs, str | UnitBase | None):
        return str(ours) == str(theirs)
    same_unit = getattr(ours, "unit", None) == getattr(theirs, "unit", None)
    if getattr(theirs, "dtype", np.dtype(float)).kind not in "fiub":
        return bool((np.asarray(ours) == np.asarray(theirs)).all())
    return same_unit and is_near(ours, theirs)


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], data_folder: Path) -> Iterator[Any]:
    with lcdb.connect(new_tables(), write=True) as db:
        db.ingest([data_folder / name for name in FILES.values()], progress=False)
        yield db


def test_methods_are_all_those_of_lightkurve() -> None:
    classes = (lightkurve.LightCurve, lightkurve.KeplerLightCurve, lightkurve.TessLightCurve)
    defined = {
        name
        for cls in classes
        for name, member in vars(cls).items()
        if (callable(member) or isinstance(member, property | classmethod | staticmethod))
        and not (name.startswith("_") and not name.startswith("__"))
    }
    inherited = {name for name, _ in inspect.getmembers(object)} - {"__init__", "__setattr__"}
    assert defined - inherited == METHODS.keys() | NOT_COMPARED.keys()


@pytest.mark.parametrize(
    "author",
    ["SPOC", *(pytest.param(a, marks=pytest.mark.slow) for a in FILES if a != "SPOC")],
)
def test_lightcurve_has_the_results_of_lightkurve_by_every_method(
    db: Any, data_folder: Path, author: str
) -> None:
    theirs, ours = theirs_of(data_folder, author), ours_of(db, author, columns="all")
    different = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, call in METHODS.items():
            results: list[Any] = []
            for lc in (ours.copy(), theirs.copy()):
                try:
                    results.append(call(lc))
                except Exception as error:
                    # The same error is the same result.
                    results.append(repr(error))
            if not is_same(results[0], results[1], {*DIFFERENT.get(author, {})}):
                different.add(name)
            plt.close("all")
    assert different == {*DIFFERENT_RESULTS.get(author, {})}


def test_search_neighbors(db: Any, data_folder: Path, archive: Any) -> None:
    for number, (ra, dec) in enumerate([(84.291198, -80.469143), (84.0, -80.4), (86.0, -80.6)]):
        name = f"tess2018206045859-s0001-{number:016d}-0120-s_lc.fits"
        archive.put(name, b"", target_name=str(number), sequence_number=1, s_ra=ra, s_dec=dec)
    other = "tess2018234235059-s0002-0000000000000009-0121-s_lc.fits"
    archive.put(other, b"", target_name="9", sequence_number=2, s_ra=84.1, s_dec=-80.5)
    found = []
    for lc in (theirs_of(data_folder, "SPOC"), ours_of(db, "SPOC")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(lc.search_neighbors(limit=5, radius=3600).table.to_pandas())
    assert found[0]["target_name"].tolist() == ["1", "2"]
    pd.testing.assert_frame_equal(found[1], found[0])
    # MAST receives the position; without a network, neighbors are in the database.
    assert len({*archive.requests}) == 1


@pytest.mark.parametrize(("author", "place"), [("SPOC", "C57"), ("K2", "C55")])
def test_query_solar_system_objects(
    db: Any, data_folder: Path, archive: Any, author: str, place: str
) -> None:
    archive.asteroids = ["1234 | Elyna | 5.6 | -80.4 | MB>Outer | 16.9 | 0.1 | 12.3"]
    found = []
    for lc in (theirs_of(data_folder, author), ours_of(db, author)):
        some = np.zeros(len(lc), bool)
        some[np.flatnonzero(np.isfinite(lc.flux.value))[:2]] = True
        found.append(lc.query_solar_system_objects(some, cache=False, show_progress=False))
    assert found[0]["Name"].str.strip().tolist() == ["Elyna", "Elyna"]
    pd.testing.assert_frame_equal(found[1], found[0])
    assert archive.requests[:2] == archive.requests[2:]
    assert f"-loc={place}&EPOCH=" in archive.requests[0]


def vectors(lc: Any, folder: Path) -> tuple[str, bytes]:
    """Write cotrending basis vectors as MAST has them for the observation of a light curve."""
    cadence = np.arange(lc.cadenceno.min(), lc.cadenceno.max() + 1)
    gap = fits.Column("GAPFLAG" if lc.mission == "K2" else "GAP", "L", array=cadence < 0)
    shapes = [np.sin(cadence / (50 + 7 * n)) for n in range(3)]
    columns = [fits.Column("CADENCENO", "J", array=cadence), gap]
    columns += [fits.Column(f"VECTOR_{n + 1}", "E", array=v) for n, v in enumerate(shapes)]
    primary = fits.PrimaryHDU()
    hdus = fits.HDUList([primary])
    if lc.mission == "K2":
        name = f"ktwo-c{lc.campaign:02d}_cbv.fits"
        primary.header["CAMPAIGN"] = lc.campaign
        module, output = channel_to_module_output(lc.channel)
        time = fits.Column("TIME_MJD", "D", array=lc.time.mjd[0] + cadence * 0.02)
        hdus.append(
            fits.BinTableHDU.from_columns([time, *columns], name=f"MODOUT_{module}_{output}")
        )
    else:
        name = f"tess2018206045859-s{lc.sector:04d}-{lc.camera}-{lc.ccd}-0120-s_cbv.fits"
        primary.header["TELESCOP"] = "TESS"
        time = fits.Column("TIME", "D", array=lc.time.value[0] + cadence * 0.0014)
        place = f"{lc.camera}.{lc.ccd}"
        for kind in ("single-scale", "multiscale-band-1", "spike"):
            table = fits.BinTableHDU.from_columns([time, *columns], name=f"CBV.{kind}.{place}")
            table.header["CAMERA"], table.header["CCD"] = lc.camera, lc.ccd
            hdus.append(table)
    hdus.writeto(folder / name)
    return name, (folder / name).read_bytes()


@pytest.mark.parametrize("author", ["SPOC", "K2"])
def test_to_corrector_with_basis_vectors(
    db: Any, data_folder: Path, archive: Any, tmp_path: Path, author: str
) -> None:
    theirs, ours = theirs_of(data_folder, author), ours_of(db, author)
    name, content = vectors(theirs, tmp_path)
    archive.files[name] = content
    # lightkurve requests those of TESS by HTTPS, so they are read from a folder.
    options: dict[str, Any] = {"cbv_dir": str(tmp_path)} if author == "SPOC" else {}
    corrected = []
    for lc in (theirs, ours):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            corrector = lc.to_corrector("cbv", **options)
            corrected.append(
                corrector.correct_gaussian_prior(["SingleScale"], [[1, 2]], alpha=1e-4)
            )
    assert not np.array_equal(corrected[0].flux, theirs.remove_nans().flux)
    assert is_near(corrected[1].flux, corrected[0].flux)
    # astropy keeps the file.
    assert [address.endswith(name) for address in archive.requests] == (
        [] if author == "SPOC" else [False, True, False]
    )


def test_to_corrector_of_pixels_is_refused_as_by_lightkurve(db: Any, data_folder: Path) -> None:
    for lc in (theirs_of(data_folder, "SPOC"), ours_of(db, "SPOC")):
        with pytest.raises(ValueError, match="The 'pld' method can only be used on"):
            lc.to_corrector("pld")


def test_to_corrector_of_motion_has_the_fluxes_of_lightkurve(db: Any, data_folder: Path) -> None:
    corrected = []
    for lc in (theirs_of(data_folder, "K2"), ours_of(db, "K2", columns="all")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            corrected.append(lc.remove_nans().to_corrector("sff").correct(windows=5))
    assert is_near(corrected[1].flux, corrected[0].flux)
