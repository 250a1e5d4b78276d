"""Texts in plots: titles, axis labels, and labels of light curves."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from lcdb_notebook.lightcurve.record import LightCurveData, processing_label
from lcdb_notebook.lightcurve.units import is_magnitude


def star(data: LightCurveData) -> tuple[str, int]:
    """Return catalog and number of the target."""
    return data.catalog, data.target


def distinguishing_fields(records: Sequence[LightCurveData]) -> list[str]:
    """Return the fields that distinguish simultaneous observations: pipeline, exposure time."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    differing: dict[str, None] = {}
    for data in records:
        fields = data.observation.fields
        when = (*star(data), *(fields.get(name) for name in data.observation.chronology))
        first = seen.setdefault(when, dict(fields))
        differing |= {
            name: None
            for name in ("author", "exptime")
            if str(fields.get(name)) != str(first.get(name))
        }
    return list(differing)


def star_name(data: LightCurveData) -> str:
    """Return the name of the target: ``TIC 261136679``, or just a name."""
    return data.catalog if data.target < 0 else f"{data.catalog} {data.target}".strip()


def title(
    records: Sequence[LightCurveData], distinguishing: Sequence[str], *, joined: bool = False
) -> str:
    """Return a title with the properties that all light curves share.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    distinguishing : sequence of str
        The fields, from :func:`distinguishing_fields`.
    joined : bool, optional
        List the sectors if there are several: ``sectors 1–3, 5``.
    """
    first = records[0]
    parts = [star_name(first)] if len({star(d) for d in records}) == 1 else []
    if len({data.observation.id for data in records}) == 1:
        fields, when = first.observation.fields, first.observation.chronology_labels
        # A light curve from elsewhere may not have any fields.
        parts += when or ([f"observation {first.observation.id}"] * (first.observation.id > 0))
        for name in distinguishing:
            if fields.get(name) is not None:
                parts.append(f"{fields[name]:g} s" if name == "exptime" else str(fields[name]))
    elif joined and len({data.observation.chronology for data in records}) == 1:
        for name in first.observation.chronology[:1]:
            parts.append(_several(name, [data.observation.fields.get(name) for data in records]))
    names = [_names(data) for data in records]
    parts += [name for name in names[0] if all(name in other for other in names)]
    return ", ".join(parts)


def _several(name: str, values: Sequence[Any]) -> str:
    """Return the values of a field, with ranges for consecutive values: ``sectors 1–3, 5``."""
    word = name.removesuffix("_number").replace("_", " ")
    found = sorted({value for value in values if isinstance(value, int)})
    ranges: list[list[int]] = []
    for value in found:
        if ranges and value == ranges[-1][-1] + 1:
            ranges[-1].append(value)
        else:
            ranges.append([value])
    parts = [str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in ranges]
    return f"{word}{'s' if len(found) > 1 else ''} {', '.join(parts)}"


def _names(data: LightCurveData) -> list[str]:
    photometry, processing = data.photometry, data.processing
    # The names PDCSAP and KSPSAP include that of the photometry, SAP.
    if photometry and processing and photometry.split()[-1] in processing:
        return [processing]
    return [*([photometry] if photometry else []), processing_label(processing)]


def curve_labels(records: Sequence[LightCurveData], *, joined: bool = False) -> list[str]:
    """Return labels that distinguish the light curves of one Axes; "" for a single one.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    joined : bool, optional
        Do not distinguish sectors, so that labels may repeat.
    """
    if len(records) == 1:
        return [""]
    described = []
    for data in records:
        fields = data.observation.fields
        when = [
            f"{n} {fields[n]}" for n in data.observation.chronology if fields.get(n) is not None
        ]
        described.append([star_name(data), *([] if joined else when), *_names(data)])
    common = set(described[0]).intersection(*described)
    return [
        ", ".join(part for part in parts if part not in common)
        or ("" if joined else f"dataset {data.dataset}")
        for data, parts in zip(records, described, strict=True)
    ]


def time_label(data: LightCurveData) -> str:
    """Return the label of the time axis: ``Time − 2457000 [BTJD days]``.

    For BTJD and BKJD it is the same as in lightkurve; for other formats it contains the epoch, as
    in ``BJD − 2448005.5 [days]``.
    """
    clock = data.clock
    unit = time_unit(data)
    epoch = clock.epoch.normalize()
    if clock.format_name in ("btjd", "bkjd"):
        return f"Time − {epoch:f} [{clock.format_name.upper()} {unit}]"
    if clock.epoch_format == "mjd":
        epoch = (epoch + Decimal("2400000.5")).normalize()
    elif clock.epoch_format != "jd":
        return f"Time since {clock.epoch_format} {epoch:f} [{unit}]"
    if clock.epoch_scale.lower() != "tdb":
        return f"Time since JD {epoch:f} {clock.epoch_scale.upper()} [{unit}]"
    if unit != "days":
        return f"Time since BJD {epoch:f} [{unit}]"
    return f"BJD − {epoch:f} [days]" if epoch else "BJD [days]"


def time_unit(data: LightCurveData) -> str:
    """Return the unit of the mission's time: ``days``."""
    unit = data.clock.unit
    return {"d": "days", "day": "days", "h": "hours", "s": "seconds"}.get(unit, unit)


def flux_label(unit: str) -> str:
    """Return the label of the flux axis."""
    if is_magnitude(unit):
        return "Magnitude"
    return f"Flux [{unit}]" if unit.strip() else "Relative flux"
