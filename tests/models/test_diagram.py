"""The diagram of the schema, entity by entity: names, types and keys of all columns, and links."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook import models
from lcdb_notebook.models import NumpyArray

ENTITIES = """
Mission
    UUID id PK
    string name UK
    string description
    string time_unit
    decimal time_epoch
    string time_epoch_scale
    string time_epoch_format
    string time_format_name UK

MissionCatalog
    int id PK
    UUID host_mission_id FK
    string name UK
    string description

Target
    bigint id PK
    int catalog_id FK
    bigint name

Instrument
    UUID id PK
    string name
    json properties
    UUID parent_id FK

Observation
    int id PK
    string type
    array cadence_reference
    UUID instrument_id FK

FITSFrame
    int id PK
    string type
    bigint cadence
    int observation_id FK
    bool simple
    int bitpix
    int naxis
    array naxis_values
    bool extended
    float bscale
    float bzero
    path file_path

PhotometricSource
    int id PK
    string name UK
    string description

ProcessingMethod
    int id PK
    string name UK
    string description

DataSet
    int id PK
    int target_id FK
    int observation_id FK
    int photometric_method_id FK "nullable"
    int processing_method_id FK "nullable"
    array values
    array errors

DataSetHierarchy
    int id PK
    int source_dataset_id FK
    int child_dataset_id FK

TargetSpecificTime
    bigint id PK
    int target_id FK
    int observation_id FK
    array barycentric_julian_dates

QualityFlagArray
    bigint id PK
    string type
    int observation_id FK
    int target_id FK
    array quality_flags
    datetime created_on
"""

LINKS = """
Mission ||--o{ MissionCatalog : "has catalogs"
MissionCatalog ||--o{ Target : "contains targets"
Instrument ||--o{ Instrument : "parent/child"
Instrument ||--o{ Observation : "produces"
Observation ||--o{ FITSFrame : "polymorphic"
Observation ||--o{ TargetSpecificTime : "has times"
Observation ||--o{ DataSet : "has datasets"
Observation ||--o{ QualityFlagArray : "has quality flags"
Target ||--o{ TargetSpecificTime : "has times"
Target ||--o{ DataSet : "has lightcurves"
Target ||--o{ QualityFlagArray : "has quality flags"
PhotometricSource ||--o{ DataSet : "extracts data for"
ProcessingMethod ||--o{ DataSet : "processes data for"
DataSet ||--o{ DataSetHierarchy : "source"
DataSet ||--o{ DataSetHierarchy : "derived"
"""

#: What a word of the diagram is in PostgreSQL; arrays are compared as such.
KINDS: dict[str, tuple[type, ...]] = {
    "UUID": (sa.Uuid,),
    "string": (sa.String, sa.Text),
    "decimal": (sa.Numeric,),
    "int": (sa.Integer,),
    "bigint": (sa.BigInteger,),
    "json": (sa.JSON,),
    "bool": (sa.Boolean,),
    "float": (sa.Double, sa.Float),
    "datetime": (sa.DateTime,),
    # No database has a type for paths.
    "path": (sa.Text,),
}


def entities() -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for block in ENTITIES.strip().split("\n\n"):
        name, *fields = block.splitlines()
        found[name] = [field.split() for field in fields]
    return found


FIELDS = [(entity, *field) for entity, fields in entities().items() for field in fields]


@pytest.fixture(scope="module")
def inspector(engine: sa.Engine) -> sa.Inspector:
    return sa.inspect(engine)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: " ".join(field))
def test_a_column_is_there_as_drawn(inspector: sa.Inspector, field: tuple[str, ...]) -> None:
    entity, kind, name, *marks = field
    table = getattr(models, entity).__tablename__
    stored = {column["name"]: column for column in inspector.get_columns(table)}
    assert name in stored
    column, expected = getattr(models, entity).__table__.c[name], KINDS.get(kind)
    if expected is None:
        assert kind == "array"
        assert isinstance(column.type, NumpyArray)
        assert isinstance(stored[name]["type"], sa.ARRAY)
    else:
        assert isinstance(stored[name]["type"], expected)
        # Drawn as int, but a reference has the type of what it refers to.
        big = kind == "bigint" or name == "target_id"
        assert isinstance(stored[name]["type"], sa.BigInteger) is big
    primary = inspector.get_pk_constraint(table)["constrained_columns"]
    assert (primary == [name]) is ("PK" in marks)
    unique = [key["column_names"] for key in inspector.get_unique_constraints(table)]
    assert ([name] in unique) is ("UK" in marks)
    foreign = [key["constrained_columns"] for key in inspector.get_foreign_keys(table)]
    assert ([name] in foreign) is ("FK" in marks)
    if '"nullable"' in marks:
        assert stored[name]["nullable"]


@pytest.mark.parametrize("entity", entities())
def test_no_column_is_there_that_is_not_drawn(entity: str) -> None:
    # The fields of the missions that ship with the package share the observation's table.
    mapper = sa.inspect(getattr(models, entity))
    drawn = {name for _, name, *_ in entities()[entity]}
    assert {column.name for column in mapper.columns} == drawn


@pytest.mark.parametrize("link", LINKS.strip().splitlines())
def test_a_link_leads_from_one_to_many(link: str) -> None:
    match = re.fullmatch(r'(\w+) \|\|--o\{ (\w+) : "(.*)"', link)
    assert match is not None
    one, many = getattr(models, match[1]), getattr(models, match[2])
    links = [link for link in sa.inspect(one).relationships if link.mapper.class_ is many]
    if many is models.DataSetHierarchy:
        # The junction is behind source_datasets and derived_datasets.
        links = [
            link
            for link in sa.inspect(one).relationships
            if link.secondary is many.__table__ and match[3] in link.key
        ]
        assert [link.direction for link in links] == [orm.RelationshipDirection.MANYTOMANY]
        return
    assert orm.RelationshipDirection.ONETOMANY in {link.direction for link in links}
