"""connect(): its arguments, the rights of the role, and servers that accept no changes."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ArgumentError, ConfigurationError, ReadOnlyError, SchemaError
from lcdb_notebook.models import ProcessingMethod
from lcdb_notebook.server.embedded.account import server_account
from lcdb_notebook.server.embedded.programs import server_programs

SECRET = "hunter2"


def owner(url: str) -> Any:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect()


@contextmanager
def role(url: str, rights: str = "") -> Iterator[str]:
    """Create a role that owns nothing, and yield the URL with it."""
    name = f"lcdb_test_{uuid.uuid4().hex[:12]}"
    with owner(url) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
        if rights:
            connection.exec_driver_sql(rights.format(role=name))
        try:
            password = None if sa.make_url(url).password is None else SECRET
            yield (
                sa.make_url(url)
                .set(username=name, password=password)
                .render_as_string(hide_password=False)
            )
        finally:
            connection.exec_driver_sql(f"DROP OWNED BY {name} CASCADE")
            connection.exec_driver_sql(f"DROP ROLE {name}")


# --- arguments --------------------------------------------------------------------------------


def test_connect_creates_only_with_write(blank_dsn: str) -> None:
    with pytest.raises(ConfigurationError, match=r"create=True .*needs write=True"):
        lcdb.connect(blank_dsn, create=True)
    with owner(blank_dsn) as connection:
        assert sa.inspect(connection).get_table_names() == []
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        assert len(db.targets()) == 0


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ({"url": 5}, "url must be"),
        ({"url": ["postgresql://pdo/lcdb"]}, "url must be"),
        ({"config": 5}, "config must be"),
        ({"embedded": 5}, "embedded must be"),
        ({"url": "postgresql://pdo/lcdb", "statement_timeout": "x"}, "statement_timeout must be"),
        ({"url": "postgresql://pdo/lcdb", "statement_timeout": 0}, "statement_timeout must be"),
        ({"url": "postgresql://pdo/lcdb", "application_name": 5}, "application_name must be"),
    ],
    ids=str,
)
def test_connect_names_a_wrong_argument(argument: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as raised:
        lcdb.connect(**argument)
    if "url must" in name or "config must" in name or "embedded must" in name:
        assert isinstance(raised.value, ArgumentError)


# --- rights -----------------------------------------------------------------------------------


def test_connect_warns_once_of_a_role_that_could_do_more_than_read(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True):
        pass
    with pytest.warns(UserWarning, match=r"is a superuser.*GRANT pg_read_all_data TO") as caught:
        lcdb.connect(blank_dsn).close()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lcdb.connect(blank_dsn).close()
        lcdb.connect(blank_dsn, write=True).close()


def test_connect_warns_of_an_owner_and_not_of_a_reader(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True):
        pass
    with (
        role(blank_dsn, "GRANT pg_read_all_data TO {role}") as url,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        with lcdb.connect(url) as db:
            assert len(db.targets()) == 0
    with role(blank_dsn, "GRANT pg_read_all_data TO {role}") as url:
        with owner(blank_dsn) as connection:
            connection.exec_driver_sql(f"ALTER TABLE target OWNER TO {sa.make_url(url).username}")
        with pytest.warns(UserWarning, match="owns tables of this LightcurveDB"):
            lcdb.connect(url).close()
        with owner(blank_dsn) as connection:
            connection.exec_driver_sql("ALTER TABLE target OWNER TO CURRENT_USER")


def test_connect_names_the_grant_of_a_schema_that_the_role_may_not_use(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True):
        pass
    with role(blank_dsn) as url:
        name = sa.make_url(url).username
        with owner(blank_dsn) as connection:
            connection.exec_driver_sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        with pytest.raises(SchemaError, match=f"GRANT USAGE ON SCHEMA public TO {name}") as raised:
            lcdb.connect(url)
        with owner(blank_dsn) as connection:
            for grant in str(raised.value).partition("for: ")[2].split("; "):
                connection.exec_driver_sql(grant)
        lcdb.connect(url).close()


def test_connect_names_the_schema_that_is_not_in_the_search_path(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True):
        pass
    with owner(blank_dsn) as connection:
        connection.exec_driver_sql("ALTER SCHEMA public RENAME TO stars")
    with pytest.raises(SchemaError, match=r"schema stars.*options=-csearch_path%3Dstars"):
        lcdb.connect(blank_dsn)
    lcdb.connect(
        sa.make_url(blank_dsn).update_query_dict({"options": "-csearch_path=stars"})
    ).close()


# --- no changes accepted ----------------------------------------------------------------------


def change(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        session.add(ProcessingMethod(name="x", description=""))


def test_a_role_that_is_read_only_by_default_is_named(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True):
        pass
    rights = "GRANT pg_write_all_data, pg_read_all_data TO {role}"
    with role(blank_dsn, rights) as url:
        with owner(blank_dsn) as connection:
            connection.exec_driver_sql(
                f"ALTER ROLE {sa.make_url(url).username} SET default_transaction_read_only = on"
            )
        with lcdb.connect(url, write=True) as db:
            with pytest.raises(ReadOnlyError, match=r"read-only by default.*ALTER ROLE") as raised:
                change(db)
            assert "write=True" not in str(raised.value)


@pytest.fixture
def standby() -> Iterator[str]:
    """URL of a server in hot standby, with the tables of a LightcurveDB."""
    account = server_account()
    programs = server_programs(account)
    folder = Path(tempfile.mkdtemp(prefix="lcdb-standby-"))
    os.chown(folder, account.uid, account.gid)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        done = account.run([programs / program, *arguments])
        assert done.returncode == 0, done.stdout

    options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
    start = ("-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    stop = ("-D", str(data), "-m", "fast", "-w", "stop")
    try:
        run("initdb", "-D", str(data), "--auth=trust", "--username=postgres")
        run("pg_ctl", *start)
        url = f"postgresql://postgres@/postgres?host={folder}"
        with lcdb.connect(url, write=True, create=True):
            pass
        run("pg_ctl", *stop)
        (data / "standby.signal").touch()
        run("pg_ctl", *start)
        yield url
    finally:
        account.run([programs / "pg_ctl", *stop])
        shutil.rmtree(folder)


def test_a_standby_server_is_named(standby: str) -> None:
    with lcdb.connect(standby, write=True) as db:
        with pytest.raises(ReadOnlyError, match=r"standby server.*primary") as raised:
            change(db)
        assert "opened for reading" not in str(raised.value)
        assert len(db.targets()) == 0
