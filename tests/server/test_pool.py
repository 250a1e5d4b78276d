"""The pool: no connection outlives the engine that was disposed of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from lcdb_notebook.server.engine import make_engine

pytestmark = pytest.mark.usefixtures("no_garbage_collection")


@pytest.fixture
def engine(dsn: str) -> Iterator[sa.Engine]:
    engine = make_engine(sa.make_url(dsn), "the test database", write=False)
    yield engine
    engine.dispose()


def test_a_connection_in_use_is_closed_when_it_is_returned_after_dispose(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        engine.dispose()
        assert connection.scalar(sa.text("SELECT 1")) == 1
    assert driver is not None
    assert driver.closed


def test_a_connection_after_dispose_is_kept_for_the_next_use(engine: sa.Engine) -> None:
    engine.dispose()
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
    with engine.connect() as connection:
        assert connection.connection.driver_connection is driver
