"""Flags of Kepler and K2."""

from __future__ import annotations

from lcdb_notebook.flags.registry import QualityFlag, register


class KeplerFlag(QualityFlag):
    """The bits of Kepler and K2, type ``kepler_quality_flag``, with lightkurve's names.

    Bit 10 (512) is reserved.

    Sources: Kepler Archive Manual (KDMC-10008), Table 2-3; thruster firings (bits 20 and 21): K2
    additions to the same table. Presets: ``lightkurve.utils.KeplerQualityFlags``.
    """

    ATTITUDE_TWEAK = 1, "The spacecraft corrected its attitude."
    SAFE_MODE = 2, "The spacecraft was in safe mode."
    COARSE_POINT = 4, "The spacecraft pointed coarsely, so stars moved over the pixels."
    EARTH_POINT = 8, "The spacecraft pointed at the Earth to send its data."
    ZERO_CROSSING = 16, "A reaction wheel passed through zero speed."
    DESAT = 32, "Reaction wheel desaturation (momentum dump)."
    ARGABRIGHTENING = 64, "The background flared up on many channels."
    APERTURE_COSMIC = 128, "A cosmic ray was removed from the optimal aperture."
    MANUAL_EXCLUDE = 256, "Excluded by hand, because of an anomaly."
    SENSITIVITY_DROPOUT = 1024, "A pixel lost sensitivity suddenly and was corrected."
    IMPULSIVE_OUTLIER = 2048, "A single outlier, removed before cotrending."
    ARGABRIGHTENING_ON_CCD = 4096, "The background flared up on this detector."
    COLLATERAL_COSMIC = 8192, "A cosmic ray was found in the collateral (smear or bias) pixels."
    DETECTOR_ANOMALY = 16384, "The detector behaved abnormally."
    NO_FINE_POINT = 32768, "The spacecraft was not in fine point."
    NO_DATA = 65536, "No data were collected."
    ROLLING_BAND_IN_APERTURE = 131072, "A rolling band crossed the optimal aperture."
    ROLLING_BAND_IN_MASK = 262144, "A rolling band crossed the full pixel mask."
    POSSIBLE_THRUSTER_FIRING = 524288, "The thrusters may have fired."
    THRUSTER_FIRING = 1048576, "The thrusters fired."


register(
    "kepler_quality_flag", KeplerFlag, {"default": 1130799, "hard": 1664431, "hardest": 2096639}
)
