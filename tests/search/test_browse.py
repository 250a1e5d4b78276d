"""Browsing targets: what begins with some digits, pages that meet, and numbers beside filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.models import Mission, MissionCatalog, Target
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import Page, TargetFilter, TargetRow, spread
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.size import Size

MANY = 20_000
KIC = [3 * number for number in range(MANY)]
KIC_1, KIC_3 = (sum(str(number).startswith(digit) for number in KIC) for digit in "13")


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> Iterator[lcdb.Database]:
    """The demonstration data, with a catalog of targets without observations."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, 8)
        kepler = Mission(name="Kepler", time_epoch=2454833, time_format_name="bkjd")
        db.session.add(MissionCatalog(name="KIC", host_mission=kepler))
        db.session.flush()
        (catalog,) = db.session.scalars(
            sa.select(MissionCatalog.id).where(MissionCatalog.name == "KIC")
        )
        db.session.execute(
            sa.insert(Target),
            [{"catalog_id": catalog, "name": number} for number in KIC],
        )
        db.session.commit()
    with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as c:
        c.execute(sa.text("ANALYZE"))
    with lcdb.connect(in_layout(url)) as db:
        yield db


@pytest.fixture
def session(db: lcdb.Database) -> Iterator[orm.Session]:
    with db.session_scope() as session:
        yield session


def listed(session: orm.Session, wanted: TargetFilter, size: int) -> list[TargetRow]:
    """Turn all pages, forwards, and see that going back gives each again."""
    pages = [browse.page(session, wanted, size=size)]
    assert not pages[0].more_before
    while pages[-1].more_after:
        pages.append(browse.page(session, wanted, size=size, after=pages[-1].rows[-1]))
    for earlier, later in pairwise(pages):
        back = browse.page(session, wanted, size=size, before=later.rows[0])
        assert back.rows == earlier.rows
        assert back.more_before == earlier.more_before
        assert back.more_after
    return [row for page in pages for row in page.rows]


# Numbers


@given(st.integers(min_value=1, max_value=2**63 - 1), st.integers(min_value=1, max_value=19))
def test_a_number_is_in_the_ranges_of_its_first_digits_only(number: int, cut: int) -> None:
    digits = str(number)[:cut]
    assert any(low <= number <= high for low, high in browse.beginning_with(digits))
    other = str(int(digits) + 1)
    if not str(number).startswith(other):
        assert not any(low <= number <= high for low, high in browse.beginning_with(other))


@pytest.mark.parametrize("digits", ["1", "26", "2611", "9223372036854775807", "9" * 19, "9" * 30])
def test_runs_ascend_stay_apart_and_fit_a_bigint(digits: str) -> None:
    runs = browse.beginning_with(digits)
    assert len(runs) <= 19
    ends = [end for run in runs for end in run]
    assert ends == sorted(ends)
    assert all(end < 2**63 for end in ends)


@pytest.mark.parametrize("digits", ["", "x", "-1", "1.5", "²"])
def test_text_other_than_digits_matches_no_number(digits: str) -> None:
    with pytest.raises(ValueError, match="must be digits"):
        browse.beginning_with(digits)


@pytest.mark.parametrize(("digits", "number"), [("0", 1), ("00", 0), ("01", 0)])
def test_no_number_has_zeros_in_front(session: orm.Session, digits: str, number: int) -> None:
    assert browse.count(session, TargetFilter(digits)) == number


# Pages


@pytest.mark.parametrize("digits", ["", "1", "12", "5999", "7777777"])
def test_pages_hold_each_target_once_by_number(session: orm.Session, digits: str) -> None:
    rows = listed(session, TargetFilter(digits), 4000)
    numbers = [*range(1, 9), *KIC]
    assert [row.number for row in rows] == sorted(n for n in numbers if str(n).startswith(digits))


WANTED: dict[str, tuple[TargetFilter, int]] = {
    "catalog": (TargetFilter(criteria=criteria(catalog="DEMO")), 8),
    "catalogs": (TargetFilter("3", criteria(catalog=["DEMO", "KIC"])), KIC_3 + 1),
    "list": (TargetFilter(criteria=criteria([1, 2, 3, 99])), 5),
    "sector": (TargetFilter(criteria=criteria(sector=1)), 8),
    "no such sector": (TargetFilter(criteria=criteria(sector=99)), 0),
    "processing": (TargetFilter("3", criteria(processing="DEMO DET")), 1),
    "instrument": (TargetFilter("", criteria(instrument="TESS")), 8),
    "instrument and digits": (TargetFilter("3", criteria(instrument="TESS")), 1),
    "flags": (TargetFilter(flagged=True), 8),
    "no flags": (TargetFilter("1", criteria(catalog="KIC"), flagged=False), KIC_1),
}


