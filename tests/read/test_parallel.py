"""A function over many light curves: in order, failures as rows, with any executor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from astropy import units
from pandas.testing import assert_frame_equal

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import (
    ArgumentError,
    ConfigurationError,
    ConnectionFailedError,
    ExportError,
    LCDBError,
    LightCurveNotFoundError,
)
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.read.parallel import address, batches, checkpoint, mapping, partitions
from lcdb_notebook.read.parallel.address import APPLICATION_NAME
from lcdb_notebook.read.parallel.batches import Batch, Batches
from lcdb_notebook.read.parallel.results import Measured, values
from lcdb_notebook.search import by_observation, streaming
from lcdb_notebook.search.grouped import group

# Workers cannot import the modules of tests, as they cannot import a notebook.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

PASSWORD = "open-sesame-42"
SECONDS = 60

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightkurve"),
    pytest.mark.filterwarnings("ignore::UserWarning:distributed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    """Twelve synthetic stars in two sectors, two apertures, three steps; one is damaged."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(12, cadences=60)))
        db.session.commit()
    return url


@pytest.fixture(scope="module")
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


@pytest.fixture(scope="module")
def cluster(url: str) -> Iterator[Any]:
    # Only slow tests need it, and every process of the tests would import it while collecting.
    import distributed

    local: Any = distributed.LocalCluster  # not typed
    with local(
        n_workers=2, threads_per_worker=1, dashboard_address=None, env={"LCDB_URL": url}
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: Any) -> Iterator[Any]:
    import distributed

    connect: Any = distributed.Client  # not typed
    with connect(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture(params=["here", "processes", pytest.param("dask", marks=pytest.mark.slow)])
def ways(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Arguments of map() for each of the three kinds of workers."""
    if request.param == "dask":
        return {"client": request.getfixturevalue("client")}
    return {"workers": 1 if request.param == "here" else 2}


def some_ways(*quick: str) -> list[Any]:
    """Name all kinds of workers; those that are not quick repeat what others prove of a test."""
    kinds = ("here", "processes", "dask")
    return [kind if kind in quick else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


# Processes and clusters take seconds to start.
SENT_BACK = some_ways()[1:]


def middle(lc: Any) -> float:
    return float(np.nanmedian(lc.flux.value))


def size(record: Any) -> int:
    return int(record.flux.size)


def wait_until(condition: Callable[[], bool]) -> None:
    never = threading.Event()
    for _ in range(SECONDS * 20):
        if condition():
            return
        never.wait(0.05)
    raise AssertionError(f"not within {SECONDS} s")


def connections(url: str) -> int:
    """Count the connections of workers to the database."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        query = sa.text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = :name AND datname = current_database()"
        )
        number: int = connection.execute(query, {"name": APPLICATION_NAME}).scalar_one()
    return number


# What comes back


def test_results_are_those_of_a_loop_in_the_order_of_the_selection(
    db: lcdb.Database, ways: dict[str, Any]
) -> None:
    found = db.search()
    in_a_loop = [middle(found[k].lightcurve()) for k in range(20)]
    done = found.map(middle, **ways)
    assert list(done.columns) == [
        *("dataset", "target", "sector", "photometry", "processing", "result", "error")
    ]
    assert done["dataset"].tolist() == found.table["dataset"].tolist()
    assert done["result"].tolist()[:20] == in_a_loop
    assert done["error"].isna().all()


@pytest.mark.parametrize("ways", some_ways("here"), indirect=True)
def test_failures_are_rows_and_the_others_are_not_lost(
    db: lcdb.Database, ways: dict[str, Any]
) -> None:
    def picky(record: Any) -> dict[str, int]:
        if record.target in (2, 7):
            raise ValueError(f"no {record.target} here")
        return {"cadences": record.time.size}

    done = db.search(processing="raw").map(picky, datasets="record", **ways)
    failed = done[done["error"].notna()]
    assert failed.groupby("target")["error"].unique().str[0].to_dict() == {
        2: "ValueError: no 2 here",
        7: "ValueError: no 7 here",
    }
    assert failed["cadences"].isna().all()
    assert done[done["error"].isna()]["cadences"].eq(60).all()


@pytest.mark.parametrize("ways", some_ways("here"), indirect=True)
def test_the_first_failure_ends_the_run_with_on_error_raise(
    db: lcdb.Database, ways: dict[str, Any]
) -> None:
    def picky(record: Any) -> None:
        raise KeyError(record.target)

    with pytest.raises(KeyError) as caught:
        db.search().map(picky, datasets="record", on_error="raise", **ways)
    assert any(note.startswith("of DataSet ") for note in caught.value.__notes__)


@pytest.mark.parametrize("ways", SENT_BACK, indirect=True)
def test_an_exception_that_cannot_be_pickled_is_reported(
    db: lcdb.Database, ways: dict[str, Any]
) -> None:
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} and {two}")

    def odd(_: Any) -> None:
        raise OddError(1, 2)

    with pytest.raises(LCDBError, match=r"OddError: 1 and 2; of DataSet \d+, DEMO 1"):
        db.search(1).map(odd, datasets="record", on_error="raise", **ways)
    assert set(db.search(1).map(odd, datasets="record", **ways)["error"]) == {"OddError: 1 and 2"}


