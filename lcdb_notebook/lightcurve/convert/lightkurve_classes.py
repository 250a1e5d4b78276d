"""lightkurve's classes, whose files and stitched light curves tell where they came from.

Imports lightkurve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import lightkurve
import numpy as np

from lcdb_notebook.lightcurve.convert.fast_columns import Built

__all__ = ["KeplerLightCurve", "LightCurve", "LightCurveCollection", "TessLightCurve"]

# What becomes a column where light curves are joined, since of each there may be several.
_OF_A_MEMBER = ("SECTOR", "ORBIT_NUMBER", "QUARTER", "CAMPAIGN", "DATASET")
_UNKNOWN = -1


def _with_history(to_fits: Callable[..., Any]) -> Callable[..., Any]:
    """Have ``to_fits`` write LINEAGE; of ``meta``, lightkurve writes a few words and no others."""

    @wraps(to_fits)
    def with_history(self: Any, *arguments: Any, **extra_data: Any) -> Any:
        history = self.meta.get("LINEAGE")
        if isinstance(history, str) and history:
            # FITS Standard 4.0, section 4.2.1: headers are ASCII.
            ascii_only = history.encode("ascii", "backslashreplace").decode()
            extra_data.setdefault("LINEAGE", ascii_only)
        return to_fits(self, *arguments, **extra_data)

    return with_history


class LightCurve(Built, lightkurve.LightCurve):  # type: ignore[misc]
    """lightkurve's LightCurve; ``to_fits`` writes its history into the primary header."""

    to_fits = _with_history(lightkurve.LightCurve.to_fits)


class TessLightCurve(Built, lightkurve.TessLightCurve):  # type: ignore[misc]
    """lightkurve's TessLightCurve; ``to_fits`` writes its history into the primary header."""

    to_fits = _with_history(lightkurve.TessLightCurve.to_fits)


class KeplerLightCurve(Built, lightkurve.KeplerLightCurve):  # type: ignore[misc]
    """lightkurve's KeplerLightCurve; ``to_fits`` writes its history into the primary header."""

    to_fits = _with_history(lightkurve.KeplerLightCurve.to_fits)


class LightCurveCollection(lightkurve.LightCurveCollection):  # type: ignore[misc]
    """lightkurve's LightCurveCollection; what is stitched still says of what sector it is."""

    def stitch(
        self, corrector_func: Callable[[Any], Any] | None = lambda lc: lc.normalize()
    ) -> lightkurve.LightCurve:
        """Join all light curves into one.

        Parameters
        ----------
        corrector_func
            What is done to each before; as lightkurve does, each is normalised unless told
            otherwise. None does nothing.

        Returns
        -------
        lightkurve.LightCurve
            ``sector``, ``orbit_number``, ``quarter``, ``campaign`` and ``dataset`` are columns, as
            far as any member has them; -1 in those of the others. ``meta`` holds what is the same
            for all, where lightkurve's holds that of the last.
        """
        there = [key for key in _OF_A_MEMBER if any(lc.meta.get(key) is not None for lc in self)]
        metas = []

        def told(lc: Any) -> Any:
            done = lc if corrector_func is None else corrector_func(lc)
            done = done.copy() if done is lc else done
            for key in there:
                value = lc.meta.get(key)
                number = _UNKNOWN if value is None else int(value)
                done[key.lower()] = np.full(len(done), number, np.int64)
            metas.append(done.meta)
            return done

        joined = super().stitch(told)
        for key in list(joined.meta):
            if not all(_same(meta.get(key), joined.meta[key]) for meta in metas):
                del joined.meta[key]
        for key in there:
            joined.meta.pop(key, None)
        return joined


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(other, np.ndarray) else one == other
