"""A progress bar during long work, and no output during short work."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lcdb_notebook.read import progress
from lcdb_notebook.read.progress import Progress


def shown(capsys: pytest.CaptureFixture[str], progress: bool | None, *steps: int) -> str:
    with Progress(10, "light curve", progress) as bar:
        for done in steps:
            bar.show(done)
    return capsys.readouterr().err


def test_progress_true_draws_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert "10/10" in shown(capsys, True, 3, 10)


def test_progress_false_draws_no_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    assert shown(capsys, False, 3, 10) == ""


def test_a_bar_is_drawn_by_default_only_during_long_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(capsys, None, 3, 10) == ""
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    assert "10/10" in shown(capsys, None, 3, 10)


def test_a_bar_is_not_drawn_after_the_work_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress(10, "light curve", None) as bar:
        monkeypatch.setattr(progress, "_PATIENCE", 0.0)
        bar.show(10)
    assert capsys.readouterr().err == ""


def test_its_speed_counts_from_the_beginning_of_the_work() -> None:
    with Progress(10, "light curve", None) as bar:
        bar._began -= 100
        bar.show(5)
        assert bar._bar.format_dict["elapsed"] >= 100


def test_a_bar_never_passes_the_end_nor_moves_back(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, True, 5, 99)
    assert "10/10" in text
    assert "99" not in text.split("[")[0]


def test_a_bar_is_closed_by_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progress(10, "light curve", True)

    def work() -> None:
        with bar:
            bar.show(4)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert bar._bar.disable
    assert "4/10" in capsys.readouterr().err


@pytest.mark.slow
def test_bars_can_be_disabled_in_the_environment() -> None:
    code = (
        "from lcdb_notebook.read.progress import Progress\n"
        "with Progress(10, 'thing', True) as bar: bar.show(5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_tqdm_is_imported_only_when_a_bar_is_drawn() -> None:
    code = (
        "import sys\n"
        "from lcdb_notebook.read.progress import Progress\n"
        "with Progress(10, 'x', None) as bar:\n    bar.show(5)\n"
        "assert 'tqdm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
