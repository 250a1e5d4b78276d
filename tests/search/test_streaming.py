"""Long searches come in pages: which rows, in which order, and how many at a time."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lcdb_notebook as lcdb
from lcdb_notebook.errors import LightCurveNotFoundError, NameNotFoundError
from lcdb_notebook.read.selection import nested
from lcdb_notebook.search import by_observation, layout, results, streaming
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.flag_types import flag_types
from lcdb_notebook.search.grouped import group
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import find
from lcdb_notebook.search.rows import Row


@pytest.fixture
def db(layout_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[lcdb.Database]:
    """Twenty stars, whose rows come in small pages if there are more than five."""
    monkeypatch.setattr(streaming, "MOST_COLLECTED", 5)
    monkeypatch.setattr(by_observation, "FIRST_PAGE", 3)
    monkeypatch.setattr(by_observation, "LARGEST_PAGE", 14)
    monkeypatch.setattr(streaming, "_NUMBERS_AT_ONCE", 4)
    with lcdb.connect(layout_dsn) as db:
        yield db


def in_pages(search: Search) -> list[list[Row]]:
    found = streaming.pages(search)
    return [list(page.rows) for page in found.found]


def all_of(search: Search) -> list[Row]:
    with search.sessions.session_scope() as session:
        return list(Search(search.sessions, search.criteria).found(session).rows)


def is_by_number(db: lcdb.Database) -> bool:
    return layout.of(db.session).by_number


@pytest.mark.parametrize("options", [{}, {"processing": "raw"}], ids=str)
def test_a_search_of_all_observations_keeps_its_order(
    db: lcdb.Database, options: dict[str, Any]
) -> None:
    search = Search(db, criteria(**options))
    pages = in_pages(search)
    rows = [row for page in pages for row in page]
    expected = all_of(search)
    assert len(pages) > 3
    if is_by_number(db):
        assert rows == expected
    else:
        assert sorted(rows, key=_where) == sorted(expected, key=_where)


def _where(row: Row) -> tuple[Any, ...]:
    return row.observation, row.target_id, row.photometry or "", row.processing or ""


def test_a_search_of_observations_comes_observation_by_observation(db: lcdb.Database) -> None:
    search = Search(db, criteria(sector=[1, 2]))
    pages = in_pages(search)
    rows = [row for page in pages for row in page]
    assert sorted(rows, key=_where) == sorted(all_of(search), key=_where)
    observations = list(dict.fromkeys(row.observation for row in rows))
    assert len(observations) > 1
    places = [(observations.index(row.observation), row.target_id) for row in rows]
    begun = {row.target_id for row in pages[0]}
    is_first = [place == 0 and target in begun for place, target in places]
    assert is_first == sorted(is_first, reverse=True)
    # The others are in the order in which their targets were stored.
    later = places[sum(is_first) :]
    assert later == sorted(later)
    assert places[: sum(is_first)] == sorted(places[: sum(is_first)])
    sectors = [search_sector(db, observation) for observation in observations]
    assert sectors == sorted(sectors)
    # A table of the light curves of a star needs all of them.
    assert all(_where(a[-1])[:2] != _where(b[0])[:2] for a, b in itertools.pairwise(pages))


def test_the_first_page_does_not_wait_for_all_light_curves_of_an_observation(
    db: lcdb.Database, statements: list[str]
) -> None:
    if layout.of(db.session).keyed is not None:
        pytest.skip("a statement reads the keys of partitions")
    statements.clear()
    pages = iter(streaming.pages(Search(db, criteria(sector=1))).found)
    assert next(pages).rows
    sorted_ones = [sql for sql in statements if "ORDER BY dataset.target_id" in sql]
    assert len(sorted_ones) == 1
    assert "dataset.target_id = ANY" in sorted_ones[0]
    (first_ones,) = (sql for sql in statements if "ORDER BY dataset.observation_id" in sql)
    assert first_ones.endswith("LIMIT 3")
    with db.session_scope() as session:
        connection = session.connection()
        # The table is too small for an index to pay off.
        connection.exec_driver_sql("SET enable_seqscan = off")
        (observation, *_) = by_observation.observations(session, criteria(sector=1))
        few = re.sub(r"%\(\w+\)s", f"'{{{observation}}}'", first_ones)
        plan = connection.exec_driver_sql(f"EXPLAIN {few}").scalars().all()
        connection.exec_driver_sql("RESET enable_seqscan")
    assert any("Index" in line and "observation_id" in line for line in plan)
    assert not any("Sort" in line for line in plan)


def search_sector(db: lcdb.Database, observation: int) -> int:
    (sector,) = db.search(observation=observation)[:1].table["sector"]
    return int(sector)


def test_a_slice_keeps_the_order_of_the_search(db: lcdb.Database) -> None:
    search = Search(db, criteria(sector=[1, 2]))
    part = search.cut(slice(2, 19))
    rows = [row for page in in_pages(part) for row in page]
    assert rows == all_of(search)[2:19]


def test_many_numbers_are_streamed_in_batches_in_order(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        numbers = sorted({row.target for row in Search(db, criteria()).found(session).rows})
    search = Search(db, criteria([*reversed(numbers), 10**12]))
    with pytest.warns(UserWarning, match="1 of .* targets are not in the database: 10{12}"):
        pages = in_pages(search)
    assert len(pages) == -(-len(numbers) // 4)
    assert [row for page in pages for row in page] == all_of(Search(db, criteria(numbers)))


def test_rows_found_before_are_streamed_unchanged(db: lcdb.Database) -> None:
    found = db.search(sector=[1, 2])
    assert [data.dataset for data in found.read()] != found.datasets or not is_by_number(db)
    assert [data.dataset for data in found.read()] == found.datasets


def test_short_searches_and_unknown_names_are_found_at_once(db: lcdb.Database) -> None:
    short = db.search(sector=1, processing="raw")[:4]
    assert [data.dataset for data in short.read()] == short.datasets
    with pytest.raises(NameNotFoundError, match="no processing method named 'no such'"):
        db.search(processing="no such").read()


def test_every_light_curve_is_read_and_exported_once(db: lcdb.Database, tmp_path: Path) -> None:
    options: dict[str, Any] = {"sector": 1, "processing": "raw"}
    collected = db.search(**options)
    expected = set(collected.datasets)
    read = [data.dataset for data in db.search(**options).read()]
    assert set(read) == expected
    assert len(read) == len(expected) > 5
    for wide in (False, True):
        report = db.search(**options).export(tmp_path, format="csv", wide=wide)
        assert report["dataset"].tolist() == read
        assert set(report["status"]) == {"written"}
        again = collected.export(tmp_path, format="csv", wide=wide)
        assert set(again["status"]) == {"kept"}
        assert set(again["dataset"]) == expected
        shutil.rmtree(tmp_path)


def test_export_to_parquet_holds_no_rows_of_a_long_search(
    db: lcdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"sector": [1, 2], "processing": "raw"}
    found = db.search(**asked)
    longest = 0
    find_again = results.find_again

    def measured(session: Any, datasets: Any) -> Any:
        nonlocal longest
        longest = max(longest, len(datasets))
        return find_again(session, datasets)

    with monkeypatch.context() as patched:
        patched.setattr(results, "find_again", measured)
        report = found.export(tmp_path, format="parquet")
    assert found._search.kept is None
    assert 0 < longest < len(report) / 2
    assert set(report["dataset"]) == set(db.search(**asked).datasets)
    assert set(report["status"]) == {"written"}
    collected = db.search(**asked)
    assert set(collected.datasets) == set(report["dataset"])
    again = collected.export(tmp_path, format="parquet")
    assert set(again["status"]) == {"kept"}
    assert set(again["dataset"]) == set(report["dataset"])


def test_nested_parts_have_every_light_curve_once_and_the_same_columns(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A light curve counts as its arrays and 16 kB.
    monkeypatch.setattr(nested, "_PART_BYTES", 100_000)
    # The samples of long searches have all kinds of flags and catalogs.
    found = db.search(sector=[1, 2])
    whole = db.search(sector=[1, 2]).to_nested()
    longest = 0
    parts = []
    for part in found.nested_parts():
        longest = max(longest, len(part))
        parts.append(part)
    assert found._search.kept is None
    assert longest < len(whole) / 4
    assert longest <= 6
    assert len({tuple(part.columns) for part in parts}) == 1
    assert len({part["lightcurve"].dtype for part in parts}) == 1
    assert all(part.attrs["time_format"] == whole.attrs["time_format"] for part in parts)
    observed = [part["sector"].unique().tolist() for part in parts]
    assert all(len(sectors) == 1 for sectors in observed)
    assert observed == sorted(observed)
    joined = pd.concat([pd.DataFrame(part).astype({"dataset": object}) for part in parts])
    joined = joined.set_index("dataset").loc[whole["dataset"]]
    for name in {*whole.columns} - {"dataset", "lightcurve"}:
        assert joined[name].tolist() == whole[name].tolist(), name
    for ours, expected in zip(joined["lightcurve"], whole["lightcurve"], strict=True):
        for name in expected.columns:
            np.testing.assert_array_equal(ours[name], expected[name])


GROUPED: dict[str, Callable[[lcdb.Database], Search]] = {
    "everything": lambda db: Search(db, criteria()),
    "observations": lambda db: Search(db, criteria(sector=[1, 2], processing="raw")),
    "a slice": lambda db: Search(db, criteria(sector=[1, 2])).cut(slice(2, 19)),
    "numbers": lambda db: Search(
        db, criteria([row.target for row in all_of(Search(db, criteria()))])
    ),
}


@pytest.mark.parametrize("make", GROUPED.values(), ids=GROUPED)
def test_group_has_every_light_curve_and_a_sample_of_every_kind(
    db: lcdb.Database, make: Callable[[lcdb.Database], Search]
) -> None:
    grouped = group(make(db))
    with db.session_scope() as session:
        other = make(db)
        expected = find(session, other.criteria, limit=other.limit, offset=other.offset)
        types = flag_types(session, expected)
    groups = [(one.observation, one.datasets, list(one.pages)) for one in grouped.groups]
    assert [observation for observation, _, _ in groups] == [*grouped.numbers]
    assert [len(datasets) for _, datasets, _ in groups] == [*grouped.numbers.values()]
    for observation, datasets, pages in groups:
        rows = [row for page in pages for row in page.rows]
        assert [row.dataset for row in rows] == list(datasets)
        assert {row.observation for row in rows} == {observation}
    everything = sorted(row.dataset for row in expected.rows)
    assert sorted(dataset for _, datasets, _ in groups for dataset in datasets) == everything
    assert _kinds(grouped.samples.rows) == _kinds(expected.rows)
    sizes = {id_: size for id_, (_, size) in grouped.samples.observations.items()}
    assert sizes == {id_: size for id_, (_, size) in expected.observations.items()}
    assert grouped.flag_types == types


def _kinds(rows: Sequence[Row]) -> set[tuple[Any, ...]]:
    return {(row.catalog, row.photometry, row.processing, row.unit) for row in rows}


def test_group_explains_why_there_is_nothing(db: lcdb.Database) -> None:
    with pytest.raises(LightCurveNotFoundError):
        group(Search(db, criteria(sector=99)))


def test_a_search_of_a_small_table_does_not_ask_how_many_rows_it_has(
    layout_dsn: str, statements: list[str]
) -> None:
    with lcdb.connect(layout_dsn) as db:
        if not layout.of(db.session).is_small:
            pytest.skip("partitioned tables have no size")
        statements.clear()
        next(db.search(sector=1).read())
        assert not [sql for sql in statements if sql.startswith("EXPLAIN")]
        assert not [sql for sql in statements if "AS kind" in sql]


def test_a_long_search_looks_its_criteria_up_once(
    db: lcdb.Database, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = layout.of(db.session)
    large = dataclasses.replace(known, is_small=False)
    monkeypatch.setattr(layout, "of", lambda _: large)
    monkeypatch.setattr(streaming, "MOST_COLLECTED", 0)
    statements.clear()
    assert len(
        list(itertools.islice(streaming.pages(Search(db, criteria(sector=[1, 2]))).found, 2))
    )
    assert sum(sql.startswith("EXPLAIN") for sql in statements) == 1
    assert sum("AS kind" in sql for sql in statements) == 1
