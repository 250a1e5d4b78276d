"""Flags: presets and masks equal lightkurve's, and no bit is ever lost."""

from __future__ import annotations

import enum
import functools
import operator
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lcdb_notebook import flags
from lcdb_notebook.errors import ConfigurationError, LCDBError
from lcdb_notebook.flags import masking, registry

PRESETS = ("none", "default", "hard", "hardest")
TESS = "tess_quality_flag"
QLP_OLD = "qlp_quality_flag_v1"
QLP_NEW = "qlp_quality_flag_v2"
KEPLER = "kepler_quality_flag"
TGLC = "tglc_quality_flag"
BASE = "base_quality_flag"

QUALITY_COLUMNS = [
    ("spoc", "*.fits.gz", "QUALITY", TESS),
    ("tess-spoc", "*.fits.gz", "QUALITY", TESS),
    ("tglc", "*.fits.gz", "TESS_flags", TESS),
    ("qlp", "hlsp_qlp_*s0024*.fits.gz", "QUALITY", QLP_OLD),
    ("qlp", "hlsp_qlp_*s0056*.fits.gz", "QUALITY", QLP_NEW),
    ("kepler", "*.fits.gz", "SAP_QUALITY", KEPLER),
]

any_int32 = hnp.arrays(
    np.int32, st.integers(1, 40), elements=st.integers(-(2**31), 2**31 - 1), fill=st.just(0)
)


@pytest.fixture
def own_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types registered by this test go away with it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def lightkurves(flag_type: str) -> Any:
    from lightkurve.utils import KeplerQualityFlags, TessQualityFlags

    return KeplerQualityFlags if flag_type == KEPLER else TessQualityFlags


def lightkurve_flagged(quality: np.ndarray[Any, Any], preset: str, flag_type: str) -> Any:
    """Which cadences ``lightkurve.read`` leaves out, its special treatment of QLP included."""
    lk = lightkurves(flag_type)
    good = lk.create_quality_mask(quality, bitmask=preset)
    if preset in ("hard", "hardest") and flag_type in (QLP_OLD, QLP_NEW):
        low_precision = 2**12 if flag_type == QLP_OLD else 2**30
        good &= lk.create_quality_mask(quality, bitmask=low_precision)
    return ~good


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("flag_type", [TESS, KEPLER])
def test_presets_are_those_of_lightkurve(flag_type: str, preset: str) -> None:
    assert flags.bitmask(preset, flag_type) == lightkurves(flag_type).OPTIONS[preset]


@pytest.mark.parametrize(
    ("flag_type", "expected"),
    [
        (TESS, (0, 17087, 24319, 65535)),
        (QLP_OLD, (0, 17087, 24319, 65535)),
        (QLP_NEW, (0, 17087, 24319 + 2**30, 65535 + 2**30)),
        (KEPLER, (0, 1130799, 1664431, 2096639)),
        (TGLC, (0, 0, 0, 0)),
        ("qlp_orbit_flag", (0, 1, 1, 1)),
        ("cdips_quality_flag", (0, 1, 1, 1)),
        ("eleanor_quality_flag", (0, 17087, 24319, 65535 + 2**17 + 2**18)),
        ("pathos_quality_flag", (0, 17087, 24319, 65535)),
        ("everest_quality_flag", (0, 1130799, 1664431, 2096639)),
        ("tasoc_quality_flag", (0, 0, 0, 0)),
        ("tasoc_pixel_quality_flag", (0, 0, 0, 0)),
        ("k2sff_quality_flag", (0, 0, 0, 0)),
        ("kbonus_flatten_flag", (0, 0, 0, 0)),
        (BASE, (0, 3, 3, 3)),
    ],
)
def test_presets_have_the_documented_numbers(flag_type: str, expected: tuple[int, ...]) -> None:
    assert tuple(flags.bitmask(preset, flag_type) for preset in PRESETS) == expected
    assert tuple(flags.presets(flag_type)) == PRESETS


@pytest.mark.parametrize("flag_type", [TESS, KEPLER])
def test_every_flag_of_lightkurve_is_here_under_its_own_name(flag_type: str) -> None:
    lk = lightkurves(flag_type)
    theirs = {
        name.upper(): value
        for name, value in vars(lk).items()
        # Python 3.13 adds __firstlineno__.
        if isinstance(value, int) and not name.endswith(("BITMASK", "__"))
    }
    ours = {(flag.name or "").replace("_", ""): flag.value for flag in flags.flag_class(flag_type)}
    assert ours == theirs
    assert {
        name: flags.bitmask(name, flag_type) for name in vars(lk) if name.upper() in theirs
    } == {name: value for name, value in vars(lk).items() if name.upper() in theirs}


