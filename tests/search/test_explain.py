"""Explanations of a search that found nothing: the request, what exists, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook.errors import (
    AmbiguousError,
    LightCurveNotFoundError,
    NameNotFoundError,
    NotFoundError,
    TargetNotFoundError,
)
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import ProcessingMethod, Target
from lcdb_notebook.search import explain
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.lazy import Search


def product(target: int, catalog: str = "TIC") -> Product:
    flux = np.ones(2)
    steps = ("PDCSAP", "KSPSAP", "SYS_RM", "DET")
    return Product(
        label=f"{catalog} {target}",
        mission="TESS",
        catalog=catalog,
        target=target,
        observation_type="tess_observation",
        observation_fields={"sector": 1, "author": "SPOC"},
        instrument=("TESS", "Camera 1", "CCD 2"),
        cadence=np.arange(2),
        time=np.array([1325.0, 1326.0]),
        quality={},
        curves=(
            Curve(Named("SPOC SAP", ""), None, None, flux),
            *(Curve(Named("SPOC SAP", ""), Named(step, ""), 0, flux) for step in steps),
        ),
    )


@pytest.fixture(scope="module")
def sessions(new_tables: Callable[[], str], undone: Callable[[str], Any]) -> Any:
    """Sessions on two stars, one of which shares its number with another catalog's."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        products = [product(101), product(102), product(102, "Gaia DR3")]
        store(db.session.connection(), products)
        db.session.commit()
    return undone(url)


@pytest.fixture
def filled(sessions: Any) -> Iterator[orm.Session]:
    with sessions() as session:
        yield session


def why(session: orm.Session, *args: Any, **search: Any) -> NotFoundError:
    found = explain.explain(session, criteria(*args, **search))
    assert isinstance(found, NotFoundError)
    return found


def test_an_empty_database_is_reported_with_the_ways_to_fill_it(session: orm.Session) -> None:
    error = why(session, 101, processing="PDCSAP")
    assert type(error) is LightCurveNotFoundError
    for part in ("no light curves yet", "db.ingest(paths)", "write=True", "lcdb-notebook demo"):
        assert part in str(error)


def test_an_unknown_target_names_the_catalogs_and_how_many_targets_there_are(
    filled: orm.Session,
) -> None:
    error = why(filled, 999)
    assert type(error) is TargetNotFoundError
    assert str(error) == (
        "no target 999 in catalogs Gaia DR3, TIC; this database has 3 targets "
        "(db.targets() lists them)"
    )


def test_an_unknown_target_of_a_catalog_names_that_one(filled: orm.Session) -> None:
    assert str(why(filled, "Gaia DR3 101")).startswith("no target 101 in catalog Gaia DR3; ")


def test_some_of_many_unknown_targets_are_named(filled: orm.Session) -> None:
    assert "no target 900, 901, 902, 903, 904, ... in" in str(why(filled, range(900, 1000)))


def test_the_targets_of_a_large_database_are_estimated_and_not_counted(
    filled: orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "_COUNTED", 2)
    filled.execute(sa.text("UPDATE pg_class SET reltuples = 1234567 WHERE relname = 'target'"))
    assert "has about 1,234,567 targets" in str(why(filled, 999))
    filled.execute(sa.text("UPDATE pg_class SET reltuples = -1 WHERE relname = 'target'"))
    assert "has about 3 targets" in str(why(filled, 999))


@pytest.mark.parametrize(
    ("search", "kind", "nearest"),
    [
        ({"processing": "PDSCAP"}, "processing method", "PDCSAP"),
        ({"processing": "kspsap"}, "processing method", "KSPSAP"),
        ({"photometry": "SPOC"}, "photometric source", "SPOC SAP"),
        ({"catalog": "tic"}, "catalog", "TIC"),
        ({"instrument": "Camera 11"}, "instrument", "Camera 1"),
        ({"processing": ["raw", "PDCSAP", "SYSRM"]}, "processing method", "SYS_RM"),
    ],
)
def test_a_misspelt_name_lists_the_existing_ones_nearest_first(
    filled: orm.Session, search: dict[str, Any], kind: str, nearest: str
) -> None:
    error = why(filled, 101, **search)
    assert type(error) is NameNotFoundError
    value = next(iter(search.values()))
    wrong = value if isinstance(value, str) else value[-1]
    assert str(error).startswith(f"no {kind} named {wrong!r}; available: {nearest!r}")


