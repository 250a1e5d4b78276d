"""Look up and check the names in products: missions, catalogs, targets, instruments, methods."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.missions import MISSIONS
from lcdb_notebook.models import (
    Instrument,
    Mission,
    MissionCatalog,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import layout

Method = type[PhotometricSource] | type[ProcessingMethod]
Path = tuple[str, ...]


@dataclass(eq=False)
class Names:
    """The rows of the names in a batch, including those that were added so far.

    Ids are keyed by name: targets by (catalog, number), instruments by their path. Descriptions of
    methods are kept, because their units are compared with those of products.
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
        """Return the clock of a product's mission."""
        if product.mission in self.missions:
            return self.missions[product.mission][1]
        return MISSIONS[product.mission].clock

    def check(self, product: Product) -> None:
        """Check that the names of a product have the same meaning in this database.

        Raises
        ------
        IngestError
            If its mission is unknown or has another clock, its catalog belongs to another mission,
            its instrument is ambiguous, or one of its units differs from that of the method's row.
        """
        self._check_mission(product)
        path = product.instrument
        if any(path[:depth] in self._ambiguous for depth in range(1, len(path) + 1)):
            raise IngestError(
                f"this database has several instruments {' > '.join(path)}; merge them first"
            )
        for curve in product.curves:
            self._check_unit(curve)

    def adopt(self, product: Product) -> None:
        """Keep the names of an accepted product for later products."""
        self._new_catalogs.setdefault(product.catalog, product.mission)
        for key, named in methods(product):
            self._descriptions.setdefault(key, named.description)

    def _check_mission(self, product: Product) -> None:
        known = MISSIONS.get(product.mission)
        if product.mission not in self.missions:
            if known is None:
                raise IngestError(
                    f"no mission {product.mission!r} in this database; add its row first: "
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
                f"of {product.mission} would be read with the wrong epoch"
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
                f"the light curves of {name.name!r} in this database are in {here or 'no unit'}, "
                f"but this one is in {expected or 'no unit'}; give its "
                f"{'processing' if curve.processing else 'photometry'} another name"
            )


def look_up(connection: sa.Connection, products: Sequence[Product]) -> Names:
    """Look up the names in a batch, with one statement per table."""
    names = Names()
    columns = (Mission.time_format_name, Mission.time_unit, Mission.time_epoch)
    clocks = sa.select(
        Mission.name, Mission.id, *columns, Mission.time_epoch_format, Mission.time_epoch_scale
    ).where(Mission.name.in_({p.mission for p in products}))
    rows: Iterable[Any] = connection.execute(layout.of(connection).present(clocks))
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
        used = {name for p in products for (of, name), _ in methods(p) if of is method}
        rows = connection.execute(
            sa.select(method.name, method.id, method.description).where(method.name.in_(used))
        )
        for name, id_, description in rows:
            names.methods[method, name] = id_
            names._descriptions[method, name] = description or ""
    _look_up_instruments(connection, names, {name for p in products for name in p.instrument})
    return names


def _look_up_instruments(connection: sa.Connection, names: Names, used: set[str]) -> None:
    rows = connection.execute(
        sa.select(Instrument.id, Instrument.name, Instrument.parent_id).where(
            Instrument.name.in_(used)
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
    """List a curve's methods, in the order in which their units are looked up."""
    found: list[tuple[tuple[Method, str], Named]] = []
    if curve.processing is not None:
        found.append(((ProcessingMethod, curve.processing.name), curve.processing))
    return [*found, ((PhotometricSource, curve.photometry.name), curve.photometry)]


def methods(product: Product) -> Iterable[tuple[tuple[Method, str], Named]]:
    """List the methods of all light curves, each with the key of its id."""
    return (named for curve in product.curves for named in _named(curve))


def _texts(curve: Curve) -> list[str]:
    return [named.description for _, named in _named(curve)]


def _unit(descriptions: Sequence[str]) -> str:
    """Return the unit in brackets at the start of the first description that has one."""
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
    # Clocks are equal if they have the same numbers for the same instants.
    days = np.array([0.0, 1000.0])
    return np.allclose(one.from_bjd(days + float(other.epoch)), days, rtol=0, atol=1e-9)
