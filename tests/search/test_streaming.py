"""Long searches come in pages: which rows, in which order, and how many at a time."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lcdb_notebook as lcdb
from lcdb_notebook.errors import NameNotFoundError
from lcdb_notebook.search import layout, streaming
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.rows import Row


@pytest.fixture
def db(layout_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[lcdb.Database]:
    """Twenty stars, whose rows come in small pages if there are more than five."""
    monkeypatch.setattr(streaming, "MOST_COLLECTED", 5)
    monkeypatch.setattr(streaming, "_FIRST_PAGE", 3)
    monkeypatch.setattr(streaming, "_LARGEST_PAGE", 14)
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
    assert places == sorted(places)
    sectors = [search_sector(db, observation) for observation in observations]
    assert sectors == sorted(sectors)
    # A table of the light curves of a star needs all of them.
    assert all(_where(a[-1])[:2] != _where(b[0])[:2] for a, b in itertools.pairwise(pages))


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
