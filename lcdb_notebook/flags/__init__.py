"""Meaning of the bits of quality arrays, and masks of flagged cadences.

A :class:`~lcdb_notebook.models.QualityFlagArray` has a *type*, which defines its bits. Each type
registered here has one :class:`enum.IntFlag` and three presets, with the same names as in
lightkurve:

==========================  ======================  =========  =========  =========
type                        flags                   "default"  "hard"     "hardest"
==========================  ======================  =========  =========  =========
``base_quality_flag``       :class:`BaseFlag`       3          3          3
``tess_quality_flag``       :class:`TESSFlag`       17087      24319      65535
``qlp_quality_flag_v1``     :class:`QLPFlagV1`      17087      24319      65535
``qlp_quality_flag_v2``     :class:`QLPFlagV2`      17087      + 2**30    + 2**30
``kepler_quality_flag``     :class:`KeplerFlag`     1130799    1664431    2096639
``tglc_quality_flag``       :class:`TGLCFlag`       0          0          0
``tglc_quality_flags``      :class:`TGLCFlag`       any bit    any bit    any bit
``qlp_orbit_flag``          :class:`QLPOrbitFlag`   1          1          1
``ccd_wide_quality_flags``  :class:`QLPOrbitFlag`   any bit    any bit    any bit
``cdips_quality_flag``      :class:`CDIPSFlag`      1          1          1
``eleanor_quality_flag``    :class:`ELEANORFlag`    17087      24319      + 3 * 2**17
``pathos_quality_flag``     :class:`TESSFlag`       17087      24319      65535
``everest_quality_flag``    :class:`EVERESTFlag`    1130799    1664431    2096639
``tasoc_quality_flag``      :class:`TASOCFlag`      0          0          0
``k2sff_quality_flag``      :class:`K2SFFFlag`      0          0          0
``kbonus_flatten_flag``     :class:`KBonusFlag`     0          0          0
==========================  ======================  =========  =========  =========

``tasoc_pixel_quality_flag`` (:class:`TASOCPixelFlag`) has the presets of ``tasoc_quality_flag``.
``"none"`` is 0 for every type. For a type that is not registered, the other presets mean any bit,
and a warning is issued once; :func:`register` adds a type. Bits without a name are reported as
``UNKNOWN_BIT_20`` and never dropped.

Examples
--------
>>> from lcdb_notebook import flags
>>> flags.mask([0, 32, 4096], "default").tolist()
[False, True, False]
>>> flags.names([0, 32 | 4096])
[[], ['DESAT', 'STRAYLIGHT2']]
>>> print(flags.TESSFlag.DESAT.meaning)
Reaction wheel desaturation (momentum dump): the pointing jumps while thrusters fire.
"""

from lcdb_notebook.flags.kepler import KeplerFlag
from lcdb_notebook.flags.kepler_products import EVERESTFlag, K2SFFFlag, KBonusFlag
from lcdb_notebook.flags.masking import Bitmask, bitmask, mask
from lcdb_notebook.flags.registry import BaseFlag, QualityFlag, flag_class, presets, register, types
from lcdb_notebook.flags.tables import decode, names, summary
from lcdb_notebook.flags.tess import QLPFlagV1, QLPFlagV2, QLPOrbitFlag, TESSFlag, TGLCFlag
from lcdb_notebook.flags.tess_products import (
    CDIPSFlag,
    ELEANORFlag,
    TASOCFlag,
    TASOCPixelFlag,
)

__all__ = [
    "BaseFlag",
    "Bitmask",
    "CDIPSFlag",
    "ELEANORFlag",
    "EVERESTFlag",
    "K2SFFFlag",
    "KBonusFlag",
    "KeplerFlag",
    "QLPFlagV1",
    "QLPFlagV2",
    "QLPOrbitFlag",
    "QualityFlag",
    "TASOCFlag",
    "TASOCPixelFlag",
    "TESSFlag",
    "TGLCFlag",
    "bitmask",
    "decode",
    "flag_class",
    "mask",
    "names",
    "presets",
    "register",
    "summary",
    "types",
]


def __dir__() -> list[str]:
    return list(__all__)
