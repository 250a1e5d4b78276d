"""What a search finds, and what it asks back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import AmbiguousError
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import PhotometricSource, ProcessingMethod


@pytest.fixture
def db(empty_dsn: str) -> Iterator[lcdb.Database]:
    """Two stars in one sector, whose sources and methods have names that mean "nothing"."""
    with lcdb.connect(empty_dsn, write=True) as db:
        store(db.session.connection(), list(demo.products(2, sectors=[1], cadences=20)))
        for statement in (
            "UPDATE processing_method SET name = 'raw' WHERE name = 'DEMO DET'",
            "UPDATE processing_method SET name = '' WHERE name = 'DEMO SYS_RM'",
            "UPDATE photometric_source SET name = '' WHERE name = 'DEMO aperture 2px'",
        ):
            db.session.execute(sa.text(statement))
        db.session.commit()
        yield db


def test_search_requires_a_distinction_if_a_method_is_named_raw(db: lcdb.Database) -> None:
    for word in ("raw", "RAW"):
        with pytest.raises(AmbiguousError, match=r"'raw' is ambiguous.*lcdb.RAW.*ProcessingMethod"):
            _ = db.search(1, processing=word).table
    method = db.session.scalars(sa.select(ProcessingMethod).filter_by(name="raw")).one()
    without = db.search(1, processing=lcdb.RAW)
    named = db.search(1, processing=method)
    assert len(without) == len(named) == 2
    assert not set(without.datasets) & set(named.datasets)
    assert set(without.table["processing"]) == {"raw"}
    assert set(named.table["processing"]) == {"raw (processing method)"}
    assert {data.processing for data in without} == {None}
    assert {data.processing for data in named} == {"raw"}
    assert len(db.search(1, processing=[lcdb.RAW, method])) == 4


def test_search_finds_methods_and_sources_whose_name_is_empty(db: lcdb.Database) -> None:
    empty = db.session.scalars(sa.select(ProcessingMethod).filter_by(name="")).one()
    assert db.search(1, processing="").datasets == db.search(1, processing=empty).datasets
    assert set(db.search(1, processing="").table["processing"]) == {""}
    source = db.session.scalars(sa.select(PhotometricSource).filter_by(name="")).one()
    found = db.search(1, photometry="")
    assert found.datasets == db.search(1, photometry=source).datasets
    assert len(found) == 3
    assert set(found.table["photometry"]) == {""}
    assert set(found.to_pandas()["photometry"]) == {""}


def test_raw_is_not_a_method_unless_one_has_that_name(db: lcdb.Database) -> None:
    db.session.execute(sa.text("UPDATE processing_method SET name = 'x' WHERE name = 'raw'"))
    db.session.commit()
    assert db.search(1, processing="raw").datasets == db.search(1, processing=lcdb.RAW).datasets
    assert repr(lcdb.RAW) == "lcdb.RAW"
