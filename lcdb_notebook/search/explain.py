"""Explain why a search has no results, or finds several stars, and what to do."""

from __future__ import annotations

import difflib
import shlex
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import (
    AmbiguousError,
    LCDBError,
    LightCurveNotFoundError,
    NameNotFoundError,
    TargetNotFoundError,
)
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.lightcurve.record import RAW
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    MissionCatalog,
    NumpyArray,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.criteria import Criteria

__all__ = [
    "check_one_catalog",
    "check_raw",
    "criteria_text",
    "explain",
    "missing_column",
    "missing_numbers",
]

# Larger numbers of targets are the planner's estimate, because counting reads the whole table.
_COUNTED = 10_000


def explain(session: orm.Session, criteria: Criteria) -> LCDBError:
    """Find the first criterion without a match in the database, in three statements.

    Each name of a mission, and each text in a field of observations, takes one more statement.

    Returns
    -------
    LCDBError
        An instance of a subclass of :class:`~lcdb_notebook.errors.NotFoundError`, for the caller
        to raise.
    """
    available = _names(session)
    if not available["light curve"]:
        return LightCurveNotFoundError(
            "this database has no light curves yet. Add some with "
            + advice(
                python="db.ingest(paths), after lcdb.connect(write=True), or with "
                "`lcdb-notebook demo`",
                terminal="`lcdb-notebook ingest PATH`, or with `lcdb-notebook demo`",
            )
        )
    requested = {
        "catalog": criteria.catalogs,
        "instrument": [i for i in criteria.instruments if isinstance(i, str)],
        "photometric source": criteria.photometry,
        "processing method": [p for p in criteria.processing if p is not None],
    }
    for kind, names in requested.items():
        unknown = [name for name in names if name not in available[kind]]
        if unknown:
            return NameNotFoundError(
                f"no {kind} named {unknown[0]!r}; available: "
                f"{_nearest_first(unknown[0], available[kind])}{_hint(kind)}"
            )
    if criteria.numbers is not None:
        absent = missing_numbers(session, criteria)
        if len(absent) == len(set(criteria.numbers)):
            catalogs = list(criteria.catalogs) or available["catalog"]
            return TargetNotFoundError(_no_target(session, catalogs, absent))
    for kind, texts, column in _texts(criteria):
        # Rows of other missions do not have the field.
        query = sa.select(column).where(column.is_not(None)).distinct()
        known = sorted(session.scalars(layout.present(session, query)))
        if not {*texts} & {*known}:
            # A listing by a field may be empty; an author or a mission is a name.
            error = NameNotFoundError if kind in ("author", "mission") else LightCurveNotFoundError
            return error(
                f"no {kind} named {texts[0]!r}; available: {_nearest_first(texts[0], known)}"
            )
    return LightCurveNotFoundError(
        f"no light curve matches all of {criteria_text(criteria)}; "
        "drop one criterion to see what exists"
    )


def _hint(kind: str) -> str:
    if kind == "catalog":
        return "; to find a star, pass its number in one of these catalogs"
    if kind == "processing method":
        raw = advice(python="processing='raw'", terminal="--processing raw")
        return f"; {raw} selects raw photometry"
    return ""


def _texts(criteria: Criteria) -> Iterator[tuple[str, tuple[str, ...], sa.ColumnElement[str]]]:
    """Yield the missions, and the fields that are compared with text only, such as ``author``."""
    if criteria.missions:
        yield "mission", criteria.missions, sa.func.split_part(Observation.type, "_", 1)
    for name, values in criteria.fields.items():
        columns = criteria.columns[name]
        if len(columns) == 1 and all(isinstance(value, str) for value in values):
            yield name, values, columns[0]


def missing_numbers(session: orm.Session, criteria: Criteria) -> list[int]:
    """List the requested catalog numbers that do not exist in the searched catalogs."""
    numbers = list(dict.fromkeys(criteria.numbers or ()))
    present = set(session.scalars(layout.present(session, _present(criteria, numbers))))
    return [number for number in numbers if number not in present]


def missing_column(criteria: Criteria, number: int) -> sa.ColumnElement[Any]:
    """Return a column with what :func:`missing_numbers` lists, for another statement.

    Parameters
    ----------
    criteria : Criteria
        The criteria.
    number : int
        Of so many, the column has the numbers themselves.

    Returns
    -------
    sqlalchemy.ColumnElement
        A JSON array of the number of missing targets, and an array of the first ones.
    """
    numbers = list(dict.fromkeys(criteria.numbers or ()))
    array = sa.literal(numbers, NumpyArray("int64"))
    each = sa.func.unnest(array).table_valued("number", with_ordinality="place")
    asked = each.render_derived(name="asked")
    # Not NOT IN: of more numbers than fit in work_mem, each would be compared with each.
    present = _in_catalogs(sa.select(Target.id).where(Target.name == asked.c.number), criteria)
    missing = sa.select(asked.c.number, asked.c.place).where(~present.exists()).cte("missing")
    first = sa.select(missing.c.number).order_by(missing.c.place).limit(number)
    return sa.func.json_build_array(
        sa.select(sa.func.count()).select_from(missing).scalar_subquery(),
        sa.func.array(first.scalar_subquery()),
    )


