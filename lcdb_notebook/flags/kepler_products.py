"""Flags of high-level science products of Kepler and K2: EVEREST, K2SFF, KBONUS-BKG.

The presets drop the cadences that ``lightkurve.read`` drops with the same name.
"""

from __future__ import annotations

from lcdb_notebook.flags.kepler import KeplerFlag
from lcdb_notebook.flags.registry import PRESETS, QualityFlag, presets, register


class EVERESTFlag(QualityFlag):
    """Flags of EVEREST, type ``everest_quality_flag``: those of K2, and five more.

    The presets have the bits of K2 only, as in ``lightkurve.io.everest``.

    Source: https://luger.dev/everest/fitsfiles.html, and EVEREST's code (``everest/config.py``).
    """

    ATTITUDE_TWEAK = KeplerFlag.ATTITUDE_TWEAK
    SAFE_MODE = KeplerFlag.SAFE_MODE
    COARSE_POINT = KeplerFlag.COARSE_POINT
    EARTH_POINT = KeplerFlag.EARTH_POINT
    ZERO_CROSSING = KeplerFlag.ZERO_CROSSING
    DESAT = KeplerFlag.DESAT
    ARGABRIGHTENING = KeplerFlag.ARGABRIGHTENING
    APERTURE_COSMIC = KeplerFlag.APERTURE_COSMIC
    MANUAL_EXCLUDE = KeplerFlag.MANUAL_EXCLUDE
    SENSITIVITY_DROPOUT = KeplerFlag.SENSITIVITY_DROPOUT
    IMPULSIVE_OUTLIER = KeplerFlag.IMPULSIVE_OUTLIER
    ARGABRIGHTENING_ON_CCD = KeplerFlag.ARGABRIGHTENING_ON_CCD
    COLLATERAL_COSMIC = KeplerFlag.COLLATERAL_COSMIC
    DETECTOR_ANOMALY = KeplerFlag.DETECTOR_ANOMALY
    NO_FINE_POINT = KeplerFlag.NO_FINE_POINT
    NO_DATA = KeplerFlag.NO_DATA
    ROLLING_BAND_IN_APERTURE = KeplerFlag.ROLLING_BAND_IN_APERTURE
    ROLLING_BAND_IN_MASK = KeplerFlag.ROLLING_BAND_IN_MASK
    POSSIBLE_THRUSTER_FIRING = KeplerFlag.POSSIBLE_THRUSTER_FIRING
    THRUSTER_FIRING = KeplerFlag.THRUSTER_FIRING
    BAD = 2**22, "The cadence is flagged in the target pixel file."
    NAN = 2**23, "The flux is NaN."
    OUTLIER = 2**24, "EVEREST found an outlier."
    MASKED = 2**25, "Masked in the original model (recursive fits only)."
    TRANSIT = 2**26, "A transit or an eclipse, left out when the systematics were fitted."


class K2SFFFlag(QualityFlag):
    """The column MOVING of K2SFF, type ``k2sff_quality_flag``.

    The presets are 0, because ``lightkurve.io.k2sff`` drops no cadences.

    Source: Vanderburg & Johnson 2014, PASP 126, 948.
    """

    MOVING = 1, "The spacecraft was moving because its thrusters fired."


class KBonusFlag(QualityFlag):
    """The column FLATTEN_MASK of KBONUS-BKG, type ``kbonus_flatten_flag``.

    The presets are 0, because lightkurve ignores this column.

    Source: Martinez-Palomera et al. 2023, AJ 166, 265.
    """

    FLATTEN = 1, "The cadence was masked when the light curve was flattened."


_KEPLER = presets("kepler_quality_flag")
_NONE = dict.fromkeys(PRESETS, 0)

register("everest_quality_flag", EVERESTFlag, {name: _KEPLER[name] for name in PRESETS})
register("k2sff_quality_flag", K2SFFFlag, _NONE)
register("kbonus_flatten_flag", KBonusFlag, _NONE)
