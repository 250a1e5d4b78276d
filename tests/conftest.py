"""A real PostgreSQL, databases on it, and real files, for every test that asks by name.

The server is the embedded one, or another that ``--lcdb-dsn`` names. It starts when a test first
needs it (with pytest-xdist: once, before the workers, which share it) and is stopped at the end by
the process that started it. Each worker has a separate database, and gets one group of tests
after another, the longest first.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy import event, orm

from lcdb_notebook import Database, connect, demo
from lcdb_notebook.models.tables import schema
from lcdb_notebook.search import layout as arrangement
from lcdb_notebook.server import embedded

# Before anything imports pyplot: no test may wait for a window.
os.environ["MPLBACKEND"] = "Agg"

# A shell without job control has what it runs in the background ignore Ctrl-C, and a process passes
# that on to its children; here Ctrl-C is sent to both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines and the pace of drawing examples are about the speed of the machine, not about the code.
# New examples in each run would let it depend on chance whether the tests pass.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="LCDB_RANDOM" not in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


class EmbeddedServer:
    """The embedded server of this run: started on first use, stopped by its owner."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._server: embedded.Server | None = None

    def url(self) -> sa.URL:
        """Start the server if it does not run yet, and give the URL of its first database."""
        if self._server is None:
            # Not pytest's own temporary folder: only its owner may enter that one, and the server
            # of somebody who is root runs as another user. The path is short, as sockets need it.
            self._folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=_in_memory()))
            self._server = embedded.start(self._folder)
            with _engine(self._server.url("postgres")).connect() as connection:
                # It has nothing to keep: waiting for the disk takes most of a new database's time,
                # and the hundreds of databases live too briefly to be worth vacuuming.
                for setting in ("fsync", "full_page_writes", "autovacuum"):
                    connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
                connection.exec_driver_sql("SELECT pg_reload_conf()")
        return self._server.url("postgres")

    def stop(self) -> None:
        """Stop the server, if it was ever started, and remove its folder."""
        if self._server is not None:
            self._server.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _in_memory() -> str | None:
    """Return a folder in memory, if there is plenty; None is the usual temporary folder.

    The tests copy a database several hundred times. On a disk, the system takes 0.1 to 0.3 s for
    each copy, in memory 0.03 s.
    """
    if not os.path.ismount(MEMORY):
        return None
    free = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
    return MEMORY if free > NEEDED_MEMORY else None


_NAMES_DB = re.compile(r"\bdb\.")
# Starting a server for every docstring would be slow, so only those that use one get it.

SERVER = pytest.StashKey[EmbeddedServer]()

LEFT_OUT = pytest.StashKey[int]()

MEMORY = "/dev/shm"
NEEDED_MEMORY = 10 << 30
"""Bytes that must be available: about three times the size of the databases of a full run."""

TEMPORARY = "lcdb-test-"
"""Prefix of the folders of servers, here and in .ci/run, that are removed after the tests."""

INSTALLED = (
    "Chromium",
    "playwright",
    "PgBouncer is not",
    "no other PostgreSQL",
    "neither Debian's PostgreSQL",
    "postgres_fdw is not",
    "openssl",
    "no git ",
    "node is not",
    "tsc is not",
)
"""What .ci/run installs: words of the reasons why tests are skipped without it."""

LONGEST_GROUPS = (
    "tests/test_packaging.py",
    "lab",
    "voila",
    "tests/read/test_parallel.py",
    "tests/server/test_faults.py",
    "tests/test_tools.py",
    "tests/test_notebooks.py",
    "tests/explore/test_reruns.py",
    "tests/read/test_export_real_files.py",
    "tests/explore/test_explorer.py",
    "tests/explore/test_lightcurve.py",
    "doctests",
    "tests/server/test_embedded.py",
    "tests/search/test_sql.py",
    "tests/read/test_export_folder.py",
    "tests/models/test_migrations.py",
    "tests/lightcurve/test_clock.py",
)
"""They begin first: begun last, one of them would keep a processor waiting for the other.

The slow tests of packaging wait minutes for downloads.
"""


