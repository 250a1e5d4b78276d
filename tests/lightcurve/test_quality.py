"""Flagged cadences: of every type by a preset, of the first type by anything else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from lcdb_notebook import flags
from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.quality import flagged_bits, flagged_mask, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData


def record(**quality: list[int]) -> LightCurveData:
    """Four cadences with the flags given, by type."""
    return LightCurveData(
        dataset=1,
        target=1,
        catalog="TIC",
        mission="TESS",
        clock=Clock("btjd", "d", Decimal(2_457_000), "jd", "tdb"),
        observation=ObservationData(1, "tess_observation", {}, ()),
        photometry=None,
        processing=None,
        unit="",
        cadence=np.arange(4),
        time=np.arange(4.0),
        flux=np.ones(4),
        flux_err=None,
        quality={name: np.array(bits, np.int64) for name, bits in quality.items()},
        stored_time="mission",
    )


TESS = [0, 32, 4096, 2**15]
TGLC = [1, 0, 0, 0]
BASE = [0, 0, 1, 0]


def bad(data: LightCurveData, quality_bitmask: Any) -> list[int]:
    return np.flatnonzero(flagged_mask(data, quality_bitmask)).tolist()


@pytest.mark.parametrize(
    ("types", "primary"),
    [
        ([], None),
        (["base_quality_flag"], "base_quality_flag"),
        (["base_quality_flag", "tess_quality_flag"], "tess_quality_flag"),
        (["tglc_quality_flag", "tess_quality_flag"], "tess_quality_flag"),
        (["tglc_quality_flag", "base_quality_flag"], "base_quality_flag"),
        (["tess_quality_flag", "aaa_quality_flag"], "aaa_quality_flag"),
    ],
)
def test_the_spacecrafts_flags_come_first(types: list[str], primary: str | None) -> None:
    assert primary_type(record(**dict.fromkeys(types, TESS))) == primary


@pytest.mark.parametrize(
    ("preset", "cadences"),
    [
        ("none", []),
        (None, []),
        ("default", [1]),
        ("hard", [1, 2]),
        ("hardest", [1, 2, 3]),
        ("Hard", [1, 2]),
    ],
)
def test_presets_of_tess_are_lightkurves(preset: str | None, cadences: list[int]) -> None:
    assert bad(record(tess_quality_flag=TESS), preset) == cadences


@pytest.mark.parametrize(
    ("name", "bit", "condemning"),
    [
        ("qlp_quality_flag_v1", 4096, {"hard", "hardest"}),
        ("qlp_quality_flag_v2", 2**30, {"hard", "hardest"}),
        ("qlp_quality_flag_v2", 4096, {"hard", "hardest"}),
        ("kepler_quality_flag", 128, {"hard", "hardest"}),
        ("base_quality_flag", 1, {"default", "hard", "hardest"}),
        ("base_quality_flag", 2, {"default", "hard", "hardest"}),
        ("tglc_quality_flag", 1, set()),
    ],
)
def test_each_type_has_its_own_presets(name: str, bit: int, condemning: set[str]) -> None:
    data = record(**{name: [0, 0, bit, 0]})
    found = {preset for preset in ("none", "default", "hard", "hardest") if bad(data, preset)}
    assert found == condemning


def test_a_preset_goes_for_every_type() -> None:
    data = record(tess_quality_flag=TESS, base_quality_flag=BASE)
    assert bad(data, "default") == [1, 2]


@pytest.mark.parametrize(
    ("given", "cadences"),
    [
        (1, []),
        (32, [1]),
        (2**15 | 32, [1, 3]),
        (flags.TESSFlag.DESAT, [1]),
        ("Desat", [1]),
        (["Desat", "Straylight2"], [1, 2]),
        (["default", 4096], [1, 2]),
    ],
)
def test_particular_bits_are_those_of_the_first_type(given: Any, cadences: list[int]) -> None:
    # Bit 1 of the base type is a cosmic ray, and no bit 1 of TESS.
    data = record(tess_quality_flag=TESS, base_quality_flag=BASE)
    assert bad(data, given) == cadences


def test_the_bits_of_each_type_are_reported() -> None:
    data = record(tess_quality_flag=TESS, base_quality_flag=BASE, tglc_quality_flag=TGLC)
    bits_by_type = {name: bits.tolist() for name, bits in flagged_bits(data, "hard").items()}
    assert bits_by_type == {
        "tess_quality_flag": [0, 32, 4096, 0],
        "base_quality_flag": BASE,
        "tglc_quality_flag": [0] * 4,
    }


def test_without_flags_no_cadence_is_masked() -> None:
    assert bad(record(), "hardest") == []


def test_the_highest_bit_of_32_condemns_though_it_is_the_sign() -> None:
    data = record(tess_quality_flag=[0, -(2**31), 0, 0])
    assert bad(data, 2**31) == [1]
    assert bad(data, "default") == []


def test_flags_of_another_type_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="KeplerFlag"):
        flagged_mask(record(tess_quality_flag=TESS), flags.KeplerFlag(1))


def test_flagged_mask_presets_of_an_unregistered_type_are_any_bit() -> None:
    data = record(cheops_flags=[0, 1, 0, 0])
    with pytest.warns(UserWarning, match=r"cheops_flags.*register"):
        assert bad(data, "default") == [1]
    assert bad(data, "none") == []
    assert bad(data, 1) == [1]
