"""``lcdb-notebook notebooks`` and ``lab``: copy the notebooks to a folder, and open them."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import LAYOUT, positive
from lcdb_notebook.cli.output import print_output
from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.errors.optional import required

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["FOLDER", "add", "copy", "run_lab", "run_notebooks", "split_options"]

FOLDER = Path("lcdb_notebooks")
"""Where ``lab`` copies the notebooks by default."""


def add(commands: Commands) -> None:
    """Add both commands to a parser."""
    command = commands.add_parser(
        "notebooks",
        help="copy the notebooks of the documentation to a folder",
        formatter_class=LAYOUT,
        description="Copy the notebooks of the documentation to a folder. Existing files are kept.",
        epilog="example:\n  lcdb-notebook notebooks my_notebooks",
    )
    command.add_argument("folder", type=Path, metavar="FOLDER", help="created if it is missing")
    command.add_argument("--overwrite", action="store_true", help="replace existing files")
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")
    command.set_defaults(run=run_notebooks)

    command = commands.add_parser(
        "lab",
        help="open the notebooks in JupyterLab",
        formatter_class=LAYOUT,
        description="Copy the notebooks to a folder, keeping existing files, and open the folder\n"
        "in JupyterLab. Options after -- are JupyterLab's.",
        usage="lcdb-notebook lab [-h] [--port PORT] [--no-browser] [--debug] [FOLDER] "
        "[-- OPTION ...]",
        epilog="examples:\n"
        "  lcdb-notebook lab\n"
        "  lcdb-notebook lab my_notebooks --port 8890 --no-browser\n"
        "  lcdb-notebook lab -- --ip=0.0.0.0",
    )
    command.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help=f"created if it is missing (default: {FOLDER} in this folder)",
    )
    command.add_argument(
        "--port",
        type=positive,
        help="the port of JupyterLab, or the next free one (default: 8888)",
    )
    command.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only print the address"
    )
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")
    command.set_defaults(run=run_lab)


def run_notebooks(given: argparse.Namespace) -> int:
    """Copy the notebooks and return the exit code."""
    folder: Path = given.folder
    copied = copy(folder, overwrite=given.overwrite)
    print_output(f"Copied {len(copied)} notebooks to {folder.absolute()}")
    kept = len(list(_source().glob("*.ipynb"))) - len(copied)
    if kept:
        print_output(f"Kept {kept} existing notebooks; --overwrite replaces them")
    print_output(f"To open them: lcdb-notebook lab {shlex.quote(str(folder))}")
    return 0


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command line at ``--``, after which ``lab`` has the options of JupyterLab.

    Parameters
    ----------
    arguments : sequence of str
        The command line. Other commands than ``lab`` have positional arguments after ``--``.

    Returns
    -------
    ours, theirs : list of str
        The command line without JupyterLab's options, and these.

    Examples
    --------
    >>> split_options(["lab", "--port", "8890", "--", "--ip=0.0.0.0"])
    (['lab', '--port', '8890'], ['--ip=0.0.0.0'])
    """
    ours = list(arguments)
    if ours[:1] != ["lab"] or "--" not in ours:
        return ours, []
    place = ours.index("--")
    return ours[:place], ours[place + 1 :]


def run_lab(given: argparse.Namespace) -> int:
    """Open JupyterLab and return its exit code."""
    required("jupyterlab", extra="lab", needed_by="the command lab")
    copy(given.folder)
    options = [] if given.browser else ["--no-browser"]
    if given.port is not None:
        options.append(f"--port={given.port}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    command = [sys.executable, "-m", "jupyterlab", str(given.folder), *options, *given.jupyterlab]
    return subprocess.call(command)


def copy(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Copy the notebooks to a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Created if it does not exist.
    overwrite : bool, optional
        Replace existing files.

    Returns
    -------
    list of pathlib.Path
        The files that were written.

    Raises
    ------
    ConfigurationError
        If the folder is not writable.
    """
    copied = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(_source().glob("*.ipynb")):
            target = folder / source.name
            if overwrite or not target.exists():
                shutil.copyfile(source, target)
                copied.append(target)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder"
        ) from error
    return copied


def _source() -> Path:
    """Return the folder of the notebooks: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "notebooks"
    return inside if inside.is_dir() else package.parent / "notebooks"