# Programs: `make soak` and `make screenshots` run them.
collect_ignore = ["screenshots.py", "soak.py", "soaking"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lcdb-dsn",
        metavar="URL",
        help="a PostgreSQL server to test on, as postgresql://user:password@host/database: its "
        "user must be allowed to create databases, and no existing one is touched "
        "(default: the embedded server)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "database: uses a PostgreSQL server (set by its fixtures)")
    config.addinivalue_line("markers", "slow: takes long, or repeats another with a variation")
    config.addinivalue_line("markers", "own_tables: not in other layouts (see in_layout)")
    config.stash[LEFT_OUT] = 0
    if not hasattr(config, "workerinput"):
        config.stash[SERVER] = EmbeddedServer()
        config.add_cleanup(config.stash[SERVER].stop)
    config.pluginmanager.register(ForDoctests())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the address of the server to a worker of pytest-xdist."""
    if not node.config.getoption("--lcdb-dsn"):
        url = node.config.stash[SERVER].url()
        node.workerinput["lcdb_server"] = url.render_as_string(hide_password=False)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start one worker more than there are cores, because tests wait for servers and pages."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Assign one group after another to each worker, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


def _group(test: str) -> str:
    """Name the group of a test: its tests run in one process, one after another.

    A file's tests share what its fixtures make, examples in docstrings share the demonstration
    data, tests in a browser share the browser and JupyterLab, or Voilà, and tests that map classes
    share the interpreter that forks for each of them.
    """
    file, _, name = test.partition("::")
    if file.startswith("tests/browser/"):
        voila = re.search(r"\[(.*-)?voila\b", name) or file.endswith("test_app.py")
        return "voila" if voila else "lab"
    if file in ("tests/models/test_extending.py", "tests/models/test_new_mission.py"):
        return "own processes"
    return file if file.startswith("tests/") else "doctests"


def _place(test: str) -> int:
    """Find the place of a test's group in the order in which groups begin."""
    group = _group(test)
    return LONGEST_GROUPS.index(group) if group in LONGEST_GROUPS else len(LONGEST_GROUPS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what does not apply, put the longest groups first, mark what uses a server."""
    items[:] = [item for item in items if not _needs_other_tables(item)]
    items.sort(key=lambda item: _place(item.nodeid))
    for item in items:
        if "server_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


def _needs_other_tables(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    moved = given is not None and given.params.get("in_layout", layouts.OWN) != layouts.OWN
    return moved and item.get_closest_marker("own_tables") is not None


def pytest_sessionstart() -> None:
    # Collecting makes millions of objects, all of which stay.
    gc.disable()


def pytest_collection_finish() -> None:
    # What has been imported and collected need not be searched for garbage after each test.
    gc.collect()
    gc.freeze()
    gc.enable()
    # A search for garbage takes longer the more is kept, and by default there is one after every
    # few hundred or thousand new objects.
    gc.set_threshold(20_000)


def pytest_deselected(items: Iterable[pytest.Item]) -> None:
    for item in items:
        item.config.stash[LEFT_OUT] += item.get_closest_marker("slow") is not None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # After the fixtures. pytest and each shell of IPython would search for garbage once more before
    # the process ends.
    gc.collect()
    gc.freeze()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is installed on purpose, let no test be skipped because something is not."""
    report = yield
    if report.skipped and os.environ.get("LCDB_NO_SKIPS") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if any(part in reason for part in INSTALLED):
            report.outcome, report.longrepr = "failed", reason
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how many tests were skipped, and how many were left out as slow."""
    if skipped := len(terminalreporter.stats.get("skipped", ())):
        terminalreporter.line(f"{skipped} tests were skipped, for the reasons above.")
    if left_out := config.stash[LEFT_OUT]:
        terminalreporter.line(f"{left_out} slow tests were left out; make test-all runs them too.")


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.getoption("--lcdb-dsn"):
        url = _other_server(config)
        with _engine(url).connect() as connection:
            version = connection.scalar(sa.text("SHOW server_version"))
        where = url.render_as_string(hide_password=True)
    else:
        postgres = subprocess.run(
            [embedded.binary("postgres"), "--version"], capture_output=True, text=True, check=True
        )
        version, where = postgres.stdout.split()[-1], "embedded"
    folder = _data_folder(config)
    files = folder if folder.is_dir() else f"none, tests on them are skipped (no {folder})"
    return [f"PostgreSQL: {version} ({where})", f"real light curves: {files}"]


def _other_server(config: pytest.Config) -> sa.URL:
    url = sa.make_url(config.getoption("--lcdb-dsn"))
    return url.set(drivername="postgresql+psycopg2", database=url.database or "postgres")


def _data_folder(config: pytest.Config) -> Path:
    beside = config.rootpath.parent / "shared" / "data"
    return Path(os.environ.get("LCDB_TEST_DATA") or beside)


def _engine(url: sa.URL) -> sa.Engine:
    """Make an engine for CREATE DATABASE: no transaction, and no connection left behind."""
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)


@contextmanager
def _database(
    server_url: sa.URL, template: str = "template0", *, lasts: bool = False
) -> Iterator[str]:
    """Create a database and drop it afterwards, even if there are connections.

    It is empty, or a copy of another one, to which nothing may be connected. One that lasts until
    the end of the run is removed with a temporary server: dropping a hundred at once takes most of
    a minute.
    """
    name = f"lcdb_test_{uuid.uuid4().hex}"
    # Each statement has its own connection: some databases live as long as the run, and a server
    # has a hundred connections for all of them.
    with _engine(server_url).connect() as connection:
        # template0, because others may have put tables into template1. Copied as files, its pages
        # are not logged one by one; version 14 has no other way.
        version = connection.dialect.server_version_info
        files = " STRATEGY FILE_COPY" if version is not None and version >= (15,) else ""
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'{files}"
        )
    try:
        yield server_url.set(database=name).render_as_string(hide_password=False)
    finally:
        if not (lasts and TEMPORARY in str(server_url.query.get("host"))):
            with _engine(server_url).connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


class ForDoctests:
    """What doctests use too: a conftest's own fixtures end at its folder, a plugin's do not."""

    @pytest.fixture(autouse=True)
    @staticmethod
    def _no_figure_is_left() -> Iterator[None]:
        """Close the figures of a test, which another would find open in the same process."""
        yield
        if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
            pyplot.close("all")

    @pytest.fixture(scope="session")
    @classmethod
    def demo_url(cls, pytestconfig: pytest.Config) -> Iterator[str]:
        """URL of a database of the demonstration data: 24 stars in two sectors."""
        with _database(_server(pytestconfig), lasts=True) as url:
            with connect(url, write=True, create=True) as db:
                demo.load(db.session)
            yield url

    @pytest.fixture(scope="session")
    @classmethod
    def demo_database(cls, demo_url: str) -> Iterator[Database]:
        """That database, opened for writing."""
        with connect(demo_url, write=True) as db:
            yield db

    @pytest.fixture(autouse=True)
    @staticmethod
    def db_of_doctests(
        request: pytest.FixtureRequest,
        doctest_namespace: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Add ``db``, the demonstration database, to the names of docstring examples.

        ``lcdb.connect()`` opens it, too.
        """
        example = getattr(request.node, "dtest", None)
        source = "".join(one.source for one in example.examples) if example is not None else ""
        if _NAMES_DB.search(source):
            doctest_namespace["db"] = request.getfixturevalue("demo_database")
        if "lcdb.connect(" in source:
            # Without the db.conf of the person who tests.
            monkeypatch.setenv("HOME", str(request.getfixturevalue("tmp_path")))
            monkeypatch.setenv("LCDB_URL", request.getfixturevalue("demo_url"))


def _server(config: pytest.Config) -> sa.URL:
    if config.getoption("--lcdb-dsn"):
        return _other_server(config)
    if hasattr(config, "workerinput"):
        return sa.make_url(config.workerinput["lcdb_server"])
    return config.stash[SERVER].url()


@pytest.fixture(scope="session")
def server_url(pytestconfig: pytest.Config) -> sa.URL:
    """URL of the server's maintenance database; tests want ``dsn`` or ``blank_dsn`` instead."""
    return _server(pytestconfig)


@pytest.fixture(scope="session")
def new_database(server_url: sa.URL) -> Iterator[Callable[[], str]]:
    """Each call creates a database without tables and gives its URL; all go when the run ends.

    For fixtures of a module or a class; a single test takes ``blank_dsn``. What begins with empty
    tables takes ``new_tables`` or ``empty_dsn``.
    """
    with ExitStack() as databases:
        yield lambda: databases.enter_context(_database(server_url, lasts=True))


@pytest.fixture
def blank_dsn(server_url: sa.URL) -> Iterator[str]:
    """URL of a database without tables that only this test knows."""
    with _database(server_url) as url:
        yield url


@pytest.fixture(scope="session")
def _with_tables(server_url: sa.URL) -> Iterator[str]:
    """Name of a database with empty tables, to which nothing is ever connected again."""
    with _database(server_url, lasts=True) as url:
        with connect(url, write=True, create=True):
            pass
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def new_tables(server_url: sa.URL, _with_tables: str) -> Iterator[Callable[[], str]]:
    """Each call creates a database with empty tables, and gives its URL, like ``new_database``.

    It is a copy, which takes an eighth of the time of ``connect(new_database(), create=True)``.
    """
    with ExitStack() as databases:
        yield lambda: databases.enter_context(_database(server_url, _with_tables, lasts=True))


@pytest.fixture
def empty_dsn(server_url: sa.URL, _with_tables: str) -> Iterator[str]:
    """URL of a database with empty tables that only this test knows, also a copy."""
    with _database(server_url, _with_tables) as url:
        yield url


@pytest.fixture(scope="session")
def dsn(server_url: sa.URL) -> Iterator[str]:
    """URL of a database with empty tables, shared by all tests: undo your changes.

    A test that commits into it takes ``empty_dsn`` instead.
    """
    with _database(server_url, lasts=True) as url:
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            schema.create(connection)
        yield url


def _load(name: str, folder: str = "layouts") -> Any:
    path = Path(__file__).parent / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"lcdb_test_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


layouts = _load("databases")
partitions = _load("partitions")


class Layouts:
    """Databases of every layout that hold the same 20 stars, each made when first needed."""

    def __init__(self, server_url: sa.URL) -> None:
        self.sky = layouts.make_sky()
        self._server_url = server_url
        self._kept = ExitStack()
        self._filled: dict[str, str] = {}

    def shared(self, layout: str) -> str:
        """Return the URL of a database that all tests share: undo your changes."""
        if layout not in self._filled:
            if layout == layouts.OWN:
                url = self._kept.enter_context(_database(self._server_url, lasts=True))
                with _engine(sa.make_url(url)).connect() as connection:
                    layouts.fill(connection, self.sky)
            else:
                url = self._kept.enter_context(self.copy(layouts.OWN, lasts=True))
                with _engine(sa.make_url(url)).connect() as connection:
                    layouts.convert(connection, layout)
            self._filled[layout] = url
        return self._filled[layout]

    @contextmanager
    def copy(self, layout: str, *, lasts: bool = False) -> Iterator[str]:
        """Yield a copy that may be changed."""
        with self.converted(self.shared(layout), layouts.OWN, lasts=lasts) as url:
            yield url

    @contextmanager
    def converted(self, url: str | sa.URL, layout: str, *, lasts: bool = False) -> Iterator[str]:
        """Yield a copy of a database of this package, moved into another layout."""
        name = sa.make_url(url).database
        with _engine(self._server_url).connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
        with _database(self._server_url, str(name), lasts=lasts) as copied:
            with _engine(sa.make_url(copied)).connect() as connection:
                layouts.convert(connection, layout)
            yield copied

    def close(self) -> None:
        self._kept.close()


@pytest.fixture(scope="session")
def all_layouts(server_url: sa.URL) -> Iterator[Layouts]:
    """Databases of every layout: those of this package and of LightcurveDB 2 and 3."""
    made = Layouts(server_url)
    yield made
    made.close()


@pytest.fixture(scope="session")
def partitioned(server_url: sa.URL) -> Iterator[str]:
    """URL of a LightcurveDB 3 with 60 partitions of each table, shared by all tests."""
    with _database(server_url, lasts=True) as url:
        with _engine(sa.make_url(url)).connect() as connection:
            partitions.fill(connection, 60, cadences=8, targets=2_000)
        yield url


@pytest.fixture(scope="session")
def fill_partitions() -> Callable[..., None]:
    """Fill a database as ``partitioned`` is filled."""
    fill: Callable[..., None] = partitions.fill
    return fill


@pytest.fixture(scope="session")
def sky(all_layouts: Layouts) -> Any:
    """The arrays in the databases of ``layout_dsn``."""
    return all_layouts.sky


# The others repeat it in older and newer versions; tests/read/test_layouts.py reads them all.
EACH_LAYOUT = [
    layouts.OWN,
    *(pytest.param(name, marks=pytest.mark.slow) for name in layouts.LAYOUTS[1:]),
]


@pytest.fixture(scope="session", params=EACH_LAYOUT)
def layout(request: pytest.FixtureRequest) -> str:
    """The name of a layout; a test that takes it, or what is below, runs once for each."""
    return str(request.param)


@pytest.fixture(scope="module", params=EACH_LAYOUT)
def in_layout(
    request: pytest.FixtureRequest, all_layouts: Layouts
) -> Iterator[Callable[[str], str]]:
    """A function that moves a database of this package into another layout, and gives its URL.

    A module whose database goes through it runs once for each layout, in all but this package's own
    only among the slow tests, and without the tests that are marked ``own_tables``.
    """
    with ExitStack() as kept:
        yield (
            lambda url: (
                url
                if request.param == layouts.OWN
                else kept.enter_context(all_layouts.converted(url, request.param))
            )
        )


@pytest.fixture
def layout_dsn(all_layouts: Layouts, layout: str) -> str:
    """URL of a database of 20 stars in this layout, shared by all tests: undo your changes."""
    return all_layouts.shared(layout)


@pytest.fixture
def layout_copy(all_layouts: Layouts, layout: str) -> Iterator[str]:
    """URL of a copy of it that only this test knows."""
    with all_layouts.copy(layout) as url:
        yield url


@pytest.fixture(scope="session")
def engine(dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(dsn)
    yield engine
    engine.dispose()


@contextmanager
def _undone(engine: sa.Engine) -> Iterator[orm.Session]:
    with engine.connect() as connection:
        transaction = connection.begin()
        with orm.Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        if transaction.is_active:
            transaction.rollback()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[orm.Session]:
    """A session on ``dsn`` that may commit and roll back at will: nothing outlives the test."""
    with _undone(engine) as session:
        yield session


@pytest.fixture(scope="module")
def undone(in_layout: Callable[[str], str]) -> Iterator[Callable[[str], Any]]:
    """A function that moves a database into each layout, for sessions like ``session`` on it."""
    with ExitStack() as kept:

        def sessions(url: str) -> Any:
            engine = sa.create_engine(in_layout(url))
            kept.callback(engine.dispose)
            with engine.connect() as connection:
                arrangement.learn(connection)
            return lambda: _undone(engine)

        yield sessions


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Disable the garbage collection that would close by chance what nothing else closes."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    """A server that answers the requests of astroquery and lightkurve, for all of a file."""
    with _load("archive", "ingest").serve() as archive:
        yield archive


@pytest.fixture
def archive(served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The server, to which astroquery and lightkurve are directed, with empty caches."""
    from astropy.config import set_temp_cache

    cache = tmp_path / "cache"
    served.redirect(monkeypatch, cache)
    (cache / "astropy").mkdir(parents=True)
    with set_temp_cache(cache / "astropy"):
        yield served


@pytest.fixture(scope="session")
def data_folder(pytestconfig: pytest.Config) -> Path:
    """The folder of real light curves."""
    folder = _data_folder(pytestconfig)
    if not folder.is_dir():
        pytest.skip(f"no real light curves: no folder {folder} (LCDB_TEST_DATA names another)")
    return folder


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL that SQLAlchemy sends during the test, on any engine, in order.

    ``statements.clear()`` forgets what went before; ``len(statements)`` then counts the statements
    of one call. What goes through psycopg2's own cursors (COPY) does not pass SQLAlchemy's
    ``before_cursor_execute`` and is not seen here, nor are BEGIN, COMMIT and ROLLBACK.
    """
    log: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        log.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", record)
    yield log
    event.remove(sa.Engine, "before_cursor_execute", record)
