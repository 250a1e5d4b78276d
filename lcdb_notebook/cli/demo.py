"""``lcdb-notebook demo``: synthetic stars, and a picture of one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook import demo
from lcdb_notebook.cli.info import summary
from lcdb_notebook.cli.options import LAYOUT, add_common, positive
from lcdb_notebook.cli.output import say
from lcdb_notebook.database import Database, connect
from lcdb_notebook.errors import ConfigurationError

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["PLOTTED", "add", "run"]

PLOTTED = {
    "target": 1,
    "catalog": "DEMO",
    "sector": 1,
    "exptime": 120,
    "photometry": "DEMO aperture 2px",
    "processing": "DEMO SYS_RM",
}
"""What the command draws: a planet's transits between momentum dumps and stray light."""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    about = "load synthetic stars, say what is there, draw a light curve"
    command = commands.add_parser(
        "demo",
        help=about,
        formatter_class=LAYOUT,
        description=f"{about[0].upper()}{about[1:]}.\nOnly what is missing is loaded. Unless you "
        "name a database here, they go to the server\nof your own, whatever is configured.",
        epilog="example:\n  lcdb-notebook demo --targets 100 --plot star.pdf",
    )
    command.add_argument(
        "--targets", type=positive, default=24, metavar="N", help="how many stars (default: 24)"
    )
    command.add_argument(
        "--plot",
        type=Path,
        default=Path("lcdb_demo.png"),
        metavar="FILE",
        help="where to draw a light curve (default: lcdb_demo.png in this folder)",
    )
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Do it, and give the exit code."""
    file: Path = given.plot
    _check_plot(file)
    elsewhere = given.url is not None or given.config is not None
    # Synthetic stars go to a shared database only if that was named here and now.
    embedded = given.embedded if elsewhere or given.embedded is not None else True
    with connect(
        given.url, config=given.config, embedded=embedded, write=True, create=True
    ) as database:
        say(f"{database!r}\n")
        added = demo.load(database.session, given.targets)
        if added:
            say(f"Loaded the demonstration data: {added:,} new light curves.\n")
        else:
            say("The demonstration data are there already.\n")
        say(summary(database))
        _plot(database, file)
    own = isinstance(given.embedded, str) and str(Path(given.embedded).expanduser().absolute())
    where = "..." if elsewhere else f"embedded={own or True!r}"
    say(
        "\nTo go on, open the notebook 01_quickstart.ipynb in JupyterLab:\n\n    make lab\n\n"
        "or in a Python of your own:\n\n"
        "    import lcdb_notebook as lcdb\n"
        f"    db = lcdb.connect({where})\n"
        "    db.search(1, sector=1)"
    )
    return 0


def _check_plot(file: Path) -> None:
    """Refuse a file that no plot can be written to, before anything is done."""
    import matplotlib as mpl

    # A screen that does not answer must not stop a picture from being written.
    mpl.use("Agg")
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix.removeprefix(".").lower() not in known:
        raise ConfigurationError(
            f"--plot {file}: the name must end in .{', .'.join(sorted(known))}"
        )
    if not file.absolute().parent.is_dir():
        raise ConfigurationError(f"--plot {file}: there is no folder {file.absolute().parent}")


def _plot(database: Database, file: Path) -> None:
    import matplotlib.pyplot as plt

    axes = database.search(**PLOTTED).plot(quality_bitmask="hard")
    figure = axes.get_figure(root=True)
    assert figure is not None
    try:
        figure.savefig(file)
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        plt.close(figure)
    say(f"\nOne of them, with its flagged cadences marked, is drawn in {file.absolute()}")
