"""The command ``lcdb-notebook``: demonstration data, files into a database, what a database holds.

Exit codes: 0, all is well; 1, some files were skipped; 2, nothing could be done, for a reason that
is told in one line; 130, interrupted.
"""

from __future__ import annotations

import argparse
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lcdb_notebook import __version__, demo, listing
from lcdb_notebook.database import Database, connect
from lcdb_notebook.errors import ConfigurationError, LCDBError

SKIPPED, FAILED, INTERRUPTED = 1, 2, 130

PLOTTED = {
    "target": 1,
    "catalog": "DEMO",
    "sector": 1,
    "exptime": 120,
    "photometry": "DEMO aperture 2px",
    "processing": "DEMO SYS_RM",
}
"""What ``demo`` draws: a planet's transits between momentum dumps and stray light."""

_EXAMPLES = """\
examples:
  lcdb-notebook demo                        try it out: synthetic stars, on a server of your own
  lcdb-notebook ingest ~/.lightkurve/cache  take in all that lightkurve has ever downloaded
  lcdb-notebook ingest 'qlp/*.fits.gz' --url postgresql://ada@pdo.example.org/lightcurvedb
  lcdb-notebook info --config db.conf       see what that database holds
"""

_CODES = """\
exit codes: 0 all is well, 1 some files were skipped, 2 it failed, 130 it was interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        As after ``lcdb-notebook`` on the command line; None takes those of this process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        If the arguments make no sense (2), or after ``--help`` and ``--version`` (0).
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help(sys.stderr)
        return FAILED
    with warnings.catch_warnings(record=True) as caught:
        # Told at the end, in a line each, whatever PYTHONWARNINGS makes of them.
        warnings.simplefilter("default", UserWarning)
        try:
            code: int = given.run(given)
        except LCDBError as error:
            _complain(traceback.format_exc() if given.debug else f"lcdb-notebook: {error}")
            code = FAILED
        except KeyboardInterrupt:
            _complain("lcdb-notebook: interrupted")
            code = INTERRUPTED
        for warning in caught:
            _complain(f"lcdb-notebook: warning: {warning.message}")
    return code


def _demo(given: argparse.Namespace) -> int:
    file: Path = given.plot
    _check_plot(file)
    elsewhere = given.url is not None or given.config is not None
    # Synthetic stars go to a shared database only if that was named here and now.
    embedded = given.embedded if elsewhere or given.embedded is not None else True
    with connect(
        given.url, config=given.config, embedded=embedded, write=True, create=True
    ) as database:
        _say(f"{database!r}\n")
        added = demo.load(database.session, given.targets)
        if added:
            _say(f"Loaded the demonstration data: {added:,} new light curves.\n")
        else:
            _say("The demonstration data are there already.\n")
        _say(_summary(database))
        _plot(database, file)
    own = isinstance(given.embedded, str) and str(Path(given.embedded).expanduser().absolute())
    where = "..." if elsewhere else f"embedded={own or True!r}"
    _say(
        "\nTo go on, open the notebook 01_quickstart.ipynb in JupyterLab:\n\n    make lab\n\n"
        "or in a Python of your own:\n\n"
        "    import lcdb_notebook as lcdb\n"
        f"    db = lcdb.connect({where})\n"
        "    db.search(1, sector=1)"
    )
    return 0


def _ingest(given: argparse.Namespace) -> int:
    with connect(given.url, config=given.config, embedded=given.embedded, write=True) as database:
        _say(repr(database))
        report = database.ingest(given.paths, on_error=given.on_error)
    _say(repr(report))
    return SKIPPED if report.skipped else 0


def _info(given: argparse.Namespace) -> int:
    with connect(given.url, config=given.config, embedded=given.embedded) as database:
        _say(f"{database!r}\n")
        _say(_summary(database))
    return 0


def _summary(database: Database) -> str:
    """Lay out what a database holds: a line a thing, with its number and names."""
    with database.using() as session:
        table = listing.summary(session)
    if table.loc[table["what"] == "light curves", "number"].sum() == 0:
        return (
            "It holds no light curves yet. `lcdb-notebook ingest PATH` takes files in, and "
            "`lcdb-notebook demo` loads synthetic stars."
        )
    lines = []
    for row in table.itertuples():
        number = f"{row.number:,}" if row.exact else f"about {row.number:,}"
        lines.append((str(row.what), number, str(row.which)))
    wide, long = (max(len(line[column]) for line in lines) for column in (0, 1))
    return "\n".join(f"  {a:<{wide}}  {b:>{long}}  {c}".rstrip() for a, b, c in lines)


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
    _say(f"\nOne of them, with its flagged cadences marked, is drawn in {file.absolute()}")


# How it talks


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="lcdb-notebook",
        description="A LightcurveDB for notebooks: fill it, and see what is in it.",
        epilog=f"{_EXAMPLES}\nlcdb-notebook COMMAND --help tells more.\n{_CODES}",
        formatter_class=layout,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    about = "load synthetic stars, say what is there, draw a light curve"
    command = commands.add_parser(
        "demo",
        help=about,
        formatter_class=layout,
        description=f"{about[0].upper()}{about[1:]}.\nOnly what is missing is loaded. Unless you "
        "name a database here, they go to the server\nof your own, whatever is configured.",
        epilog="example:\n  lcdb-notebook demo --targets 100 --plot star.pdf",
    )
    command.add_argument(
        "--targets", type=_positive, default=24, metavar="N", help="how many stars (default: 24)"
    )
    command.add_argument(
        "--plot",
        type=Path,
        default=Path("lcdb_demo.png"),
        metavar="FILE",
        help="where to draw a light curve (default: lcdb_demo.png in this folder)",
    )
    _add_common(command)
    command.set_defaults(run=_demo)

    command = commands.add_parser(
        "ingest",
        help="take light-curve files in",
        formatter_class=layout,
        description="Take light-curve files in: SPOC, TESS-SPOC, QLP, TGLC, Kepler and K2, .fits "
        "or .h5, gzip-compressed or not.\nA file goes in as a whole or not at all, and one that is "
        "there already changes nothing.",
        epilog="examples:\n  lcdb-notebook ingest ~/.lightkurve/cache\n"
        "  lcdb-notebook ingest 'sector-*/*.fits.gz' tess2018206045859-s0001-*_lc.fits\n"
        f"  lcdb-notebook ingest files --embedded=/data/mine\n\n{_CODES}",
    )
    command.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file, a folder with all below it, or a pattern"
    )
    command.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        default="skip",
        help="skip bad files and say why (default), or stop at the first",
    )
    _add_common(command)
    command.set_defaults(run=_ingest)

    command = commands.add_parser(
        "info",
        help="say which database it is and what it holds",
        formatter_class=layout,
        description="Say which database it is, and how many stars, observations and light curves "
        "it holds.",
        epilog="example:\n  lcdb-notebook info --config ~/.config/lightcurvedb/db.conf",
    )
    _add_common(command)
    command.set_defaults(run=_info)
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
    which = command.add_argument_group(
        "which database",
        "Without any of these: ~/.config/lightcurvedb/db.conf, then the environment (LCDB_URL,\n"
        "PGHOST, ...), then a PostgreSQL server of your own, which is started if need be.",
    ).add_mutually_exclusive_group()
    which.add_argument("--url", help="postgresql://user@host:port/database")
    which.add_argument(
        "--config", metavar="FILE", help="a file with a section [Credentials], such as db.conf"
    )
    which.add_argument(
        "--embedded",
        nargs="?",
        const=True,
        metavar="FOLDER",
        help="the server of your own, whatever else is configured; its data are in FOLDER "
        "(default: $LCDB_DATA, or your user data folder)",
    )
    command.add_argument("--debug", action="store_true", help="show where in the code it failed")


class _Parser(argparse.ArgumentParser):
    """Repeats no password when it complains of an argument."""

    def error(self, message: str) -> NoReturn:
        super().error(_without_password(message))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def _say(text: str) -> None:
    print(_without_password(text), flush=True)


def _complain(text: str) -> None:
    print(_without_password(text), file=sys.stderr, flush=True)


def _without_password(text: str) -> str:
    """Blot out the password of every URL: a person may give one where a path is expected."""
    return re.sub(r"(://[^/\s:@]*:)[^\s/]*@", r"\1***@", text)
