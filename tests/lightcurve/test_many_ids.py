"""Ids of many rows: each is kept unchanged, in eight bytes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lcdb_notebook.lightcurve.many_ids import ManyIds


@pytest.mark.parametrize(
    ("added", "kind"),
    [
        ([], np.int64),
        ([7, -1, 2**63 - 1], np.int64),
        ([7, 2**63], object),
        ([7, "5:1:2:0:0", 8], object),
    ],
    ids=["none", "integers", "larger integers", "texts"],
)
def test_many_ids_has_what_was_added(added: list[int | str], kind: type) -> None:
    ids: ManyIds[int | str] = ManyIds()
    for id_ in added:
        ids.append(id_)
    assert list(ids) == added
    assert [ids[place] for place in range(len(ids))] == added
    assert list(ids[1:]) == added[1:]
    assert ids.numbers().dtype == kind
    assert ids.numbers().tolist() == added


def test_many_ids_takes_eight_bytes_for_each() -> None:
    ids: ManyIds[int] = ManyIds()
    tracemalloc.start()
    try:
        for id_ in range(10**9, 10**9 + 100_000):
            ids.append(id_)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 10 * len(ids)
