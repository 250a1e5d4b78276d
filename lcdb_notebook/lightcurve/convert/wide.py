"""Convert LightCurveData to a wide DataFrame: a row per cadence, a column per light curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.convert.columns import choose, quality_columns, times
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData, processing_label

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_wide"]


def to_wide(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
) -> pd.DataFrame:
    """Convert records to one DataFrame with the light curves of an observation side by side.

    Parameters
    ----------
    records : sequence of LightCurveData
        Light curves; those of one target and observation share their cadences.
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        Which quality flags mark a cadence as flagged: ``"none"``, ``"default"``, ``"hard"`` or
        ``"hardest"`` (each flag type has its own bits for these), an integer, a flag, the name of
        a flag, or several of these. None is ``"none"``. Bits and names apply to the flag type of
        the ``quality`` column, presets to all flag types.
    flagged : {"drop", "mask", "keep"}, optional
        What happens to flagged cadences: "drop" removes them, "mask" sets their flux to NaN,
        "keep" leaves them unchanged.
    time_format : str, optional
        Name of the astropy time format of the result, such as "jd"; None is the mission's own
        ("btjd" for TESS). The time scale is TDB.

    Returns
    -------
    pandas.DataFrame
        One row per cadence. The columns are ``target``, the observation fields that increase with
        time (``sector``), ``time, cadenceno, quality``, one for each further flag type,
        ``centroid_col`` and ``centroid_row`` if positions are stored, and, for each light curve,
        the flux, named by photometry and processing ("QLP SAP raw"), and the error ("QLP SAP raw
        error") if it is stored. ``attrs["units"]`` has the units of the columns of positions,
        fluxes and errors, ``attrs["unit_inferred"]`` the columns whose unit was inferred.

    Raises
    ------
    ArgumentError
        If an argument has an invalid value; the message names the argument.
    """
    import pandas as pd

    groups: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for data in records:
        groups.setdefault((data.catalog, data.target, data.observation.id), []).append(data)
    several_catalogs = len({catalog for catalog, *_ in groups}) > 1
    runs = dict.fromkeys(
        name
        for data in records
        for name in data.observation.chronology
        if data.observation.fields.get(name) is not None
    )
    parts: list[pd.DataFrame] = []
    units: dict[str, set[str]] = {}
    inferred: dict[str, None] = {}
    for (catalog, target, _), members in groups.items():
        first = members[0]
        good, kept = choose(first, quality_bitmask, flagged)
        columns: dict[str, Any] = {"catalog": catalog} if several_catalogs else {}
        columns["target"] = target
        for name in runs:
            columns[name] = first.observation.fields.get(name)
        time = first.time[kept]
        columns["time"] = (
            time if time_format is None else times(time, first.clock, time_format).value
        )
        columns["cadenceno"] = first.cadence[kept]
        columns |= {name: bits[kept] for name, bits in quality_columns(first).items()}
        for name, pixels in next((d.positions for d in members if d.positions), {}).items():
            columns[name] = pixels[kept]
            units.setdefault(name, set()).add("pix")
        for data in members:
            name = f"{data.photometry or ''} {processing_label(data.processing)}".strip()
            if name in columns:
                name += f" #{data.dataset}"
            arrays = {name: data.flux, f"{name} error": data.flux_err}
            for column, values in arrays.items():
                if values is not None:
                    shown = np.where(good, values, np.nan) if flagged == "mask" else values
                    columns[column] = shown[kept]
                    units.setdefault(column, set()).add(data.unit)
                    inferred |= {column: None} if data.unit_inferred else {}
        parts.append(pd.DataFrame(columns, index=pd.RangeIndex(int(np.count_nonzero(kept)))))
    if not parts:
        return pd.DataFrame({"target": [], "time": [], "cadenceno": [], "quality": []})
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs = {
        "mission": records[0].mission,
        "time_format": time_format or records[0].clock.format_name,
        "time_scale": "tdb",
        "units": {column: sorted(found) for column, found in units.items()},
        "unit_inferred": [*inferred],
    }
    return frame
