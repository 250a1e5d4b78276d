"""A mission's clock: its epoch, its unit, and the astropy class of its time format."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import TimeFormatError

if TYPE_CHECKING:
    from astropy.time.formats import TimeFormat

__all__ = ["SMALLEST_BJD", "Clock"]

#: Julian dates of space missions are larger (Sputnik 1: JD 2436116), and no mission has lasted a
#: million days. Therefore larger stored times are BJD.
SMALLEST_BJD = 1.0e6

# Importing lightkurve registers these two. Registering a format name twice makes every later
# astropy Time fail, so they are never registered here.
_LIGHTKURVE_FORMATS = frozenset({"bkjd", "btjd"})

# Two astropy formats that count days from a fixed instant without being a TimeFromEpoch; they do
# not define a scale.
_JULIAN_EPOCHS = {"jd": 0.0, "mjd": 2400000.5}

# Two epochs are the same instant if they agree to a nanosecond, far below any clock in orbit.
_SAME_EPOCH_DAYS = 1e-9 / 86400

# Held between the check that a name is free and its registration.
_REGISTERING = threading.Lock()


@dataclass(frozen=True)
class Clock:
    """The time format of a mission: the columns of its ``Mission`` row.

    Parameters
    ----------
    format_name : str
        Name of the astropy ``Time`` format, such as "btjd".
    unit : str
        Unit of the times, in astropy's notation, such as "d".
    epoch : decimal.Decimal
        Zero point, such as 2457000.
    epoch_format, epoch_scale : str
        Format and scale of ``epoch``, such as "jd" and "tdb".

    Examples
    --------
    >>> tess = Clock("btjd", "d", Decimal(2457000), "jd", "tdb")
    >>> tess.from_bjd(np.array([2458325.5]))
    array([1325.5])
    """

    format_name: str
    unit: str
    epoch: Decimal
    epoch_format: str
    epoch_scale: str

    def is_complete(self) -> bool:
        """Return whether all fields are set; tables of other programs may have NULL."""
        fields: tuple[object, ...] = (self.format_name, self.unit, self.epoch)
        return None not in (*fields, self.epoch_format, self.epoch_scale)

    def from_bjd(self, dates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Convert barycentric Julian dates (TDB, days) to times of this mission.

        Parameters
        ----------
        dates : numpy.ndarray of float64
            Of any shape; NaN stays NaN, and infinite values become NaN.

        Returns
        -------
        numpy.ndarray of float64
            Of the same shape, in ``unit`` since ``epoch``.

        Raises
        ------
        TimeFormatError
            If the clock's unit, epoch, format or scale is invalid.

        Notes
        -----
        A float64 near 2.4 million has a spacing of 4.7e-10 days, so times stored as BJD are
        accurate to 20 microseconds. For a mission that counts days of TDB from an integer Julian
        date, the subtraction is exact (Sterbenz's lemma applies up to twice the epoch). Times of
        other missions agree with astropy's to a microsecond.
        """
        finite = np.isfinite(dates)
        if (self.epoch_format.lower(), self.epoch_scale.lower()) == ("jd", "tdb"):
            # In two steps, so that an epoch with many digits keeps all of them.
            whole, fraction = self._epoch_parts
            days = dates - float(whole)
            if fraction:
                days = days - fraction
            days = np.asarray(days) if finite.all() else np.where(finite, days, np.nan)
            unit = _unit_days(self.unit)
            return days if unit == 1.0 else days * (1 / unit)
        from astropy.time import Time

        self.time_format()
        converted = np.full(dates.shape, np.nan)
        times = Time(dates[finite], format="jd", scale="tdb")
        converted[finite] = times.to_value(self.format_name)
        return converted

    def time_format(self) -> type[TimeFormat]:
        """Return astropy's ``Time`` format class of this clock, and register it on the first call.

        If astropy or lightkurve already has a format of this name with the same epoch, scale and
        unit, that format is used.

        Returns
        -------
        type[astropy.time.TimeFormat]
            The class; its name can be used as ``format`` of any astropy Time.

        Raises
        ------
        TimeFormatError
            If the name exists with another epoch, scale or unit, or a field is invalid.

        Examples
        --------
        >>> from astropy.time import Time
        >>> hours = Clock("cheops_hours", "h", Decimal(2458836), "jd", "tdb").time_format()
        >>> float(Time(2458837, format="jd", scale="tdb").to_value(hours.name))
        24.0
        """
        with _REGISTERING:
            return _time_format(self)

    @cached_property
    def _epoch_parts(self) -> tuple[int, float]:
        # The epoch of a row that has not been stored may have any numeric type.
        epoch = Decimal(self.epoch)
        if not epoch.is_finite():
            raise TimeFormatError(
                f"the epoch of time format {self.format_name!r} must be finite, got {epoch}"
            )
        return int(epoch), float(epoch - int(epoch))


