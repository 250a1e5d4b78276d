"""The command ``lcdb-notebook``: fill a database, search and export it, back it up.

Exit codes: 0 success, 1 nothing was found or some files were skipped, 2 failure (with the reason in
one line), 130 interrupted, 141 the output was closed, as by ``head``.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from lcdb_notebook import __version__
from lcdb_notebook.cli import (
    app,
    backup,
    completion,
    demo,
    export,
    fetch,
    info,
    ingest,
    notebooks,
    plot,
    search,
)
from lcdb_notebook.cli.options import (
    CLOSED,
    CODES,
    FAILED,
    INTERRUPTED,
    LAYOUT,
    NOTHING_FOUND,
    Parser,
)
from lcdb_notebook.cli.output import print_error
from lcdb_notebook.errors import LCDBError, NotFoundError
from lcdb_notebook.errors.advice import for_terminal

__all__ = ["main"]

COMMANDS = (demo, notebooks, ingest, fetch, info, search, plot, export, app, backup, completion)
"""The modules of the commands; ``add`` of each adds its arguments to a parser."""

_EXAMPLES = """\
examples:
  lcdb-notebook demo                        try it with synthetic stars on the embedded server
  lcdb-notebook ingest ~/.lightkurve/cache  ingest all files that lightkurve has downloaded
  lcdb-notebook ingest 'qlp/*.fits.gz' --url postgresql://ada@pdo.example.org/lightcurvedb
  lcdb-notebook fetch "TIC 261136679" --sector 1 --author SPOC
  lcdb-notebook info --config db.conf       list the contents of that database
  lcdb-notebook search 261136679 --sector 1 list the light curves of a star
  lcdb-notebook app                         explore it in a browser, without a notebook
  lcdb-notebook backup lightcurves.dump     back it up into one file
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line after ``lcdb-notebook``; by default that of this process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        If the arguments are invalid (2), or after ``--help`` and ``--version`` (0).
    """
    parser = _parser()
    ours, jupyterlab = notebooks.split_options(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(ours)
    given.jupyterlab = jupyterlab
    given.parser = parser
    if given.command is None:
        parser.print_help(sys.stderr)
        return FAILED
    with warnings.catch_warnings(record=True) as caught, for_terminal():
        # Printed at the end, in one line each, even if PYTHONWARNINGS turns warnings into errors.
        warnings.simplefilter("default", UserWarning)
        # lightkurve warns at import, of a module that no command uses.
        warnings.filterwarnings("ignore", "Warning: the tpfmodel submodule", UserWarning)
        try:
            code: int = given.run(given)
        except LCDBError as error:
            print_error(traceback.format_exc() if given.debug else f"lcdb-notebook: {error}")
            code = NOTHING_FOUND if isinstance(error, NotFoundError) else FAILED
        except KeyboardInterrupt:
            print_error("lcdb-notebook: interrupted")
            code = INTERRUPTED
        except BrokenPipeError:
            # Nothing more can be printed, also not when Python flushes its output at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = CLOSED
        for warning in caught:
            print_error(f"lcdb-notebook: warning: {warning.message}")
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="lcdb-notebook",
        description="Fill a LightcurveDB, search and export it, explore it, back it up.",
        epilog=f"{_EXAMPLES}\nOptions of a command: lcdb-notebook COMMAND --help\n{CODES}",
        formatter_class=LAYOUT,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add(commands)
    return parser
