"""``lcdb-notebook notebooks`` and ``lab``: copy the notebooks to a folder, and open them."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import LAYOUT
from lcdb_notebook.cli.output import print_output
from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.errors.optional import required

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["FOLDER", "add", "copy", "run_lab", "run_notebooks"]

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
        "in JupyterLab.",
        epilog="example:\n  lcdb-notebook lab",
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
        "--no-browser", dest="browser", action="store_false", help="only print the address"
    )
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")
    command.set_defaults(run=run_lab)


def run_notebooks(given: argparse.Namespace) -> int:
    """Copy the notebooks and return the exit code."""
    folder: Path = given.folder
    copied = copy(folder, overwrite=given.overwrite)
    number = len(list(folder.glob("*.ipynb")))
    print_output(
        f"Copied {len(copied)} notebooks to {folder.absolute()}, which contains {number}.\n"
        f"To open them: lcdb-notebook lab {folder}"
    )
    return 0


def run_lab(given: argparse.Namespace) -> int:
    """Open JupyterLab and return its exit code."""
    required("jupyterlab", extra="lab", needed_by="lcdb-notebook lab")
    copy(given.folder)
    options = [] if given.browser else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    return subprocess.call([sys.executable, "-m", "jupyterlab", *options, str(given.folder)])


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
