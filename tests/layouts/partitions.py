"""A database of LightcurveDB 3 with thousands of partitions, and the same rows in plain tables."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

BUSY = 6
"""Stars, of the numbers 1001 to 1006, that were seen by many cameras and have six light curves in
each observation; every observation has one other star."""
SIGHTINGS = 50
"""Observations that each busy star is in."""

_FOLDER = Path(__file__).parent

# Partitions that one transaction creates: each takes locks that are held until its end.
_AT_ONCE = 50

_SMALL_TABLES = """
INSERT INTO mission (id, name, description, time_epoch, time_epoch_scale, time_epoch_format,
    time_format_name) VALUES ('00000000-0000-0000-0000-000000000001', 'TESS', '', 2457000, 'tdb',
    'jd', 'btjd');
INSERT INTO mission_catalog (id, host_mission_id, name, description)
    VALUES (1, '00000000-0000-0000-0000-000000000001', 'TIC', '');
INSERT INTO target SELECT i, 1, 1000 + i FROM generate_series(1, {targets}) i;
INSERT INTO instrument (id, name, properties, parent_id)
    SELECT md5('ccd' || i)::uuid, 'CCD ' || i, '{{}}', NULL FROM generate_series(0, 15) i;
INSERT INTO orbit SELECT i, (i + 1) / 2, i FROM generate_series(1, 1 + {observations} / 16) i;
INSERT INTO observation (id, type, cadence_reference, instrument_id)
    SELECT i, 'tess_orbit_observation',
        ARRAY(SELECT 10000 * (1 + (i - 1) / 16) + c FROM generate_series(1, {cadences}) c),
        md5('ccd' || mod(i, 16))::uuid
    FROM generate_series(1, {observations}) i;
INSERT INTO tess_orbit_observation SELECT i, 1 + (i - 1) / 16
    FROM generate_series(1, {observations}) i;
INSERT INTO photometric_source VALUES (1, 'TGLC Aperture Small', ''),
    (2, 'TGLC Aperture Primary', ''), (3, 'TGLC Aperture Large', '');
INSERT INTO processing_method VALUES (1, 'QSPMagnitude', '');
INSERT INTO quality_flag_array (type, observation_id, target_id, quality_flags)
    SELECT 'ccd_wide_quality_flags', id, NULL, array_fill(0, ARRAY[{cadences}]) FROM observation;
"""

_SIGHTINGS = """
CREATE TABLE sighting AS
    SELECT b AS target_id, 1 + mod(b * 7 + s * GREATEST({observations} / {sightings}, 1),
        {observations}) AS observation_id
    FROM generate_series(1, {busy}) b, generate_series(1, {sightings}) s
    UNION SELECT 1000 + i, i FROM generate_series(1, {observations}) i;
"""

_ARRAYS = """
INSERT INTO target_specific_time (target_id, observation_id, barycentric_julian_dates)
    SELECT target_id, observation_id, ARRAY(SELECT 2458354 + 13.7 * (observation_id / 16)
        + c * 0.01 + target_id * 1e-8 FROM generate_series(1, {cadences}) c)
    FROM sighting WHERE observation_id BETWEEN {first} AND {last};
INSERT INTO dataset (observation_id, target_id, photometric_method_id, processing_method_id,
    values, errors)
    SELECT observation_id, target_id, p, {processing},
        array_append(flux, target_id + observation_id / 10000.0::float8), array_append(flux, 0)
    FROM sighting, (SELECT p, m, array_agg(12 + 0.01 * sin(c * 1.7 + p + 5 * m)) AS flux
        FROM generate_series(1, 3) p, generate_series(0, 1) m, generate_series(2, {cadences}) c
        GROUP BY p, m) f
    WHERE observation_id BETWEEN {first} AND {last}
        AND (target_id <= {busy} OR p = 1 AND m = 0);
"""

# Foreign keys are not checked, which would take minutes.
_CROWD = """
SET session_replication_role = replica;
INSERT INTO target_specific_time (target_id, observation_id, barycentric_julian_dates)
    SELECT {targets} / 2 + mod(o * {crowd} + i, {targets} / 2), o, '{{1,2}}'
    FROM generate_series({first}, {last}) o, generate_series(1, {crowd}) i;
INSERT INTO dataset (observation_id, target_id, photometric_method_id, processing_method_id,
    values, errors)
    SELECT o, {targets} / 2 + mod(o * {crowd} + i, {targets} / 2), 1, {unspecified}, '{{1,2}}',
        '{{1,2}}' FROM generate_series({first}, {last}) o, generate_series(1, {crowd}) i;
RESET session_replication_role
"""


def fill(
    connection: sa.Connection,
    observations: int,
    *,
    partitioned: bool = True,
    cadences: int = 1_200,
    targets: int = 200_000,
    crowd: int = 0,
) -> None:
    """Create the tables and fill them by plain SQL.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        To an empty database, in autocommit.
    observations : int
        Number of observations, and so of the partitions of each partitioned table.
    partitioned : bool, default True
        Make the tables of LightcurveDB 3, or else those of LightcurveDB 2.
    cadences, targets : int
        Numbers of cadences of each light curve, and of targets.
    crowd : int
        Number of further stars in each observation, with light curves of two cadences, which are
        only searched. With none of them, the planner reads a partition without its indexes.
    """
    run = connection.exec_driver_sql
    given = {
        "observations": observations,
        "cadences": cadences,
        "targets": targets,
        "busy": BUSY,
        "sightings": SIGHTINGS,
        "processing": "m" if partitioned else "NULLIF(m, 0)",
        "unspecified": 0 if partitioned else "NULL",
        "crowd": crowd,
    }
    run((_FOLDER / ("three.sql" if partitioned else "two.sql")).read_text())
    run((_FOLDER / "orbit.sql").read_text())
    run(_SMALL_TABLES.format(**given))
    run(_SIGHTINGS.format(**given))
    if partitioned:
        for table in ("photometric_source", "processing_method"):
            run(f"INSERT INTO {table} VALUES (0, 'Unspecified', '')")
    for first in range(1, observations + 1, _AT_ONCE):
        last = min(observations, first + _AT_ONCE - 1)
        if partitioned:
            run(
                ";".join(
                    f"CREATE TABLE {table}_obs_{number} PARTITION OF {table} "
                    f"FOR VALUES IN ({number})"
                    for table in ("dataset", "target_specific_time", "datasethierarchy")
                    for number in range(first, last + 1)
                )
            )
        run(_ARRAYS.format(**given, first=first, last=last))
        if crowd:
            run(_CROWD.format(**given, first=first, last=last))
    run("DROP TABLE sighting")
    run("VACUUM (ANALYZE)" if crowd else "ANALYZE")