def test_a_light_curve_that_cannot_be_read_is_a_row(new_tables: Callable[[], str]) -> None:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(3, cadences=60)))
        db.session.execute(sa.text("UPDATE dataset SET values = values[1:9] WHERE id = 5"))
        db.session.commit()
        done = db.search().map(size, datasets="record", workers=1).set_index("dataset")
        assert done["error"].notna().sum() == 1
        assert done["error"][5].startswith("DataError: DataSet 5 (")
        with pytest.raises(lcdb.errors.DataError, match="DataSet 5"):
            db.search().map(size, datasets="record", workers=1, on_error="raise")


@pytest.mark.parametrize("ways", some_ways("here"), indirect=True)
def test_a_record_has_all_its_cadences(db: lcdb.Database, ways: dict[str, Any]) -> None:
    done = db.search(1).map(lambda record: record.time.size, datasets="record", **ways)
    assert done["result"].tolist() == [60] * len(done)


@pytest.mark.parametrize("ways", some_ways("here"), indirect=True)
def test_light_curves_have_the_requested_options_and_their_lineage(
    db: lcdb.Database, ways: dict[str, Any]
) -> None:
    found = db.search(1)
    how: dict[str, Any] = {"quality_bitmask": "hardest", "flagged": "keep", "time_format": "jd"}
    done = found.map(
        lambda lc: (len(lc), lc.time.format, lc.meta["LINEAGE"], lc.meta["QUALITY_BITMASK"]),
        **how,
        **ways,
    )
    by_id = {lc.meta["DATASET"]: lc for lc in found.lightcurves(**how)}
    for dataset, value in zip(done["dataset"], done["result"], strict=True):
        lc = by_id[dataset]
        assert value == (len(lc), "jd", lc.meta["LINEAGE"], "hardest")


def test_results_of_all_kinds_become_columns() -> None:
    from astropy import units
    from astropy.time import Time

    assert values(None) == {}
    assert values(3) == {"result": 3}
    assert values(pd.Series({"a": 1, "b": 2})) == {"a": 1, "b": 2}
    assert values({"t": Time(2457000.5, format="jd")}) == {"t": Measured(2457000.5, "jd")}
    assert values({"p": 2 * units.hour, "s": 3 * units.one}) == {"p": Measured(2.0, "h"), "s": 3.0}
    assert values(np.array(1.5)) == {"result": 1.5}
    assert values([1, 2]) == {"result": [1, 2]}


