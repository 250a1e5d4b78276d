"""Quality arrays as tables and as names of flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.flags.masking import bits_of
from lcdb_notebook.flags.registry import found

if TYPE_CHECKING:
    import pandas as pd


def decode(quality: npt.ArrayLike, flag_type: str = "tess_quality_flag") -> pd.DataFrame:
    """Return the bits of a quality array as boolean columns.

    Parameters
    ----------
    quality : array_like of int
        Quality flags of any integer width, shape (cadences,).
    flag_type : str, optional
        Polymorphic identity of the QualityFlagArray, for example ``"tess_quality_flag"``.

    Returns
    -------
    pandas.DataFrame
        One row per cadence and one boolean column for each flag of the type, in the order of the
        bits, then one for each unknown bit that occurs, such as ``UNKNOWN_BIT_20`` (2**20). All
        bits of a type that is not registered are unknown.

    Raises
    ------
    ArgumentError
        If ``quality`` does not have an integer dtype, or has more than one dimension.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> table = flags.decode([0, 32, 32 | 2**20])
    >>> table[["DESAT", "UNKNOWN_BIT_20"]].sum().to_dict()
    {'DESAT': 2, 'UNKNOWN_BIT_20': 1}
    """
    import pandas as pd

    bits = _cadences(quality)
    columns = {name: _is_set(bits, bit) for bit, name in _bit_names(bits, flag_type).items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(bits)), dtype=bool)


def names(quality: npt.ArrayLike, flag_type: str = "tess_quality_flag") -> list[list[str]]:
    """Return the names of the flags of each cadence.

    Parameters
    ----------
    quality : array_like of int
        Quality flags of any integer width, shape (cadences,).
    flag_type : str, optional
        Polymorphic identity of the QualityFlagArray, for example ``"tess_quality_flag"``.

    Returns
    -------
    list of list of str
        One list per cadence, in the order of the bits; empty where no flag is set. Unknown bits
        are named like ``UNKNOWN_BIT_20`` (2**20).

    Raises
    ------
    ArgumentError
        If ``quality`` does not have an integer dtype, or has more than one dimension.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> flags.names([0, 128 | 32, 2**20])
    [[], ['DESAT', 'MANUAL_EXCLUDE'], ['UNKNOWN_BIT_20']]
    """
    bits = _cadences(quality)
    # Tens of thousands of cadences share a handful of values.
    values, which = np.unique(bits, return_inverse=True)
    known = _bit_names(bits, flag_type)
    words = [[name for bit, name in known.items() if value >> bit & 1] for value in values.tolist()]
    return [words[i].copy() for i in which.tolist()]


def summary(quality: npt.ArrayLike, flag_type: str = "tess_quality_flag") -> pd.DataFrame:
    """Count the flagged cadences by flag.

    Parameters
    ----------
    quality : array_like of int
        Quality flags of any integer width, shape (cadences,).
    flag_type : str, optional
        Polymorphic identity of the QualityFlagArray, for example ``"tess_quality_flag"``.

    Returns
    -------
    pandas.DataFrame
        One row for each flag of the type, and for each unknown bit that occurs: ``flag``,
        ``value``, ``cadences``, ``fraction`` (of all cadences; NaN for an empty array), ``presets``
        (names of the presets that include it) and ``meaning``.

    Raises
    ------
    ArgumentError
        If ``quality`` does not have an integer dtype, or has more than one dimension.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> table = flags.summary([0, 32, 32 | 2**20, 0]).query("cadences > 0")
    >>> print(table[["flag", "value", "cadences", "fraction", "presets"]].to_string(index=False))
              flag   value  cadences  fraction                presets
             DESAT      32         2      0.50 default, hard, hardest
    UNKNOWN_BIT_20 1048576         1      0.25
    """
    import pandas as pd

    bits = _cadences(quality)
    known = found(flag_type)
    meanings = {f.name: getattr(f, "meaning", "") for f in known.flags} if known else {}
    rows = []
    for bit, name in _bit_names(bits, flag_type).items():
        cadences = int(np.count_nonzero(_is_set(bits, bit)))
        masking = [
            preset for preset, value in (known.presets if known else {}).items() if value >> bit & 1
        ]
        rows.append(
            {
                "flag": name,
                "value": 1 << bit,
                "cadences": cadences,
                "fraction": cadences / len(bits) if len(bits) else np.nan,
                "presets": ", ".join(masking),
                "meaning": meanings.get(name, "Undocumented bit."),
            }
        )
    return pd.DataFrame(
        rows, columns=["flag", "value", "cadences", "fraction", "presets", "meaning"]
    )


def _cadences(quality: npt.ArrayLike) -> npt.NDArray[np.int64]:
    bits = bits_of(quality)
    if bits.ndim != 1:
        raise ArgumentError(f"quality must have one dimension, got shape {bits.shape}")
    return bits


def _bit_names(bits: npt.NDArray[np.int64], flag_type: str) -> dict[int, str]:
    """Return names by bit number: flags of the type, then unknown bits that occur."""
    known = found(flag_type)
    named = {f.value.bit_length() - 1: f.name or "" for f in known.flags} if known else {}
    present = int(np.bitwise_or.reduce(bits)) if len(bits) else 0
    unknown = {bit: f"UNKNOWN_BIT_{bit}" for bit in range(64) if present >> bit & 1}
    return named | {bit: name for bit, name in unknown.items() if bit not in named}


def _is_set(bits: npt.NDArray[np.int64], bit: int) -> npt.NDArray[np.bool_]:
    # Shifted instead of masked, because 2**63 does not fit in an int64.
    return (bits >> bit & 1).astype(bool)
