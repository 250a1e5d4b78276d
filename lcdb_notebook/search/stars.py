"""Parameters of stars, and aliases: targets that are the same star."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import AmbiguousError, SchemaError
from lcdb_notebook.lightcurve.record import StarParameter
from lcdb_notebook.models import MissionCatalog, Target
from lcdb_notebook.models.tables.access import explain_rights
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.criteria import Criteria

__all__ = ["aliases", "parameters", "with_aliases"]


def parameters(
    session: orm.Session, targets: Collection[int]
) -> dict[int, dict[str, StarParameter]]:
    """Read the parameters of stars, in one statement; empty if the database does not have them.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    targets : collection of int
        Ids of targets.

    Returns
    -------
    dict of int to dict of str to StarParameter
        Parameters by id of the target, and name. Numbers that are not finite are left out.
    """
    statement = layout.of(session).parameters
    if statement is None or not targets:
        return {}
    found: dict[int, dict[str, StarParameter]] = {}
    for target, name, value, unit, *errors in session.connection().execute(
        statement, {"targets": [*targets]}
    ):
        number, upper, lower = (_finite(one) for one in (value, *errors))
        if number is not None:
            of_star = found.setdefault(target, {})
            of_star[name] = StarParameter(number, unit or "", upper, lower)
    return found


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and isfinite(value) else None


def with_aliases(session: orm.Session, criteria: Criteria) -> Criteria:
    """Return criteria for the named targets and their aliases, by id.

    Aliases of aliases are not included, because an old entry of a catalog in LightcurveDB may be an
    alias of two stars.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    criteria : Criteria
        Criteria of a search. Without ``aliases``, or without a target, they are returned unchanged.

    Raises
    ------
    SchemaError
        If the database has no aliases.
    AmbiguousError
        If a number is in several catalogs, as stars that are not aliases of each other.
    """
    if not criteria.aliases:
        return criteria
    _require_aliases(session)
    if criteria.numbers is None and criteria.target_ids is None:
        return replace(criteria, aliases=False)
    own = replace(criteria, aliases=False)
    statement = (
        sa.select(Target.id, Target.name, MissionCatalog.name.label("catalog"))
        .join(MissionCatalog, MissionCatalog.id == Target.catalog_id)
        .where(*sql.target_matches(sql.shape_of(own)))
        .order_by(Target.id)
    )
    values = sql.parameters(own)
    named = session.connection().execute(layout.present(session, statement), values).all()
    linked = _linked(session, [row.id for row in named])
    first: dict[int, Any] = {}
    for row in named:
        other = first.setdefault(row.name, row)
        if other is not row and row.id not in linked.get(other.id, ()):
            raise AmbiguousError(
                f"{row.name} is in two catalogs, {other.catalog} and {row.catalog}, as different "
                f"stars; pass catalog={other.catalog!r} or catalog={row.catalog!r}"
            )
    ids = dict.fromkeys(row.id for row in named)
    ids |= dict.fromkeys(one for others in linked.values() for one in others)
    return replace(own, numbers=None, catalogs=(), target_ids=tuple(ids))


def aliases(session: orm.Session, targets: Sequence[int]) -> Mapping[int, list[str]]:
    """Return the names of the aliases of targets, such as "KIC 757076", by id of the target.

    Raises
    ------
    SchemaError
        If the database has no aliases.
    """
    _require_aliases(session)
    linked = _linked(session, targets)
    ids = {one for others in linked.values() for one in others}
    statement = (
        sa.select(Target.id, Target.name, MissionCatalog.name.label("catalog"))
        .join(MissionCatalog, MissionCatalog.id == Target.catalog_id)
        .where(sql.any_of(Target.id, sorted(ids)))
    )
    rows = session.connection().execute(layout.present(session, statement))
    names = {row.id: f"{row.catalog} {row.name}" for row in rows}
    return {id_: sorted(names[one] for one in others) for id_, others in linked.items()}


def _require_aliases(session: orm.Session) -> None:
    if layout.of(session).has_aliases:
        return
    needs = "aliases=True needs the table alias (target_id, counterpart_id)"
    if session.scalar(_MAY_READ_ALIASES) is False:
        why = explain_rights(session.connection(), ["alias"])
        raise SchemaError(f"{needs}: {why}; or omit aliases=")
    raise SchemaError(f"{needs}, which does not exist in this database; omit aliases=")


_MAY_READ_ALIASES = sa.text("SELECT has_table_privilege(to_regclass('alias'), 'SELECT')")

_LINKED = sa.text(
    "SELECT target_id AS one, counterpart_id AS other FROM alias "
    "WHERE target_id = ANY(CAST(:targets AS bigint[])) "
    "UNION SELECT counterpart_id, target_id FROM alias "
    "WHERE counterpart_id = ANY(CAST(:targets AS bigint[]))"
)


def _linked(session: orm.Session, targets: Sequence[int]) -> dict[int, list[int]]:
    """Return the ids of the other targets in pairs with the given ones."""
    linked: dict[int, list[int]] = {}
    for one, other in session.connection().execute(_LINKED, {"targets": [*targets]}):
        linked.setdefault(one, []).append(other)
    return linked
