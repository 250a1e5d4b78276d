"""What a plot says: titles, labels of axes and of light curves."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from lcdb_notebook.lightcurve.record import LightCurveData


def star(data: LightCurveData) -> tuple[str, int]:
    """Say whose light curve it is: catalog and number."""
    return data.catalog, data.target


def telling_fields(records: Sequence[LightCurveData]) -> list[str]:
    """Fields that tell apart observations of one star at one time: pipeline, exposure time."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    telling: dict[str, None] = {}
    for data in records:
        fields = data.observation.fields
        when = (*star(data), *(fields.get(name) for name in data.observation.chronology))
        first = seen.setdefault(when, dict(fields))
        telling |= {
            name: None
            for name in ("author", "exptime")
            if str(fields.get(name)) != str(first.get(name))
        }
    return list(telling)


def star_name(data: LightCurveData) -> str:
    """Name the star: ``TIC 261136679``; one that has only a name has no number."""
    return data.catalog if data.target < 0 else f"{data.catalog} {data.target}".strip()


def title(
    records: Sequence[LightCurveData], telling: Sequence[str], *, joined: bool = False
) -> str:
    """Name what the light curves have in common: star, sector, ``telling`` fields, processing.

    ``joined`` names the sectors of several, too: ``sectors 1–3, 5``.
    """
    first = records[0]
    parts = [star_name(first)] if len({star(d) for d in records}) == 1 else []
    if len({data.observation.id for data in records}) == 1:
        fields = first.observation.fields
        when = [
            f"{name.removesuffix('_number').replace('_', ' ')} {fields[name]}"
            for name in first.observation.chronology
            if fields.get(name) is not None
        ]
        # A light curve from elsewhere may say nothing about its observation.
        parts += when or ([f"observation {first.observation.id}"] * (first.observation.id > 0))
        for name in telling:
            if fields.get(name) is not None:
                parts.append(f"{fields[name]:g} s" if name == "exptime" else str(fields[name]))
    elif joined and len({data.observation.chronology for data in records}) == 1:
        for name in first.observation.chronology[:1]:
            parts.append(_several(name, [data.observation.fields.get(name) for data in records]))
    names = [_names(data) for data in records]
    parts += [name for name in names[0] if all(name in other for other in names)]
    return ", ".join(parts)


def _several(name: str, values: Sequence[Any]) -> str:
    """Name the values of a field, neighbours as a range: ``sectors 1–3, 5``."""
    word = name.removesuffix("_number").replace("_", " ")
    found = sorted({value for value in values if isinstance(value, int)})
    ranges: list[list[int]] = []
    for value in found:
        if ranges and value == ranges[-1][-1] + 1:
            ranges[-1].append(value)
        else:
            ranges.append([value])
    told = [str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in ranges]
    return f"{word}{'s' if len(found) > 1 else ''} {', '.join(told)}"


def _names(data: LightCurveData) -> list[str]:
    photometry, processing = data.photometry, data.processing
    # PDCSAP and KSPSAP say themselves that they are made of SAP.
    if photometry and processing and photometry.split()[-1] in processing:
        return [processing]
    return [*([photometry] if photometry else []), processing or "raw"]


def curve_labels(records: Sequence[LightCurveData], *, joined: bool = False) -> list[str]:
    """Name what tells the light curves of one Axes apart; nothing for a single one.

    ``joined`` says that sectors are not told apart, so the same name may come several times.
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
    """Name the axis of time as it is said of the mission: ``Time − 2457000 [BTJD days]``.

    Where lightkurve has a name for the mission's days, it is lightkurve's label; else it says what
    is counted from when: ``BJD − 2448005.5 [days]``.
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
    """Name the unit in which the mission counts time: ``days``."""
    unit = data.clock.unit
    return {"d": "days", "day": "days", "h": "hours", "s": "seconds"}.get(unit, unit)


def flux_label(unit: str) -> str:
    """Name a flux by its unit."""
    if unit.strip() == "mag":
        return "Magnitude"
    return f"Flux [{unit}]" if unit.strip() else "Relative flux"
