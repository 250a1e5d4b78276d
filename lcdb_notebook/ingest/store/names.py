"""Who and what a product names (mission, target, instrument, methods): found and checked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import sqlalchemy as sa

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.models import (
    Instrument,
    Mission,
    MissionCatalog,
    PhotometricSource,
    ProcessingMethod,
    Target,
)


@dataclass(frozen=True)
class KnownMission:
    """A mission whose clock is known, so that its row can be made."""

    description: str
    clock: Clock


# Epochs: TESS Science Data Products Description Document (EXP-TESS-ARC-ICD-TM-0014), section 3;
# Kepler Archive Manual (KDMC-10008-006), section 2.3.
MISSIONS = {
    "TESS": KnownMission(
        "Transiting Exoplanet Survey Satellite",
        Clock("btjd", "d", Decimal(2_457_000), "jd", "tdb"),
    ),
    "Kepler": KnownMission("Kepler and K2", Clock("bkjd", "d", Decimal(2_454_833), "jd", "tdb")),
}
"""Missions that need no row yet."""

CATALOGS = {
    "TIC": "TESS Input Catalog",
    "KIC": "Kepler Input Catalog",
    "EPIC": "Ecliptic Plane Input Catalog (K2)",
    "Gaia DR3": "Gaia data release 3, source_id",
    "DEMO": "Synthetic targets of lcdb_notebook.demo",
}
"""Descriptions of the catalogs that are made where they are missing."""

Method = type[PhotometricSource] | type[ProcessingMethod]
Path = tuple[str, ...]


@dataclass(eq=False)
class Names:
    """What the database knows of the names in a batch, and what the batch has added so far.

    Ids are looked up by name: targets by (catalog, number), instruments by their path. A method's
    description is kept by name, because its unit has to be the product's.
    """

    missions: dict[str, tuple[uuid.UUID, Clock]] = field(default_factory=dict)
    catalogs: dict[str, tuple[int, str]] = field(default_factory=dict)
    targets: dict[tuple[str, int], int] = field(default_factory=dict)
    methods: dict[tuple[Method, str], int] = field(default_factory=dict)
    instruments: dict[Path, uuid.UUID] = field(default_factory=dict)
    _ambiguous: set[Path] = field(default_factory=set)
    _descriptions: dict[tuple[Method, str], str] = field(default_factory=dict)
    _new_catalogs: dict[str, str] = field(default_factory=dict)

    def clock(self, product: Product) -> Clock:
        """Give the clock by which a product's times are told."""
        if product.mission in self.missions:
            return self.missions[product.mission][1]
        return MISSIONS[product.mission].clock

    def check(self, product: Product) -> None:
        """Refuse a product whose names mean something else in this database.

        Raises
        ------
        IngestError
            If its mission is unknown or tells time differently, its catalog is another mission's,
            its instrument is there twice, or one of its units is not that of the method's row.
        """
        self._check_mission(product)
        path = product.instrument
        if any(path[:depth] in self._ambiguous for depth in range(1, len(path) + 1)):
            raise IngestError(
                f"this database has more than one instrument {' > '.join(path)}; merge them first"
            )
        for curve in product.curves:
            self._check_unit(curve)

    def adopt(self, product: Product) -> None:
        """Count the names of a product that is going in as there, for those that follow."""
        self._new_catalogs.setdefault(product.catalog, product.mission)
        for key, named in methods(product):
            self._descriptions.setdefault(key, named.description)

    def _check_mission(self, product: Product) -> None:
        known = MISSIONS.get(product.mission)
        if product.mission not in self.missions:
            if known is None:
                raise IngestError(
                    f"there is no mission {product.mission!r} here; add its row first, as "
                    "lcdb.models.Mission(name=..., time_epoch=..., time_format_name=...)"
                )
        elif known is not None:
            clock = self.missions[product.mission][1]
            if clock != known.clock and not _same_clock(clock, known.clock):
                raise IngestError(
                    f"mission {product.mission} counts {clock.unit} from {clock.epoch} "
                    f"({clock.epoch_format}, {clock.epoch_scale}) in this database, but its files "
                    f"count days from {known.clock.epoch} (jd, tdb)"
                )
        host = self._host(product.catalog)
        if host is not None and host != product.mission:
            raise IngestError(
                f"catalog {product.catalog} belongs to mission {host} in this database, so times "
                f"of {product.mission} would be told by the wrong clock"
            )

    def _host(self, catalog: str) -> str | None:
        if catalog in self.catalogs:
            return self.catalogs[catalog][1]
        return self._new_catalogs.get(catalog)

    def _check_unit(self, curve: Curve) -> None:
        expected = _unit(_texts(curve))
        here = _unit(
            [self._descriptions.get(key, named.description) for key, named in _named(curve)]
        )
        if not _same_unit(expected, here):
            name = curve.processing or curve.photometry
            raise IngestError(
                f"{name.name!r} stands in this database for light curves in "
                f"{here or 'no unit'}, and this one is in {expected or 'no unit'}; give it another "
                f"{'processing' if curve.processing else 'photometry'} name"
            )


