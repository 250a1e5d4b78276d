"""Parameters of stars, and aliases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import AmbiguousError, LCDBError, SchemaError
from lcdb_notebook.lightcurve.record import StarParameter

STAR, SAME_STAR, OTHER = (1_000_000_007 * number for number in (3, 4, 5))

TABLES = f"""
CREATE TABLE parameter_kind (id serial PRIMARY KEY, name varchar(64) NOT NULL UNIQUE,
    unit_str varchar(64) NOT NULL, created_on timestamp NOT NULL DEFAULT now());
CREATE TABLE astro_parameter (id bigserial PRIMARY KEY,
    target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE,
    kind_id int NOT NULL REFERENCES parameter_kind, value float8 NOT NULL,
    upper_error float8, lower_error float8, UNIQUE (target_id, kind_id));
INSERT INTO parameter_kind (id, name, unit_str) VALUES (1, 'effective_temperature', 'K'),
    (2, 'metallicity', ''), (3, 'mass', 'solMass'), (4, 'sector', 'd');
INSERT INTO astro_parameter (target_id, kind_id, value, upper_error, lower_error)
    SELECT target.id, given.* FROM target, (VALUES (1, 5772.0, 50.0, 40.0), (2, -0.125, NULL, NULL),
        (3, 'NaN', 1.0, 1.0), (4, 99.0, NULL, NULL)) AS given WHERE name = {STAR};
"""

KNOWN = {
    "effective_temperature": StarParameter(5772.0, "K", 50.0, 40.0),
    "metallicity": StarParameter(-0.125, ""),
    "sector": StarParameter(99.0, "d"),
}

ONE: dict[str, Any] = {"orbit_number": 9, "photometry": "TGLC Aperture Small"}
RAW: dict[str, Any] = {**ONE, "processing": "raw"}

with_layouts = pytest.mark.parametrize("layout", ["own", "2.x", "3.3"], indirect=True)


def change(url: str, statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statements)


@pytest.fixture
def db(layout_copy: str) -> Iterator[lcdb.Database]:
    change(layout_copy, TABLES)
    with lcdb.connect(layout_copy) as db:
        yield db


@with_layouts
def test_read_has_the_parameters_of_the_star(db: lcdb.Database) -> None:
    assert [data.parameters for data in db.search([STAR, OTHER], **RAW)] == [KNOWN, {}]


def has_the_parameters(meta: Any) -> bool:
    assert meta["SECTOR"] == 1, "the field of the observation counts, not a parameter of that name"
    assert "MASS" not in meta, "it is NaN, which no header can hold"
    return {name: value for name, value in meta.items() if name[:5] in ("EFFEC", "METAL")} == {
        "EFFECTIVE_TEMPERATURE": 5772.0,
        "EFFECTIVE_TEMPERATURE_UNIT": "K",
        "EFFECTIVE_TEMPERATURE_UPPER_ERROR": 50.0,
        "EFFECTIVE_TEMPERATURE_LOWER_ERROR": 40.0,
        "METALLICITY": -0.125,
    }


@with_layouts
def test_meta_of_light_curves_has_the_parameters_of_the_star(db: lcdb.Database) -> None:
    found = db.search(STAR, **RAW)
    assert has_the_parameters(found.lightcurve().meta)
    assert has_the_parameters(found.lightcurves()[0].meta)
    assert has_the_parameters(lcdb.from_pandas(found.to_pandas())[0].meta)
    (temperature,) = found.map(lambda lc: lc.meta["EFFECTIVE_TEMPERATURE"], workers=1)["result"]
    assert temperature == 5772.0
    assert "EFFECTIVE_TEMPERATURE" not in db.lightcurve(OTHER, **RAW).meta


@pytest.mark.parametrize("layout", ["3.3"], indirect=True)
@pytest.mark.parametrize("written", ["fits", "ecsv", "csv"])
def test_export_writes_the_parameters_again_when_they_change(
    db: lcdb.Database, layout_copy: str, tmp_path: Path, written: Any
) -> None:
    found = db.search(STAR, **RAW)
    (file,) = found.export(tmp_path, format=written)["file"]
    assert has_the_parameters(lcdb.read_lightcurve(file).meta)
    assert found.export(tmp_path, format=written)["status"].tolist() == ["kept"]
    change(layout_copy, "UPDATE astro_parameter SET value = 0.5 WHERE kind_id = 2")
    assert found.export(tmp_path, format=written)["status"].tolist() == ["written"]
    assert lcdb.read_lightcurve(file).meta["METALLICITY"] == 0.5


ALIASES = f"""
INSERT INTO mission_catalog (id, host_mission_id, name, description)
    SELECT 2, id, 'KIC', '' FROM mission;