def test_quantities_are_brought_to_one_unit_and_named_values_keep_out_of_the_way(
    db: lcdb.Database,
) -> None:
    from astropy import units

    def mixed(lc: Any) -> dict[str, Any]:
        unit = units.day if lc.meta["TARGETID"] == 1 else units.hour
        return {"period": 48 * unit, "target": "mine", "curve": np.arange(3)}

    done = db.search([1, 2], processing="raw").map(mixed, workers=1)
    assert set(zip(done["target"], done["period"], strict=True)) == {(1, 48), (2, 2)}
    assert done.attrs["units"] == {"period": "d"}
    assert set(done["target_result"]) == {"mine"}
    assert done["curve"].iloc[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("ways", SENT_BACK, indirect=True)
def test_a_result_that_cannot_be_sent_back_is_a_failure(
    db: lcdb.Database, ways: dict[str, Any]
) -> None:
    done = db.search(1, processing="raw").map(
        lambda one: threading.Lock() if one.observation.fields["sector"] == 1 else 1,
        datasets="record",
        **ways,
    )
    failed = done[done["sector"] == 1]
    assert failed["error"].str.startswith("the result cannot be pickled: TypeError").all()
    assert done[done["sector"] == 2]["error"].isna().all()


# Workers that die


@pytest.mark.slow
@pytest.mark.parametrize("ways", ["processes", "dask"], indirect=True)
def test_a_worker_that_is_killed_costs_a_retry_and_nothing_else(
    db: lcdb.Database, ways: dict[str, Any], tmp_path: Path
) -> None:
    killed = tmp_path / "killed"

    def safe(record: Any) -> float:
        return float(np.nanmedian(record.flux))

    def dangerous(record: Any) -> float:
        if record.target == 6 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(np.nanmedian(record.flux))

    found = db.search()
    expected = found.map(safe, datasets="record", workers=1)
    assert_frame_equal(found.map(dangerous, datasets="record", **ways), expected)
    assert killed.exists()


@pytest.mark.slow
def test_a_light_curve_that_crashes_every_worker_is_a_row(db: lcdb.Database) -> None:
    deadly = int(db.search(6, processing="raw").table["dataset"].iloc[0])

    def crash(record: Any) -> int:
        if record.dataset == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return 1

    found = db.search([6, 7], processing="raw")
    done = found.map(crash, datasets="record", workers=2).set_index("dataset")
    assert done["error"].notna().sum() == 1
    assert done["error"][deadly].startswith("the worker process crashed")
    assert done["result"].drop(deadly).eq(1).all()


def test_shares_that_are_lost_come_again_then_alone_then_in_halves() -> None:
    batches = Batches(range(4), allowed_losses=2)
    batch = batches.next(2, [])
    assert batch == Batch((0, 1, 2, 3))
    assert batches.lost(batch) is None
    batch = batches.next(2, [])
    assert batch == Batch((0, 1, 2, 3), losses=1)
    assert batches.lost(batch) is None
    assert batches.next(2, [Batch((9,))]) is None
    batch = batches.next(2, [])
    assert batch == Batch((0, 1, 2, 3), losses=2)
    assert batches.next(2, [batch]) is None
    assert batches.lost(batch) is None
    half = batches.next(2, [])
    assert half == Batch((0, 1), losses=2)
    assert batches.lost(half) is None
    other = batches.next(2, [])
    assert other == Batch((2, 3), losses=2)
    batches.done(other, 1.0)
    single = batches.next(2, [])
    assert single == Batch((0,), losses=2)
    assert batches.lost(single) == 0
    assert batches.next(2, []) == Batch((1,), losses=2)
    assert batches.next(2, []) is None


def test_shares_take_about_as_long_as_each_other_and_get_smaller_towards_the_end() -> None:
    batches = Batches(range(10_000), allowed_losses=2)
    given: deque[int] = deque()
    while (batch := batches.next(2, [])) is not None:
        given.append(len(batch.datasets))
        batches.done(batch, 0.004 * len(batch.datasets))
    assert sum(given) == 10_000
    assert max(given) == 500
    assert all(a >= b for a, b in zip(list(given)[10:], list(given)[11:], strict=False))
    assert min(list(given)[:-1]) >= 8


# Connections and credentials


def with_password(url: str) -> tuple[str, str]:
    """Return a URL with a password, and that password; a server without passwords ignores it."""
    parsed = sa.make_url(url)
    password = str(parsed.password or PASSWORD)
    return parsed.set(password=password).render_as_string(hide_password=False), password


def new_witness() -> Any:
    """Return a plugin of a scheduler that keeps all that it is given to do, pickled."""
    from distributed import SchedulerPlugin

    class Seen(SchedulerPlugin):
        def __init__(self) -> None:
            self.pickled: list[bytes] = []
            self.shown: list[str] = []

        def update_graph(self, scheduler: Any, *, keys: Any, **_: Any) -> None:
            for key in keys:
                self.pickled.append(cloudpickle.dumps(scheduler.tasks[key].run_spec))
                self.shown.append(f"{key} {scheduler.tasks[key].run_spec!r}")

    return Seen()


@pytest.mark.slow
def test_no_password_is_sent_to_the_scheduler(url: str, cluster: Any, client: Any) -> None:
    secret_url, password = with_password(url)
    seen = new_witness()
    cluster.scheduler.add_plugin(seen, name="seen")
    try:
        with lcdb.connect(secret_url) as db:
            found = db.search([1, 2], processing="raw")
            assert found.map(size, datasets="record", client=client)["error"].isna().all()
            frame: Any = found.to_dask()
            client.compute(frame).result()
            seen.pickled.append(cloudpickle.dumps(frame))
    finally:
        cluster.scheduler.remove_plugin(name="seen")
    assert len(seen.pickled) >= 3
    assert any(b"lcdb_notebook.read.parallel.address" in one for one in seen.pickled)
    assert not [one for one in seen.pickled if password.encode() in one]
    assert not [one for one in seen.shown if password in one]


@pytest.mark.slow
def test_a_password_in_the_argument_is_refused(db: lcdb.Database, client: Any) -> None:
    with pytest.raises(ConfigurationError, match="must not contain a password") as caught:
        db.search(1).map(middle, client=client, database=f"postgresql://ada:{PASSWORD}@pdo/db")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("ways", some_ways("here"), indirect=True)
def test_each_worker_has_one_connection_and_none_is_left(
    db: lcdb.Database, url: str, ways: dict[str, Any]
) -> None:
    def count(_: Any) -> int:
        return connections(url)

    # A batch of another test that was cancelled may still run.
    wait_until(lambda: connections(url) == 0)
    most = db.search(processing="raw").map(count, datasets="record", **ways)["result"].max()
    assert 1 <= most <= (1 if ways == {"workers": 1} else 2)
    wait_until(lambda: connections(url) == 0)


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("is_used", [True, False], ids=["used", "used again"])
def test_unregister_closes_the_connection_of_a_batch_that_still_runs(
    db: lcdb.Database, url: str, is_used: bool
) -> None:
    with db.session_scope() as session:
        which = address.source(session, None)
    with address.reading(which):
        reader = address._readers[which.name]
        if is_used:
            address.unregister(which)
    if not is_used:
        address.unregister(which)
        with reader.session_scope() as session:
            assert session.scalar(sa.text("SELECT 1")) == 1
    wait_until(lambda: connections(url) == 0)


@pytest.mark.parametrize("ways", SENT_BACK, indirect=True)
def test_workers_cannot_write(db: lcdb.Database, ways: dict[str, Any]) -> None:
    def settings(_: Any) -> str:
        from lcdb_notebook.read.parallel import address

        (reader,) = address._readers.values()
        with reader.session_scope() as session:
            return str(session.execute(sa.text("SHOW transaction_read_only")).scalar_one())

    assert set(db.search(1).map(settings, datasets="record", **ways)["result"]) == {"on"}


@pytest.mark.slow
def test_workers_that_read_another_database_are_found_out(
    db: lcdb.Database, new_database: Callable[[], str], tmp_path: Path, client: Any
) -> None:
    url = sa.make_url(new_database())
    other = url.render_as_string(hide_password=False)
    with lcdb.connect(other, write=True, create=True) as there:
        store(there.session.connection(), list(demo.products(3, sectors=[9], cadences=20))[::-1])
        there.session.commit()
    conf = tmp_path / "db.conf"
    conf.write_text(
        "[Credentials]\n"
        f"username = {url.username or ''}\npassword = {url.password or ''}\n"
        f"database_name = {url.database}\n"
        f"database_host = {url.query.get('host', url.host)}\n"
        f"database_port = {url.query.get('port', url.port) or 5432}\n"
    )
    conf.chmod(0o600)
    with pytest.raises(ConfigurationError, match="reads from another database"):
        db.search().map(middle, client=client, database=str(conf))


@pytest.mark.slow
def test_map_reports_a_database_that_workers_cannot_reach(db: lcdb.Database, client: Any) -> None:
    nowhere = "postgresql://ada@127.0.0.1:1/nothing"
    with pytest.raises(ConnectionFailedError, match="Workers connect to PostgreSQL directly"):
        db.search().map(middle, client=client, database=nowhere)


# Ends


PROGRAM = """
import contextlib, sys, time, pathlib
import lcdb_notebook as lcdb

def slow(record):
    pathlib.Path({begun!r}).touch()
    time.sleep(600)

db = lcdb.connect({url!r})
try:
    db.search().map(slow, datasets="record", workers=2)
except KeyboardInterrupt:
    import psutil
    left = []
    for process in psutil.Process().children(recursive=True):
        # A worker that has just ended has no command line any more.
        with contextlib.suppress(psutil.NoSuchProcess):
            left.append(process.cmdline())
    print([one for one in left if "resource_tracker" not in " ".join(one)])
    print(len(db.search(1).table))
"""


def test_an_interrupt_ends_all_processes_and_leaves_the_database_usable(
    url: str, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(begun=str(begun), url=url)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(begun.exists)
        program.send_signal(signal.SIGINT)
        output, _ = program.communicate(timeout=SECONDS)
    finally:
        for one in [*psutil.Process().children(recursive=True)]:
            if one.pid == program.pid:
                one.kill()
    assert output.splitlines() == ["[]", "12"]
    wait_until(lambda: connections(url) == 0)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"datasets": "lightcurves"}, "datasets must be 'lightcurve' or 'record'"),
        ({"on_error": "skip"}, "on_error must be 'row' or 'raise'"),
        ({"workers": 1.5}, "workers must be a number"),
        ({"client": 3}, "client must be a dask.distributed.Client"),
        ({"client": 3, "workers": 2}, "either workers= .* or client="),
    ],
)
def test_map_names_wrong_arguments(db: lcdb.Database, arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        db.search(1).map(middle, **arguments)


def test_map_refuses_a_function_that_cannot_be_pickled(db: lcdb.Database) -> None:
    lock = threading.Lock()
    with pytest.raises(ConfigurationError, match="cannot be pickled"):
        db.search(1).map(lambda _: lock.locked(), workers=2)


def test_map_accepts_the_old_name_of_datasets_with_a_warning(db: lcdb.Database) -> None:
    found = db.search(1)
    with pytest.warns(DeprecationWarning, match=r"use map\(datasets=\.\.\.\)") as caught:
        done = found.map(size, of="record", workers=1)
    assert caught[0].filename == __file__
    assert_frame_equal(done, found.map(size, datasets="record", workers=1))


def test_map_reports_modules_that_workers_cannot_import(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_here: Any = types.ModuleType("only_here")
    exec("def one(record): return 1", only_here.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    with pytest.raises(LCDBError, match=r"cannot run the function .*only_here.*same packages"):
        db.search(1).map(only_here.one, datasets="record", workers=2)


def test_no_light_curves_are_an_error(db: lcdb.Database) -> None:
    with pytest.raises(LightCurveNotFoundError):
        db.search(1, sector=99).map(middle)


@pytest.mark.parametrize(
    "layout",
    ["2.x", "3.1", "3.3"],
    indirect=True,
)
@pytest.mark.slow
def test_a_cluster_reads_every_layout(layout_dsn: str, client: Any) -> None:
    where = sa.make_url(layout_dsn).render_as_string(hide_password=False)
    with lcdb.connect(layout_dsn) as db:
        found = db.search(1_000_000_007 * 3, photometry="TGLC Aperture Small")
        settings: dict[str, Any] = {"quality_bitmask": "none"}
        on_cluster = found.map(middle, client=client, database=where, **settings)
        assert on_cluster["error"].isna().all()
        assert on_cluster["dataset"].tolist() == found.datasets
        assert_frame_equal(on_cluster, found.map(middle, workers=1, **settings))
        frame: Any = found.to_dask(database=where, **settings)
        key = ["dataset", "cadenceno"]
        assert_frame_equal(
            client.compute(frame).result().sort_values(key, ignore_index=True),
            found.to_pandas(**settings).sort_values(key, ignore_index=True),
        )


# Dask DataFrames


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"quality_bitmask": "hardest", "flagged": "mask", "time_format": "jd"},
        {},
    ],
)
def test_a_dask_frame_has_the_contents_of_to_pandas(
    db: lcdb.Database, client: Any, settings: dict[str, Any]
) -> None:
    found = db.search([1, 2, 3])
    frame: Any = found.to_dask(**settings)
    assert frame.npartitions == len(set(found.table["observation"]))
    whole = found.to_pandas(**settings)
    key = ["dataset", "cadenceno"]
    for compute in (frame.compute, lambda: client.compute(frame).result()):
        assert_frame_equal(
            compute().sort_values(key, ignore_index=True),
            whole.sort_values(key, ignore_index=True),
        )
    assert frame._meta.dtypes.to_dict() == whole.dtypes.to_dict()