def look_up(connection: sa.Connection, products: Sequence[Product]) -> Names:
    """Find out what is there of the names in a batch, in one statement a table."""
    names = Names()
    columns = (Mission.time_format_name, Mission.time_unit, Mission.time_epoch)
    rows: Iterable[Any] = connection.execute(
        sa.select(
            Mission.name, Mission.id, *columns, Mission.time_epoch_format, Mission.time_epoch_scale
        ).where(Mission.name.in_({p.mission for p in products}))
    )
    names.missions = {name: (id_, Clock(*clock)) for name, id_, *clock in rows}
    rows = connection.execute(
        sa.select(MissionCatalog.name, MissionCatalog.id, Mission.name)
        .join(Mission, Mission.id == MissionCatalog.host_mission_id)
        .where(MissionCatalog.name.in_({p.catalog for p in products}))
    )
    names.catalogs = {name: (id_, host) for name, id_, host in rows}
    rows = connection.execute(
        sa.select(MissionCatalog.name, Target.name, Target.id)
        .join(MissionCatalog, MissionCatalog.id == Target.catalog_id)
        .where(
            Target.name.in_({int(p.target) for p in products}),
            MissionCatalog.name.in_({p.catalog for p in products}),
        )
    )
    names.targets = {(catalog, number): id_ for catalog, number, id_ in rows}
    for method in (PhotometricSource, ProcessingMethod):
        wanted = {name for p in products for (of, name), _ in methods(p) if of is method}
        rows = connection.execute(
            sa.select(method.name, method.id, method.description).where(method.name.in_(wanted))
        )
        for name, id_, description in rows:
            names.methods[method, name] = id_
            names._descriptions[method, name] = description or ""
    _look_up_instruments(connection, names, {name for p in products for name in p.instrument})
    return names


def _look_up_instruments(connection: sa.Connection, names: Names, wanted: set[str]) -> None:
    rows = connection.execute(
        sa.select(Instrument.id, Instrument.name, Instrument.parent_id).where(
            Instrument.name.in_(wanted)
        )
    ).all()
    paths: dict[uuid.UUID, Path] = {}
    level: set[uuid.UUID | None] = {None}
    while level:
        below = {row.id: row for row in rows if row.parent_id in level and row.id not in paths}
        for id_, row in below.items():
            path = (*paths.get(row.parent_id, ()), row.name)
            if path in names.instruments:
                names._ambiguous.add(path)
            names.instruments[path] = paths_id = id_
            paths[paths_id] = path
        level = set(below)


def _named(curve: Curve) -> list[tuple[tuple[Method, str], Named]]:
    """List a curve's methods, that whose unit counts first in front."""
    found: list[tuple[tuple[Method, str], Named]] = []
    if curve.processing is not None:
        found.append(((ProcessingMethod, curve.processing.name), curve.processing))
    return [*found, ((PhotometricSource, curve.photometry.name), curve.photometry)]


def methods(product: Product) -> Iterable[tuple[tuple[Method, str], Named]]:
    """List the methods of all light curves, each with the key under which its id is kept."""
    return (named for curve in product.curves for named in _named(curve))


def _texts(curve: Curve) -> list[str]:
    return [named.description for _, named in _named(curve)]


def _unit(descriptions: Sequence[str]) -> str:
    """Give the unit in brackets at the head of the first description that has one."""
    for description in descriptions:
        found = re.match(r"\s*\[([^]]*)\]", description)
        if found:
            return found[1].strip()
    return ""


def _same_unit(one: str, other: str) -> bool:
    if one == other:
        return True
    from astropy import units

    try:
        return bool(units.Unit(one) == units.Unit(other))
    except ValueError:
        return False


def _same_clock(one: Clock, other: Clock) -> bool:
    # The same instants get the same numbers: that is all that has to agree.
    days = np.array([0.0, 1000.0])
    return np.allclose(one.from_bjd(days + float(other.epoch)), days, rtol=0, atol=1e-9)
