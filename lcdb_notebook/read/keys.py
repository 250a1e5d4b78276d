"""SQL for the rows whose arrays a statement reads: by id, by pair, or by key."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search.layout.flag_types import indexed_conditions
from lcdb_notebook.search.layout.keyed import Keyed, parse_keys

__all__ = [
    "AT_ONCE",
    "Part",
    "array_state",
    "is_for_all",
    "literal",
    "of_datasets",
    "of_flags",
    "of_pairs",
    "of_positions",
    "parts",
]

#: Number of observations that one statement reads. It locks the partitions of DataSets and of
#: times, and all of their indexes: six locks for each observation, and fifteen others.
AT_ONCE = 7

# Combinations of ids that are read by their ids, without a join. Planning for partitions then takes
# a third of the time, but each row is compared with all ids.
_COMBINED = 1_000

#: DataSets, pairs (target, observation) and observations that one statement reads.
Part = tuple[list[DataSetId], list[tuple[int, int]], list[int]]


def parts(
    datasets: Sequence[DataSetId], pairs: Sequence[tuple[int, int]], observations: Sequence[int]
) -> Iterator[Part]:
    """Split DataSets, pairs and observations into groups of a few observations.

    Parameters
    ----------
    datasets : sequence of str
        Keys of DataSets.
    pairs : sequence of tuple of int
        Targets in observations.
    observations : sequence of int
        Ids of observations.
    """
    by_observation: dict[int, Part] = {}

    def part(observation: int) -> Part:
        return by_observation.setdefault(observation, ([], [], []))

    for observation in observations:
        part(observation)[2].append(observation)
    for pair in pairs:
        part(pair[1])[1].append(pair)
    # In this order, all combinations of a few ids can be recognized.
    for key in sorted(parse_keys(datasets)):
        part(key.observation)[0].append(str(key))
    several = list(by_observation.values())
    for start in range(0, len(several), AT_ONCE):
        some = several[start : start + AT_ONCE]
        yield (
            [one for part in some for one in part[0]],
            [one for part in some for one in part[1]],
            [one for part in some for one in part[2]],
        )


def _from_keys(table: str, datasets: Sequence[DataSetId]) -> str:
    """Return the FROM items for DataSets, looked up in the index; ``n`` is the position from 1.

    The ids of the observations are constants of the statement, so that other partitions are
    neither opened nor locked.
    """
    keys = parse_keys(datasets)
    columns = (",".join(map(str, column)) for column in zip(*keys, strict=True))
    o, t, p, m = columns if keys else [""] * 4
    here = ",".join(str(o) for o in dict.fromkeys(key.observation for key in keys))
    return (
        f"unnest('{{{o}}}'::int[], '{{{t}}}'::bigint[], '{{{p}}}'::int[], '{{{m}}}'::int[]) "
        "WITH ORDINALITY AS key (of_observation, of_target, of_photometry, of_processing, n), "
        f"LATERAL (SELECT * FROM {table} WHERE observation_id = of_observation "
        "AND target_id = of_target AND photometric_method_id = of_photometry "
        f"AND processing_method_id = of_processing AND observation_id = ANY ('{{{here}}}'::int[]) "
        "OFFSET 0)"
    )


def of_datasets(datasets: Sequence[DataSetId], keyed: Keyed | None) -> tuple[str, str]:
    """Return the number of a DataSet in the stream, and the FROM clause.

    The number is the id, or for keys their position from 1.
    """
    if keyed is None:
        return "id", f"dataset WHERE id = ANY ('{literal(datasets)}'::int[])"
    keys = parse_keys(datasets)
    distinct = [list(dict.fromkeys(column)) for column in zip(*keys, strict=True)]
    if not 0 < len(keys) <= _COMBINED or not _are_all(keys, distinct):
        return "n", f"{_from_keys(keyed.dataset, datasets)} d"
    names = ("observation_id", "target_id", "photometric_method_id", "processing_method_id")
    arrays = [
        f"'{literal(ids)}'::{'bigint' if ids is distinct[1] else 'int'}[]" for ids in distinct
    ]
    place = "0"
    for name, array, ids in zip(names, arrays, distinct, strict=True):
        place = f"({place} * {len(ids)} + array_position({array}, {name}) - 1)"
    matches = " AND ".join(f"{n} = ANY ({a})" for n, a in zip(names, arrays, strict=True))
    return f"{place} + 1", f"{keyed.dataset} WHERE {matches}"


def _are_all(rows: Sequence[tuple[int, ...]], columns: Sequence[Sequence[int]]) -> bool:
    """Return whether rows are all combinations of their columns, in order."""
    size = math.prod(map(len, columns))
    return size == len(rows) and list(rows) == list(itertools.product(*columns))


def of_positions(
    pairs: Sequence[tuple[int, int]], methods: Collection[int], keyed: Keyed | None
) -> str:
    """Return the FROM items for the DataSets of pairs that were processed by some methods."""
    table = "dataset" if keyed is None else keyed.dataset
    some = f" AND processing_method_id = ANY ('{literal(methods)}'::int[])"
    return of_pairs(table, pairs, pruned=keyed is not None, where=some)


def of_flags(pairs: Sequence[tuple[int, int]], *, by_type: bool) -> str:
    """Return the FROM items for the quality flags of pairs.

    Parameters
    ----------
    pairs : sequence of tuple of int
        Targets in observations.
    by_type : bool
        Whether to use LightcurveDB's index, on type, observation and target (-1 for all targets).
    """
    return of_pairs(
        "quality_flag_array", pairs, where=indexed_conditions("of_target", by_type=by_type)
    )


def is_for_all(observation: str, *, by_type: bool) -> str:
    """Return the condition that quality flags are of an observation, for all of its targets.

    Parameters
    ----------
    observation : str
        The condition on its id, such as ``= 5``.
    by_type : bool
        Whether to use LightcurveDB's index, as in :func:`of_flags`.
    """
    indexed = indexed_conditions("-1", by_type=by_type)
    return f"target_id IS NULL AND observation_id {observation}{indexed}"


def of_pairs(
    table: str, pairs: Sequence[tuple[int, int]], *, pruned: bool = False, where: str = ""
) -> str:
    """Return the FROM items for the rows of pairs in a table, looked up in the index.

    For a plain join of a few thousand pairs, the planner reads the whole table, because it expects
    many matches and small rows (the arrays are stored out of line). OFFSET prevents it from merging
    the inner query, so that only an index lookup is possible.
    """
    if pruned and 0 < len(pairs) <= _COMBINED:
        columns = [list(dict.fromkeys(column)) for column in zip(*pairs, strict=True)]
        if _are_all(sorted(pairs), [sorted(column) for column in columns]):
            some_targets, some = map(literal, columns)
            return (
                f"(SELECT * FROM {table} WHERE target_id = ANY ('{some_targets}'::bigint[]) "
                f"AND observation_id = ANY ('{some}'::int[]){where})"
            )
    targets = literal(target for target, _ in pairs)
    seen_by = literal(observation for _, observation in pairs)
    here = ""
    if pruned:
        # Constants, so that the planner can choose partitions.
        some = literal(dict.fromkeys(observation for _, observation in pairs))
        here = f" AND observation_id = ANY ('{some}'::int[])"
    return (
        f"unnest('{targets}'::bigint[], '{seen_by}'::int[]) AS pair (of_target, seen_in), "
        f"LATERAL (SELECT * FROM {table} "
        f"WHERE target_id = of_target AND observation_id = seen_in{here}{where} OFFSET 0)"
    )


def literal(ids: Iterable[DataSetId]) -> str:
    """Return an array literal of integers; raise an error for other values."""
    return "{" + ",".join(str(int(i)) for i in ids) + "}"


def array_state(column: str, *, integers: bool = False) -> str:
    """Return SQL for the problem of an array; NULL if it is valid."""
    quoted = ".".join(f'"{part}"' for part in column.split("."))
    many = f"WHEN array_ndims({quoted}) > 1 THEN 'have ' || array_ndims({quoted}) || ' dimensions'"
    holes = f"WHEN array_position({quoted}, NULL) IS NOT NULL THEN 'have NULL elements'"
    return f"CASE {many} {holes if integers else ''} END"
