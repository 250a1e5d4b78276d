"""Convert ``quality_bitmask`` arguments to bits, and bits to masks of flagged cadences."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.flags.registry import PRESETS, found, nearest_first, plain, required

Bitmask: TypeAlias = "str | int | np.integer | Iterable[str | int | np.integer] | None"
"""Type of ``quality_bitmask``: a preset, a flag or its name, bits, or several of these."""

_ANY_BIT = 2**63 - 1
_warned: set[str] = set()


def bitmask(quality_bitmask: Bitmask, flag_type: str = "tess_quality_flag") -> int:
    """Return the bits of a ``quality_bitmask`` argument.

    Parameters
    ----------
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        ``"none"``, ``"default"``, ``"hard"`` or ``"hardest"``; the name of a flag (case, spaces,
        hyphens and underscores are ignored, so lightkurve's names work too); an integer; a member
        of the type's IntFlag; or an iterable of these, which are combined. None is ``"none"``, as
        in lightkurve.
    flag_type : str, optional
        Polymorphic identity of the QualityFlagArray, for example ``"tess_quality_flag"``.

    Returns
    -------
    int
        The bits, as a non-negative integer. For a type that is not registered, ``"default"``,
        ``"hard"`` and ``"hardest"`` are all bits, and a warning is issued once per type.

    Raises
    ------
    ArgumentError
        If the name is not a preset or flag of the type (the message lists these, most similar
        first), a flag is named but the type is not registered, the flag belongs to another type,
        the integer does not fit in 63 bits, or the argument is something else, such as a float.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> flags.bitmask("default")
    17087
    >>> flags.bitmask(["default", "Straylight2"]) - flags.bitmask("default")
    4096
    """
    if quality_bitmask is None:
        return 0
    if isinstance(quality_bitmask, str):
        return _named(quality_bitmask, flag_type)
    # An IntFlag is both an int and an iterable, so it has to be tested before them.
    if isinstance(quality_bitmask, enum.IntFlag):
        known = found(flag_type)
        if known is None or not isinstance(quality_bitmask, known.flags):
            has = "which is not registered" if known is None else known.flags.__name__
            raise ArgumentError(
                f"quality_bitmask={quality_bitmask!r} is a {type(quality_bitmask).__name__}, but "
                f"the flags are of type {flag_type!r} ({has}), where this bit means something "
                "else; pass a flag of that type, or int(flag) for the bit itself"
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
    raise ArgumentError(
        "quality_bitmask must be 'none', 'default', 'hard', 'hardest', an integer, a flag, the "
        f"name of a flag, or an iterable of these, got {quality_bitmask!r}"
    )


def mask(
    quality: npt.ArrayLike,
    quality_bitmask: Bitmask = "default",
    flag_type: str = "tess_quality_flag",
) -> npt.NDArray[np.bool_]:
    """Return which cadences are flagged.

    **True is flagged**, that is, bad. lightkurve's ``create_quality_mask`` returns the opposite.

    Parameters
    ----------
    quality : array_like of int
        Quality flags of any integer width, shape (cadences,).
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        ``"none"``, ``"default"``, ``"hard"`` or ``"hardest"``; the name of a flag (case, spaces,
        hyphens and underscores are ignored, so lightkurve's names work too); an integer; a member
        of the type's IntFlag; or an iterable of these, which are combined. None is ``"none"``, as
        in lightkurve.
    flag_type : str, optional
        Polymorphic identity of the QualityFlagArray, for example ``"tess_quality_flag"``.

    Returns
    -------
    numpy.ndarray of bool
        Shape (cadences,).

    Raises
    ------
    ArgumentError
        If ``quality`` does not have an integer dtype, or ``quality_bitmask`` is invalid.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> flags.mask([0, 32, 4096, 4096 | 32], "default").tolist()
    [False, True, False, True]
    """
    flagged: npt.NDArray[np.bool_] = (
        np.asarray(bits_of(quality) & bitmask(quality_bitmask, flag_type)) != 0
    )
    return flagged


def is_preset(quality_bitmask: Bitmask) -> bool:
    """Return whether this is "none", "default", "hard", "hardest", or None."""
    return quality_bitmask is None or (
        isinstance(quality_bitmask, str) and plain(quality_bitmask) in _PRESETS
    )


def bits_of(quality: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return quality as int64, with every bit in its original position.

    In a negative number the highest bit is set: bit 7, 15 or 31 of an int8, int16 or int32. A
    negative int64 that fits in 32 bits can only be an int32 that was widened, so it is read as one.
    An int64 array without these is returned unchanged.

    Raises
    ------
    ArgumentError
        If ``quality`` does not have an integer dtype.
    """
    given = np.asarray(quality)
    if isinstance(quality, (list, tuple)) and not quality:
        # numpy makes a float array of an empty list.
        given = given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise ArgumentError(
            f"quality must be integers, got dtype {given.dtype}; if missing cadences turned them "
            "into floats, fill those with 0 and convert"
        )
    bits: npt.NDArray[np.int64] = given.astype(np.int64, copy=False)
    width = 8 * given.dtype.itemsize
    if given.dtype.kind == "i" and width < 64:
        bits &= 2**width - 1
    elif width == 64 and (bits < 0).any():
        bits = np.where((bits < 0) & (bits >= -(2**31)), bits & 0xFFFFFFFF, bits)
    return bits


def _non_negative(bits: int) -> int:
    if -(2**31) <= bits < 0:
        # In Python ~32, "all but desaturation", is negative; quality arrays have 32 bits.
        return bits & 0xFFFFFFFF
    if not 0 <= bits < 2**63:
        raise ArgumentError(
            f"quality_bitmask must fit in 63 bits, got {bits}; quality flags have 32"
        )
    return bits


_PRESETS = frozenset(plain(name) for name in ("none", *PRESETS))


def _named(name: str, flag_type: str) -> int:
    written = plain(name)
    if written == "NONE":
        return 0
    if found(flag_type) is None and written in _PRESETS:
        _warn_unregistered(flag_type)
        return _ANY_BIT
    known = required(flag_type)
    bits = known.bits.get(written)
    if bits is not None:
        return bits
    choices = (*known.presets, *(flag.name or "" for flag in known.flags))
    raise ArgumentError(
        f"quality_bitmask: no preset or flag named {name!r} in {flag_type!r}; did you mean "
        f"{', '.join(nearest_first(name, choices))}?"
    )


def _warn_unregistered(flag_type: str) -> None:
    if flag_type not in _warned:
        _warned.add(flag_type)
        warn(
            f"flag type {flag_type!r} is not registered, so 'default', 'hard' and 'hardest' mean "
            f"any bit; name its bits with lcdb_notebook.flags.register({flag_type!r}, IntFlag, "
            "dict(default=..., hard=..., hardest=...))"
        )
