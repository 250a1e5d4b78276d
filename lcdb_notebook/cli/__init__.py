"""The command ``lcdb-notebook``: fill a database, see what it holds, back it up.

Exit codes: 0, all is well; 1, some files were skipped; 2, nothing could be done, for a reason that
is told in one line; 130, interrupted.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence

from lcdb_notebook import __version__
from lcdb_notebook.cli import app, backup, demo, info, ingest
from lcdb_notebook.cli.options import CODES, FAILED, INTERRUPTED, LAYOUT, Parser
from lcdb_notebook.cli.output import complain
from lcdb_notebook.errors import LCDBError

__all__ = ["main"]

COMMANDS = (demo, ingest, info, app, backup)
"""A module each, whose ``add`` tells a parser its arguments and the function that does it."""

_EXAMPLES = """\
examples:
  lcdb-notebook demo                        try it out: synthetic stars, on a server of your own
  lcdb-notebook ingest ~/.lightkurve/cache  take in all that lightkurve has ever downloaded
  lcdb-notebook ingest 'qlp/*.fits.gz' --url postgresql://ada@pdo.example.org/lightcurvedb
  lcdb-notebook info --config db.conf       see what that database holds
  lcdb-notebook app                         explore it in a browser, without a notebook
  lcdb-notebook backup lightcurves.dump     write all of it into one file
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
            complain(traceback.format_exc() if given.debug else f"lcdb-notebook: {error}")
            code = FAILED
        except KeyboardInterrupt:
            complain("lcdb-notebook: interrupted")
            code = INTERRUPTED
        for warning in caught:
            complain(f"lcdb-notebook: warning: {warning.message}")
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="lcdb-notebook",
        description="A LightcurveDB for notebooks: fill it, and see what is in it.",
        epilog=f"{_EXAMPLES}\nlcdb-notebook COMMAND --help tells more.\n{CODES}",
        formatter_class=LAYOUT,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add(commands)
    return parser
