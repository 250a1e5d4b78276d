"""The identity of a DataSet: an id, or in LightcurveDB 3 a key of four columns."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from lcdb_notebook.errors import ArgumentError

__all__ = ["DataSetId", "DataSetKey", "dataset_id", "in_order"]

#: An integer, or the text of a :class:`DataSetKey` in databases whose DataSets have no id.
DataSetId: TypeAlias = int | str


class DataSetKey(NamedTuple):
    """The key of a DataSet in LightcurveDB 3: four ids.

    Parameters
    ----------
    observation, target : int
        Ids of the observation and the target.
    photometry, processing : int
        Ids of the photometric source and the processing method; 0 is "Unspecified".

    Examples
    --------
    >>> str(DataSetKey(5, 1001, 2, 0))
    '5:1001:2:0'
    >>> DataSetKey.parse("5:1001:2:0").target
    1001
    """

    observation: int
    target: int
    photometry: int
    processing: int

    @classmethod
    def parse(cls, text: str) -> DataSetKey:
        """Parse a key, ``observation:target:photometry:processing``.

        Parameters
        ----------
        text : str
            Four integers separated by colons.

        Raises
        ------
        ArgumentError
            If the text is anything else.
        """
        parts = text.strip().split(":")
        if len(parts) != len(cls._fields) or not all(p.isascii() and p.isdigit() for p in parts):
            raise ArgumentError(
                f"{text!r} is not a DataSet key; use observation:target:photometry:processing"
            )
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return ":".join(map(str, self))


def dataset_id(value: object) -> DataSetId:
    """Check the id of a DataSet from a user, a file or a DataFrame.

    Parameters
    ----------
    value : int, str or DataSetKey
        An id, a key or their text.

    Returns
    -------
    int or str
        An int for ids, the canonical text for keys.

    Raises
    ------
    ArgumentError
        If the value is not an integer, or is text that is neither a number nor a key.

    Examples
    --------
    >>> dataset_id("12"), dataset_id("5:1001:2:0"), dataset_id(DataSetKey(5, 1001, 2, 0))
    (12, '5:1001:2:0', '5:1001:2:0')
    """
    if isinstance(value, DataSetKey):
        return str(value)
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() else str(DataSetKey.parse(text))
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise ArgumentError(
        f"the id of a DataSet must be an int or the text of a key, got {value!r} "
        f"({type(value).__name__})"
    )


def in_order(value: DataSetId) -> tuple[int, ...]:
    """Return the sort key of an id: the number, or the numbers of a key.

    Examples
    --------
    >>> sorted(["10:1:0:0", "9:1:0:0"], key=in_order)
    ['9:1:0:0', '10:1:0:0']
    """
    return (value,) if isinstance(value, int) else tuple(DataSetKey.parse(value))