def test_every_processing_method_is_listed_and_raw_is_explained(filled: orm.Session) -> None:
    message = str(why(filled, processing="x"))
    for name in ("PDCSAP", "KSPSAP", "SYS_RM", "DET"):
        assert repr(name) in message
    assert message.endswith("processing='raw' selects raw photometry")


def test_the_nearest_of_very_many_names_are_listed(filled: orm.Session) -> None:
    # In LightcurveDB 3 ids are given.
    filled.add_all([ProcessingMethod(id=100 + n, name=f"method {n}") for n in range(100)])
    message = str(why(filled, processing="method x7"))
    assert message.count("'method ") == 13
    assert "'method 7'" in message
    assert ", ...; " in message


def test_names_that_exist_but_do_not_combine_are_reported(filled: orm.Session) -> None:
    error = why(filled, [101, 102], catalog="TIC", processing=["raw", "DET"], sector=7)
    assert type(error) is LightCurveNotFoundError
    assert str(error) == (
        "no light curve matches all of target=[101, 102], catalog='TIC', processing=['raw', "
        "'DET'], sector=7; drop one criterion to see what exists"
    )


def test_targets_passed_as_objects_are_named(filled: orm.Session) -> None:
    target = filled.scalars(sa.select(Target)).first()
    assert target is not None
    assert f"targets of id={target.id}, sector=7" in str(why(filled, target, sector=7))


def test_a_target_without_light_curves_is_not_reported_as_unknown(filled: orm.Session) -> None:
    catalog = filled.scalars(sa.select(Target)).first()
    assert catalog is not None
    filled.add(Target(catalog_id=catalog.catalog_id, name=555))
    assert type(why(filled, 555)) is LightCurveNotFoundError


@pytest.mark.own_tables  # LightcurveDB 3 has one more, for each few partitions
def test_an_explanation_sends_at_most_three_statements(
    filled: orm.Session, statements: list[str]
) -> None:
    search = {"catalog": "TIC", "instrument": "Camera 1", "photometry": "SPOC SAP"}
    filled.connection()
    statements.clear()
    assert "999" in str(why(filled, [998, 999], processing="DET", **search))
    assert len(statements) == 3


def test_missing_numbers_are_in_the_order_of_the_request_without_repeats(
    filled: orm.Session,
) -> None:
    wanted = criteria([999, 101, 5, 999, 102])
    assert explain.missing_numbers(filled, wanted) == [999, 5]
    assert explain.missing_numbers(filled, criteria([101, 102], catalog="Gaia DR3")) == [101]


class Lender:
    def __init__(self, session: orm.Session) -> None:
        self._session = session

    @contextmanager
    def session_scope(self) -> Iterator[orm.Session]:
        yield self._session


def test_a_number_in_two_catalogs_requires_a_catalog(filled: orm.Session) -> None:
    wanted = criteria([101, 102])
    rows = Search(Lender(filled), wanted).found(filled).rows
    message = r"102 is in two catalogs, Gaia DR3 and TIC.*catalog='Gaia DR3' or catalog='TIC'"
    with pytest.raises(AmbiguousError, match=message):
        explain.check_one_catalog(rows, wanted)


@pytest.mark.parametrize("search", [{"target": 101}, {"target": "TIC 102"}, {"sector": 1}])
def test_a_number_in_one_catalog_requires_no_catalog(
    filled: orm.Session, search: dict[str, Any]
) -> None:
    wanted = criteria(**search)
    rows = Search(Lender(filled), wanted).found(filled).rows
    assert rows
    explain.check_one_catalog(rows, wanted)