@pytest.mark.slow
def test_a_dask_frame_of_a_long_search_sends_ranges_of_targets(
    db: lcdb.Database, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"sector": [1, 2], "processing": "raw"}
    whole = db.search(**asked).to_pandas()
    monkeypatch.setattr(streaming, "MOST_COLLECTED", 5)
    monkeypatch.setattr(partitions, "PARTITION_BYTES", 3 * 1200 * 64)
    found = db.search(**asked)
    frame: Any = found.to_dask()
    assert found._search.kept is None
    assert frame.npartitions > whole["sector"].nunique()
    parts = list(partitions._partitions(found._search, group(found._search)))
    assert len(parts) == frame.npartitions
    assert all(part.datasets is None for part in parts)
    key = ["dataset", "cadenceno"]
    assert_frame_equal(
        client.compute(frame).result().sort_values(key, ignore_index=True),
        whole.sort_values(key, ignore_index=True),
    )
    assert frame._meta.dtypes.to_dict() == whole.dtypes.to_dict()


@pytest.mark.slow
def test_workers_of_a_cluster_share_a_number_of_connections(
    db: lcdb.Database, url: str, client: Any
) -> None:
    def count(_: Any) -> int:
        # The server still lists a connection for a moment after its worker closed it.
        return next((1 for _again in range(200) if connections(url) <= 1), 2)

    found = db.search(processing="raw")
    most = found.map(count, datasets="record", client=client, max_connections=1)
    assert most["error"].isna().all()
    assert most["result"].max() <= 1
    frame: Any = found.to_dask(max_connections=1)
    assert len(client.compute(frame).result()) == len(found.to_pandas())
    with pytest.raises(ArgumentError, match="max_connections must be a positive integer"):
        found.map(count, max_connections=0)