@pytest.mark.parametrize("name", WANTED)
def test_filters_leave_as_many_targets_as_counted(session: orm.Session, name: str) -> None:
    wanted, number = WANTED[name]
    assert len(listed(session, wanted, 1000)) == number
    counted = browse.count(session, wanted)
    # Where it is an estimate, it comes from a sample of one target in ten.
    assert counted == number if counted.exact else abs(counted - number) <= max(3, number // 4)


def test_a_page_of_nothing_is_empty(session: orm.Session) -> None:
    assert browse.page(session, TargetFilter(criteria=criteria(catalog="no such"))) == Page()


def test_two_targets_of_one_number_are_on_two_pages(session: orm.Session) -> None:
    rows = listed(session, TargetFilter(criteria=criteria(3)), 1)
    assert {row.catalog for row in rows} == {"DEMO", "KIC"}


@pytest.mark.parametrize(
    "wanted",
    [TargetFilter("12"), TargetFilter("1", criteria(catalog="KIC")), TargetFilter()],
    ids=["digits", "catalog", "all"],
)
def test_no_page_reads_the_table_of_targets_in_full(
    session: orm.Session, wanted: TargetFilter
) -> None:
    sent: list[tuple[str, Any]] = []

    def record(_c: Any, _cursor: Any, sql: str, given: Any, *_rest: Any) -> None:
        sent.append((sql, given))

    sa.event.listen(session.get_bind(), "before_cursor_execute", record)
    try:
        (anchor, *_) = browse.page(session, wanted).rows
        browse.page(session, wanted, after=anchor)
        browse.page(session, wanted, before=anchor)
    finally:
        sa.event.remove(session.get_bind(), "before_cursor_execute", record)
    plans = [
        session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", given).scalar()
        for sql, given in sent
    ]
    read = [n for n in _nodes(plans) if n.get("Relation Name") == "target"]
    assert len(read) >= 3
    assert "Seq Scan" not in {node["Node Type"] for node in read}


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        yield plan
    for inner in (
        plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ()
    ):
        yield from _nodes(inner)


# Numbers beside filters


@pytest.mark.parametrize(
    ("facet", "wanted", "found"),
    [
        ("catalog", TargetFilter("3"), {"DEMO": 1, "KIC": KIC_3}),
        ("catalog", TargetFilter("3", criteria(catalog="DEMO")), {"DEMO": 1, "KIC": KIC_3}),
        ("sector", TargetFilter(), {1: 8, 2: 8}),
        ("sector", TargetFilter("3"), {1: 1, 2: 1}),
        ("sector", TargetFilter("3", criteria(sector=2)), {1: 1, 2: 1}),
        ("sector", TargetFilter("3", criteria(catalog="KIC")), {}),
        ("photometry", TargetFilter(), {"DEMO aperture 2px": 8, "DEMO aperture 3px": 8}),
        ("processing", TargetFilter("1"), {None: 1, "DEMO DET": 1, "DEMO SYS_RM": 1}),
        ("processing", TargetFilter("1", criteria(sector=99)), {}),
        ("flags", TargetFilter("1", criteria(catalog="DEMO")), {True: 1, False: 0}),
        ("flags", TargetFilter(criteria=criteria(catalog="KIC")), {True: 0, False: MANY}),
    ],
)
def test_each_value_has_the_number_of_targets_left(
    session: orm.Session, facet: str, wanted: TargetFilter, found: dict[Any, int]
) -> None:
    # Without an index on numbers, more than 10,000 are estimated.
    assert browse.counts(session, wanted, facet) == pytest.approx(found, rel=0.01)


def test_parts_of_an_instrument_are_counted_for_it(session: orm.Session) -> None:
    of = browse.choices(session)["instrument"]
    counts = browse.counts(session, TargetFilter(), "instrument")
    whole = {path: counts.get(id_, 0) for id_, path in of}
    assert whole["TESS"] == 8
    leaves = [number for path, number in whole.items() if path.count("/") == 2]
    assert sum(leaves) >= 8


@pytest.mark.parametrize("facet", ["catalog", "sector", "photometry", "processing", "author"])
def test_each_number_is_what_the_filter_then_leaves(session: orm.Session, facet: str) -> None:
    for value, number in browse.counts(session, TargetFilter("1"), facet).items():
        search: dict[str, Any] = {facet: "raw" if value is None else value}
        chosen = criteria(**search)
        assert browse.count(session, TargetFilter("1", chosen)) == number


@pytest.mark.own_tables
def test_counts_of_the_same_digits_share_a_sample_for_some_seconds(
    db: lcdb.Database, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_up(digits: str) -> int:
        statements.clear()
        browse.counts(separate, TargetFilter(digits), "sector", Size(MANY, exact=False))
        return sum("LATERAL" in sql and "target.name" in sql for sql in statements)

    now = 0.0
    monkeypatch.setattr(spread, "time", SimpleNamespace(monotonic=lambda: now))
    engine = sa.create_engine(db.session.get_bind().engine.url, poolclass=sa.NullPool)
    with orm.Session(engine) as separate:
        assert [looked_up(digits) for digits in ("5", "5", "", "5")] == [1, 0, 1, 0]
        now = 11.0
        assert [looked_up(digits) for digits in ("5", "5")] == [1, 0]
        # At most sixteen are kept, and the one that was used last is among them.
        assert [looked_up(str(number)) for number in range(10, 25)] == 15 * [1]
        assert [looked_up(digits) for digits in ("5", "99", "5", "10")] == [0, 1, 0, 1]


def test_values_are_listed_without_counting_anything(
    session: orm.Session, statements: list[str]
) -> None:
    values = browse.choices(session)
    assert values["catalog"] == ["DEMO", "KIC"]
    assert values["sector"] == [1, 2]
    assert values["processing"][0] is None
    assert "quarter" not in values
    assert not [sql for sql in statements if "FROM target" in sql or "FROM dataset" in sql]
