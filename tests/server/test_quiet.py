"""A quiet neighbour: between two calls no transaction, no lock, and one connection at most."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, Target
from lcdb_notebook.search.lineage import Lineage

from .stopwatch import Stopwatch

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.usefixtures("no_garbage_collection"),
]

Call = Callable[[lcdb.Database, Path], Any]

# Every public method and property of what a person holds, and how the notebook shows it. One that
# is added needs a line here.
SHOWN = ("__len__", "__iter__", "__getitem__", "__bool__", "__repr__", "_repr_html_", "_repr_svg_")
HELD = (lcdb.Database, lcdb.Selection, Lineage)

NO_QUERIES = {
    "Database.close",
    "Database.session",
    "Database.trace",
    "Lineage.asked",
    "Lineage.edges",
    "Lineage.nodes",
}
"""Members that do not use the database, or close it."""


def whole(db: lcdb.Database) -> lcdb.Selection:
    return db.search(1)


def of_one(db: lcdb.Database) -> Lineage:
    return db.lineage(db.search(1, processing="DEMO DET"))


def a_light_curve(db: lcdb.Database, processing: str) -> Any:
    """Return a light curve to store, made from one that was read."""
    lc = db.search(1, processing="raw")[0].lightcurve(quality_bitmask="none", flagged="keep")
    lc.meta["PROCESSING"] = processing
    return lc


CALLS: dict[str, Call] = {
    "Database.__repr__": lambda db, _: repr(db),
    "Database.session_scope": lambda db, _: session_scope(db),
    "Database.targets": lambda db, _: db.targets(sector=1),
    "Database.observations": lambda db, _: db.observations(target=1),
    "Database.instruments": lambda db, _: db.instruments(),
    "Database.missions": lambda db, _: db.missions(),
    "Database.photometric_sources": lambda db, _: db.photometric_sources(),
    "Database.processing_methods": lambda db, _: db.processing_methods(),
    "Database.frames": lambda db, _: db.frames(),
    "Database.quality_flags": lambda db, _: db.quality_flags(1),
    "Database.sql": lambda db, _: db.sql("SELECT count(*) FROM target"),
    "Database.search": lambda db, _: db.search(1),
    "Database.lightcurve": lambda db, _: one(db).lightcurve(),
    "Database.lightcurves": lambda db, _: db.lightcurves(1),
    "Database.coverage": lambda db, _: db.coverage(1),
    "Database.dataframe": lambda db, _: db.dataframe(1),
    "Database.lineage": lambda db, _: db.lineage(db.search(1)),
    "Database.load": lambda db, _: db.load(some_datasets(db)),
    "Database.explore": lambda db, _: db.explore(),
    "Selection.table": lambda db, _: whole(db).table,
    "Selection.datasets": lambda db, _: whole(db).datasets,
    "Selection.read": lambda db, _: list(whole(db).read()),
    "Selection.__iter__": lambda db, _: next(iter(whole(db))),
    "Selection.__len__": lambda db, _: len(whole(db)),
    "Selection.__bool__": lambda db, _: bool(whole(db)),
    "Selection.__getitem__": lambda db, _: whole(db)[-1],
    "Selection.__repr__": lambda db, _: repr(whole(db)),
    "Selection._repr_html_": lambda db, _: whole(db)._repr_html_(),
    "Selection.to_pandas": lambda db, _: whole(db).to_pandas(),
    "Selection.lightcurve": lambda db, _: one(db).lightcurve(),
    "Selection.lightcurves": lambda db, _: whole(db).lightcurves(),
    "Selection.best": lambda db, _: whole(db).best(),
    "Selection.coverage": lambda db, _: whole(db).coverage(),
    "Selection.export": lambda db, folder: whole(db).export(folder),
    "Selection.to_arrow": lambda db, _: whole(db).to_arrow(),
    "Selection.to_table": lambda db, _: whole(db).to_table(),
    "Selection.to_nested": lambda db, _: whole(db).to_nested(),
    "Selection.nested_parts": lambda db, _: list(whole(db).nested_parts()),
    "Selection.map": lambda db, _: whole(db).map(len, workers=1),
    "Selection.to_dask": lambda db, _: computed(whole(db).to_dask()),
    "Selection.plot": lambda db, _: one(db).plot(),
    "Selection.figure": lambda db, _: one(db).figure(),
    "Lineage.__len__": lambda db, _: len(of_one(db)),
    "Lineage.__repr__": lambda db, _: repr(of_one(db)),
    "Lineage._repr_html_": lambda db, _: of_one(db)._repr_html_(),
    "Lineage._repr_svg_": lambda db, _: of_one(db)._repr_svg_(),
    "Lineage.cycles": lambda db, _: of_one(db).cycles,
    "Lineage.depths": lambda db, _: of_one(db).depths,
    "Lineage.sources": lambda db, _: of_one(db).sources(),
    "Lineage.derived": lambda db, _: of_one(db).derived(),
    "Lineage.roots": lambda db, _: of_one(db).roots(),
    "Lineage.label": lambda db, _: of_one(db).label(one(db).datasets[0]),
    "Lineage.path": lambda db, _: along(of_one(db)),
    "Lineage.to_pandas": lambda db, _: of_one(db).to_pandas(),
    "Lineage.to_mermaid": lambda db, _: of_one(db).to_mermaid(),
    "Lineage.plot": lambda db, _: of_one(db).plot(),
}

# Those that write.
CHANGES: dict[str, Call] = {
    "Database.create": lambda db, _: db.create(),
    "Database.ingest": lambda db, folder: db.ingest(a_file(folder), on_error="skip"),
    "Database.add": lambda db, _: db.add(
        a_light_curve(db, f"once more {time.time_ns()}"), derived_from=one(db).datasets[0]
    ),
    "Database.add_frames": lambda db, folder: db.add_frames(
        a_frame(folder), observation=first_observation(db), cadence=time.time_ns()
    ),
}
WRITE = {**CALLS, **CHANGES}


def session_scope(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        session.execute(sa.text("SELECT 1"))


def computed(lazy: Any) -> Any:
    return lazy.compute(scheduler="synchronous")


def one(db: lcdb.Database) -> lcdb.Selection:
    return db.search(1, processing="DEMO DET")[:1]


def some_datasets(db: lcdb.Database) -> list[DataSet]:
    with db.session_scope() as session:
        return list(session.scalars(sa.select(DataSet).limit(3)))


def along(found: Lineage) -> list[Any]:
    root = found.roots()[0]
    return found.path(root, next(iter(found.derived(root)), root))


def a_file(folder: Path) -> Path:
    (folder / "not one.fits").write_bytes(b"SIMPLE  =                    F")
    return folder / "not one.fits"


def first_observation(db: lcdb.Database) -> int:
    return int(db.observations()["id"].iloc[0])


def a_frame(folder: Path) -> Path:
    from astropy.io import fits

    file = folder / "frame.fits"
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(file)
    return file


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(2, cadences=100)))
        db.session.commit()
    return url


@pytest.fixture(scope="module")
def watch(url: str) -> Iterator[Watch]:
    outside = sa.create_engine(
        sa.make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT"
    )
    with outside.connect() as connection:
        watch = Watch(connection, str(sa.make_url(url).database))
        # The connection that filled the database may still be ending.
        watch.wait(lambda: not watch.backends())
        yield watch
    outside.dispose()


class Watch:
    """Somebody else on the same server, who looks what goes on in one database."""

    def __init__(self, connection: sa.Connection, database: str) -> None:
        self._connection = connection
        self._database = {"name": database}

    def backends(self) -> list[tuple[str, Any, Any]]:
        """State, beginning of the transaction and oldest snapshot of every connection."""
        statement = (
            "SELECT state, xact_start, backend_xmin FROM pg_stat_activity "
            "WHERE datname = :name AND backend_type = 'client backend'"
        )
        found = self._connection.execute(sa.text(statement), self._database)
        return [(row.state, row.xact_start, row.backend_xmin) for row in found]

    def locks(self) -> list[Any]:
        """All locks in that database, advisory locks included."""
        statement = (
            "SELECT l.locktype, l.mode, l.relation::regclass::text, l.pid FROM pg_locks l "
            "JOIN pg_stat_activity a USING (pid) "
            "WHERE a.datname = :name AND a.backend_type = 'client backend'"
        )
        return list(self._connection.execute(sa.text(statement), self._database))

    def is_quiet(self, connections: int = 1) -> bool:
        return self.backends() == [("idle", None, None)] * connections and not self.locks()

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> float:
        """Wait until something is so, and give the seconds that it took."""
        began = Stopwatch()
        while not condition():
            assert began.seconds() < seconds, (self.backends(), self.locks())
        return began.seconds()


CONNECT_BY_THEMSELVES = {"Selection.map", "Selection.to_dask"}
"""A separate connection is closed at the end, which the server notices after a moment."""


def public() -> set[str]:
    names = set()
    for cls in HELD:
        for name in dir(cls):
            inherited = getattr(object, name, None) is getattr(cls, name)
            if (not name.startswith("_") or name in SHOWN) and not inherited:
                names.add(f"{cls.__name__}.{name}")
        names |= {f"{cls.__name__}.{name}" for name in getattr(cls, "__slots__", ())}
    return names


def test_every_public_method_is_tried() -> None:
    assert public() - set(WRITE) - NO_QUERIES == set(), "give each of them a line in CALLS"


@pytest.mark.parametrize("name", CALLS)
def test_after_every_method_all_is_quiet(url: str, watch: Watch, tmp_path: Path, name: str) -> None:
    with lcdb.connect(url) as db:
        kept = CALLS[name](db, tmp_path)
        if name in CONNECT_BY_THEMSELVES:
            watch.wait(watch.is_quiet)
        assert watch.is_quiet(), (watch.backends(), watch.locks())
        del kept
    watch.wait(lambda: not watch.backends())


@pytest.mark.parametrize("name", WRITE)
def test_after_every_method_all_is_quiet_with_write(
    url: str, watch: Watch, tmp_path: Path, name: str
) -> None:
    with lcdb.connect(url, write=True) as db:
        kept = WRITE[name](db, tmp_path)
        # A separate connection of a writer is closed, which the server notices after a moment.
        watch.wait(watch.is_quiet)
        del kept
    watch.wait(lambda: not watch.backends())


def test_an_idle_notebook_has_one_connection_after_any_call(
    url: str, watch: Watch, tmp_path: Path
) -> None:
    with lcdb.connect(url, write=True) as db:
        for number, (name, call) in enumerate(WRITE.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            call(db, folder)
            # The session may hold the connection while a writer uses another.
            db.session.scalars(sa.select(Target)).all()
            if name in CHANGES:
                db.session.rollback()
                db.session.connection()
                folder = folder / "again"
                folder.mkdir()
                call(db, folder)
                watch.wait(lambda: len(watch.backends()) == 1)
            db.session.rollback()
        watch.wait(watch.is_quiet)


def test_objects_that_are_kept_hold_nothing(url: str, watch: Watch) -> None:
    with lcdb.connect(url) as db:
        targets = db.session.scalars(sa.select(Target)).all()
        records: Any = db.search().read()
        next(records)
        watch.wait(watch.is_quiet)
        assert targets
        records.close()


# Threads


def test_two_threads_take_turns(url: str, watch: Watch) -> None:
    inside: list[str] = []
    entered, leave = threading.Event(), threading.Event()
    with lcdb.connect(url) as db:

        def first() -> None:
            with db.session_scope() as session:
                session.scalar(sa.text("SELECT 1"))
                inside.append("first in")
                entered.set()
                assert leave.wait(60)
                session.scalar(sa.text("SELECT 1"))
                inside.append("first out")

        def second() -> None:
            waiting.set()
            with db.session_scope() as session:
                session.scalar(sa.text("SELECT 1"))
                inside.append("second")

        waiting = threading.Event()
        threads = [threading.Thread(target=first), threading.Thread(target=second)]
        threads[0].start()
        assert entered.wait(60)
        threads[1].start()
        assert waiting.wait(60)
        # It waits before the commit: for no other client this could be too early.
        threads[1].join(0.2)
        assert inside == ["first in"]
        leave.set()
        for thread in threads:
            thread.join(60)
        assert inside == ["first in", "first out", "second"]
        watch.wait(watch.is_quiet)


def test_many_threads_read_the_same_as_one(url: str, watch: Watch) -> None:
    wrong: list[Any] = []
    with lcdb.connect(url) as db:
        expected = {
            target: {data.dataset: float(np.nansum(data.flux)) for data in db.search(target)}
            for target in (1, 2)
        }

        def read(target: int) -> None:
            try:
                for _ in range(5):
                    found = {
                        data.dataset: float(np.nansum(data.flux)) for data in db.search(target)
                    }
                    if found != expected[target]:
                        wrong.append(found)
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=read, args=(1 + n % 2,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert wrong == []
        watch.wait(watch.is_quiet)


def test_a_call_within_a_call_needs_not_wait(url: str) -> None:
    with lcdb.connect(url) as db, db.session_scope(), db.session_scope() as session:
        assert session.scalar(sa.text("SELECT 1")) == 1
        assert len(db.targets()) == 2


def test_an_error_lets_the_next_thread_in(url: str) -> None:
    with lcdb.connect(url) as db:
        with pytest.raises(ZeroDivisionError), db.session_scope():
            raise ZeroDivisionError
        results: list[int] = []
        thread = threading.Thread(target=lambda: results.append(len(db.targets())))
        thread.start()
        thread.join(60)
        assert results == [2]


# The end


def test_a_database_that_is_collected_leaves_nothing(url: str, watch: Watch) -> None:
    db = lcdb.connect(url, write=True)
    db.session.execute(sa.text("UPDATE mission SET description = 'x'"))
    assert watch.locks()
    alive = weakref.ref(db)
    del db
    gc.collect()
    assert alive() is None
    watch.wait(lambda: not watch.backends())
    with lcdb.connect(url) as again:
        assert again.missions()["description"].tolist() != ["x"]


DIES = """
import os, sys, threading
import sqlalchemy as sa
import lcdb_notebook as lcdb

db = lcdb.connect(sys.argv[1], write=True)
db.session.execute(sa.text("UPDATE mission SET description = 'x'"))
print("ready", flush=True)
if sys.argv[2] == "while it waits":
    sys.stdin.read()
elif sys.argv[2] == "while the server works":
    db.session.execute(sa.text("SELECT pg_sleep(600)"))
else:
    os._exit(3)
"""


@pytest.mark.parametrize(
    "when",
    [
        "while the server works",
        *(pytest.param(when, marks=pytest.mark.slow) for when in ("while it waits", "by itself")),
    ],
)
def test_a_kernel_that_dies_leaves_nothing(url: str, watch: Watch, when: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, url, when],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if when == "while the server works":
            watch.wait(lambda: any(state == "active" for state, *_ in watch.backends()))
        if when != "by itself":
            os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    assert watch.wait(lambda: not watch.backends()) < 5
    with lcdb.connect(url) as db:
        assert db.missions()["description"].tolist() != ["x"]
