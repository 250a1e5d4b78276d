"""Python code that reproduces a search."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from lcdb_notebook import models
from lcdb_notebook.lightcurve.record import RAW
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.criteria import Criteria

__all__ = ["call", "name_of", "search_arguments", "selection_code"]


def selection_code(selection: Selection, *, name: str = "db") -> str:
    """Return a Python expression that finds the same light curves: a search and a slice.

    Parameters
    ----------
    selection : Selection
        The light curves.
    name : str, optional
        The name of the variable that refers to the database.

    Returns
    -------
    str

    Examples
    --------
    >>> print(selection_code(db.search(3, sector=[1, 2], processing="raw")[2:4]))
    db.search(3, sector=[1, 2], processing="raw")[2:4]
    """
    search = selection._search
    written = call(f"{name}.search", search_arguments(search.criteria, name=name))
    start = search.offset
    stop = None if search.limit is None else start + search.limit
    if start == 0 and stop is None:
        return written
    return f"{written}[{start or ''}:{'' if stop is None else stop}]"


class Expression(str):
    """Python code, in contrast to a value."""


def search_arguments(criteria: Criteria, *, name: str = "db") -> dict[str, Any]:
    """Return the arguments of a search; "target" is the positional one.

    Parameters
    ----------
    criteria : Criteria
        The search.
    name : str, optional
        The name of the variable that refers to the database.

    Returns
    -------
    dict
    """
    targets = [
        Expression(f"{name}.session.get(lcdb.models.Target, {id_})")
        for id_ in criteria.target_ids or ()
    ]
    classes = [_class(type_) for type_ in criteria.types]
    arguments: dict[str, Any] = {
        "target": _one_or_all((*(criteria.numbers or ()), *targets)),
        "catalog": _one_or_all(criteria.catalogs),
        "observation": _one_or_all((*criteria.observations, *classes)),
        **{field: _one_or_all(values) for field, values in criteria.fields.items()},
        "instrument": _one_or_all(criteria.instruments),
        "photometry": _one_or_all(criteria.photometry),
        "processing": _one_or_all(
            tuple(str(RAW) if name is None else name for name in criteria.processing)
        ),
    }
    return {argument: value for argument, value in arguments.items() if value != ()}


def call(function: str, arguments: Mapping[str, Any]) -> str:
    """Return the code of a call; "target" is written first and without its name.

    Parameters
    ----------
    function : str
        The function.
    arguments : mapping
        Its arguments by name.

    Returns
    -------
    str

    Examples
    --------
    >>> print(call("db.search", {"target": 261136679, "sector": 1, "processing": "PDCSAP"}))
    db.search(261136679, sector=1, processing="PDCSAP")
    """
    written = [
        _literal(value) if name == "target" else f"{name}={_literal(value)}"
        for name, value in arguments.items()
    ]
    return f"{function}({', '.join(written)})"


def name_of(thing: object, otherwise: str = "db") -> str:
    """Return the name of a variable of the notebook that refers to an object.

    Parameters
    ----------
    thing : object
        The object.
    otherwise : str, optional
        Returned if no variable refers to it; also preferred among several.

    Returns
    -------
    str
    """
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return otherwise
    shell: Any = get_ipython()
    names = {} if shell is None else shell.user_ns
    found = [name for name, value in list(names.items()) if value is thing and name[0] != "_"]
    return otherwise if otherwise in found or not found else min(found)


def _one_or_all(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else list(values) if values else ()


def _class(type_: str) -> Expression:
    """Return the name of an observation class, qualified if it is in ``lcdb.models``."""
    class_ = sa.inspect(models.Observation).polymorphic_map[type_].class_
    ours = getattr(models, class_.__name__, None) is class_
    return Expression(f"lcdb.models.{class_.__name__}" if ours else class_.__name__)


def _literal(value: Any) -> str:
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str):
        # With double quotes, as formatters write them.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, uuid.UUID):
        return f'__import__("uuid").UUID("{value}")'
    return repr(value)
