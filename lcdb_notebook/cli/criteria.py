"""Options that select light curves, which ``search``, ``plot`` and ``export`` share."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any

from lcdb_notebook.cli.options import positive
from lcdb_notebook.database import Database
from lcdb_notebook.read.selection import Selection

__all__ = ["add_criteria", "add_limit", "add_quality", "select"]

_NAMES = {
    "catalog": "name of the catalog of the targets",
    "author": "pipeline, such as SPOC",
    "instrument": "name of an instrument; its parts are included",
    "photometry": "name of the photometric source",
    "processing": "name of the processing method, or raw",
}

_NOT_FIELDS = frozenset(inspect.signature(Database.search).parameters)


def add_criteria(command: argparse.ArgumentParser) -> None:
    """Add the targets and the options that select light curves."""
    command.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="catalog number, such as 261136679 or 'TIC 261136679' (default: all targets)",
    )
    which = command.add_argument_group("light curves")
    which.add_argument("--sector", nargs="+", type=int, metavar="N", help="one or more sectors")
    which.add_argument(
        "--exptime", type=_value, metavar="SECONDS", help="exposure time, or short, fast or long"
    )
    for name, what in _NAMES.items():
        which.add_argument(f"--{name}", nargs="+", metavar="NAME", help=what)
    which.add_argument(
        "--field",
        action="append",
        type=_field,
        metavar="NAME=VALUE",
        help="another field of the observations, such as orbit_number=9; may be repeated",
    )
    which.add_argument(
        "--best", action="store_true", help="only one light curve per target and sector"
    )


def add_quality(command: argparse.ArgumentParser) -> None:
    """Add the option that names the quality flags."""
    command.add_argument(
        "--quality-bitmask",
        default="default",
        type=_bitmask,
        metavar="BITS",
        help="quality flags that mark a cadence: none, default, hard, hardest, an integer, or the "
        "name of a flag (default: default)",
    )


def select(given: argparse.Namespace, database: Database, *, limit: int | None = None) -> Selection:
    """Search the database for the light curves that the command line names."""
    criteria: dict[str, Any] = dict(given.field or ())
    for name in (*_NAMES, "sector", "exptime"):
        value = getattr(given, name)
        if value is not None:
            criteria[name] = value
    found = database.search(given.targets or None, limit=limit, **criteria)
    return found.best() if given.best else found


def add_limit(command: argparse.ArgumentParser, default: int) -> None:
    """Add the largest number of rows."""
    command.add_argument(
        "--limit",
        type=positive,
        default=default,
        metavar="N",
        help=f"largest number of rows (default: {default:,})",
    )


def _value(text: str) -> int | float | str:
    readers: tuple[Callable[[str], int | float], ...] = (int, float)
    for read in readers:
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _bitmask(text: str) -> int | str:
    value = _value(text)
    return value if isinstance(value, int) else text


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    if name in _NOT_FIELDS:
        raise argparse.ArgumentTypeError(f"{name!r} is not a field of the observations")
    return name, _value(value)
