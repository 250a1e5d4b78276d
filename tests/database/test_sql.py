"""SQL to a DataFrame, which only reads, and the statements that the package sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import ArgumentError, LCDBError, ReadOnlyError
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import Mission
from lcdb_notebook.server.trace import Statement


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    """Three synthetic stars in two sectors."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(3, cadences=100)))
        db.session.commit()
    return url


@pytest.fixture(params=[False, True], ids=["reading", "writing"])
def db(url: str, request: pytest.FixtureRequest) -> Iterator[lcdb.Database]:
    with lcdb.connect(url, write=request.param) as db:
        yield db


def targets(url: str) -> int:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(connection.scalar(sa.text("SELECT count(*) FROM target")) or 0)


def test_sql_returns_the_rows_and_columns_of_a_statement(db: lcdb.Database) -> None:
    statement = "SELECT name, name % 2 = 0 AS even, 1.5::numeric half FROM target ORDER BY name"
    frame = db.sql(statement)
    assert frame.to_dict("list") == {
        "name": [1, 2, 3],
        "even": [False, True, False],
        "half": [1.5] * 3,
    }
    assert list(db.sql("SELECT id, name FROM target WHERE false")) == ["id", "name"]


@pytest.mark.parametrize("names", [[1, 3], np.array([1, 3]), (np.int64(1), 3)], ids=repr)
def test_sql_takes_arrays_of_numpy_as_parameters(db: lcdb.Database, names: Any) -> None:
    found = db.sql("SELECT name FROM target WHERE name = ANY(:names)", {"names": list(names)})
    assert sorted(found["name"]) == [1, 3]
    one = db.sql("SELECT name FROM target WHERE name = :one", {"one": np.int64(2)})
    assert one["name"].tolist() == [2]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM target",
        "WITH gone AS (DELETE FROM target RETURNING name) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM target",
        "SELECT nextval(pg_get_serial_sequence('target', 'id'))",
        "COMMIT",
        "DO 'BEGIN DELETE FROM target; END'",
    ],
)
def test_sql_refuses_a_change_even_where_changes_are_allowed(
    db: lcdb.Database, url: str, statement: str
) -> None:
    with pytest.raises(ReadOnlyError):
        db.sql(statement)
    assert targets(url) == 3
    assert not db.session.in_transaction()


@pytest.mark.parametrize(
    ("statement", "parameters", "message"),
    [
        ("SELECT 1; SELECT 2", None, "one SQL statement, got 2"),
        ("SELECT 1; COMMIT; DELETE FROM target", None, "one SQL statement, got 3"),
        ("", None, "one SQL statement, got 0"),
        (7, None, "must be a string"),
        ("SELECT :sector", None, "missing: sector"),
        ("SELECT :sector", {"sector": 1, "camera": 2}, "no parameter :camera; it has: sector"),
    ],
)
def test_sql_names_a_wrong_argument(
    db: lcdb.Database, statement: Any, parameters: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        db.sql(statement, parameters)


@pytest.mark.parametrize("statement", ["SELECT nothing FROM target", "DELETE FROM target"])
def test_sql_that_fails_keeps_uncommitted_changes(url: str, statement: str) -> None:
    with lcdb.connect(url, write=True) as db:
        db.session.add(Mission(name="CHEOPS", time_epoch=2450000, time_format_name="cheopsjd"))
        db.session.flush()
        with pytest.raises(LCDBError):
            db.sql(statement)
        counted = "SELECT count(*) AS n FROM mission WHERE name = 'CHEOPS'"
        assert db.sql(counted)["n"].tolist() == [1]
        db.session.rollback()
        assert db.sql(counted)["n"].tolist() == [0]


def test_trace_passes_queries_and_copies_with_their_durations(db: lcdb.Database) -> None:
    sent: list[Statement] = []
    with db.trace(sent.append):
        db.search(1, sector=1)[0].lightcurve()
    kinds = {one.sql.split()[0] for one in sent}
    assert {"WITH", "COPY"} <= kinds
    assert all(0 < one.seconds < 600 for one in sent)
    # The values of the parameters are part of the text.
    assert not [one.sql for one in sent if "%(" in one.sql]
    before = len(sent)
    db.targets()
    assert len(sent) == before


def test_trace_passes_statements_of_an_ingest(empty_dsn: str) -> None:
    sent: list[Statement] = []
    with lcdb.connect(empty_dsn, write=True) as db, db.trace(sent.append):
        store(db.session.connection(), list(demo.products(1, cadences=20)))
    assert any(one.sql.startswith("COPY") and "FROM STDIN" in one.sql for one in sent)
    assert any(one.sql.startswith("INSERT") for one in sent)


def test_trace_can_be_printed_stopped_and_may_query(
    db: lcdb.Database, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = db.trace(print)
    asking = db.trace(lambda _: db.sql("SELECT 2"))
    db.sql("SELECT\n  :number", {"number": 7})
    trace.stop()
    trace.stop()
    asking.stop()
    db.sql("SELECT 8")
    (line,) = (one for one in capsys.readouterr().out.splitlines() if "SELECT" in one)
    assert line.split(maxsplit=2)[1:] == ["ms", "SELECT 7"]


def test_trace_passes_a_statement_that_failed(db: lcdb.Database) -> None:
    sent: list[Statement] = []
    with db.trace(sent.append), pytest.raises(LCDBError):
        db.sql("SELECT nothing FROM target")
    assert [one for one in sent if "nothing" in one.sql]


def test_trace_refuses_what_cannot_be_called(db: lcdb.Database) -> None:
    with pytest.raises(ArgumentError, match="must be callable"):
        db.trace("print")  # type: ignore[arg-type]
