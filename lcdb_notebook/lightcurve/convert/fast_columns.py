"""Build LightCurves from finished columns with little work in astropy. Imports astropy.

The constructors of astropy and lightkurve guess, copy, split and sort what they are given. Here it
is finished, so the objects are built from the parts that those constructors would end with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from astropy.table import Column, SortedArray, Table
from astropy.time import Time

__all__ = ["Built", "TimesInOrder", "days_since"]


def days_since(epoch: float, days: npt.NDArray[np.float64]) -> Time:
    """Return times in days of TDB since an even Julian date.

    Equal to ``Time(epoch, days, format="jd", scale="tdb")``, which adds and splits each pair of
    numbers with compensated sums. The epoch is a whole number, so its sum with whole days is exact.
    It is even, so halves are rounded to the same day.

    Parameters
    ----------
    epoch : float
        An even number.
    days : numpy.ndarray of float64, shape (n,)
        Finite numbers between -1e15 and 1e15, above which days have no halves.

    Examples
    --------
    >>> time = days_since(2457000.0, np.array([1325.25, 1326.75]))
    >>> time.jd1.tolist(), time.jd2.tolist()
    ([2458325.0, 2458327.0], [0.25, -0.25])
    """
    made: Any = _at(epoch).replicate()
    known = made._time
    days = np.asarray(days, np.float64)
    whole = np.round(days)
    made._time = type(known)(
        whole + epoch,
        days - whole,
        made.scale,
        known.precision,
        known.in_subfmt,
        known.out_subfmt,
        from_jd=True,
    )
    return made


@lru_cache
def _at(epoch: float) -> Any:
    return Time(epoch, 0.0, format="jd", scale="tdb")


def _named(name: str, values: Any) -> Any:
    """Return a column of a table, without copying."""
    if not hasattr(values, "info"):
        return Column(values, name=name, copy=False)
    values.info.name = name
    return values


class TimesInOrder(SortedArray):  # type: ignore[misc]
    """Engine of an index on times that already increase; built on first use.

    astropy indexes the times of each TimeSeries for ``loc`` and ``iloc``, and sorts them for that.
    It accepts an existing engine without sorting (astropy.table.Index, ``engine``).
    """

    _jd: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    _about: tuple[str, str]

    @classmethod
    def of(cls, time: Any) -> Self | None:
        """Return the engine of an astropy Time; None if its times are not strictly increasing.

        Examples
        --------
        >>> TimesInOrder.of(Time([2.0, 1.0], format="jd")) is None
        True
        >>> TimesInOrder.of(Time([1.0, 2.0], format="jd")).row_index.tolist()
        [0, 1]
        """
        jd1, jd2 = time.jd1, time.jd2
        if np.ma.isMaskedArray(jd1) or time.ndim != 1 or time.masked:
            return None
        days = jd1 + jd2
        if not (days[1:] > days[:-1]).all():
            return None
        made = cls.__new__(cls)
        made.num_cols = 1
        made.unique = False
        # Copies, because the times may be changed in place before the index is used.
        made._jd = (jd1.copy(), jd2.copy())
        made._about = (time.scale, time.format)
        return made

    @property
    def data(self) -> Any:
        """The times in order, as the only column of a table."""
        if "data" not in self.__dict__:
            scale, format_ = self._about
            time = Time(*self._jd, format="jd", scale=scale)
            time.format = format_
            self.__dict__["data"] = Table([time], copy=False)
        return self.__dict__["data"]

    @data.setter
    def data(self, table: Any) -> None:
        self.__dict__["data"] = table

    @property
    def row_index(self) -> Any:
        """The row of each time."""
        if "row_index" not in self.__dict__:
            self.__dict__["row_index"] = Column(np.arange(self._jd[0].size))
        return self.__dict__["row_index"]

    @row_index.setter
    def row_index(self, rows: Any) -> None:
        self.__dict__["row_index"] = rows


class Built:
    """Builds LightCurves of finished columns, without sorting times that are already sorted."""

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Self:
        """Build a light curve from columns; ``time``, ``flux`` and ``flux_err`` come first.

        Parameters
        ----------
        columns : mapping of str to astropy.time.Time, Quantity or numpy.ndarray
            Columns of equal length, which become part of the light curve. They are not copied;
            lightkurve's constructor would copy each of them twice and index the times three times.
        """
        made: Any = cls()
        # As astropy's QTable does it for columns that need no conversion.
        made._init_from_cols([_named(name, values) for name, values in columns.items()])
        made._check_required_columns()
        made.add_index("time")
        # As at the end of lightkurve's constructor: from now on it warns about new attributes.
        made._new_attributes_relax = False
        return made  # type: ignore[no-any-return]

    def add_index(self, colnames: Any, engine: Any = None, unique: bool = False) -> None:
        """Index a column like astropy, but without sorting times that already increase."""
        columns = [colnames] if isinstance(colnames, str) else list(colnames)
        time = self.columns["time"] if columns == ["time"] else None  # type: ignore[attr-defined]
        if engine is None and not unique and isinstance(time, Time):
            engine = TimesInOrder.of(time)
        super().add_index(colnames, engine=engine, unique=unique)  # type: ignore[misc]
