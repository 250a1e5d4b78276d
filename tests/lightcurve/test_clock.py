"""A mission's clock: it agrees with astropy's, and never breaks astropy's formats."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.time import Time
from astropy.time.formats import TimeFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from lcdb_notebook.errors import LCDBError, TimeFormatError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.models import Mission

TESS = Clock("btjd", "d", Decimal(2457000), "jd", "tdb")
KEPLER = Clock("bkjd", "d", Decimal(2454833), "jd", "tdb")
FLOAT64_NEAR_A_BJD = np.spacing(2458325.5)
"""Days between one stored BJD and the next: 40 microseconds."""


def clock(
    unit: str = "d", epoch: Any = 2459000, epoch_format: str = "jd", scale: str = "tdb"
) -> Clock:
    """A clock of a mission that astropy has not heard of."""
    return Clock(f"m{uuid.uuid4().hex}", unit, Decimal(epoch), epoch_format, scale)


CLOCKS = {
    "TESS": lambda: TESS,
    "Kepler": lambda: KEPLER,
    "seconds, UTC": lambda: clock("s", "2451544.5", "jd", "utc"),
    "hours, TAI, MJD": lambda: clock("h", "58000.25", "mjd", "tai"),
    "minutes, TT": lambda: clock("min", "2459000", "jd", "tt"),
    "many digits": lambda: clock("d", "2458999.123456789012345678"),
    "seconds, TDB, many digits": lambda: clock("s", "2458999.123456789012345678"),
    "years of 365.25 days": lambda: clock("yr", "2459000"),
    "epoch in unix seconds": lambda: clock("d", "1500000000.25", "unix", "utc"),
    "epoch as a year": lambda: clock("d", "2017.5", "jyear", "tdb"),
}


def own_process(code: str) -> str:
    """Run code in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PROLOGUE = """
from decimal import Decimal
import numpy as np
from astropy.time import Time
from lcdb_notebook.lightcurve.clock import Clock
"""
EPILOGUE = """
import warnings
warnings.simplefilter("ignore")
import lightkurve
for name, epoch in (("btjd", 2457000), ("bkjd", 2454833)):
    assert Time(epoch + 1, format="jd", scale="tdb").to_value(name) == 1
    assert Time(1, format=name, scale="tdb").jd == epoch + 1
assert Time("2018-08-23").isot.startswith("2018")
assert Time.now().unix > 0
print("well")
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", "import astropy.time", "import lightkurve"])
def test_time_formats_of_lightkurve_are_reused_in_either_import_order(first: str) -> None:
    use = """
for name, epoch in (("btjd", 2457000), ("bkjd", 2454833)):
    made = Clock(name, "d", Decimal(epoch), "jd", "tdb").time_format()
    assert made.__module__ == "lightkurve.time", made
"""
    assert own_process(first + PROLOGUE + use + EPILOGUE).splitlines()[-1] == "well"


@pytest.mark.slow
def test_time_keeps_working_after_a_made_up_mission_and_lightkurve() -> None:
    use = """
from astropy.time.formats import TimeFormat
made = Clock("cheopsd", "h", Decimal("2458836.5"), "jd", "utc")
again = Clock("cheopsd", "hour", Decimal("2458836.500"), "JD", "UTC")
cls = made.time_format()
assert cls is made.time_format() is again.time_format() is Time.FORMATS["cheopsd"]
assert issubclass(cls, TimeFormat)
times = Time([0, 24.0], format="cheopsd")
assert times.scale == "utc" and np.array_equal(times.jd, [2458836.5, 2458837.5])
"""
    after = 'assert Time(2458837.5, format="jd", scale="utc").cheopsd == 24\n'
    assert own_process(PROLOGUE + use + EPILOGUE + after).splitlines()[-1] == "well"


@pytest.mark.slow
def test_a_clock_in_days_imports_no_astropy() -> None:
    code = """
