"""The report of an export: what was done with each light curve, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.export.written import Written
from lcdb_notebook.search.rows import FoundRow

MISSION = UUID(int=1)


def row(dataset: DataSetId, **changes: Any) -> Any:
    found = FoundRow(dataset, 1, 25155310, "TIC", MISSION, 1, "SAP", None, "", None)
    return found._replace(**changes)


def test_report_has_a_row_for_each_light_curve() -> None:
    written = Written()
    written.add([row(1)], ("a.fits", "written", 2880, ""))
    written.add(
        [row(2, processing="PDC"), row(3, photometry=None)],
        ("b.fits", "kept", None, ""),
        ("", "skipped", None, "no times"),
    )
    assert len(written) == 3
    with pytest.warns(UserWarning, match="1 of 3 light curves were skipped: no times"):
        table = written.report()
    assert table["dataset"].tolist() == [1, 2, 3]
    assert table["target"].tolist() == [25155310] * 3
    assert table["photometry"].isna().tolist() == [False, False, True]
    assert table["processing"].tolist() == ["raw", "PDC", "raw"]
    assert table["file"].tolist() == ["a.fits", "b.fits", ""]
    assert table["bytes"].tolist() == [2880, pd.NA, pd.NA]
    assert table.query("status == 'kept'")["dataset"].tolist() == [2]


def test_report_of_nothing_has_all_columns() -> None:
    table = Written().report()
    assert table.empty
    assert table.columns[-3:].tolist() == ["status", "bytes", "reason"]


def test_report_has_ids_that_no_array_of_integers_holds() -> None:
    written = Written()
    for dataset in (7, "5:1:2:0:0", 2**70):
        written.add([row(dataset)], ("a.fits", "written", 1, ""))
    assert written.report()["dataset"].tolist() == [7, "5:1:2:0:0", 2**70]


def test_report_is_in_the_order_of_the_rows() -> None:
    written = Written()
    for dataset in (5, 3, 4):
        written.add([row(dataset)], (f"{dataset}.fits", "written", 1, ""))
    table = written.report([3, 4, 5])
    assert table["file"].tolist() == ["3.fits", "4.fits", "5.fits"]


@pytest.mark.parametrize("files", [300, 70_000])
def test_report_names_each_of_many_files(files: int) -> None:
    written = Written()
    one = row(1)
    for number in range(files):
        written.add([one], (f"{number}.fits", "written", 1, ""))
    written.add([one], ("0.fits", "kept", 1, ""))
    assert written.report()["file"].tolist() == [*(f"{n}.fits" for n in range(files)), "0.fits"]


def test_32_bytes_are_held_for_each_light_curve_until_the_report() -> None:
    number = 20_000
    written = Written()
    one = row(1)
    tracemalloc.start()
    try:
        for dataset in range(number):
            written.add([one._replace(dataset=dataset)], ("a.parquet", "written", None, ""))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 32 * number


def test_report_takes_less_than_150_bytes_for_each_light_curve(tmp_path: Path) -> None:
    number = 20_000
    path = str(tmp_path)
    written = Written()
    one = row(1)
    tracemalloc.start()
    try:
        for dataset in range(number):
            written.add([one._replace(dataset=dataset)], (path, "written", None, ""))
        table = written.report()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == number
    # pandas itself, and what it imports when first used, is more than a megabyte.
    assert most < 150 * number
