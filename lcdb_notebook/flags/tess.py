"""Flags of the pipelines that reduce TESS: SPOC (and TESS-SPOC), QLP, TGLC."""

from __future__ import annotations

from lcdb_notebook.flags.registry import PRESETS, QualityFlag, register


class TESSFlag(QualityFlag):
    """The 16 bits of SPOC and TESS-SPOC, type ``tess_quality_flag``, with lightkurve's names.

    Sources: TESS Science Data Products Description Document (EXP-TESS-ARC-ICD-0014), table "Data
    quality bits" (28 or 32, by revision); bits 13 to 16: TESS Data Release Notes 20, 27 and 30.
    Presets: ``lightkurve.utils.TessQualityFlags``.
    """

    ATTITUDE_TWEAK = 1, "The spacecraft corrected its attitude."
    SAFE_MODE = 2, "The spacecraft was in safe mode."
    COARSE_POINT = 4, "The spacecraft pointed coarsely, so stars moved over the pixels."
    EARTH_POINT = 8, "The spacecraft pointed at the Earth to send its data."
    ARGABRIGHTENING = 16, "The background of a whole detector flared up."
    DESAT = (
        32,
        "Reaction wheel desaturation (momentum dump): the pointing jumps while thrusters fire.",
    )
    APERTURE_COSMIC = 64, "A cosmic ray was removed from the optimal aperture."
    MANUAL_EXCLUDE = 128, "Excluded by hand, for an anomaly that the data release notes describe."
    DISCONTINUITY = (
        256,
        "A sudden change of sensitivity was corrected between this cadence and the next.",
    )
    IMPULSIVE_OUTLIER = 512, "A single outlier, removed before cotrending."
    COLLATERAL_COSMIC = 1024, "A cosmic ray was found in the collateral (smear or bias) pixels."
    STRAYLIGHT = 2048, "Stray light of Earth or Moon in the camera, marked by eye at MIT."
    STRAYLIGHT2 = 4096, "Scattered light above a threshold for this target, marked by SPOC."
    PLANET_SEARCH_EXCLUDE = 8192, "Left out of the search for planets."
    BAD_CALIBRATION_EXCLUDE = 16384, "Calibration failed, for example with saturated smear rows."
    INSUFFICIENT_TARGETS = 32768, "Too few stars were left to derive the cotrending correction."


class QLPFlagV1(QualityFlag):
    """QLP's files of sectors 1 to 55 (KSPSAP), type ``qlp_quality_flag_v1``.

    QLP copies SPOC's bits, and redefines 2048 and 4096. Low precision is part of "hard" and
    "hardest" only. The presets mask the same cadences as ``lightkurve.io.qlp``.

    Sources: QLP data product description (``hlsp_qlp_tess_ffi_all_tess_v1_data-prod-desc.pdf``,
    MAST) for bit 13; the first 11 and last 3 bits are those of :class:`TESSFlag`.
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
    STRAYLIGHT = 2048, "Stray light, according to QLP."
    LOW_PRECISION = 4096, "QLP measured this cadence with low precision."
    PLANET_SEARCH_EXCLUDE = TESSFlag.PLANET_SEARCH_EXCLUDE
    BAD_CALIBRATION_EXCLUDE = TESSFlag.BAD_CALIBRATION_EXCLUDE
    INSUFFICIENT_TARGETS = TESSFlag.INSUFFICIENT_TARGETS


class QLPFlagV2(QualityFlag):
    """QLP's files from sector 56 (DET, SYS_RM), type ``qlp_quality_flag_v2``.

    QLP's two bits moved to 2**29 and 2**30, where they do not collide with SPOC's. Only 2**30 is
    part of presets ("hard" and "hardest"), because ``lightkurve.io.qlp`` uses only this one. 2**29
    can be added by name: ``["hard", "QLP_STRAYLIGHT"]``.

    Sources: ``lightkurve.io.qlp`` for bit 31 (2**30). No public document defines bit 30 (2**29).
    Its meaning is inferred from its position next to bit 31 (as 2048 is next to 4096), and from
    the background of WD 1856 in sector 56, which is twice the usual level where the bit is set.
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
    QLP_STRAYLIGHT = 2**29, "Stray light, according to QLP (meaning inferred, not documented)."
    LOW_PRECISION = 2**30, "QLP measured this cadence with low precision."


class TGLCFlag(QualityFlag):
    """TGLC's flags (column ``TGLC_flags``), types ``tglc_quality_flag``, ``tglc_quality_flags``.

    The first type is used in TGLC's own files. Its presets are 0, because lightkurve ignores this
    column and masks by ``TESS_flags`` alone (``lightkurve.io.tglc``); pass these bits by name or
    number. The second type is used in QLP's databases, where any bit marks a bad cadence.

    Source: TGLC's code (github.com/TeHanHunter/TESS_Gaia_Light_Curve, ``epsf`` and ``lc_output``;
    Han & Brandt 2023, AJ 165, 71). Version 2 files have NEAREDGE in the header instead of bit 2.
    """

    BACKGROUND_OUTLIER = 1, "The fitted background is far from its median."
    NEAR_EDGE = 2, "The star is within two pixels of the edge of the cutout."


class QLPOrbitFlag(QualityFlag):
    """QLP's flags of a whole CCD, types ``qlp_orbit_flag`` and ``ccd_wide_quality_flags``.

    The first type is used in QLP's text files, the second in QLP's databases, where any bit marks a
    bad cadence.

    Source: the values (0 and 1) of ``cam1ccd1_qflag.txt`` of orbit 147; no public document defines
    them. The meaning is inferred from that orbit: the median background is 32,610 where the value
    is 1, and -157 elsewhere; the scatter of a star of 9.5 mag is 0.054 and 0.0015 mag.
    """

    BAD_CADENCE = 1, "QLP rejects the cadence, mostly for scattered light (meaning inferred)."


# Quality arrays have 32 bits.
_ANY_BIT = dict.fromkeys(PRESETS, 2**32 - 1)
_SPOC = {"default": 17087, "hard": 24319, "hardest": 65535}

register("tess_quality_flag", TESSFlag, _SPOC)
register("qlp_quality_flag_v1", QLPFlagV1, _SPOC)
register(
    "qlp_quality_flag_v2",
    QLPFlagV2,
    _SPOC | {name: _SPOC[name] | QLPFlagV2.LOW_PRECISION.value for name in ("hard", "hardest")},
)
register("tglc_quality_flag", TGLCFlag, {"default": 0, "hard": 0, "hardest": 0})
register("tglc_quality_flags", TGLCFlag, _ANY_BIT)
register("ccd_wide_quality_flags", QLPOrbitFlag, _ANY_BIT)
register("qlp_orbit_flag", QLPOrbitFlag, {"default": 1, "hard": 1, "hardest": 1})