UPDATE target SET catalog_id = 2, name = 757076 WHERE name = {SAME_STAR};
INSERT INTO alias (target_id, counterpart_id) SELECT a.id, b.id FROM target a, target b
    WHERE (a.name, b.name) IN ((757076, {STAR}), ({OTHER}, 757076));
"""

with_aliases = pytest.mark.parametrize("layout", ["3.1", "3.3"], indirect=True)


@pytest.fixture
def aliased(layout_copy: str) -> Iterator[lcdb.Database]:
    """STAR and OTHER are aliases of KIC 757076, on either side of a pair."""
    change(layout_copy, ALIASES)
    with lcdb.connect(layout_copy) as db:
        yield db


@with_aliases
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (STAR, {STAR, 757076}),
        (f"TIC {OTHER}", {OTHER, 757076}),
        ("KIC 757076", {STAR, 757076, OTHER}),
        ([STAR, 1_000_000_007], {STAR, 757076, 1_000_000_007}),
    ],
    ids=str,
)
def test_search_with_aliases_finds_the_same_star_in_other_catalogs(
    aliased: lcdb.Database, target: Any, expected: set[int]
) -> None:
    found = aliased.search(target, aliases=True, processing="raw")
    assert set(found.table["target"]) == expected
    assert len(found) == len(found.table)
    assert {data.target for data in found} == expected
    assert set(aliased.targets(target, aliases=True)["target"]) == expected
    assert not set(aliased.search(target, processing="raw").table["target"]) - set(
        aliased.targets(target)["target"]
    )


@with_aliases
def test_targets_with_aliases_names_them(aliased: lcdb.Database) -> None:
    names = aliased.targets(aliases=True).set_index("target")["aliases"]
    assert len(names) == 20
    assert names[757076] == f"TIC {STAR}, TIC {OTHER}"
    assert names[STAR] == names[OTHER] == "KIC 757076"
    assert names[1_000_000_007] == ""
    assert "aliases" not in aliased.targets()


@with_aliases
def test_light_curves_of_aliases_are_read_as_one_star(aliased: lcdb.Database) -> None:
    together = aliased.lightcurves(
        STAR, aliases=True, photometry="TGLC Aperture Small", processing="QSPMagnitude"
    )
    assert {lc.meta["OBJECT"] for lc in together} == {f"TIC {STAR}", "KIC 757076"}
    counts = aliased.coverage(STAR, aliases=True)
    assert set(counts.index.get_level_values("target")) == {STAR, 757076}


@with_aliases
def test_search_with_aliases_names_what_it_does_not_find(
    aliased: lcdb.Database, layout_copy: str
) -> None:
    with pytest.raises(LCDBError, match="no target 5 in"):
        aliased.lightcurve(5, aliases=True)
    change(layout_copy, "INSERT INTO target (catalog_id, name) SELECT 1, 757076")
    with pytest.raises(AmbiguousError, match=r"757076 is in two catalogs, .*catalog='"):
        aliased.search(757076, aliases=True).datasets  # noqa: B018
    change(
        layout_copy,
        "INSERT INTO alias (target_id, counterpart_id) "
        "SELECT min(id), max(id) FROM target WHERE name = 757076",
    )
    assert set(aliased.search(757076, aliases=True).table["target"]) == {STAR, 757076, OTHER}


@pytest.mark.parametrize("layout", ["own", "2.x"], indirect=True)
def test_aliases_need_their_table(layout_dsn: str) -> None:
    with lcdb.connect(layout_dsn) as db:
        for method in (db.search, db.targets):
            with pytest.raises(SchemaError, match="aliases=True needs the table alias"):
                len(method(STAR, aliases=True))
