"""Tables of astropy and Arrow: the rows of the DataFrame, with units, shared where possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pytest
from astropy import units

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.lightcurve.convert.tables import arrow_table


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str]) -> Iterator[lcdb.Database]:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(2, cadences=80)))
        db.session.commit()
    with lcdb.connect(url) as db:
        yield db


@pytest.mark.parametrize("time_format", [None, "jd", "iso"])
def test_to_table_has_the_rows_of_the_dataframe(db: lcdb.Database, time_format: str | None) -> None:
    found = db.search(1, processing="raw")
    table = found.to_table(flagged="mask", time_format=time_format)
    frame = found.to_pandas(flagged="mask", time_format=time_format)
    assert table.colnames == list(frame)
    assert (table["time"].format, table["time"].scale) == (time_format or "btjd", "tdb")
    for name in table.colnames:
        values = table[name].value if name == "time" else table[name]
        np.testing.assert_array_equal(np.asarray(values), frame[name].to_numpy())
    assert table["flux"].unit == table["flux_err"].unit == units.electron / units.s
    assert table.meta["mission"] == "TESS"
    assert table["photometry"].dtype.kind == "U"


def test_to_table_of_several_units_or_of_nothing_has_no_unit(db: lcdb.Database) -> None:
    assert db.search(1).to_table()["flux"].unit is None
    nothing = db.search(1, processing="raw", sector=99).to_table()
    assert (len(nothing), nothing.colnames[:2]) == (0, ["time", "flux"])


def test_to_arrow_has_the_rows_of_the_dataframe_with_nan_kept(db: lcdb.Database) -> None:
    found = db.search(1, processing="raw")
    table = found.to_arrow(flagged="mask")
    frame = found.to_pandas(flagged="mask")
    assert table.column_names == list(frame)
    assert table["flux"].null_count == 0
    assert frame["flux"].isna().any()
    for name in table.column_names:
        np.testing.assert_array_equal(table[name].to_pandas().to_numpy(), frame[name].to_numpy())
    assert table.schema.field("flux").metadata == {b"unit": b"electron / s"}
    assert table.schema.metadata[b"time_format"] == b'"btjd"'


def test_to_arrow_shares_the_numbers_of_the_dataframe(db: lcdb.Database) -> None:
    frame = db.search(1).to_pandas()
    table = arrow_table(frame)
    for name in ("time", "flux", "flux_err", "cadenceno", "quality", "dataset"):
        (_, buffer) = table[name].chunk(0).buffers()
        assert buffer.address == frame[name].to_numpy().ctypes.data, name


def test_to_arrow_is_read_by_duckdb(db: lcdb.Database) -> None:
    curves = db.search(1, processing="raw").to_arrow()
    query = "SELECT photometry, sector, count(*), max(flux) FROM curves GROUP BY ALL"
    with duckdb.connect() as connection:
        connection.register("curves", curves)
        counted = connection.execute(query).fetchall()
    frame = db.search(1, processing="raw").to_pandas()
    groups = frame.groupby(["photometry", "sector"], observed=True)["flux"].agg(["size", "max"])
    assert sorted(counted) == [
        (*key, *row) for key, row in zip(groups.index, groups.to_numpy(), strict=True)
    ]