@pytest.mark.parametrize("flag_type", flags.types())
def test_every_flag_has_one_sentence_to_explain_it(flag_type: str) -> None:
    for flag in flags.flag_class(flag_type):
        assert isinstance(flag, flags.QualityFlag)
        assert re.fullmatch(r"[A-Z].+\.", flag.meaning), flag


def test_a_combination_of_flags_explains_each() -> None:
    both = flags.BaseFlag.COSMIC_RAY | flags.BaseFlag.SATURATION
    assert both.meaning == "A cosmic ray hit the pixels. Pixels were saturated."


@pytest.mark.parametrize("flag_type", flags.types())
def test_unknown_bits_survive_in_every_flag_class(flag_type: str) -> None:
    flag_class = flags.flag_class(flag_type)
    odd = flag_class(2**27 | 1)
    assert odd.value == 2**27 | 1
    assert (odd & ~1).value == 2**27
    assert (odd | flag_class(2)).value == 2**27 | 3


@given(quality=any_int32, preset=st.sampled_from(PRESETS))
@pytest.mark.parametrize("flag_type", [TESS, QLP_OLD, QLP_NEW, KEPLER])
def test_mask_flags_exactly_what_lightkurve_leaves_out(
    flag_type: str, quality: np.ndarray[Any, Any], preset: str
) -> None:
    ours = flags.mask(quality, preset, flag_type)
    assert ours.dtype == bool
    np.testing.assert_array_equal(ours, lightkurve_flagged(quality, preset, flag_type))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("folder", "pattern", "column", "flag_type"), QUALITY_COLUMNS)
def test_mask_flags_what_lightkurve_leaves_out_of_real_files(
    data_folder: Path, folder: str, pattern: str, column: str, flag_type: str, preset: str
) -> None:
    from astropy.io import fits

    paths = sorted((data_folder / folder).glob(pattern))
    assert paths
    for path in paths:
        with fits.open(path, memmap=False) as hdus:
            quality = hdus[1].data[column]
        # lightkurve overflows on TGLC's int16 with "hardest", so it gets int32.
        expected = lightkurve_flagged(quality.astype(np.int32), preset, flag_type)
        np.testing.assert_array_equal(flags.mask(quality, preset, flag_type), expected)
        if preset == "hardest":
            assert expected.any()


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i2", ">i4"])
def test_the_mask_is_the_same_for_every_integer_dtype(dtype: str) -> None:
    quality = np.array([0, 1, 32, 65], dtype=dtype)
    assert flags.mask(quality, "hard").tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("dtype", "top"), [("i1", 7), ("i2", 15), ("i4", 31), (">i4", 31), ("u4", 31)]
)
def test_the_sign_bit_is_a_bit_like_any_other(dtype: str, top: int) -> None:
    quality = np.array([0, 1 << top], dtype=np.uint64).astype(dtype)
    assert flags.mask(quality, 1 << top).tolist() == [False, True]
    assert not flags.mask(quality, (1 << top) - 1).any()


def test_an_int32_widened_to_int64_keeps_its_bits_and_gains_none() -> None:
    quality = np.array([-(2**31), 2**31 - 1, 0], dtype=np.int32)
    wide = quality.astype(np.int64)
    assert flags.decode(wide).equals(flags.decode(quality))
    assert flags.names(wide)[0] == ["UNKNOWN_BIT_31"]


@pytest.mark.parametrize("quality", [[0.0, 1.0], np.array([np.nan]), [True, False], ["1"]])
@pytest.mark.parametrize("read", [flags.mask, flags.decode, flags.names, flags.summary])
def test_quality_that_is_not_of_integers_is_refused(read: Any, quality: Any) -> None:
    with pytest.raises(TypeError, match="must be integers, got dtype"):
        read(quality)


@pytest.mark.parametrize("read", [flags.decode, flags.names, flags.summary])
def test_quality_of_two_dimensions_is_refused_where_rows_are_cadences(read: Any) -> None:
    with pytest.raises(ValueError, match=r"one dimension, got shape \(2, 2\)"):
        read(np.zeros((2, 2), dtype=int))


