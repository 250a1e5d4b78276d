"""LightcurveDB 3: DataSets by key, and constants for the pruning of its partitioned tables.

``dataset`` and ``datasethierarchy`` have a partition for each observation, possibly thousands. A
statement without the ids of observations would open and lock all of them. Therefore criteria are
first resolved to ids with the small tables, and keys are read from a few partitions at a time. Then
the statement gets the keys instead of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.lightcurve.dataset_id import DataSetId, DataSetKey
from lcdb_notebook.models import (
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import sql
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.layout.partitions import array, batches, rows

__all__ = ["AT_ONCE", "MOST_KEYS", "Keyed", "parse_keys"]

#: Partitions of DataSets that one statement opens. PostgreSQL locks each and its two indexes; with
#: those of the parent, fewer than 64 locks are held.
AT_ONCE = 19

# A partition of links has three indexes.
_LINKS_AT_ONCE = 14

# Partitions that a statement opens together with the small tables and their indexes.
_TOGETHER = 8

#: Keys that are read first where no target is named; more are searched in parts.
MOST_KEYS = 100_000

_KEY = "observation_id, target_id, photometric_method_id, processing_method_id"


def parse_keys(ids: Iterable[DataSetId]) -> list[DataSetKey]:
    """Read the keys among ids; an integer does not identify a DataSet in these databases."""
    return [DataSetKey.parse(id_) for id_ in ids if isinstance(id_, str)]


@dataclass(frozen=True)
class Keyed:
    """The partitioned tables of a database, by their qualified names.

    Parameters
    ----------
    dataset : str
        The table of DataSets.
    hierarchy : str or None
        The table of lineage; LightcurveDB 3.3 has none.
    presented : tuple of sqlalchemy.CTE
        The other tables.
    """

    dataset: str
    hierarchy: str | None
    presented: tuple[sa.CTE, ...]

    def matching(
        self, session: orm.Session, criteria: Criteria, *, everywhere: bool = False
    ) -> list[sa.CTE]:
        """Present the DataSets of the observations and targets that criteria name.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        criteria : Criteria
            Criteria on targets, observations and methods make the table small; the statement must
            still contain all criteria.
        everywhere : bool, default False
            Include all observations and methods.

        Returns
        -------
        list of sqlalchemy.CTE
            The table; or, if it is too large to be read first, parts of it, each of the DataSets of
            a few observations.
        """
        observations = self._observations(session, Criteria() if everywhere else criteria)
        methods = {} if everywhere else self._methods(session, criteria)
        targets = self._targets(session, criteria)
        keys = self._scan(session, observations, targets, methods)
        if keys is not None:
            return [_constants(keys)]
        parts = [*batches(observations, _TOGETHER)] or [[]]
        return [self._part(some, methods, few=len(parts) == 1) for some in parts]

    def _part(self, observations: list[int], methods: dict[str, list[int]], *, few: bool) -> sa.CTE:
        given: dict[str, Any] = {"key_observations": observations}
        text = (
            f"SELECT {_KEY} FROM {self.dataset} "
            "WHERE observation_id = ANY(CAST(:key_observations AS int[]))"
        )
        for column, ids in methods.items():
            given[f"key_{column}"] = ids
            text += f" AND {column} = ANY(CAST(:key_{column} AS int[]))"
        # Of many parts, each is searched for a few targets.
        return _presented(text, given, materialized=few)

    def among(self, session: orm.Session, ids: Sequence[DataSetId]) -> sa.CTE:
        """Present the existing DataSets among some ids."""
        return _constants(self.existing(session, parse_keys(ids)))

    def existing(self, session: orm.Session, keys: Sequence[DataSetKey]) -> list[DataSetKey]:
        """Return the keys that exist in the table."""
        by_observation: dict[int, list[DataSetKey]] = {}
        for key in dict.fromkeys(keys):
            by_observation.setdefault(key.observation, []).append(key)

        def statement(here: list[int]) -> str:
            some = [key for observation in here for key in by_observation[observation]]
            types = ("int", "bigint", "int", "int")
            columns = zip(zip(*some, strict=True), types, strict=True)
            arrays = ", ".join(array(column, type_) for column, type_ in columns)
            return (
                f"SELECT {_KEY} FROM unnest({arrays}) AS k ({_KEY}) JOIN {self.dataset} d "
                f"USING ({_KEY}) WHERE d.observation_id = ANY({array(here, 'int')})"
            )

        return [
            DataSetKey(*row) for row in rows(session, by_observation, statement, at_once=AT_ONCE)
        ]

    def any_one(self, session: orm.Session) -> sa.CTE:
        """Present a single DataSet, if there is one."""
        observations = self._observations(session, Criteria())
        found = rows(session, observations, self._in_partitions, at_once=AT_ONCE, most=1)
        return _constants([DataSetKey(*row) for row in found])

    def count(self, session: orm.Session, most: int) -> int:
        """Count DataSets, a few partitions at a time, until there are more than ``most``."""
        counted = 0
        for some in batches(self._observations(session, Criteria()), AT_ONCE):
            statement = sa.text(
                f"SELECT count(*) FROM ({self._in_partitions(some)} LIMIT :most) AS first_ones"
            )
            given = {"most": most + 1 - counted}
            counted += session.connection().scalar(statement, given) or 0
            if counted > most:
                break
        return counted

    def family(
        self, session: orm.Session, ids: Sequence[DataSetId], *, everywhere: bool
    ) -> tuple[sa.CTE, sa.CTE]:
        """Present some DataSets with those that they are linked to, and the links.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        ids : sequence of int or str
            The DataSets.
        everywhere : bool
            Follow links of all observations, or of those of the ids alone, which is quick.
        """
        keys = parse_keys(ids)
        observations = list(dict.fromkeys(key.observation for key in keys))
        if everywhere and self.hierarchy is not None:
            observations = self._observations(session, Criteria())
        links: dict[tuple[DataSetKey, DataSetKey], None] = {}
        followed: set[int] = set()
        targets = {key.target for key in keys}
        while targets:
            links |= dict.fromkeys(self._links(session, observations, sorted(targets)))
            followed |= targets
            # A light curve may be derived from one of another star.
            targets = {key.target for link in links for key in link} - followed
        members = dict.fromkeys([*keys, *(key for link in links for key in link)])
        return _constants(self.existing(session, [*members])), _links([*links])

    def _links(
        self, session: orm.Session, observations: Sequence[int], targets: Sequence[int]
    ) -> Iterator[tuple[DataSetKey, DataSetKey]]:
        if self.hierarchy is None:
            return
        columns = ", ".join(
            f"{end}_{column}" for end in ("source", "child") for column in _KEY.split(", ")
        )
        of_targets = array(targets, "bigint")

        def statement(here: list[int]) -> str:
            return (
                f"SELECT {columns} FROM {self.hierarchy} "
                f"WHERE source_observation_id = ANY({array(here, 'int')}) AND "
                f"(source_target_id = ANY({of_targets}) OR child_target_id = ANY({of_targets}))"
            )

        for row in rows(session, observations, statement, at_once=_LINKS_AT_ONCE):
            yield DataSetKey(*row[:4]), DataSetKey(*row[4:])

    def _scan(
        self,
        session: orm.Session,
        observations: Sequence[int],
        targets: Sequence[int] | None,
        methods: dict[str, list[int]],
    ) -> list[DataSetKey] | None:
        """Read keys a few partitions at a time; None if those of all targets are too many."""
        if targets is None and len(observations) <= _TOGETHER:
            return None
        also = "".join(f" AND {name} = ANY({array(ids, 'int')})" for name, ids in methods.items())
        if targets is not None:
            also += f" AND target_id = ANY({array(targets, 'bigint')})"
            if not targets:
                return []
        most = MOST_KEYS + 1 if targets is None else None
        found = rows(
            session,
            observations,
            lambda here: self._in_partitions(here) + also,
            at_once=AT_ONCE,
            most=most,
        )
        return None if len(found) == most else [DataSetKey(*row) for row in found]

    def _in_partitions(self, observations: Sequence[int]) -> str:
        here = array(observations, "int")
        return f"SELECT {_KEY} FROM {self.dataset} WHERE observation_id = ANY({here})"

    def _fitted(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        return statement.add_cte(*self.presented)

    def _observations(self, session: orm.Session, criteria: Criteria) -> list[int]:
        shape = sql.shape_of(criteria)
        statement = (
            sa.select(Observation.id)
            .where(*sql.observation_matches(shape))
            .order_by(Observation.id.desc())
        )
        given = sql.parameters(criteria)
        return list(session.connection().execute(self._fitted(statement), given).scalars())

    def _targets(self, session: orm.Session, criteria: Criteria) -> list[int] | None:
        if criteria.target_ids is not None:
            return list(criteria.target_ids)
        if criteria.numbers is None:
            return None
        catalogs = sa.select(MissionCatalog.id)
        if criteria.catalogs:
            catalogs = catalogs.where(MissionCatalog.name.in_(criteria.catalogs))
        ids = list(session.connection().execute(catalogs).scalars())
        # The index of targets begins with the catalog.
        statement = sa.select(Target.id).where(
            sql.any_of(Target.catalog_id, ids), sql.any_of(Target.name, criteria.numbers)
        )
        return list(session.connection().execute(statement).scalars())

    def _methods(self, session: orm.Session, criteria: Criteria) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for column, model, names in (
            ("photometric_method_id", PhotometricSource, criteria.photometry),
            ("processing_method_id", ProcessingMethod, criteria.processing),
        ):
            if names:
                statement = sa.select(model.id).where(model.name.in_([n for n in names if n]))
                found[column] = list(session.connection().execute(statement).scalars())
                found[column] += [0] if None in names else []
        return found


def _constants(keys: Sequence[DataSetKey]) -> sa.CTE:
    columns = [list(column) for column in zip(*keys, strict=True)] or [[]] * 4
    given = dict(zip(("key_o", "key_t", "key_p", "key_m"), columns, strict=True))
    return _presented(
        f"SELECT {_KEY} FROM unnest(CAST(:key_o AS int[]), CAST(:key_t AS bigint[]), "
        f"CAST(:key_p AS int[]), CAST(:key_m AS int[])) AS k ({_KEY})",
        given,
    )


def _presented(keys: str, given: dict[str, Any], *, materialized: bool = True) -> sa.CTE:
    text = sa.text(
        "SELECT concat_ws(':', observation_id, target_id, photometric_method_id, "
        "processing_method_id) AS id, target_id, observation_id, "
        "NULLIF(photometric_method_id, 0) AS photometric_method_id, "
        "NULLIF(processing_method_id, 0) AS processing_method_id "
        f"FROM ({keys}) AS keys"
    )
    prefix = "MATERIALIZED" if materialized else "NOT MATERIALIZED"
    return text.bindparams(**given).columns().cte("dataset").prefix_with(prefix)


def _links(links: Sequence[tuple[DataSetKey, DataSetKey]]) -> sa.CTE:
    text = sa.text(
        "SELECT * FROM unnest(CAST(:link_sources AS text[]), CAST(:link_children AS text[])) "
        "AS links (source_dataset_id, child_dataset_id)"
    )
    given = {
        "link_sources": [str(source) for source, _ in links],
        "link_children": [str(child) for _, child in links],
    }
    return text.bindparams(**given).columns().cte("datasethierarchy").prefix_with("MATERIALIZED")
