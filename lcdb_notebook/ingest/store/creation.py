"""Create rows for the missions, catalogs, targets, methods and instruments of products."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.names import (
    Method,
    Names,
    Path,
    methods,
)
from lcdb_notebook.lightcurve import missions
from lcdb_notebook.models import (
    Instrument,
    Mission,
    MissionCatalog,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import layout


def create(connection: sa.Connection, names: Names, products: Sequence[Product]) -> None:
    """Create the missing rows for the names in products, with one statement per table."""
    missing = {p.mission for p in products} - names.missions.keys()
    if missing:
        rows: list[dict[str, Any]] = []
        for mission in sorted(missing):
            known = missions.MISSIONS[mission]
            names.missions[mission] = (uuid.uuid4(), known.clock)
            rows.append(_mission_row(mission, names.missions[mission][0], known))
        _insert_missions(connection, rows)
    hosts = {p.catalog: p.mission for p in products if p.catalog not in names.catalogs}
    if hosts:
        rows = [
            {
                "name": catalog,
                "host_mission_id": names.missions[mission][0],
                "description": missions.CATALOGS.get(catalog, ""),
            }
            for catalog, mission in hosts.items()
        ]
        made = connection.execute(
            sa.insert(MissionCatalog).returning(MissionCatalog.name, MissionCatalog.id), rows
        )
        names.catalogs |= {name: (id_, hosts[name]) for name, id_ in made}
    _create_targets(connection, names, products)
    _create_methods(connection, names, products)
    _create_instruments(connection, names, [p.instrument for p in products])


def _insert_missions(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    if "column mission.time_unit" not in layout.of(connection).lacking:
        connection.execute(sa.insert(Mission), rows)
        return
    # LightcurveDB has no such column. Its times are in days, as those of all known missions.
    columns = [sa.column(c.name, c.type) for c in Mission.__table__.c if c.name != "time_unit"]
    named = [{c.name: row[c.name] for c in columns} for row in rows]
    connection.execute(sa.insert(sa.table("mission", *columns)), named)


def _mission_row(name: str, id_: uuid.UUID, known: missions.KnownMission) -> dict[str, Any]:
    clock = known.clock
    return {
        "id": id_,
        "name": name,
        "description": known.description,
        "time_unit": clock.unit,
        "time_epoch": clock.epoch,
        "time_epoch_scale": clock.epoch_scale,
        "time_epoch_format": clock.epoch_format,
        "time_format_name": clock.format_name,
    }


def _create_targets(connection: sa.Connection, names: Names, products: Sequence[Product]) -> None:
    missing = dict.fromkeys(
        (p.catalog, int(p.target))
        for p in products
        if (p.catalog, int(p.target)) not in names.targets
    )
    if missing:
        catalogs = {names.catalogs[catalog][0]: catalog for catalog, _ in missing}
        made = connection.execute(
            sa.insert(Target).returning(Target.catalog_id, Target.name, Target.id),
            [{"catalog_id": names.catalogs[c][0], "name": number} for c, number in missing],
        )
        names.targets |= {(catalogs[catalog], number): id_ for catalog, number, id_ in made}


def _create_methods(connection: sa.Connection, names: Names, products: Sequence[Product]) -> None:
    missing: dict[Method, dict[str, str]] = {PhotometricSource: {}, ProcessingMethod: {}}
    for product in products:
        for (method, name), named in methods(product):
            if (method, name) not in names.methods:
                missing[method].setdefault(name, named.description)
    for method, descriptions in missing.items():
        if descriptions:
            made = connection.execute(
                sa.insert(method).returning(method.name, method.id),
                [{"name": name, "description": text} for name, text in descriptions.items()],
            )
            names.methods |= {(method, name): id_ for name, id_ in made}


def _create_instruments(connection: sa.Connection, names: Names, paths: Iterable[Path]) -> None:
    rows: list[dict[str, Any]] = []
    for path in dict.fromkeys(paths):
        for depth in range(1, len(path) + 1):
            if path[:depth] not in names.instruments:
                names.instruments[path[:depth]] = id_ = uuid.uuid4()
                parent = names.instruments.get(path[: depth - 1])
                rows.append({"id": id_, "name": path[depth - 1], "parent_id": parent})
    if rows:
        connection.execute(sa.insert(Instrument), rows)
