"""Which cadences of a light curve its flags condemn, and what is then done with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import ConfigurationError, DataError
from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["Flagged", "condemned", "condemning_bits", "first_type", "primary_type", "require_known"]

#: What becomes of flagged cadences: their rows go, their flux becomes NaN, or nothing.
Flagged: TypeAlias = Literal["drop", "mask", "keep"]

_PRESETS = frozenset({"none", "default", "hard", "hardest"})

# lightkurve masks by the spacecraft's flags; a pipeline's own come second where both are there.
_SECOND_CHOICE = ("tglc_quality_flag", "base_quality_flag")


def primary_type(data: LightCurveData) -> str | None:
    """Name the flag type that becomes the ``quality`` column; None if there are no flags.

    The first in alphabetical order, but the base type and TGLC's own flags only if alone.
    """
    return first_type(data.quality)


def first_type(types: Iterable[str]) -> str | None:
    """Name which of several flag types is the primary one; None if there are none."""
    return min(types, key=lambda name: (name in _SECOND_CHOICE, name), default=None)


def condemned(data: LightCurveData, quality_bitmask: flags.Bitmask) -> npt.NDArray[np.bool_]:
    """Say which cadences are flagged: bool of shape (cadences,), True where flagged.

    A preset goes for every flag type of the light curve, each with its own bits. Anything more
    particular (an integer, flags, names) is about the bits of :func:`primary_type`.
    """
    flagged = np.zeros(data.time.size, dtype=bool)
    for bits in condemning_bits(data, quality_bitmask).values():
        flagged |= bits != 0
    return flagged


def condemning_bits(
    data: LightCurveData, quality_bitmask: flags.Bitmask
) -> dict[str, npt.NDArray[np.int64]]:
    """Say what condemns each cadence: for each flag type, those of its bits that are asked for."""
    primary = primary_type(data)
    return {
        flag_type: quality & np.int64(flags.bitmask(quality_bitmask, flag_type))
        for flag_type, quality in data.quality.items()
        if flag_type == primary or _is_preset(quality_bitmask)
    }


def require_known(data: LightCurveData, quality_bitmask: flags.Bitmask) -> None:
    """Refuse a light curve of which the bitmask cannot say what is flagged, by its name.

    Raises
    ------
    DataError
        If it has flags of a type without presets, and a preset is asked for.
    """
    if not _is_preset(quality_bitmask):
        return
    for flag_type in data.quality:
        try:
            flags.bitmask(quality_bitmask, flag_type)
        except ConfigurationError as error:
            raise DataError(
                f"DataSet {data.dataset} ({data.catalog} {data.target}, observation "
                f"{data.observation.id}) has flags of the unknown type {flag_type!r}, so which of "
                "its cadences are good is not known; read it with quality_bitmask='none' or bits "
                "of your own, or import what registers the type"
            ) from error


def _is_preset(quality_bitmask: flags.Bitmask) -> bool:
    return quality_bitmask is None or (
        isinstance(quality_bitmask, str) and quality_bitmask.lower() in _PRESETS
    )
