"""Import optional packages when they are needed."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from lcdb_notebook.errors import MissingExtraError

__all__ = ["required"]


def required(module: str, *, extra: str, needed_by: str) -> Any:
    """Import a module of an extra, or raise an error with the command that installs it.

    Parameters
    ----------
    module : str
        Full name of the module, such as ``"pyarrow.parquet"``.
    extra : str
        The extra of this package that installs it.
    needed_by : str
        The feature that needs it, for the message, such as ``"to_nested()"``.

    Returns
    -------
    module
        The module: ``pyarrow.parquet``, not ``pyarrow``.

    Raises
    ------
    MissingExtraError
        If the module, or a module that it imports, is not installed.

    Examples
    --------
    >>> required("no_such_module", extra="nested", needed_by="to_nested()")
    Traceback (most recent call last):
    lcdb_notebook.errors.MissingExtraError: to_nested() needs the package no_such_module, which is
    not installed; install it with: pip install "lcdb-notebook[nested]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        raise MissingExtraError(
            f"{needed_by} needs the package {missing}, which is not installed; install it with: "
            f'{_pip()} install "lcdb-notebook[{extra}]"'
        ) from error


def _pip() -> str:
    """Return the command that installs packages here; in IPython, it must be a magic command."""
    ipython: Any = sys.modules.get("IPython")
    return "pip" if ipython is None or ipython.get_ipython() is None else "%pip"