def test_empty_arrays_return_empty_results() -> None:
    assert flags.mask([]).shape == (0,)
    assert flags.decode([]).shape == (0, 16)
    assert flags.names([]) == []
    assert flags.summary([])["fraction"].isna().all()


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (None, 0),
        ("NONE", 0),
        ("Default", 17087),
        (32, 32),
        (np.int16(32), 32),
        (~32, 2**32 - 1 - 32),
        (flags.TESSFlag.DESAT | flags.TESSFlag.SAFE_MODE, 34),
        (flags.TESSFlag(2**20), 2**20),
        ("DESAT", 32),
        ("safe mode", 2),
        ("Straylight2", 4096),
        (["desat", flags.TESSFlag.SAFE_MODE, 2**20, np.int64(1)], 2**20 + 35),
        (("default", "APERTURE_COSMIC"), 17087 + 64),
        ({"none", 4}, 4),
        (np.array([1, 2]), 3),
        ([], 0),
    ],
)
def test_bits_are_accepted_in_many_forms(requested: Any, expected: int) -> None:
    bits = flags.bitmask(requested)
    assert bits == expected
    assert type(bits) is int


@pytest.mark.parametrize("requested", [1.0, True, b"default", object(), ["default", 0.5]])
def test_an_invalid_bitmask_raises_type_error(requested: Any) -> None:
    with pytest.raises(TypeError, match=r"quality_bitmask must be .*'default', 'hard'"):
        flags.bitmask(requested)


@pytest.mark.parametrize("bits", [2**63, -(2**31) - 1])
def test_bits_beyond_any_quality_array_are_refused(bits: int) -> None:
    with pytest.raises(ConfigurationError, match="63 bits"):
        flags.bitmask(bits)


@pytest.mark.parametrize(
    ("misspelt", "suggestion"), [("defualt", "default"), ("hardst", "hardest"), ("desatt", "DESAT")]
)
def test_a_misspelt_name_lists_the_valid_ones_nearest_first(misspelt: str, suggestion: str) -> None:
    with pytest.raises(ConfigurationError, match=f"did you mean {suggestion}, ") as raised:
        flags.bitmask(misspelt)
    for name in (*PRESETS, "DESAT", "INSUFFICIENT_TARGETS", TESS):
        assert name in str(raised.value)


def test_a_flag_of_another_type_is_refused_naming_both() -> None:
    with pytest.raises(ConfigurationError, match=rf"TESSFlag.*{KEPLER}.*KeplerFlag"):
        flags.bitmask(flags.TESSFlag.DESAT, KEPLER)
    with pytest.raises(ConfigurationError, match=r"KeplerFlag.*TESSFlag"):
        flags.mask([0], ["default", flags.KeplerFlag.NO_DATA], TESS)


def test_bitmask_presets_of_an_unregistered_type_are_any_bit_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(masking, "_warned", set())
    with pytest.warns(UserWarning, match=r"'my_flag'.*any bit.*register\('my_flag'") as caught:
        flagged = [
            flags.mask([0, 8, 2**40], preset, "my_flag").tolist()
            for preset in ("default", "hard", "Hardest")
        ]
    assert flagged == [[False, True, True]] * 3
    assert len(caught) == 1


def test_bitmask_of_an_unregistered_type_takes_bits_and_none_but_no_names() -> None:
    assert flags.mask([0, 8], 8, "my_flag").tolist() == [False, True]
    assert flags.mask([0, 8], "none", "my_flag").tolist() == [False, False]
    assert flags.mask([0, 8], None, "my_flag").tolist() == [False, False]
    with pytest.raises(ConfigurationError, match=r"'my_flag'.*register\('my_flag'"):
        flags.bitmask("DESAT", "my_flag")
    with pytest.raises(ConfigurationError, match=r"'my_flag'.*not registered"):
        flags.bitmask(flags.TESSFlag.DESAT, "my_flag")
    for ask in (flags.flag_class, flags.presets):
        with pytest.raises(LCDBError, match="did you mean tess_quality_flag, "):
            ask("tess_quality_flagz")


def test_all_bits_of_an_unregistered_type_are_reported_as_unknown() -> None:
    assert flags.names([0, 5], "my_flag") == [[], ["UNKNOWN_BIT_0", "UNKNOWN_BIT_2"]]
    assert list(flags.decode([0, 5], "my_flag")) == ["UNKNOWN_BIT_0", "UNKNOWN_BIT_2"]
    assert flags.summary([0, 5], "my_flag")["cadences"].tolist() == [1, 1]


