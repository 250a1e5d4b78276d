from __future__ import annotations

import os
from pathlib import Path

import lightkurve
import pytest

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.find_files import find_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder like lightkurve's download cache, with other things lying about."""
    for name in (
        "mastDownload/TESS/tess2018206045859-s0001-0000000261136679-0120-s/tess_s_lc.fits",
        "mastDownload/HLSP/hlsp_qlp_tess_ffi_s0024/hlsp_qlp_llc.fits",
        "mastDownload/Kepler/kplr011446443_lc_Q1/kplr011446443_llc.fits.gz",
        "b.fits",
        "a.FITS",
        "notes.txt",
        "archive.tar.gz",
        ".hidden.fits",
        ".ipynb_checkpoints/c.fits",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


ALL = [
    "a.FITS",
    "b.fits",
    "mastDownload/HLSP/hlsp_qlp_tess_ffi_s0024/hlsp_qlp_llc.fits",
    "mastDownload/Kepler/kplr011446443_lc_Q1/kplr011446443_llc.fits.gz",
    "mastDownload/TESS/tess2018206045859-s0001-0000000261136679-0120-s/tess_s_lc.fits",
]


def names(files: tuple[Path, ...], folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in files]


def test_a_folder_is_expanded_to_the_fits_files_below_it_in_sorted_order(tree: Path) -> None:
    found = find_files(tree)
    assert names(found.files, tree) == ALL
    assert found.problems == ()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.fits", ["b.fits"]),
        ("mastDownload/*/*/*.fits*", ALL[2:]),
        ("**/*_llc.fits", [ALL[2]]),
        ("mastDownload/[HT]*", [ALL[2], ALL[4]]),
        ("*", ALL),
        ("**", ALL),
        (".hid*", [".hidden.fits"]),
    ],
)
def test_a_pattern_is_expanded_to_the_fits_files_that_it_matches(
    tree: Path, pattern: str, expected: list[str]
) -> None:
    found = find_files(str(tree / pattern))
    assert names(found.files, tree) == expected
    assert found.problems == ()


def test_a_file_passed_by_name_is_used_with_any_suffix(tree: Path) -> None:
    files = [tree / "notes.txt", tree / ".hidden.fits"]
    assert find_files(files).files == tuple(files)


def test_the_order_of_the_arguments_is_kept_and_no_file_comes_twice(tree: Path) -> None:
    found = find_files([tree / "mastDownload", str(tree / "*.fits"), tree, tree / "b.fits"])
    assert names(found.files, tree) == [*ALL[2:], "b.fits", "a.FITS"]


def test_a_generator_of_paths_is_taken(tree: Path) -> None:
    found = find_files(path for path in (tree / "b.fits", str(tree / "a.FITS")))
    assert names(found.files, tree) == ["b.fits", "a.FITS"]


def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path: Path) -> None:
    odd = tmp_path / "TIC [1].fits"
    odd.write_bytes(b"")
    assert find_files(odd).files == (odd,)


def test_a_tilde_is_the_home_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert find_files("~/b.fits").files == (tree / "b.fits",)


@pytest.mark.parametrize("argument", ["", "*", "**", "**/*.fits", "*/*/*.fits"])
def test_loops_of_symbolic_links_end(tree: Path, argument: str) -> None:
    for name in ("x", "y", "z"):
        (tree / "mastDownload" / name).symlink_to(tree, target_is_directory=True)
        (tree / name).symlink_to(tree / "mastDownload", target_is_directory=True)
    found = find_files(str(tree / argument))
    real = [os.path.realpath(file) for file in found.files]
    assert len(real) == len(set(real))
    assert set(real) <= {str(tree / name) for name in ALL}
    assert str(tree / "b.fits") in real


def test_a_folder_behind_a_symbolic_link_is_searched(tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "cache").symlink_to(tree / "mastDownload", target_is_directory=True)
    assert len(find_files(elsewhere).files) == 3


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("no/such/file.fits", "no such file"),
        ("no/such/*.fits", "matches no"),
        ("*.txt", "matches no"),
        ("empty", "has no"),
        ("broken.fits", "broken link"),
        ("pipe.fits", "not a regular file or folder"),
        ("a\0b.fits", ""),
        ("x" * 5000 + ".fits", ""),
    ],
)
def test_paths_without_files_are_reported_and_the_others_are_found(
    tree: Path, argument: str, reason: str
) -> None:
    (tree / "empty").mkdir()
    (tree / "broken.fits").symlink_to(tree / "gone.fits")
    os.mkfifo(tree / "pipe.fits")
    requested = str(tree / argument)
    found = find_files([requested, tree / "b.fits"])
    assert found.files == (tree / "b.fits",)
    ((path, why),) = found.problems
    assert path == requested
    assert reason in why


def test_broken_links_and_pipes_in_a_folder_are_reported(tree: Path) -> None:
    (tree / "broken.fits").symlink_to(tree / "gone.fits")
    os.mkfifo(tree / "pipe.fits")
    found = find_files(tree)
    assert names(found.files, tree) == ALL
    assert sorted(Path(path).name for path, _ in found.problems) == ["broken.fits", "pipe.fits"]


def test_find_files_of_a_light_curve_names_add() -> None:
    lc = lightkurve.LightCurve(time=[1.0, 2.0], flux=[1.0, 1.0])
    for wrong in (lc, [lc], lightkurve.LightCurveCollection([lc])):
        with pytest.raises(IngestError, match=r"got a LightCurve(Collection)?; use db\.add\(\)"):
            find_files(wrong)


@pytest.mark.parametrize("wrong", [None, 5, [5], [b"a.fits"], b"a.fits"])
def test_a_value_that_is_not_a_path_is_refused(wrong: object) -> None:
    with pytest.raises(IngestError, match="must be a path or an iterable of paths, got"):
        find_files(wrong)  # type: ignore[arg-type]


def test_an_empty_list_of_paths_has_no_files() -> None:
    assert find_files([]).files == ()