# Checkpoints


def test_results_come_from_pages_as_from_one(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(record: Any) -> dict[str, Any]:
        unit = units.day if record.target % 2 else units.hour
        values_ = {"period": record.target * unit, "size": int(record.flux.size)}
        return values_ if record.target % 3 else {"size": 0}

    expected = db.search(sector=1).map(measured, datasets="record", workers=1)
    monkeypatch.setattr(streaming, "MOST_COLLECTED", 5)
    monkeypatch.setattr(by_observation, "FIRST_PAGE", 10)
    in_pages = db.search(sector=1).map(measured, datasets="record", workers=1)
    assert in_pages["dataset"].tolist() == [one.dataset for one in db.search(sector=1).read()]
    in_order = in_pages.set_index("dataset").loc[expected["dataset"]].reset_index()
    assert_frame_equal(in_order, expected)
    assert in_pages.attrs["units"].keys() == expected.attrs["units"].keys()


def test_a_checkpoint_continues_without_repeating_anything(
    db: lcdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    # An interrupt loses the light curves of one batch.
    monkeypatch.setattr(batches, "_MOST", 8)
    calls = tmp_path / "calls"

    def interrupted(record: Any) -> dict[str, Any]:
        # In a file, as the function is pickled.
        with calls.open("a") as file:
            file.write(".")
        if calls.stat().st_size in (20, 41):
            raise KeyboardInterrupt
        if record.target == 3:
            raise ValueError("too faint")
        return {"middle": float(np.nanmedian(record.flux)), "all": record.flux[:4]}

    folder = tmp_path / "results"
    found = db.search(processing="raw")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            found.map(interrupted, datasets="record", workers=1, checkpoint=folder)
    done = db.search(processing="raw").map(
        interrupted, datasets="record", workers=1, checkpoint=folder
    )
    assert len(done) <= calls.stat().st_size < len(done) + 2 * 10
    assert done["dataset"].tolist() == found.datasets
    undisturbed = found.map(
        interrupted, datasets="record", workers=1, checkpoint=tmp_path / "undisturbed"
    )
    assert_frame_equal(done, undisturbed)
    assert done["error"].notna().sum() == (done["target"] == 3).sum()
    number = calls.stat().st_size
    again = found.map(interrupted, datasets="record", workers=1, checkpoint=folder)
    assert calls.stat().st_size == number
    assert_frame_equal(again, done)


@pytest.mark.parametrize(("limit", "number"), [("SECONDS", 0.0), ("MOST", 3)])
def test_results_that_are_left_in_the_folder_are_one_table(
    db: lcdb.Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    number: float,
) -> None:
    import dask.dataframe as dd

    monkeypatch.setattr(checkpoint, limit, number)
    monkeypatch.setattr(batches, "_FIRST", 3)
    monkeypatch.setattr(batches, "_MOST", 3)

    def of_many_kinds(record: Any) -> dict[str, Any]:
        if record.target == 3:
            raise ValueError("too faint")
        made: dict[str, Any] = {"depth": 1 if record.target == 1 else 0.5}
        made["note"] = None if record.target == 1 else "bright"
        made["period"] = 2 * (units.h if record.target == 1 else units.day)
        if record.target == 2:
            made["first"] = record.flux[:2]
        return made

    def found() -> lcdb.Selection:
        return db.search([1, 2, 3], processing="raw")

    def mapped(**given: Any) -> pd.DataFrame:
        return found().map(of_many_kinds, datasets="record", workers=1, **given)

    collected = mapped()
    # All results are never together.
    monkeypatch.setattr(mapping, "joined", None)
    for _ in range(2):
        files = mapped(checkpoint=tmp_path, collect=False)
        assert len(files) > 2
        assert files["light_curves"].sum() == len(collected)
        assert files["errors"].sum() == collected["error"].notna().sum() > 0
        assert {Path(file) for file in files["file"]} == {*tmp_path.glob("*.parquet")}
        schemas = {pq.read_schema(file).remove_metadata() for file in files["file"]}
        assert len(schemas) == 1
    whole = pd.read_parquet(tmp_path).set_index("dataset").loc[collected["dataset"]].reset_index()
    assert_frame_equal(whole.drop(columns=["catalog", "first"]), collected.drop(columns="first"))
    first = [None if one is None else list(one) for one in whole["first"]]
    assert first == [
        list(one) if isinstance(one, np.ndarray) else None for one in collected["first"]
    ]
    assert all(pd.read_parquet(file).attrs == collected.attrs for file in files["file"])
    lazily = dd.read_parquet(tmp_path)
    assert lazily.npartitions > 1
    assert lazily["depth"].sum().compute() == collected["depth"].sum()
    assert lazily["error"].count().compute() == collected["error"].count()


def test_results_are_left_in_a_folder_only_if_one_is_given(db: lcdb.Database) -> None:
    with pytest.raises(ArgumentError, match="collect=False leaves the results in a folder"):
        db.search(1).map(size, collect=False)


def test_a_checkpoint_of_another_call_is_refused(db: lcdb.Database, tmp_path: Path) -> None:
    limit = 3

    def brightest(record: Any) -> float:
        return float(np.nanmax(record.flux[:limit]))

    def call(sector: int = 1, function: Any = brightest, **options: Any) -> None:
        found = db.search(1, sector=sector, processing="raw")
        found.map(function, datasets="record", workers=1, checkpoint=tmp_path, **options)

    call()
    call()
    with pytest.raises(ExportError, match=r"another call of map\(\): search target=1, .* here"):
        call(sector=2)
    with pytest.raises(ExportError, match=r"function .*brightest .* there, size .* here"):
        call(function=size)
    with pytest.raises(ExportError, match=r"options .*flagged='drop'"):
        call(flagged="keep")
    limit = 2
    with pytest.raises(ExportError, match=r"function .*brightest"):
        call()


def test_results_that_parquet_cannot_hold_are_refused(db: lcdb.Database, tmp_path: Path) -> None:
    def objects(record: Any) -> Any:
        return {"result": types.SimpleNamespace(target=record.target)}

    with pytest.raises(ExportError, match="return numbers, texts or one-dimensional arrays"):
        db.search(1).map(objects, datasets="record", workers=1, checkpoint=tmp_path)
