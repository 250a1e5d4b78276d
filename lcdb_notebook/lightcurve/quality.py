"""Find the flagged cadences of a light curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.flags.masking import is_preset
from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["FLAGGED", "Flagged", "first_type", "flagged_bits", "flagged_mask", "primary_type"]

#: Remove flagged cadences, set their flux to NaN, or keep them.
Flagged: TypeAlias = Literal["drop", "mask", "keep"]
FLAGGED = ("drop", "mask", "keep")

# lightkurve masks by the spacecraft's flags, so these precede the flags of a pipeline.
_SECOND_CHOICE = (
    "tglc_quality_flag",
    "tglc_quality_flags",
    "tasoc_pixel_quality_flag",
    "kbonus_flatten_flag",
    "base_quality_flag",
)


def primary_type(data: LightCurveData) -> str | None:
    """Return the flag type that becomes the ``quality`` column; None if there are no flags.

    The first in alphabetical order; the base type and the second types of pipelines only if there
    are no others.
    """
    return first_type(data.quality)


def first_type(types: Iterable[str]) -> str | None:
    """Return the primary type of several flag types; None if there are none."""
    return min(types, key=lambda name: (name in _SECOND_CHOICE, name), default=None)


def flagged_mask(data: LightCurveData, quality_bitmask: flags.Bitmask) -> npt.NDArray[np.bool_]:
    """Return which cadences are flagged: bool of shape (cadences,), True where flagged.

    A preset applies to every flag type of the light curve, each with its own bits. Anything else
    (an integer, flags, names) applies to the bits of :func:`primary_type`.
    """
    flagged = np.zeros(data.time.size, dtype=bool)
    for bits in flagged_bits(data, quality_bitmask).values():
        flagged |= bits != 0
    return flagged


def flagged_bits(
    data: LightCurveData, quality_bitmask: flags.Bitmask
) -> dict[str, npt.NDArray[np.int64]]:
    """Return, for each flag type, the bits of each cadence that the bitmask selects."""
    primary = primary_type(data)
    return {
        flag_type: quality & np.int64(flags.bitmask(quality_bitmask, flag_type))
        for flag_type, quality in data.quality.items()
        if flag_type == primary or is_preset(quality_bitmask)
    }
