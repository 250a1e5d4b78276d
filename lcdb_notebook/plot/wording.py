"""What a plot says: titles, labels of axes and of light curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lcdb_notebook.record import LightCurveData


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


def title(records: Sequence[LightCurveData], telling: Sequence[str]) -> str:
    """Name what the light curves have in common: star, sector, ``telling`` fields, processing."""
    first = records[0]
    parts = [f"{first.catalog} {first.target}"] if len({star(d) for d in records}) == 1 else []
    if len({data.observation.id for data in records}) == 1:
        fields = first.observation.fields
        when = [
            f"{name.removesuffix('_number').replace('_', ' ')} {fields[name]}"
            for name in first.observation.chronology
            if fields.get(name) is not None
        ]
        parts += when or [f"observation {first.observation.id}"]
        for name in telling:
            if fields.get(name) is not None:
                parts.append(f"{fields[name]:g} s" if name == "exptime" else str(fields[name]))
    names = [_names(data) for data in records]
    parts += [name for name in names[0] if all(name in other for other in names)]
    return ", ".join(parts)


def _names(data: LightCurveData) -> list[str]:
    photometry, processing = data.photometry, data.processing
    # PDCSAP and KSPSAP say themselves that they are made of SAP.
    if photometry and processing and photometry.split()[-1] in processing:
        return [processing]
    return [*([photometry] if photometry else []), processing or "raw"]


def curve_labels(records: Sequence[LightCurveData]) -> list[str]:
    """Name what tells the light curves of one Axes apart; nothing for a single one."""
    if len(records) == 1:
        return [""]
    described = []
    for data in records:
        fields = data.observation.fields
        when = [
            f"{n} {fields[n]}" for n in data.observation.chronology if fields.get(n) is not None
        ]
        described.append([f"{data.catalog} {data.target}", *when, *_names(data)])
    common = set(described[0]).intersection(*described)
    return [
        ", ".join(part for part in parts if part not in common) or f"dataset {data.dataset}"
        for data, parts in zip(records, described, strict=True)
    ]


def time_label(data: LightCurveData) -> str:
    """Name the mission's own time, as lightkurve does: ``Time − 2457000 [BTJD days]``."""
    clock = data.clock
    unit = {"d": "days", "day": "days", "s": "seconds"}.get(clock.unit, clock.unit)
    since = f" − {clock.epoch.normalize():f}" if clock.epoch_format == "jd" else ""
    return f"Time{since} [{clock.format_name.upper()} {unit}]"


def flux_label(unit: str) -> str:
    """Name a flux by its unit."""
    if unit.strip() == "mag":
        return "Magnitude"
    return f"Flux [{unit}]" if unit.strip() else "Relative flux"
