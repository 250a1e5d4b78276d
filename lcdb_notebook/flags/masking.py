"""From what a person asks for to bits, and from bits to the cadences they condemn."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.flags.registry import found, nearest_first, plain, required

Bitmask: TypeAlias = "str | int | np.integer | Iterable[str | int | np.integer] | None"
"""What ``quality_bitmask`` may be: a preset, a flag or its name, bits, or several of these."""


def bitmask(quality_bitmask: Bitmask, flag_type: str = "tess_quality_flag") -> int:
    """Return the bits that a ``quality_bitmask`` argument stands for.

    Parameters
    ----------
    quality_bitmask
        ``"none"``, ``"default"``, ``"hard"`` or ``"hardest"``; the name of a flag (case, spaces,
        hyphens and underscores do not matter, so lightkurve's names work too); an integer; a
        member of the type's IntFlag; or an iterable of these, which are combined. None is
        ``"none"``, as for lightkurve.
    flag_type
        Polymorphic identity of the QualityFlagArray, for example ``"tess_quality_flag"``.

    Returns
    -------
    int
        The bits, not negative.

    Raises
    ------
    ConfigurationError
        For a name that the type does not have (the valid ones are listed, nearest first), for any
        name if nobody registered the type, for a flag of another type, and for an integer beyond
        63 bits.
    TypeError
        For anything else, such as a float or a bool.

    Examples
    --------
    >>> bitmask("default")
    17087
    >>> bitmask(["default", "Straylight2"]) - bitmask("default")
    4096
    """
    if quality_bitmask is None:
        return 0
    if isinstance(quality_bitmask, str):
        return _named(quality_bitmask, flag_type)
    # An IntFlag is an int, and iterable too: it must be met before both.
    if isinstance(quality_bitmask, enum.IntFlag):
        known = found(flag_type)
        if known is None or not isinstance(quality_bitmask, known.flags):
            has = "nothing is registered for it" if known is None else known.flags.__name__
            raise ConfigurationError(
                f"{quality_bitmask!r} is a {type(quality_bitmask).__name__}, but the flags are of "
                f"type {flag_type!r} ({has}); the same bit means something else there. "
                "Pass a flag of that type, or int(flag) if the bit itself is meant"
            )
        return _non_negative(int(quality_bitmask))
    if isinstance(quality_bitmask, (int, np.integer)) and not isinstance(quality_bitmask, bool):
        return _non_negative(int(quality_bitmask))
    if isinstance(quality_bitmask, Iterable) and not isinstance(
        quality_bitmask, (bytes, bytearray)
    ):
        bits = 0
        for part in quality_bitmask:
            bits |= bitmask(part, flag_type)
        return bits
    raise TypeError(
        f"quality_bitmask={quality_bitmask!r} is a {type(quality_bitmask).__name__}; it must be "
        "'none', 'default', 'hard', 'hardest', an integer, a flag, the name of a flag, or an "
        "iterable of these"
    )


def mask(
    quality: npt.ArrayLike,
    quality_bitmask: Bitmask = "default",
    flag_type: str = "tess_quality_flag",
) -> npt.NDArray[np.bool_]:
    """Tell which cadences are flagged.

    Beware of the sense: **True is flagged**, hence bad. lightkurve's ``create_quality_mask`` is the
    opposite.

    Parameters
    ----------
    quality
        Integers of any width, shape (cadences,).
    quality_bitmask, flag_type
        As for :func:`bitmask`.

    Returns
    -------
    numpy.ndarray of bool
        Shape (cadences,).

    Raises
    ------
    ConfigurationError
        As for :func:`bitmask`.
    TypeError
        If ``quality`` is not of an integer dtype, or as for :func:`bitmask`.

    Examples
    --------
    >>> mask([0, 32, 4096, 4096 | 32], "default").tolist()
    [False, True, False, True]
    """
    flagged: npt.NDArray[np.bool_] = (
        np.asarray(bits_of(quality) & bitmask(quality_bitmask, flag_type)) != 0
    )
    return flagged


def bits_of(quality: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return quality as int64 in which every bit stands where the pipeline put it.

    A negative number is one whose highest bit is set: bit 7, 15 or 31 of an int8, int16 or int32.
    A negative int64 of 32 bits can only be an int32 that somebody widened, so it is one here too.

    Raises
    ------
    TypeError
        If ``quality`` is not of an integer dtype.
    """
    given = np.asarray(quality)
    if isinstance(quality, (list, tuple)) and not quality:
        # numpy makes floats of an empty list.
        given = given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise TypeError(
            f"quality is of dtype {given.dtype}; flags are bits of an integer. "
            "If missing cadences made floats of it, fill them with 0 and convert it"
        )
    bits: npt.NDArray[np.int64] = given.astype(np.int64)
    width = 8 * given.dtype.itemsize
    if given.dtype.kind == "i" and width < 64:
        bits &= 2**width - 1
    elif width == 64:
        bits = np.where((bits < 0) & (bits >= -(2**31)), bits & 0xFFFFFFFF, bits)
    return bits


def _non_negative(bits: int) -> int:
    if -(2**31) <= bits < 0:
        # ~32 is "all but desaturation" to Python: of 32 bits, as quality arrays have.
        return bits & 0xFFFFFFFF
    if not 0 <= bits < 2**63:
        raise ConfigurationError(
            f"quality_bitmask={bits} does not fit in 63 bits; quality flags have 32"
        )
    return bits


def _named(name: str, flag_type: str) -> int:
    written = plain(name)
    if written == "NONE":
        return 0
    known = required(flag_type)
    bits = known.bits.get(written)
    if bits is not None:
        return bits
    choices = (*known.presets, *(flag.name or "" for flag in known.flags))
    raise ConfigurationError(
        f"quality_bitmask={name!r} is no preset and no flag of {flag_type!r}; there are "
        f"{', '.join(nearest_first(name, choices))}"
    )
