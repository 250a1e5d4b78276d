"""Planning joins in their written order: for one statement, and for no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from lcdb_notebook.server.engine import make_engine
from lcdb_notebook.server.planning import AS_WRITTEN

SETTING = sa.text("SHOW join_collapse_limit")


@pytest.fixture(params=[False, True], ids=["reading", "writing"])
def engine(dsn: str, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    engine = make_engine(sa.make_url(dsn), "the test database", write=request.param)
    yield engine
    engine.dispose()


def test_planned_as_written_sets_the_limit_for_its_statement_alone(engine: sa.Engine) -> None:
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        usual = connection.scalar(SETTING)
        assert usual != "1"
        assert connection.scalar(SETTING, execution_options={AS_WRITTEN: True}) == "1"
        assert connection.scalar(SETTING) == usual


def test_planned_as_written_keeps_the_limit_after_a_statement_that_fails(engine: sa.Engine) -> None:
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        usual = connection.scalar(SETTING)
        with pytest.raises(sa.exc.DataError):
            connection.execute(sa.text("SELECT 1 / 0"), execution_options={AS_WRITTEN: True})
        assert connection.scalar(SETTING) == usual


def test_planned_as_written_changes_nothing_in_a_transaction(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("BEGIN"))
        usual = connection.scalar(SETTING)
        assert connection.scalar(SETTING, execution_options={AS_WRITTEN: True}) == usual
