"""A large family of light curves, against the same rows fetched flat."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial

import sqlalchemy as sa
from measure import Job, side_by_side
from report import Row, duration
from sky import Sky, store_all, tidy

import lcdb_notebook as lcdb
from lcdb_notebook import demo

MEMBERS = 5_000
"""DataSets that descend from one, each but the first from another of them."""

UNRELATED = 100_000

FIRST = 10_000_001
"""Id of the first; those of demo are far below."""

# Three children each, eight generations.
FAMILY = """
INSERT INTO dataset (id, target_id, observation_id, photometric_method_id, values)
SELECT :first + i, d.target_id, d.observation_id, d.photometric_method_id, '{1}'
FROM generate_series(0, :all - 1) i,
     (SELECT * FROM dataset ORDER BY id LIMIT 1) d;
INSERT INTO datasethierarchy (source_dataset_id, child_dataset_id)
SELECT :first + (i - 1) / 3, :first + i FROM generate_series(1, :members - 1) i;
INSERT INTO datasethierarchy (source_dataset_id, child_dataset_id)
SELECT :first + i, :first + i + 1 FROM generate_series(:members, :all - 2) i WHERE i % 4 <> 0;
"""

FLAT = sa.text("""
SELECT d.id, t.name AS target, m.name AS catalog, d.observation_id, p.name AS photometry,
       q.name AS processing, c.cadences, h.sources
FROM dataset d
JOIN target t ON t.id = d.target_id
JOIN mission_catalog m ON m.id = t.catalog_id
LEFT JOIN photometric_source p ON p.id = d.photometric_method_id
LEFT JOIN processing_method q ON q.id = d.processing_method_id
LEFT JOIN LATERAL (
    SELECT cardinality(cadence_reference) AS cadences FROM observation o
    WHERE o.id = d.observation_id OFFSET 0
) c ON true
LEFT JOIN (
    SELECT child_dataset_id, array_agg(source_dataset_id)::text AS sources
    FROM datasethierarchy WHERE child_dataset_id = ANY (:ids) GROUP BY 1
) h ON h.child_dataset_id = d.id
WHERE d.id = ANY (:ids)
""")


def lineage(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare finding a family by its links with fetching its rows by their ids."""
    sky.report(f"storing a family of {MEMBERS:,} light curves")
    db = sky.new_database("family")
    store_all(db, demo.products(1, sectors=[1], cadences=1_200, apertures=1, steps=0))
    given = {"first": FIRST, "members": MEMBERS, "all": MEMBERS + UNRELATED}
    for statement in filter(str.strip, FAMILY.split(";")):
        db.session.execute(sa.text(statement), given)
    db.session.commit()
    tidy(db)
    reader = sky.reader(db)
    sky.report("finding it")
    medians = side_by_side(
        {"links": Job(partial(_lineage, reader)), "flat": Job(partial(_flat, reader))},
        5 * repeat,
    )
    yield Row(
        f"`db.lineage()` of one of {MEMBERS:,} DataSets that descend from each other",
        "the same rows fetched by id, one flat query",
        "at most",
        medians["links"] / medians["flat"],
        None,
        duration(medians["links"]),
        duration(medians["flat"]),
    )


def _lineage(db: lcdb.Database) -> Hashable:
    return len(db.lineage(FIRST))


def _flat(db: lcdb.Database) -> Hashable:
    with db.session_scope() as session:
        ids = list(range(FIRST, FIRST + MEMBERS))
        return len(session.execute(FLAT, {"ids": ids}).all())
