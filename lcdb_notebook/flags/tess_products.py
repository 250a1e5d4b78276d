"""Flags of high-level science products of TESS: CDIPS, eleanor, PATHOS, TASOC.

The presets drop the cadences that ``lightkurve.read`` drops with the same name.
"""

from __future__ import annotations

from lcdb_notebook.flags.registry import PRESETS, QualityFlag, presets, register
from lcdb_notebook.flags.tess import TESSFlag


class CDIPSFlag(QualityFlag):
    """The flags of CDIPS, which are letters in its files, type ``cdips_quality_flag``.

    The columns IRQ1 to IRQ3 have one letter for each of three apertures: "G" or "0" for good. Other
    letters set a bit here. The presets have the bit of aperture 1, which ``lightkurve.io.cdips``
    reads by default; use the names for the others: ``["default", "BAD_APERTURE_2"]``.

    Source: comments on IRQ1 to IRQ3 in the headers of CDIPS (github.com/lgbouma/cdips).
    """

    BAD_APERTURE_1 = 1, "The photometry of aperture 1 is not good."
    BAD_APERTURE_2 = 2, "The photometry of aperture 2 is not good."
    BAD_APERTURE_3 = 4, "The photometry of aperture 3 is not good."


class ELEANORFlag(QualityFlag):
    """Flags of eleanor and GSFC-ELEANOR-LITE, type ``eleanor_quality_flag``.

    eleanor takes SPOC's bits from a 2-minute target on the same CCD, and adds bits 17 and 18, which
    are part of "hardest" only, as in ``lightkurve.io.eleanor``.

    Source: eleanor's code (github.com/afeinstein20/eleanor, ``ffi.pm_quality`` and
    ``targetdata``).
    """

    ATTITUDE_TWEAK = TESSFlag.ATTITUDE_TWEAK
    SAFE_MODE = TESSFlag.SAFE_MODE
    COARSE_POINT = TESSFlag.COARSE_POINT
    EARTH_POINT = TESSFlag.EARTH_POINT
    ARGABRIGHTENING = TESSFlag.ARGABRIGHTENING
    DESAT = TESSFlag.DESAT
    APERTURE_COSMIC = TESSFlag.APERTURE_COSMIC
    MANUAL_EXCLUDE = TESSFlag.MANUAL_EXCLUDE
    DISCONTINUITY = TESSFlag.DISCONTINUITY
    IMPULSIVE_OUTLIER = TESSFlag.IMPULSIVE_OUTLIER
    COLLATERAL_COSMIC = TESSFlag.COLLATERAL_COSMIC
    STRAYLIGHT = TESSFlag.STRAYLIGHT
    STRAYLIGHT2 = TESSFlag.STRAYLIGHT2
    PLANET_SEARCH_EXCLUDE = TESSFlag.PLANET_SEARCH_EXCLUDE
    BAD_CALIBRATION_EXCLUDE = TESSFlag.BAD_CALIBRATION_EXCLUDE
    INSUFFICIENT_TARGETS = TESSFlag.INSUFFICIENT_TARGETS
    POINTING = 2**17, "The stars are far from their positions in eleanor's pointing model."
    BACKGROUND = 2**18, "The background is an outlier."


class TASOCFlag(QualityFlag):
    """Flags of TASOC's corrections (column QUALITY), type ``tasoc_quality_flag``.

    The presets are 0, because ``lightkurve.io.tasoc`` drops no cadences.

    Source: TASOC's code (github.com/tasoc/corrections, ``CorrectorQualityFlags``).
    """

    FLAGGED_BAD_DATA = 1, "Bad data according to the flags of the pixels."
    MANUAL_EXCLUDE = 2, "Excluded by hand."
    SIGMA_CLIP = 4, "An outlier, removed by sigma clipping."
    JUMP_ADDITIVE_CONSTANT = 8, "A jump was corrected by adding a constant."
    JUMP_ADDITIVE_LINEAR = 16, "A jump was corrected by adding a linear trend."
    JUMP_MULTIPLICATIVE_CONSTANT = 32, "A jump was corrected by multiplying with a constant."
    JUMP_MULTIPLICATIVE_LINEAR = 64, "A jump was corrected by multiplying with a linear trend."
    INTERPOLATED = 128, "The flux was interpolated."
    BACKGROUND_SHENANIGANS = 256, "The background changes within the stamp."


class TASOCPixelFlag(QualityFlag):
    """Flags of TASOC's pixels (column PIXEL_QUALITY), type ``tasoc_pixel_quality_flag``.

    The presets are 0, because ``lightkurve.io.tasoc`` drops no cadences.

    Source: TASOC's code (github.com/tasoc/photometry, ``TESSQualityFlags``).
    """

    ATTITUDE_TWEAK = TESSFlag.ATTITUDE_TWEAK
    SAFE_MODE = TESSFlag.SAFE_MODE
    COARSE_POINT = TESSFlag.COARSE_POINT
    EARTH_POINT = TESSFlag.EARTH_POINT
    ZERO_CROSSING = 16, "A reaction wheel passed through zero speed."
    DESAT = TESSFlag.DESAT
    APERTURE_COSMIC = TESSFlag.APERTURE_COSMIC
    MANUAL_EXCLUDE = TESSFlag.MANUAL_EXCLUDE
    SENSITIVITY_DROPOUT = 256, "The sensitivity dropped suddenly."
    IMPULSIVE_OUTLIER = TESSFlag.IMPULSIVE_OUTLIER
    COLLATERAL_COSMIC = TESSFlag.COLLATERAL_COSMIC
    EARTH_MOON_PLANET_IN_FOV = 2048, "The Earth, the Moon or a planet is in the field of view."
    SCATTERED_LIGHT = 4096, "Scattered light in the camera."


_SPOC = presets("tess_quality_flag")
_ADDED = ELEANORFlag.POINTING.value | ELEANORFlag.BACKGROUND.value

register("cdips_quality_flag", CDIPSFlag, dict.fromkeys(PRESETS, 1))
register(
    "eleanor_quality_flag",
    ELEANORFlag,
    {name: _SPOC[name] for name in PRESETS} | {"hardest": _SPOC["hardest"] | _ADDED},
)
# The column DQUALITY of PATHOS is the card of the full-frame images, with SPOC's bits.
register("pathos_quality_flag", TESSFlag, {name: _SPOC[name] for name in PRESETS})
register("tasoc_quality_flag", TASOCFlag, dict.fromkeys(PRESETS, 0))
register("tasoc_pixel_quality_flag", TASOCPixelFlag, dict.fromkeys(PRESETS, 0))
