"""A large database of light curves of two cadences, made by the server from numbers."""

from __future__ import annotations

import math

import sqlalchemy as sa

SECTORS, CCDS, APERTURES = 8, 16, 3
METHODS = ("raw", "DET")

# Of four targets, one is observed in two sectors; each time with every aperture and method.
_PER_FOUR_TARGETS = 5 * APERTURES * len(METHODS)

# Light curves arrive sector by sector, as pipelines store them, so that the rows of an observation
# are close together and those of a target are not. Catalog numbers have nothing to do with the
# order in which targets were stored: multiplied modulo a prime, each number occurs once. The factor
# is the prime over the golden ratio, so that any number of targets is spread evenly: with others,
# the numbers of the small database had gaps, in which a sample of it found only half as many.
_ROWS = """
INSERT INTO mission (id, name, description, time_unit, time_epoch, time_epoch_scale,
                     time_epoch_format, time_format_name)
VALUES ('00000000-0000-0000-0000-000000000001', 'TESS', '', 'd', 2457000, 'tdb', 'jd', 'btjd');
INSERT INTO mission_catalog (id, host_mission_id, name)
VALUES (1, '00000000-0000-0000-0000-000000000001', 'TIC');
INSERT INTO instrument (id, name, properties, parent_id)
SELECT CAST(lpad(CAST(1000 + 10 * camera + ccd AS text), 32, '0') AS uuid),
       CASE WHEN camera = 0 THEN 'TESS' WHEN ccd = 0 THEN 'Camera ' || camera
            ELSE 'CCD ' || ccd END, '{}',
       CASE WHEN ccd > 0 THEN CAST(lpad(CAST(1000 + 10 * camera AS text), 32, '0') AS uuid)
            WHEN camera > 0 THEN CAST(lpad('1000', 32, '0') AS uuid) END
FROM generate_series(0, 4) camera, generate_series(0, 4) ccd WHERE camera > 0 OR ccd = 0;
INSERT INTO photometric_source (id, name, description)
SELECT n, 'Aperture ' || n, '' FROM generate_series(1, {apertures}) n;
INSERT INTO processing_method (id, name, description) VALUES (1, 'DET', '');
INSERT INTO observation (id, type, cadence_reference, instrument_id, sector, author, exptime)
SELECT {ccds} * (sector - 1) + ccd + 1, 'tess_observation',
       ARRAY[10000 * sector, 10000 * sector + 1],
       CAST(lpad(CAST(1000 + 10 * (1 + ccd / 4) + 1 + ccd % 4 AS text), 32, '0') AS uuid),
       sector, 'QLP', 1800
FROM generate_series(1, {sectors}) sector, generate_series(0, {ccds} - 1) ccd;
INSERT INTO quality_flag_array (type, target_id, observation_id, quality_flags)
SELECT 'tess_quality_flag', NULL, id, '{0,1}' FROM observation WHERE sector < {sectors};
INSERT INTO target (id, catalog_id, name)
SELECT n, 1, CAST(n AS bigint) * 618033949 % 999999937 FROM generate_series(1, {targets}) n;
CREATE TEMPORARY TABLE seen ON COMMIT DROP AS
SELECT n AS target, {ccds} * ((n + shift) % {sectors}) + n / 8 % {ccds} + 1 AS observation
FROM generate_series(1, {targets}) n, (VALUES (0), (3)) shifts (shift)
WHERE shift = 0 OR n % 4 = 0;
INSERT INTO target_specific_time (target_id, observation_id, barycentric_julian_dates)
SELECT target, observation, ARRAY[2458325 + 27 * (observation / {ccds}), 2458326.5 + 27 *
       (observation / {ccds})] FROM seen ORDER BY observation, target;
INSERT INTO quality_flag_array (type, target_id, observation_id, quality_flags)
SELECT 'tess_quality_flag', target, observation, '{0,2}' FROM seen WHERE target % 100 = 0;
INSERT INTO dataset (target_id, observation_id, photometric_method_id, processing_method_id,
                     values, errors)
SELECT target, observation, aperture, NULLIF(method, 0), ARRAY[1, 1 + 0.001 * aperture],
       ARRAY[0.001, 0.001]
FROM seen, generate_series(1, {apertures}) aperture, generate_series(0, {methods} - 1) method
ORDER BY observation, target, aperture, method;
"""


def fill(connection: sa.Connection, datasets: int) -> int:
    """Fill the empty tables of a database, in one transaction, and count the targets.

    The role must be allowed to switch foreign keys off, as a superuser is: the rows are right by
    construction, and checking each would take most of the time.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction.
    datasets : int
        Number of DataSets, at least; complete targets are made.
    """
    targets = 4 * math.ceil(datasets / _PER_FOUR_TARGETS)
    given = {
        "targets": targets,
        "sectors": SECTORS,
        "ccds": CCDS,
        "apertures": APERTURES,
        "methods": len(METHODS),
    }
    text = _ROWS
    for name, number in given.items():
        text = text.replace(f"{{{name}}}", str(number))
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    # Rows are sorted once, on the way in.
    connection.exec_driver_sql("SET LOCAL work_mem = '256MB'")
    connection.exec_driver_sql(text.replace("%", "%%"))
    return targets
