"""Python that finds again what was clicked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from lcdb_notebook import models
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.criteria import RAW, Criteria

__all__ = ["call", "name_of", "search_arguments", "selection_code"]


def selection_code(selection: Selection, *, name: str = "db") -> str:
    """Write the search, and the cut, that give a Selection again.

    Parameters
    ----------
    selection
        What is to be found again.
    name
        What the database is called there.

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> print(selection_code(db.search(3, sector=[1, 2], processing="raw")[2:4]))
    db.search(3, sector=[1, 2], processing="raw")[2:4]
    """
    search = selection._search
    written = call(f"{name}.search", search_arguments(search.wanted, name=name))
    start = search._offset
    stop = None if search._limit is None else start + search._limit
    if start == 0 and stop is None:
        return written
    return f"{written}[{start or ''}:{'' if stop is None else stop}]"


class Expression(str):
    """Python that is written as it is."""


def search_arguments(wanted: Criteria, *, name: str = "db") -> dict[str, Any]:
    """Give the arguments of a search again; "target" is its first."""
    targets = [
        Expression(f"{name}.session.get(lcdb.models.Target, {id_})")
        for id_ in wanted.target_ids or ()
    ]
    classes = [_class(type_) for type_ in wanted.types]
    arguments: dict[str, Any] = {
        "target": _one_or_all((*(wanted.numbers or ()), *targets)),
        "catalog": _one_or_all(wanted.catalogs),
        "observation": _one_or_all((*wanted.observations, *classes)),
        **{field: _one_or_all(values) for field, values in wanted.fields.items()},
        "instrument": _one_or_all(wanted.instruments),
        "photometry": _one_or_all(wanted.photometry),
        "processing": _one_or_all(tuple(name or RAW for name in wanted.processing)),
    }
    return {argument: value for argument, value in arguments.items() if value != ()}


def call(function: str, arguments: Mapping[str, Any]) -> str:
    """Write a call; "target" goes first and without its name.

    Examples
    --------
    >>> print(call("db.search", {"target": 261136679, "sector": 1, "processing": "PDCSAP"}))
    db.search(261136679, sector=1, processing="PDCSAP")
    """
    told = [
        _literal(value) if name == "target" else f"{name}={_literal(value)}"
        for name, value in arguments.items()
    ]
    return f"{function}({', '.join(told)})"


def name_of(thing: object, otherwise: str = "db") -> str:
    """Find what a variable of the notebook calls something; ``otherwise`` where none does."""
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
    """Name a class of observations: one of ours in full, another as whoever wrote it calls it."""
    class_ = sa.inspect(models.Observation).polymorphic_map[type_].class_
    ours = getattr(models, class_.__name__, None) is class_
    return Expression(f"lcdb.models.{class_.__name__}" if ours else class_.__name__)


def _literal(value: Any) -> str:
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str):
        # In double quotes, as formatted code has them.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, uuid.UUID):
        return f'__import__("uuid").UUID("{value}")'
    return repr(value)