@lru_cache
def _unit_days(unit: str) -> float:
    if unit in ("d", "day", "days"):
        return 1.0
    from astropy import units

    try:
        return float(units.Unit(unit).to(units.day))
    except (ValueError, TypeError) as error:
        raise TimeFormatError(
            "a mission's time_unit must be a unit of time in astropy's notation, such as 'd', "
            f"'h' or 's', got {unit!r}"
        ) from error


def _epoch(clock: Clock) -> Any:
    from astropy.time import ScaleValueError, Time

    # In two parts, so that a Decimal epoch keeps digits that one float64 cannot hold.
    whole, fraction = clock._epoch_parts
    try:
        return Time(
            whole,
            fraction,
            format=clock.epoch_format.lower(),
            scale=clock.epoch_scale.lower(),
        )
    except (ValueError, TypeError, ScaleValueError) as error:
        raise TimeFormatError(
            f"astropy does not accept the epoch of time format {clock.format_name!r}: "
            f"{clock.epoch} in format {clock.epoch_format!r}, scale {clock.epoch_scale!r}"
        ) from error


@lru_cache
def _time_format(clock: Clock) -> type[TimeFormat]:
    from astropy.time import Time

    if clock.format_name in _LIGHTKURVE_FORMATS:
        import lightkurve.time  # noqa: F401 - registers btjd and bkjd

    existing: type[TimeFormat] | None = Time.FORMATS.get(clock.format_name)
    if existing is None:
        return _new_format(clock)
    if not _same_clock(existing, clock):
        raise TimeFormatError(
            f"time format {clock.format_name!r} already exists in astropy with an epoch or unit "
            f"other than {clock.epoch} ({clock.epoch_format}, {clock.epoch_scale}) in "
            f"{clock.unit!r}; give the mission another time_format_name"
        )
    return existing


def _new_format(clock: Clock) -> type[TimeFormat]:
    from astropy.time import Time
    from astropy.time.formats import TimeFromEpoch

    name = clock.format_name
    usable = name.isidentifier() and not iskeyword(name) and not name.startswith("_")
    if not usable or hasattr(Time, name) or name in Time.SCALES:
        raise TimeFormatError(
            "a mission's time_format_name becomes an attribute of astropy's Time, so it must be a "
            f"Python identifier that Time does not use yet, got {name!r}"
        )
    unit, epoch = _unit_days(clock.unit), _epoch(clock)
    # Defining the class registers it with astropy, so everything is checked before.
    return type(
        f"Time{name.upper()}",
        (TimeFromEpoch,),
        {
            "__doc__": f"Time since {clock.epoch} ({clock.epoch_format}), in {clock.unit}.",
            "name": name,
            "unit": unit,
            "epoch_val": epoch.jd1,
            "epoch_val2": epoch.jd2,
            "epoch_scale": clock.epoch_scale.lower(),
            "epoch_format": "jd",
        },
    )


def _same_clock(time_format: Any, clock: Clock) -> bool:
    from astropy.time import Time
    from astropy.time.formats import TimeFromEpoch

    unit, epoch, scale = _unit_days(clock.unit), _epoch(clock), clock.epoch_scale.lower()
    if time_format.name in _JULIAN_EPOCHS:
        # All times here are TDB.
        has_unit, has_scale = 1.0, "tdb"
        start = Time(_JULIAN_EPOCHS[time_format.name], format="jd", scale="tdb")
    elif issubclass(time_format, TimeFromEpoch):
        has_unit, has_scale = time_format.unit, time_format.epoch_scale
        start = Time(
            time_format.epoch_val,
            time_format.epoch_val2,
            format=time_format.epoch_format,
            scale=time_format.epoch_scale,
        )
    else:
        return False
    same_rate = has_unit == unit and has_scale == scale
    return same_rate and bool(abs((start - epoch).to_value("d")) < _SAME_EPOCH_DAYS)