@given(quality=any_int32, flag_type=st.sampled_from([*flags.types(), "my_flag"]))
def test_the_names_of_a_cadence_add_up_to_its_quality(
    quality: np.ndarray[Any, Any], flag_type: str
) -> None:
    registered = flags.flag_class(flag_type) if flag_type != "my_flag" else ()
    value = {flag.name: flag.value for flag in registered}
    value |= {f"UNKNOWN_BIT_{bit}": 1 << bit for bit in range(32)}
    words = flags.names(quality, flag_type)
    table = flags.decode(quality, flag_type)
    columns, bools = np.array(table.columns, dtype=object), table.to_numpy(dtype=bool)
    assert all(dtype.kind == "b" for dtype in table.dtypes)
    for row, (bits, named) in enumerate(zip(quality.tolist(), words, strict=True)):
        together = functools.reduce(operator.or_, (value[name] for name in named), 0)
        assert together == bits & 0xFFFFFFFF
        assert columns[bools[row]].tolist() == named


def test_lists_of_names_are_not_shared_between_cadences() -> None:
    first, second = flags.names([32, 32])
    first.append("mine")
    assert second == ["DESAT"]


def test_summary_counts_every_known_and_every_unknown_bit() -> None:
    table = flags.summary(np.array([0, 32, 32 | 2**20, -(2**31)], dtype=np.int32))
    assert list(table) == ["flag", "value", "cadences", "fraction", "presets", "meaning"]
    rows = {row["flag"]: row for row in table.to_dict("records")}
    assert len(rows) == 16 + 2
    desat, unknown, sign = rows["DESAT"], rows["UNKNOWN_BIT_20"], rows["UNKNOWN_BIT_31"]
    assert (desat["value"], desat["cadences"], desat["fraction"]) == (32, 2, 0.5)
    assert desat["presets"] == "default, hard, hardest"
    assert rows["APERTURE_COSMIC"]["presets"] == "hard, hardest"
    assert rows["DISCONTINUITY"]["presets"] == "hardest"
    assert (unknown["value"], unknown["cadences"]) == (2**20, 1)
    assert (sign["value"], sign["cadences"]) == (2**31, 1)
    assert all(row["meaning"] for row in rows.values())


@pytest.mark.parametrize(("folder", "pattern", "column", "flag_type"), QUALITY_COLUMNS)
def test_every_bit_in_the_real_files_has_a_name(
    data_folder: Path, folder: str, pattern: str, column: str, flag_type: str
) -> None:
    from astropy.io import fits

    for path in sorted((data_folder / folder).glob(pattern)):
        with fits.open(path, memmap=False) as hdus:
            table = flags.summary(hdus[1].data[column], flag_type)
        assert not table["flag"].str.startswith("UNKNOWN").any(), path.name
        assert table["cadences"].sum() > 0


@pytest.mark.usefixtures("own_types")
def test_a_new_mission_registers_its_own_flags() -> None:
    class HSTFlag(enum.IntFlag):
        SATURATED = 256

    flags.register("hst_quality_flag", HSTFlag, {"default": 256, "hard": 256, "hardest": 511})
    assert flags.types()[-1] == "hst_quality_flag"
    assert flags.flag_class("hst_quality_flag") is HSTFlag
    assert flags.bitmask(["default", "Saturated", HSTFlag.SATURATED], "hst_quality_flag") == 256
    assert flags.names([256 | 1], "hst_quality_flag") == [["SATURATED", "UNKNOWN_BIT_0"]]


@pytest.mark.usefixtures("own_types")
def test_running_the_cell_that_registers_again_replaces_the_class() -> None:
    def cell() -> type[enum.IntFlag]:
        class MyFlag(flags.QualityFlag):
            BAD = 1, "Bad."

        return flags.register("my_flag", MyFlag, {"default": 1, "hard": 1, "hardest": 1})

    assert cell() is not cell()
    assert flags.types().count("my_flag") == 1


@pytest.mark.parametrize(
    ("type_name", "flag_class", "presets", "complaint"),
    [
        (TESS, flags.KeplerFlag, {"default": 1, "hard": 1, "hardest": 1}, "already.*TESSFlag"),
        ("my_flag", flags.BaseFlag, {"default": 1}, "exactly default, hard, hardest"),
        ("my_flag", enum.Enum, {"default": 1, "hard": 1, "hardest": 1}, "enum.IntFlag"),
        ("my_flag", 3, {"default": 1, "hard": 1, "hardest": 1}, "enum.IntFlag"),
    ],
)
def test_an_invalid_registration_is_refused(
    type_name: str, flag_class: Any, presets: dict[str, int], complaint: str
) -> None:
    before = flags.types()
    with pytest.raises(ConfigurationError, match=complaint):
        flags.register(type_name, flag_class, presets)
    assert flags.types() == before


def test_importing_flags_imports_neither_lightkurve_nor_pandas() -> None:
    code = (
        "import sys, lcdb_notebook.flags\n"
        "print([m for m in ('lightkurve', 'astropy', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
