"""A role that may not read the lineage."""

from __future__ import annotations

import uuid
import warnings

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models.tables import schema
from lcdb_notebook.search import layout, lineage


def test_learn_leaves_out_a_lineage_that_the_role_may_not_read_and_warns_once(
    blank_dsn: str,
) -> None:
    engine = sa.create_engine(blank_dsn, poolclass=sa.NullPool)
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with engine.connect() as connection:
        schema.create(connection)
        connection.execute(sa.text(f"CREATE ROLE {role}"))
        connection.execute(sa.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
        connection.execute(sa.text(f"REVOKE SELECT ON datasethierarchy FROM {role}"))
        connection.execute(sa.text(f"SET LOCAL ROLE {role}"))
        with pytest.warns(UserWarning, match=rf"{role} may not read .*GRANT SELECT ON datasethi"):
            layout.learn(connection)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layout.learn(connection)
        session = orm.Session(connection)
        assert lineage.histories(session, [Row(7)]) == {7: "SAP raw #7"}
        connection.rollback()
    engine.dispose()


class Row:
    """A light curve whose history is read."""

    photometry = "SAP"
    processing = None

    def __init__(self, dataset: int) -> None:
        self.dataset = dataset
