"""SQL for the index of quality flags of LightcurveDB: type, observation, target (-1 for all)."""

from __future__ import annotations

__all__ = ["FLAG_TYPES", "indexed_conditions"]

#: An array of all types of flags. Each is found by one look into the index, which begins with it.
FLAG_TYPES = (
    "ARRAY(WITH RECURSIVE each (type) AS ((SELECT type FROM quality_flag_array ORDER BY type "
    "LIMIT 1) UNION ALL SELECT (SELECT f.type FROM quality_flag_array f WHERE f.type > each.type "
    "ORDER BY f.type LIMIT 1) FROM each WHERE each.type IS NOT NULL) "
    "SELECT type FROM each WHERE type IS NOT NULL)"
)


def indexed_conditions(target: str, *, by_type: bool) -> str:
    """Return what conditions on the observation and target of flags need to use the index.

    Parameters
    ----------
    target : str
        The target, or -1 for flags of all targets.
    by_type : bool
        Whether the index begins with the type; otherwise nothing is needed.
    """
    return f" AND type = ANY ({FLAG_TYPES}) AND COALESCE(target_id, -1) = {target}" * by_type
