"""Subclasses of lightkurve's classes whose files and stitched light curves keep their origin.

Imports lightkurve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import lightkurve
import numpy as np

from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.convert.fast_columns import Built

__all__ = ["KeplerLightCurve", "LightCurve", "LightCurveCollection", "TessLightCurve"]

# Metadata that become columns when light curves are joined, because their values differ.
_MEMBER_KEYS = ("SECTOR", "ORBIT_NUMBER", "QUARTER", "CAMPAIGN", "DATASET")
_UNKNOWN = -1


def _with_history(to_fits: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``to_fits`` that also writes LINEAGE, unlike lightkurve's."""

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
    """lightkurve's LightCurveCollection; stitched light curves keep their sectors."""

    def stitch(
        self, corrector_func: Callable[[Any], Any] | None = lambda lc: lc.normalize()
    ) -> lightkurve.LightCurve:
        """Join all light curves into one.

        Parameters
        ----------
        corrector_func : callable, optional
            Applied to each light curve before joining. As in lightkurve, the default normalizes
            it; None changes nothing.

        Returns
        -------
        lightkurve.LightCurve
            ``sector``, ``orbit_number``, ``quarter``, ``campaign`` and ``dataset`` are columns if
            any of the light curves has them, with -1 for the others. In LightcurveDB 3, where a
            DataSet has a key instead of a number, ``observation`` is a column instead of
            ``dataset``, and ``meta["DATASETS"]`` lists the keys. ``meta`` contains the entries that
            are the same for all light curves, while lightkurve keeps those of the last one.
        """
        if not getattr(self, "told", False):
            _warn_of_repetitions(self)
        present = [key for key in _MEMBER_KEYS if any(lc.meta.get(key) is not None for lc in self)]
        # Keys of LightcurveDB 3 are texts, but lightkurve bins every column.
        keys = [lc.meta["DATASET"] for lc in self if isinstance(lc.meta.get("DATASET"), str)]
        if keys:
            present = ["OBSERVATION" if key == "DATASET" else key for key in present]
        metas = []

        def labelled(lc: Any) -> Any:
            done = lc if corrector_func is None else corrector_func(lc)
            done = done.copy() if done is lc else done
            for key in present:
                value = lc.meta.get(key)
                number = _UNKNOWN if value is None else int(value)
                done[key.lower()] = np.full(len(done), number, np.int64)
            metas.append(done.meta)
            return done

        joined = super().stitch(labelled)
        for key in list(joined.meta):
            if not all(_same(meta.get(key), joined.meta[key]) for meta in metas):
                del joined.meta[key]
        for key in present:
            joined.meta.pop(key, None)
        if keys:
            joined.meta["DATASETS"] = ", ".join(dict.fromkeys(keys))
        return joined


def _warn_of_repetitions(members: Iterable[Any]) -> None:
    """Warn if light curves of one target and observation would be joined."""
    members = list(members)
    runs = {
        (lc.meta.get("LABEL"), lc.meta.get("OBSERVATION", number))
        for number, lc in enumerate(members)
    }
    if len(runs) < len(members):
        warn(
            f"stitch() joins {len(members)} light curves of {len(runs)} observations, so cadences "
            "are repeated; choose one light curve per sector with Selection.best()"
        )


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(other, np.ndarray) else one == other
