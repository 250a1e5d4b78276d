"""LightcurveDB 3 with many partitions: no statement opens more than a few of them."""

from __future__ import annotations

import _thread
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy import event

import lcdb_notebook as lcdb
from lcdb_notebook.cli.info import summary
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.assemble import Chunk
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import TargetFilter
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.layout import keyed
from lcdb_notebook.search.layout.keyed import Keyed
from lcdb_notebook.search.rows import Row

MOST_LOCKS = 64
"""What PostgreSQL has room for in each connection, unless it is configured otherwise."""

STAR = 1001


@pytest.fixture
def db(partitioned: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(partitioned) as db:
        yield db


FILTERS = (
    TargetFilter(),
    TargetFilter("1", criteria(photometry="TGLC Aperture Small", sector=1)),
    TargetFilter(criteria=criteria(processing="QSPMagnitude"), flagged=False),
    TargetFilter("20", criteria(catalog="TIC"), flagged=True),
)


def _browse(db: lcdb.Database, filters: Sequence[TargetFilter] = FILTERS[1:2]) -> None:
    with db.session_scope() as session:
        facets = [*browse.choices(session), "flags"]
        for some in filters:
            page = browse.page(session, some, size=5)
            for place in page.rows[-1:]:
                browse.page(session, some, size=5, after=place)
                browse.page(session, some, size=5, before=place)
            browse.count(session, some)
            for facet in facets:
                browse.counts(session, some, facet)


def _explore(db: lcdb.Database) -> None:
    for explorer in (db.explore(STAR, sector=1), db.explore(photometry="TGLC Aperture Large")):
        explorer.close()


CALLS: dict[str, Callable[[lcdb.Database, Path], Any]] = {
    "search by number": lambda db, _: db.search(STAR).table,
    "search by number and sector": lambda db, _: db.search(STAR, sector=1).table,
    "search by sector": lambda db, _: db.search(sector=1).table,
    "search everything": lambda db, _: db.search()[:5].table,
    "search by names": lambda db, _: db.search(photometry="TGLC Aperture Large").table,
    "count": lambda db, _: len(db.search()),
    "why there is no such target": lambda db, _: repr(db.search(999_999)),
    "read": lambda db, _: list(db.search(STAR)),
    "lightcurve": lambda db, _: db.search(STAR, processing="raw")[0].lightcurve(),
    "lightcurves": lambda db, _: db.search(STAR, photometry="TGLC Aperture Small").lightcurves(),
    "to_pandas": lambda db, _: db.search(STAR).to_pandas(),
    "export": lambda db, folder: db.search(STAR, sector=1).export(folder, format="csv"),
    "export Parquet": lambda db, folder: db.search(STAR).export(folder, format="parquet"),
    "map": lambda db, _: db.search(STAR, sector=1).map(len, workers=1),
    "to_dask": lambda db, _: db.search(STAR, sector=1).to_dask(),
    "best": lambda db, _: db.search(STAR).best(),
    "coverage": lambda db, _: db.coverage(STAR),
    "lineage": lambda db, _: db.lineage(db.search(STAR)[0]),
    "targets": lambda db, _: db.targets(sector=1),
    "targets by names": lambda db, _: db.targets(processing="QSPMagnitude"),
    "observations": lambda db, _: db.observations(target=STAR),
    "flags": lambda db, _: db.quality_flags(STAR),
    "frames": lambda db, _: db.frames(sector=1),
    "targets of a catalog": lambda db, _: db.targets(catalog="TIC", limit=5, offset=5),
    "observations of a catalog": lambda db, _: db.observations(catalog="TIC"),
    "search from the end": lambda db, _: db.search(catalog="TIC")[-1].table,
    "read everything": lambda db, _: next(iter(db.search())),
    "size": lambda db, _: repr(db.search()),
    "count a part": lambda db, _: len(db.search()[20:400]),
    "flags of a sector": lambda db, _: db.quality_flags(sector=1),
    "to_nested": lambda db, _: db.search(STAR, sector=1).to_nested(),
    "to_arrow": lambda db, _: db.search(STAR, sector=1).to_arrow(),
    "browse": lambda db, _: _browse(db),
    "browse by other filters": lambda db, _: _browse(db, FILTERS),
    "explore": lambda db, _: _explore(db),
    "info": lambda db, _: summary(db),
}


@pytest.fixture
def sent(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[tuple[str, Any]]]]:
    """The statements of a test with their parameters, COPYs included."""
    log: list[tuple[str, Any]] = []

    def record(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        log.append((statement, parameters))

    def everything() -> list[tuple[str, Any]]:
        copies = [message for message in caplog.messages if message.startswith("COPY (")]
        return log + [(copy[len("COPY (") : copy.rindex(") TO STDOUT")], None) for copy in copies]

    event.listen(sa.Engine, "before_cursor_execute", record)
    with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
        yield everything
    event.remove(sa.Engine, "before_cursor_execute", record)


def locks(connection: sa.Connection, statement: str, parameters: Any) -> int:
    """Run a statement again, and count the locks that it takes."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        cursor.execute(statement, parameters)
        cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()")
        (number,) = cursor.fetchone()
    driver.rollback()
    return int(number)


OF_MANY = (
    *("search everything", "search by names", "search from the end", "read everything", "size"),
    *("count", "count a part", "targets by names", "targets of a catalog", "browse", "explore"),
    *("observations of a catalog", "browse by other filters"),
)
"""Calls that name no star; they are also made with too many keys to read first."""

LONG = dict.fromkeys(("browse by other filters", "explore", "pages"), pytest.mark.slow)
FEW = "search by names"
"""Of the calls with too many keys, the one that is made in the quick tests, too."""


@pytest.mark.parametrize(
    ("call", "most"),
    [
        *(
            pytest.param(CALLS[name], keyed.MOST_KEYS, id=name, marks=LONG.get(name, ()))
            for name in CALLS
        ),
        *(
            pytest.param(
                CALLS[name], 50, id=f"{name} of many", marks=() if name == FEW else pytest.mark.slow
            )
            for name in OF_MANY
        ),
    ],
)
def test_no_statement_holds_many_locks(
    db: lcdb.Database,
    partitioned: str,
    sent: Callable[[], list[tuple[str, Any]]],
    call: Callable[[lcdb.Database, Path], Any],
    most: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyed, "MOST_KEYS", most)
    call(db, tmp_path)
    statements = sent()
    assert statements
    with sa.create_engine(partitioned, poolclass=sa.NullPool).connect() as connection:
        for statement, parameters in statements:
            assert locks(connection, statement, parameters) < MOST_LOCKS, statement


def _pages(db: lcdb.Database, some: TargetFilter) -> list[Any]:
    with db.session_scope() as session:
        pages = [browse.page(session, some, size=7)]
        while pages[-1].more_after and len(pages) < 4:
            pages.append(browse.page(session, some, size=7, after=pages[-1].rows[-1]))
        if pages[-1].rows:
            pages.append(browse.page(session, some, size=7, before=pages[-1].rows[0]))
    return pages


RESULTS: dict[str, Callable[[lcdb.Database], Any]] = {
    "everything": lambda db: db.search().table,
    "a sector": lambda db: db.search(sector=1, photometry="TGLC Aperture Small").table,
    "the first": lambda db: db.search()[:5].table,
    "the last": lambda db: db.search()[-7:].table,
    "one from the end": lambda db: db.search(processing="QSPMagnitude")[-3].table,
    "within a star": lambda db: db.search()[295:310].table,
    "beyond the end": lambda db: len(db.search()[100_000:]),
    "count": lambda db: (len(db.search()), len(db.search(processing="raw")[20:400])),
    "read": lambda db: [data.flux.tolist() for data in db.search(sector=1)],
    "targets": lambda db: db.targets(photometry="TGLC Aperture Small", limit=7, offset=3),
    "all targets": lambda db: db.targets(sector=[1, 2], limit=None),
    "observations": lambda db: db.observations(catalog="TIC", limit=5, offset=2),
    "pages": lambda db: [_pages(db, some) for some in FILTERS],
}


@pytest.mark.parametrize(
    "result", [pytest.param(RESULTS[n], id=n, marks=LONG.get(n, ())) for n in RESULTS]
)
def test_parts_have_the_results_of_one_statement(
    db: lcdb.Database,
    result: Callable[[lcdb.Database], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = result(db)
    monkeypatch.setattr(keyed, "MOST_KEYS", 50)
    found = result(db)
    if isinstance(expected, pd.DataFrame):
        assert len(expected)
        pd.testing.assert_frame_equal(found, expected)
    else:
        assert found == expected


def test_browse_counts_parts(db: lcdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> list[Any]:
        with db.session_scope() as session:
            return [
                (browse.count(session, some), browse.counts(session, some, "sector"))
                for some in FILTERS
            ]

    expected = counted()
    monkeypatch.setattr(keyed, "MOST_KEYS", 50)
    for (number, by_sector), (one, each) in zip(counted(), expected, strict=True):
        assert number == pytest.approx(one, rel=0.2, abs=2)
        assert by_sector == pytest.approx(each, rel=0.2, abs=2)


def test_a_statement_on_all_partitions_is_noticed(partitioned: str) -> None:
    with sa.create_engine(partitioned, poolclass=sa.NullPool).connect() as connection:
        statement = "SELECT count(*) FROM dataset"
        assert locks(connection, statement, None) > 180


SELECTIONS: dict[str, Callable[[lcdb.Database], lcdb.Selection]] = {
    "of a star": lambda db: db.search(STAR),
    "some of a star": lambda db: db.search(STAR)[1:21],
    "of stars in different observations": lambda db: db.search([STAR, 1002, 1006, 2003, 2012]),
    "of a sector": lambda db: db.search(sector=1),
    "of stars and a method": lambda db: db.search([STAR, 1002], processing="QSPMagnitude"),
}


@pytest.fixture(scope="module")
def flat(
    new_database: Callable[[], str], fill_partitions: Callable[..., None]
) -> Iterator[lcdb.Database]:
    url = new_database()
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        fill_partitions(connection, 60, partitioned=False, cadences=8, targets=2_000)
    with lcdb.connect(url) as db:
        yield db


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_light_curves_are_those_of_the_same_rows_without_partitions(
    db: lcdb.Database, flat: lcdb.Database, select: Callable[[lcdb.Database], lcdb.Selection]
) -> None:
    pairs = list(zip(select(db), select(flat), strict=True))
    assert len(pairs) >= 20
    for one, other in pairs:
        assert one.observation.fields == other.observation.fields
        assert (one.target, one.photometry) == (other.target, other.photometry)
        assert one.processing == other.processing
        assert (one.flux == other.flux).all()
        assert (one.time == other.time).all()


def test_light_curves_are_assembled_while_the_next_arrive(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembled: list[bool] = []
    light_curve = Chunk.light_curve

    def recorded(chunk: Chunk, row: Row) -> LightCurveData | DataError:
        assembled.append(row.dataset in chunk._made)
        return light_curve(chunk, row)

    monkeypatch.setattr(Chunk, "light_curve", recorded)
    assert len(list(db.search(STAR))) == 300
    assert assembled == [True] * 300


def test_an_interrupt_ends_a_search_of_all_partitions(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[int]] = []

    def slow(_: Any, observations: list[int]) -> str:
        sent.append(observations)
        if len(sent) == 2:
            _thread.interrupt_main()
        seconds = 60 * (len(sent) == 2)
        rows = f"SELECT 1::bigint AS target_id FROM pg_sleep({seconds})"
        return f"SELECT 1, 1, 1, 1 FROM ({rows}) r WHERE false = (target_id IS NULL)"

    with monkeypatch.context() as patched:
        patched.setattr(Keyed, "_in_partitions", slow)
        with pytest.raises(KeyboardInterrupt):
            len(db.search(STAR).table)
    assert len(sent) == 2
    assert len(db.search(STAR).table) == 300
