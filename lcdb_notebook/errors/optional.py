"""Packages that only some uses need, imported when one of those is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from lcdb_notebook.errors import MissingExtraError

__all__ = ["required"]


def required(module: str, *, extra: str, wanted_by: str) -> Any:
    """Import a module of an extra, or say how to install it.

    Parameters
    ----------
    module
        As ``import`` names it: ``"pyarrow.parquet"``.
    extra
        Which of the package's extras brings it.
    wanted_by
        What was asked for, for the message: ``"to_nested()"``.

    Returns
    -------
    module
        The module itself, ``pyarrow.parquet`` and not ``pyarrow``.

    Raises
    ------
    MissingExtraError
        If it, or something that it needs itself, is not installed.

    Examples
    --------
    >>> required("no_such_module", extra="nested", wanted_by="to_nested()")
    Traceback (most recent call last):
    lcdb_notebook.errors.MissingExtraError: to_nested() needs the package no_such_module, which is
    not installed. In a notebook: %pip install "lcdb-notebook[nested]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        raise MissingExtraError(
            f"{wanted_by} needs the package {missing}, which is not installed. In a notebook: "
            f'%pip install "lcdb-notebook[{extra}]"'
        ) from error
