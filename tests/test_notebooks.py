"""The notebooks run from top to bottom, and are stored without their results."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SECONDS_PER_CELL = 600

FAST = ("01",)
"""Where everybody begins; the others run in make test-all."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A separate home folder, removed when the server that was started in it has stopped."""
    # Not tmp_path: its path may be too long for a socket, and closed to a server's own user.
    folder = Path(tempfile.mkdtemp(prefix="lcdb-home-"))
    folder.chmod(0o711)
    yield folder
    _wait_for_servers(folder)
    shutil.rmtree(folder)


def _wait_for_servers(folder: Path) -> None:
    """Wait until PostgreSQL has noticed that the notebook is gone; stop it if it does not."""
    running = []
    for file in folder.rglob("postmaster.pid"):
        # It removes the file when it ends.
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            running.append(psutil.Process(int(file.read_text().splitlines()[0])))
    _, still_running = psutil.wait_procs(running, timeout=120)
    for server in still_running:
        # PostgreSQL's "fast shutdown".
        server.send_signal(signal.SIGINT)
    psutil.wait_procs(still_running, timeout=120)
    assert not still_running, f"a server in {folder} outlived its notebook by 120 s"


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of a notebook: its own settings and database, and the real files."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LCDB_", "XDG_", "JUPYTER", "IPYTHON"))
    }
    # The kernel chooses its own backend, as it does for a person.
    inherited.pop("MPLBACKEND", None)
    files = os.environ.get("LCDB_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    own = {"HOME": str(home), "LCDB_DATA": str(home / "data"), "LCDB_TEST_DATA": str(files)}
    return {**inherited, **own}


def _read(path: Path) -> Any:
    # Its import takes seconds, which every process of the tests would spend while collecting.
    import nbformat

    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.name, marks=[] if path.stem[:2] in FAST else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs_from_top_to_bottom(path: Path, home: Path) -> None:
    from nbclient import NotebookClient

    copy = shutil.copy(path, home)
    client = NotebookClient(
        _read(Path(copy)),
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(home)}},
    )
    done = client.execute(env=_environment(home))
    unrun = [c.source for c in done.cells if c.cell_type == "code" and not c.execution_count]
    assert not [source for source in unrun if source.strip()]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    code = [cell for cell in _read(path).cells if cell.cell_type == "code"]
    assert not [cell.source for cell in code if cell.outputs or cell.execution_count is not None]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_begins_with_a_title(path: Path) -> None:
    first = _read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
