"""``lcdb-notebook demo``: load synthetic stars and plot one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcdb_notebook import demo
from lcdb_notebook.cli.fetch import search
from lcdb_notebook.cli.info import summary
from lcdb_notebook.cli.options import LAYOUT, add_common, positive
from lcdb_notebook.cli.output import print_output
from lcdb_notebook.cli.plot import check_file, save
from lcdb_notebook.database import Database, connect
from lcdb_notebook.errors import ConfigurationError, IngestError

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["PLOTTED", "add", "run"]

PLOTTED: dict[str, Any] = {
    "target": 1,
    "catalog": "DEMO",
    "sector": 1,
    "exptime": 120,
    "photometry": "DEMO aperture 2px",
    "processing": "DEMO SYS_RM",
}
"""The light curve that is plotted: transits between momentum dumps and stray light."""


REAL: dict[str, Any] = {
    "target": 261136679,
    "catalog": "TIC",
    "sector": 1,
    "exptime": 120,
    "author": "SPOC",
    "processing": "PDCSAP",
}
"""The light curve that is plotted with ``--real``: pi Mensae, with a transit of planet c."""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    about = "load synthetic stars, list the contents, plot a light curve"
    command = commands.add_parser(
        "demo",
        help=about,
        formatter_class=LAYOUT,
        description=f"{about[0].upper()}{about[1:]}.\nOnly missing stars are loaded. They are "
        "stored on the embedded server, even if another\nis configured, unless you pass --url or "
        "--config.",
        epilog="example:\n  lcdb-notebook demo --targets 100 --plot star.pdf",
    )
    command.add_argument(
        "--targets",
        type=positive,
        default=24,
        metavar="N",
        help="number of stars (default: 24)",
    )
    command.add_argument(
        "--real",
        action="store_true",
        help="download a real star (pi Mensae, sector 1) instead, if there is a network",
    )
    command.add_argument(
        "--plot",
        type=Path,
        default=Path("lcdb_demo.png"),
        metavar="FILE",
        help="the file of the plot (default: lcdb_demo.png in this folder)",
    )
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    file: Path = given.plot
    check_file(file, "--plot")
    elsewhere = given.url is not None or given.config is not None
    # Synthetic stars are stored in a shared database only if the command line names it.
    embedded = given.embedded if elsewhere or given.embedded is not None else True
    with connect(
        given.url, config=given.config, embedded=embedded, write=True, create=True
    ) as database:
        print_output(f"{database!r}\n")
        plotted = REAL if given.real and _load_real(database) else PLOTTED
        if plotted is PLOTTED:
            _load_synthetic(database, given.targets)
        print_output(summary(database))
        _plot(database, file, plotted)
    own = isinstance(given.embedded, str) and str(Path(given.embedded).expanduser().absolute())
    where = "..." if elsewhere else f"embedded={own or True!r}"
    print_output(
        "\nNext, open the notebook 01_quickstart.ipynb in JupyterLab:\n\n    lcdb-notebook lab\n\n"
        "or run in Python:\n\n"
        "    import lcdb_notebook as lcdb\n"
        f"    db = lcdb.connect({where})\n"
        f"    db.search({plotted['target']}, sector=1)"
    )
    return 0


def _load_synthetic(database: Database, targets: int) -> None:
    added = demo.load(database.session, targets)
    if added:
        print_output(f"Loaded the demonstration data: {added:,} new light curves.\n")
    else:
        print_output("The demonstration data already exist.\n")


def _load_real(database: Database) -> bool:
    """Download and ingest a real star; if that is not possible, print the reason."""
    criteria = {name: REAL[name] for name in ("author", "sector", "exptime")}
    try:
        result = search(f"{REAL['catalog']} {REAL['target']}", criteria)
        report = database.ingest(result, on_error="raise", progress=False)
    except (ConfigurationError, IngestError) as error:
        print_output(f"No real star, but synthetic ones are loaded: {error}\n")
        return False
    if not report.files:
        print_output("No real star, but synthetic ones are loaded: MAST does not have it\n")
        return False
    print_output(f"Loaded pi Mensae: {report.light_curves} new light curves.\n")
    return True


def _plot(database: Database, file: Path, plotted: dict[str, Any]) -> None:
    save(database.search(**plotted).plot(quality_bitmask="hard"), file)
    print_output(f"\nPlotted one light curve with its flagged cadences in {file.absolute()}")
