"""The data that everything is measured on: databases of ``demo`` and of real files."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest import Report
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.server import embedded

SHORT, LONG = 1, 2
"""Sectors of the short light curves, of 1,200 cadences, and of the long ones, of 12,000."""

PER_STAR = 15
"""Tiny light curves of each star, as QLP has them: five apertures, each raw and in two steps."""

FIRST_COPY = 900_000_001
"""Number of the target of the first copied file; no real one of the data has it."""


class NoDataError(Exception):
    """Real files are needed and not there."""


@dataclass(frozen=True)
class Scale:
    """How much of everything; ``few`` and ``many`` DataSets are what latency is compared on.

    ``share``, of the light curves, is what the slowest alternatives are made to read.
    """

    short: int
    long: int
    share: float
    collected: int
    ingested: int
    few: int
    many: int
    partitions: int
    crowds: tuple[int, int]


SCALES = {
    "small": Scale(2_000, 200, 0.25, 100, 20, 1_005, 30_000, 200, (10**5, 10**6)),
    "full": Scale(
        20_000, 2_000, 0.2, 1_000, 200, 10_005, 1_000_005, 3_400, (1_000_000, 20_000_000)
    ),
}


class Sky:
    """Databases and files, each made when first used; all are removed at the end of the block."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self._stack = ExitStack()
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        # The server of somebody who is root runs as another user, who has to be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix="lcdb-bench-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.report(f"starting a server in {self.folder}")
        try:
            self._server = embedded.start(self.folder / "server")
        except BaseException:
            self._stack.close()
            raise
        self._stack.callback(self._server.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def report(self, what: str) -> None:
        """Print progress on stderr, since the table is printed at the end."""
        minutes, seconds = divmod(int(time.perf_counter() - self._began), 60)
        print(f"{minutes:3d}:{seconds:02d}  {what}", file=sys.stderr, flush=True)

    def new_database(self, name: str) -> lcdb.Database:
        """Create a database with empty tables and open it for writing."""
        return self._opened(lcdb.connect(self.blank_database(name), write=True, create=True))

    def blank_database(self, name: str) -> sa.URL:
        """Create a database without tables."""
        with outside_transactions(self._server.url("postgres")) as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return self._server.url(name)

    def server_version(self) -> str:
        """Return the version of PostgreSQL."""
        with outside_transactions(self._server.url("postgres")) as connection:
            version: str = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return version

    def reader(self, db: lcdb.Database) -> lcdb.Database:
        """Open a database for reading, as a notebook does."""
        return self._opened(lcdb.connect(url_of(db)))

    # Databases

    @cached_property
    def light_curves(self) -> lcdb.Database:
        """One raw light curve a star: short ones in one sector, long ones in another."""
        scale = self.scale
        self.report(f"storing {scale.short:,} short and {scale.long:,} long light curves of demo")
        db = self.new_database("light_curves")
        for sector, number, cadences in (
            (SHORT, scale.short, 1_200),
            (LONG, scale.long, 12_000),
        ):
            made = demo.products(number, sectors=[sector], cadences=cadences, apertures=1, steps=0)
            _store(db, made, max(1, 1_000_000 // cadences))
        return self.reader(db)

    @cached_property
    def few(self) -> lcdb.Database:
        """A small table of light curves of a few cadences."""
        return self._crowd("few", self.scale.few)

    @cached_property
    def many(self) -> lcdb.Database:
        """A large table of light curves of a few cadences."""
        return self._crowd("many", self.scale.many)

    def _crowd(self, name: str, datasets: int) -> lcdb.Database:
        self.report(f"storing {datasets:,} tiny light curves of demo")
        db = self.new_database(name)
        stars = datasets // PER_STAR
        _store(db, demo.products(stars, sectors=[1], cadences=8, apertures=5, steps=2), 1_000)
        return self.reader(db)

    @cached_property
    def real(self) -> tuple[lcdb.Database, Report]:
        """A database of the real files, and what became of each."""
        paths = self.real_files
        self.report("ingesting the real files")
        db = self.new_database("real")
        report = db.ingest(paths, progress=False)
        tidy(db)
        return self.reader(db), report

    @cached_property
    def copied(self) -> lcdb.Database:
        """A database of the copies of a real file."""
        paths = self.copies
        self.report(f"ingesting {len(paths):,} files")
        db = self.new_database("copied")
        db.ingest(paths, progress=False, on_error="raise")
        tidy(db)
        return self.reader(db)

    # Files

    @cached_property
    def real_files(self) -> list[Path]:
        """Real FITS files, unpacked as the archive gives them out."""
        packed_files = sorted(self._data_folder.rglob("*.fits.gz"))
        folder = self._new_folder("real")
        paths = []
        for packed in packed_files:
            path = folder / packed.name.removesuffix(".gz")
            path.write_bytes(gzip.decompress(packed.read_bytes()))
            paths.append(path)
        return paths

    @cached_property
    def copies(self) -> list[Path]:
        """Copies of a real file of about 1,200 cadences, each with a separate target number."""
        from astropy.io import fits

        originals = [path for path in self.real_files if "tess-spoc" in path.name]
        if not originals:
            raise NoDataError("there is no TESS-SPOC file among the real ones")
        self.report(f"copying a real file {self.scale.collected:,} times")
        folder = self._new_folder("copies")
        paths = []
        with fits.open(min(originals, key=lambda path: path.stat().st_size)) as file:
            for number in range(FIRST_COPY, FIRST_COPY + self.scale.collected):
                file[0].header["TICID"] = number
                file[0].header["OBJECT"] = f"TIC {number}"
                paths.append(folder / f"{number}_lc.fits")
                file.writeto(paths[-1], checksum=True)
        return paths

    @property
    def _data_folder(self) -> Path:
        beside = Path(__file__).resolve().parents[3] / "shared" / "data"
        folder = Path(os.environ.get("LCDB_TEST_DATA") or beside)
        if not folder.is_dir():
            raise NoDataError(
                f"no real light curves: no folder {folder} (LCDB_TEST_DATA names another)"
            )
        return folder

    def _new_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _opened(self, db: lcdb.Database) -> lcdb.Database:
        self._stack.callback(db.close)
        return db


def url_of(db: lcdb.Database) -> sa.URL:
    """Where a database is."""
    engine = db.session.get_bind()
    assert isinstance(engine, sa.Engine)
    return engine.url


def libpq_url(db: lcdb.Database) -> str:
    """Where a database is, in the words of drivers that know nothing of SQLAlchemy."""
    return url_of(db).set(drivername="postgresql").render_as_string(hide_password=False)


def outside_transactions(url: sa.URL) -> sa.Connection:
    """Connect for what runs in no transaction: CREATE DATABASE, VACUUM, CHECKPOINT."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    return engine.connect()


def tidy(db: lcdb.Database) -> None:
    """Vacuum and write everything out now, so that the server does not while it is measured."""
    with outside_transactions(url_of(db)) as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE)")
        connection.exec_driver_sql("CHECKPOINT")


def _store(db: lcdb.Database, products: Iterator[Product], batch: int) -> None:
    while some := list(itertools.islice(products, batch)):
        store_all(db, some)
    tidy(db)


def store_all(db: lcdb.Database, products: Iterable[Product]) -> int:
    """Store products in one transaction, and count their light curves."""
    outcomes = store(db.session.connection(), list(products))
    db.session.commit()
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return sum(outcome.light_curves for outcome in outcomes)