import sys
from decimal import Decimal
import numpy as np
from lcdb_notebook.lightcurve.clock import Clock
Clock("btjd", "d", Decimal(2457000), "jd", "tdb").from_bjd(np.array([2458325.5]))
print("astropy" in sys.modules)
"""
    assert own_process(code).strip() == "False"


@pytest.mark.parametrize("make", CLOCKS.values(), ids=CLOCKS.keys())
@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(2451545, 2460000), max_size=5))
def test_a_clock_agrees_with_astropy_to_a_microsecond(make: Any, dates: list[float]) -> None:
    mission = make()
    bjd = np.array(dates)
    mission.time_format()
    expected = Time(bjd, format="jd", scale="tdb").to_value(mission.format_name)
    times = mission.from_bjd(bjd)
    assert times.dtype == np.float64
    # Numbers themselves are rounded: seconds since 1970 to 0.1 microseconds, days to less.
    off = ((times - expected) * units.Unit(mission.unit)).to_value("us")
    assert np.all(np.abs(off) < 1.0)


@pytest.mark.parametrize("make", CLOCKS.values(), ids=CLOCKS.keys())
def test_stored_bjd_and_stored_mission_time_are_the_same_instants(make: Any) -> None:
    mission = make()
    truth = Time(2458325, np.linspace(0, 27, 1001) + 1e-5, format="jd", scale="tdb")
    mission.time_format()
    relative = truth.to_value(mission.format_name)
    absolute = mission.from_bjd(truth.jd)
    read = [Time(v, format=mission.format_name, scale="tdb") for v in (relative, absolute)]
    off = np.abs((read[1] - read[0]).to_value("s"))
    # What a BJD cannot hold, and nothing on top but a last digit.
    assert off.max() < 0.5 * FLOAT64_NEAR_A_BJD * 86400 + 1e-6
    assert off.max() < 25e-6
    exact = np.abs((read[0] - truth).to_value("s"))
    assert exact.max() < 1e-6


@given(st.floats(2_436_116, 4_000_000))
def test_days_from_a_whole_julian_date_are_exact(date: float) -> None:
    assert TESS.from_bjd(np.array([date]))[0] == float(Decimal(date) - 2457000)


def test_an_epoch_of_many_digits_loses_none() -> None:
    epoch = Decimal("2458999.123456789012345678")
    times = clock(epoch=epoch).from_bjd(np.array([2459000.0]))
    assert abs(Decimal(times[0].item()) - (2459000 - epoch)) < Decimal("2e-16")


@pytest.mark.parametrize("make", CLOCKS.values(), ids=CLOCKS.keys())
def test_an_invalid_time_becomes_nan(make: Any) -> None:
    times = make().from_bjd(np.array([np.nan, 2458325.5, np.inf, -np.inf]))
    assert np.isnan(times).tolist() == [True, False, True, True]
    assert make().from_bjd(np.array([])).size == 0
    assert make().from_bjd(np.array([[2458325.5, np.nan]])).shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "unit", "epoch", "epoch_format", "scale"),
    [
        ("btjd", "d", 2457000.5, "jd", "tdb"),
        ("btjd", "h", 2457000, "jd", "tdb"),
        ("btjd", "d", 2457000, "jd", "utc"),
        ("bkjd", "d", 2457000, "jd", "tdb"),
        ("unix", "s", 2457000, "jd", "utc"),
        ("unix", "d", "2440587.5", "jd", "utc"),
        # The same instant, but GPS counts leap seconds.
        ("gps", "s", "2444244.5", "jd", "utc"),
        ("mjd", "d", 2457000, "jd", "tdb"),
        ("mjd", "s", "2400000.5", "jd", "tdb"),
        ("mjd", "d", "2400000.5", "jd", "utc"),
        ("jd", "d", 2457000, "jd", "tdb"),
        ("isot", "d", 2457000, "jd", "tdb"),
        ("jyear", "yr", 2451545, "jd", "tdb"),
    ],
)
def test_a_name_that_means_another_clock_is_refused(
    name: str, unit: str, epoch: Any, epoch_format: str, scale: str
) -> None:
    before = dict(Time.FORMATS)
    taken = Clock(name, unit, Decimal(epoch), epoch_format, scale)
    with pytest.raises(TimeFormatError, match=f"{name!r} already exists in astropy") as error:
        taken.time_format()
    assert "give the mission another time_format_name" in str(error.value)
    assert Time.FORMATS.items() >= before.items()


@pytest.mark.parametrize(
    ("name", "unit", "epoch", "epoch_format", "scale"),
    [
        ("unix", "s", "2440587.5", "jd", "utc"),
        ("unix", "s", "40587", "mjd", "utc"),
        ("mjd", "d", "2400000.5", "jd", "tdb"),
        ("jd", "day", 0, "jd", "tdb"),
        ("btjd", "d", "56999.5", "mjd", "tdb"),
        ("btjd", "day", 2457000, "JD", "TDB"),
    ],
)
def test_a_name_that_means_the_same_clock_is_reused(
    name: str, unit: str, epoch: Any, epoch_format: str, scale: str
) -> None:
    same = Clock(name, unit, Decimal(epoch), epoch_format, scale)
    assert same.time_format() is Time.FORMATS[name]
    times = same.from_bjd(np.array([2458325.5]))
    expected = Time([2458325.5], format="jd", scale="tdb").to_value(name)
    assert np.allclose(times, expected, rtol=1e-15, atol=0)


def test_a_name_taken_by_another_mission_is_refused() -> None:
    one = clock(epoch=2459000)
    one.time_format()
    other = Clock(one.format_name, "d", Decimal(2459001), "jd", "tdb")
    with pytest.raises(TimeFormatError, match="already exists"):
        other.time_format()
    assert one.time_format() is Time.FORMATS[one.format_name]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format_name": "not a name"}, "must be a Python identifier"),
        ({"format_name": "class"}, "must be a Python identifier"),
        ({"format_name": "_hidden"}, "Time does not use yet"),
        ({"format_name": "value"}, "Time does not use yet"),
        ({"format_name": "tdb"}, "Time does not use yet"),
        ({"format_name": "jd1"}, "Time does not use yet"),
        ({"unit": "furlong"}, "must be a unit of time.*'furlong'"),
        ({"unit": "m"}, "must be a unit of time.*got 'm'"),
        ({"epoch_format": "teatime"}, "astropy does not accept the epoch.*: 1 in format 'teatime'"),
        ({"epoch_format": "isot"}, "astropy does not accept the epoch"),
        ({"epoch_scale": "gmt"}, "astropy does not accept the epoch"),
        ({"epoch": Decimal("NaN")}, "must be finite, got NaN"),
        ({"epoch": Decimal("-Infinity")}, "must be finite, got -Infinity"),
    ],
)
def test_an_invalid_clock_is_refused_and_registers_nothing(
    changes: dict[str, Any], reason: str
) -> None:
    before = dict(Time.FORMATS)
    broken = replace(Clock("never", "d", Decimal(1), "jd", "tdb"), **changes)
    with pytest.raises(TimeFormatError, match=reason) as error:
        broken.time_format()
    assert isinstance(error.value, LCDBError)
    assert isinstance(error.value, ValueError)
    assert before == Time.FORMATS


def test_a_mission_has_a_clock(session: orm.Session) -> None:
    mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    # Before it is stored, too.
    assert mission.clock == TESS
    session.add(mission)
    session.commit()
    assert (mission.time_unit, mission.time_epoch_format) == ("d", "jd")
    assert mission.clock == TESS
    assert mission.time_format() is Time.FORMATS["btjd"]
    assert issubclass(mission.time_format(), TimeFormat)


def test_an_epoch_is_stored_with_all_its_digits(session: orm.Session) -> None:
    epoch = Decimal("2458999.123456789012345678")
    mission = Mission(
        name="made up",
        time_unit="s",
        time_epoch=epoch,
        time_epoch_scale="tai",
        time_epoch_format="jd",
        time_format_name="madeup",
    )
    session.add(mission)
    session.commit()
    assert mission.time_epoch == epoch
    assert mission.clock == Clock("madeup", "s", epoch, "jd", "tai")
    start = Time(0, format=mission.time_format().name)
    whole, fraction = start.jd1, start.jd2
    exact = Decimal(float(whole)) + Decimal(float(fraction))
    # 1e-16 days are ten picoseconds.
    assert abs(exact - epoch) < Decimal("2e-16")
