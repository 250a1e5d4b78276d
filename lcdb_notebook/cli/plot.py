"""``lcdb-notebook plot``: plot light curves into a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook.cli.criteria import add_criteria, add_quality, select
from lcdb_notebook.cli.options import CODES, LAYOUT, add_common, add_json
from lcdb_notebook.cli.output import print_json, print_output
from lcdb_notebook.database import connect
from lcdb_notebook.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "check_file", "run", "save"]


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "plot",
        help="plot light curves into a file",
        formatter_class=LAYOUT,
        description="Plot light curves into a file, with flagged cadences in another colour.",
        epilog="example:\n  lcdb-notebook plot 261136679 --sector 1 --processing PDCSAP "
        f"--output star.pdf\n\n{CODES}",
    )
    add_criteria(command)
    add_quality(command)
    command.add_argument(
        "--joined", action="store_true", help="draw all observations of a target in one panel"
    )
    command.add_argument(
        "--output",
        "-o",
        type=Path,
        required=True,
        metavar="FILE",
        help="the file of the plot: .png, .pdf, .svg, ...",
    )
    add_json(command)
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    file: Path = given.output
    check_file(file, "--output")
    with connect(given.url, config=given.config, embedded=given.embedded) as database:
        found = select(given, database)
        save(found.plot(quality_bitmask=given.quality_bitmask, joined=given.joined), file)
        datasets = found.datasets
    if given.json:
        print_json({"file": str(file.absolute()), "datasets": datasets})
    else:
        curves = "light curve" if len(datasets) == 1 else "light curves"
        print_output(f"Plotted {len(datasets)} {curves} in {file.absolute()}")
    return 0


def check_file(file: Path, option: str) -> None:
    """Check that a plot can be written to a file, before anything else is done."""
    import matplotlib as mpl

    # Writing a file must not depend on a display.
    mpl.use("Agg")
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix.removeprefix(".").lower() not in known:
        raise ConfigurationError(
            f"{option} {file}: the name must end in .{', .'.join(sorted(known))}"
        )
    if not file.absolute().parent.is_dir():
        raise ConfigurationError(f"{option} {file}: no folder {file.absolute().parent}")


def save(axes: Axes, file: Path) -> None:
    """Write the figure of some axes to a file, and close it."""
    import matplotlib.pyplot as plt

    figure = axes.get_figure(root=True)
    assert figure is not None
    try:
        figure.savefig(file)
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        plt.close(figure)