def _present(criteria: Criteria, numbers: list[int]) -> sa.Select[Any]:
    return _in_catalogs(sa.select(Target.name).where(sql.any_of(Target.name, numbers)), criteria)


def _in_catalogs(targets: sa.Select[Any], criteria: Criteria) -> sa.Select[Any]:
    if not criteria.catalogs:
        return targets
    return targets.join(MissionCatalog).where(MissionCatalog.name.in_(criteria.catalogs))


def check_one_catalog(rows: Iterable[Any], criteria: Criteria) -> None:
    """Check that a catalog number does not match different stars in different catalogs.

    Raises
    ------
    AmbiguousError
        If it matches several; the message contains the number and the catalogs.
    """
    if criteria.numbers is None or criteria.aliases:
        return
    catalog_of: dict[int, str] = {}
    for row in rows:
        first = catalog_of.setdefault(row.target, row.catalog)
        if first != row.catalog:
            choice = advice(
                python=f"catalog={first!r} or catalog={row.catalog!r}",
                terminal=f"--catalog {shlex.quote(first)} or --catalog {shlex.quote(row.catalog)}",
            )
            raise AmbiguousError(
                f"{row.target} is in two catalogs, {first} and {row.catalog}, as different stars; "
                f"pass {choice}"
            )


def check_raw(rows: Iterable[Any]) -> None:
    """Refuse ``processing="raw"`` if a processing method has that name.

    Raises
    ------
    AmbiguousError
        With the two meanings.
    """
    for row in rows:
        if row.processing is not None and row.processing.lower() == RAW:
            raise AmbiguousError(
                advice(python="processing='raw'", terminal="--processing raw")
                + f" is ambiguous, because a processing method is named {row.processing!r}; "
                + advice(
                    python="pass lcdb.RAW for light curves without processing, or the "
                    "ProcessingMethod object",
                    terminal="leave it out to select both",
                )
            )


def _names(session: orm.Session) -> dict[str, list[str]]:
    """Read the names of every kind, and whether any light curve exists, in one statement."""
    kinds: dict[str, type[Any]] = {
        "catalog": MissionCatalog,
        "instrument": Instrument,
        "photometric source": PhotometricSource,
        "processing method": ProcessingMethod,
    }
    # In the order of the key, because scanning a table with many deleted rows is slow.
    some = sa.select(DataSet.id).order_by(DataSet.id).limit(1).subquery()
    arms = [sa.select(sa.literal("light curve").label("kind"), sa.literal("").label("name"))]
    arms[0] = arms[0].select_from(some)
    arms += [sa.select(sa.literal(kind), model.name) for kind, model in kinds.items()]
    found: dict[str, list[str]] = {kind: [] for kind in ("light curve", *kinds)}
    arranged = layout.of(session)
    one = () if arranged.keyed is None else (arranged.keyed.any_one(session),)
    statement = arranged.present(sa.union(*arms).order_by("kind", "name"), *one)
    for kind, name in session.execute(statement):
        if name is not None:
            found[kind].append(name)
    return found


def _no_target(session: orm.Session, catalogs: Sequence[str], absent: Sequence[int]) -> str:
    listed = ", ".join(map(str, absent[:5])) + (", ..." if len(absent) > 5 else "")
    some = sa.select(Target.id).order_by(Target.id).limit(_COUNTED + 1).subquery()
    estimate = sa.text("(SELECT reltuples::bigint FROM pg_class WHERE oid = 'target'::regclass)")
    counted, estimated = session.execute(
        sa.select(sa.func.count(), estimate).select_from(some)
    ).one()
    if counted > _COUNTED:
        size = f"about {max(estimated, counted):,} targets"
    else:
        size = f"{counted:,} target{'' if counted == 1 else 's'}"
    where = f"catalog {catalogs[0]}" if len(catalogs) == 1 else f"catalogs {', '.join(catalogs)}"
    listing = advice(
        python="db.targets() lists them", terminal="`lcdb-notebook search` lists their light curves"
    )
    return f"no target {listed} in {where}; this database has {size} ({listing})"


def _nearest_first(name: str, known: list[str]) -> str:
    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()

    ordered = sorted(known, key=likeness, reverse=True)
    shown = ", ".join(repr(other) for other in ordered[:12])
    return (shown + (", ..." if len(ordered) > 12 else "")) or "none yet"


def criteria_text(criteria: Criteria) -> str:
    """Return criteria as in a call of search, with at most five values each."""
    parts = {
        "target": criteria.numbers or (),
        "targets of id": criteria.target_ids or (),
        "catalog": criteria.catalogs,
        "mission": criteria.missions,
        "observation": (*criteria.observations, *criteria.types),
        "instrument": criteria.instruments,
        "photometry": criteria.photometry,
        "processing": ["raw" if p is None else p for p in criteria.processing],
        **criteria.fields,
    }
    shown = [f"{name}={_short(values)}" for name, values in parts.items() if values]
    return ", ".join(shown) or "the search"


def _short(values: Sequence[Any]) -> str:
    shown = ", ".join(str(v) if isinstance(v, uuid.UUID) else repr(v) for v in values[:5])
    if len(values) == 1:
        return shown
    return f"[{shown}{', ...' if len(values) > 5 else ''}]"
