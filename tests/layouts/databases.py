"""Databases of every layout: filled once by plain SQL, and moved by plain SQL into other tables.

What a test needs is in the fixtures of ``tests/conftest.py``. ``two.sql`` and ``three.sql`` are the
tables of LightcurveDB itself, ``orbit.sql`` those that QLP keeps beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from lcdb_notebook.models.tables import schema

OWN = "own"
LAYOUTS = (OWN, "2.x", "3.1", "3.1 default", "3.3")
"""This package's tables; LightcurveDB 2; 3 with a partition an observation, with a default one, and
without a hierarchy and with partitions in another schema."""

MOST_STARS = 20
APERTURES = ("TGLC Aperture Small", "TGLC Aperture Primary", "TGLC Aperture Large")
METHODS = ("QSPIntermediateMagnitude", "QSPMagnitude", "FFI X Position")
FOR_ALL, FOR_ONE = "ccd_wide_quality_flags", "tglc_quality_flags"

Floats = npt.NDArray[np.float64]
Name = tuple[int, int, str | None, str | None]
"""Star, orbit, photometry and processing."""


@dataclass
class Sky:
    """The arrays that were put in, by what identifies them in any layout."""

    cadences: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    times: dict[tuple[int, int], Floats] = field(default_factory=dict)
    flags: dict[tuple[str, int | None, int], npt.NDArray[np.int32]] = field(default_factory=dict)
    light_curves: dict[Name, tuple[Floats, Floats | None]] = field(default_factory=dict)


def make_sky() -> Sky:
    """Make 20 stars in 6 orbits; each star misses one or two of them."""
    random = np.random.default_rng(12)
    sky = Sky()
    for orbit in range(9, 15):
        length = 30 + orbit
        sky.cadences[orbit] = np.arange(length) + 1000 * orbit
        sky.flags[FOR_ALL, None, orbit] = (random.random(length) < 0.1).astype(np.int32) * 2
    for number in range(1, MOST_STARS + 1):
        star = 1_000_000_007 * number
        for orbit, cadences in sky.cadences.items():
            if (number + orbit) % 5 == 0:
                continue
            length = cadences.size
            start = 2458354.0 + 13.7 * (orbit - 9)
            times = start + np.arange(length) / 48 + random.random(length) / 1e6
            times[3] = np.nan
            sky.times[star, orbit] = times
            if number % 2:
                sky.flags[FOR_ONE, star, orbit] = random.integers(0, 8, length).astype(np.int32)
            for aperture in APERTURES:
                raw = random.normal(5000, 50, length)
                raw[[1, 5, 6, 7]] = np.nan, np.inf, -0.0, 5e-324
                errors = np.abs(random.normal(5, 1, length))
                sky.light_curves[star, orbit, aperture, None] = raw, errors
                for method in METHODS[:2]:
                    sky.light_curves[star, orbit, aperture, method] = (
                        random.normal(12, 0.01, length),
                        errors / 5000 if method == "QSPMagnitude" else None,
                    )
            sky.light_curves[star, orbit, None, METHODS[2]] = random.normal(800, 1, length), None
    return sky


def _literal(array: npt.NDArray[Any]) -> str:
    # psycopg2 would write ARRAY[-0.0], and PostgreSQL read a numeric without a sign.
    return "{" + ",".join(map(repr, array.tolist())) + "}"


def fill(connection: sa.Connection, sky: Sky) -> None:
    """Make this package's tables and put the sky into them by plain SQL."""
    schema.create(connection)
    run = connection.exec_driver_sql
    run(
        "INSERT INTO mission VALUES ('00000000-0000-0000-0000-000000000001', 'TESS', "
        "'All-sky transit survey', 'd', 2457000, 'tdb', 'jd', 'btjd');"
        "INSERT INTO mission_catalog VALUES (1, '00000000-0000-0000-0000-000000000001', 'TIC', "
        "'TESS Input Catalog');"
        "INSERT INTO instrument (id, name, properties, parent_id) VALUES "
        "('00000000-0000-0000-0000-00000000000a', 'TESS', '{}', NULL), "
        "('00000000-0000-0000-0000-00000000000b', 'Camera 1', '{}', "
        "'00000000-0000-0000-0000-00000000000a'), "
        "('00000000-0000-0000-0000-00000000000c', 'CCD 2', '{\"gain\": 5.2}', "
        "'00000000-0000-0000-0000-00000000000b')"
    )
    for aperture in APERTURES:
        run("INSERT INTO photometric_source (name, description) VALUES (%s, 'TGLC')", (aperture,))
    for method in METHODS:
        run("INSERT INTO processing_method (name, description) VALUES (%s, 'QSP')", (method,))
    for orbit, cadences in sky.cadences.items():
        run(
            "INSERT INTO observation (id, type, cadence_reference, instrument_id, sector, "
            "orbit_number) VALUES (%s, 'tess_observation', %s, "
            "'00000000-0000-0000-0000-00000000000c', %s, %s)",
            (orbit - 8, _literal(cadences), (orbit - 7) // 2, orbit),
        )
        run(
            "INSERT INTO fits_frame (type, cadence, observation_id, simple, bitpix, naxis, "
            "naxis_values, extended, bscale, bzero, file_path) VALUES "
            "('basefits', %s, %s, true, -32, 2, '{2136,2078}', true, 1, 0, '/ffi/1.fits')",
            (int(cadences[0]), orbit - 8),
        )
    stars = sorted({star for star, _ in sky.times})
    for number, star in enumerate(stars):
        run("INSERT INTO target VALUES (%s, 1, %s)", (number + 101, star))
    ids = {star: number + 101 for number, star in enumerate(stars)}
    for (star, orbit), times in sky.times.items():
        run(
            "INSERT INTO target_specific_time (target_id, observation_id, "
            "barycentric_julian_dates) VALUES (%s, %s, %s)",
            (ids[star], orbit - 8, _literal(times)),
        )
    for (type_, of_star, orbit), flags in sky.flags.items():
        run(
            "INSERT INTO quality_flag_array (type, observation_id, target_id, quality_flags) "
            "VALUES (%s, %s, %s, %s)",
            (type_, orbit - 8, of_star and ids[of_star], _literal(flags)),
        )
    for (star, orbit, photometry, processing), (values, errors) in sky.light_curves.items():
        run(
            "INSERT INTO dataset (target_id, observation_id, photometric_method_id, "
            "processing_method_id, values, errors) VALUES (%s, %s, "
            "(SELECT id FROM photometric_source WHERE name = %s), "
            "(SELECT id FROM processing_method WHERE name = %s), %s, %s)",
            (
                ids[star],
                orbit - 8,
                photometry,
                processing,
                _literal(values),
                None if errors is None else _literal(errors),
            ),
        )
    # Raw, to intermediate, to final.
    run(
        "INSERT INTO datasethierarchy (source_dataset_id, child_dataset_id) SELECT a.id, b.id "
        "FROM dataset a JOIN dataset b USING (target_id, observation_id, photometric_method_id) "
        "WHERE b.processing_method_id = COALESCE(a.processing_method_id, 0) + 1 "
        "AND b.processing_method_id < 3"
    )
    connection.commit()
    connection.exec_driver_sql("ANALYZE")


_SAME = (
    "INSERT INTO mission (id, name, description, time_epoch, time_epoch_scale, time_epoch_format, "
    "time_format_name) SELECT id, name, description, time_epoch, time_epoch_scale, "
    "time_epoch_format, time_format_name FROM own.mission",
    "INSERT INTO mission_catalog (id, host_mission_id, name, description) "
    "SELECT id, host_mission_id, name, COALESCE(description, '') FROM own.mission_catalog",
    "INSERT INTO target SELECT id, catalog_id, name FROM own.target",
    "INSERT INTO instrument (id, name, properties, parent_id) "
    "SELECT id, name, properties, parent_id FROM own.instrument",
    "INSERT INTO observation (id, type, cadence_reference, instrument_id) "
    "SELECT id, type, cadence_reference, instrument_id FROM own.observation",
    "INSERT INTO fits_frame (id, type, cadence, observation_id, simple, bitpix, naxis, "
    "naxis_values, extended, bscale, bzero, file_path) SELECT id, type, cadence, observation_id, "
    "simple, bitpix, naxis, naxis_values, extended, bscale, bzero, file_path FROM own.fits_frame",
    "INSERT INTO photometric_source SELECT id, name, description FROM own.photometric_source",
    "INSERT INTO processing_method SELECT id, name, description FROM own.processing_method",
    "INSERT INTO quality_flag_array (id, type, observation_id, target_id, quality_flags, "
    "created_on) SELECT id, type, observation_id, target_id, quality_flags, created_on "
    "FROM own.quality_flag_array",
)

_TWO = (
    "INSERT INTO dataset SELECT id, target_id, observation_id, photometric_method_id, "
    "processing_method_id, values, errors FROM own.dataset",
    "INSERT INTO datasethierarchy SELECT id, source_dataset_id, child_dataset_id "
    "FROM own.datasethierarchy",
    "INSERT INTO target_specific_time SELECT id, target_id, observation_id, "
    "barycentric_julian_dates FROM own.target_specific_time",
)

_UNSPECIFIED = tuple(
    f"INSERT INTO {table} VALUES (0, 'Unspecified', 'Nothing is known about it')"
    for table in ("photometric_source", "processing_method")
)

_THREE = (
    "INSERT INTO dataset SELECT observation_id, target_id, COALESCE(photometric_method_id, 0), "
    "COALESCE(processing_method_id, 0), values, errors FROM own.dataset",
    "INSERT INTO target_specific_time SELECT observation_id, target_id, barycentric_julian_dates "
    "FROM own.target_specific_time",
)

_HIERARCHY = (
    "INSERT INTO datasethierarchy SELECT a.observation_id, a.target_id, "
    "COALESCE(a.photometric_method_id, 0), COALESCE(a.processing_method_id, 0), b.observation_id, "
    "b.target_id, COALESCE(b.photometric_method_id, 0), COALESCE(b.processing_method_id, 0) "
    "FROM own.datasethierarchy h JOIN own.dataset a ON a.id = h.source_dataset_id "
    "JOIN own.dataset b ON b.id = h.child_dataset_id"
)

_ORBITS = (
    "INSERT INTO orbit (sector, orbit_number) "
    "SELECT DISTINCT sector, orbit_number FROM own.observation ORDER BY orbit_number",
    "INSERT INTO tess_orbit_observation SELECT o.id, orbit.id FROM own.observation o "
    "JOIN orbit USING (sector, orbit_number)",
    "UPDATE observation SET type = 'tess_orbit_observation'",
)


def convert(connection: sa.Connection, layout: str) -> None:
    """Move what is in this package's tables into those of another layout; the ids are kept.

    Where every observation is an orbit, its sector and number go into the tables of
    ``orbit.sql``; else the fields of observations go into a table beside them.
    """
    if layout == OWN:
        return
    run = connection.exec_driver_sql
    folder = Path(__file__).parent
    run("ALTER SCHEMA public RENAME TO own; CREATE SCHEMA public")
    two = layout == "2.x"
    run((folder / ("two.sql" if two else "three.sql")).read_text().replace("%", "%%"))
    for statement in (*(() if two else _UNSPECIFIED), *_SAME):
        run(statement)
    if not two:
        _partition(connection, layout)
    for statement in _TWO if two else _THREE:
        run(statement)
    if layout == "3.3":
        run("DROP TABLE datasethierarchy")
    elif not two:
        run(_HIERARCHY)
    orbits = run("SELECT bool_and(sector IS NOT NULL AND orbit_number IS NOT NULL) "
                 "AND count(*) = count(DISTINCT orbit_number) FROM own.observation")  # fmt: skip
    if orbits.scalar():
        run((folder / "orbit.sql").read_text())
        for statement in _ORBITS:
            run(statement)
    else:
        fields = run(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'own.observation'::regclass AND "
            "attnum > 0 AND NOT attisdropped AND attname <> ALL (%s) ORDER BY attnum",
            (["id", "type", "cadence_reference", "instrument_id"],),
        ).scalars()
        names = [n for n in fields if run(f"SELECT count({n}) FROM own.observation").scalar()]
        if names:
            columns = ", ".join(names)
            run(f"CREATE TABLE about_observation AS SELECT id, {columns} FROM own.observation")
            run("ALTER TABLE about_observation ADD PRIMARY KEY (id), "
                "ADD FOREIGN KEY (id) REFERENCES observation ON DELETE CASCADE")  # fmt: skip
    tables = ["mission_catalog", "target", "observation", "fits_frame", "quality_flag_array"]
    if two:
        tables += ["photometric_source", "processing_method", "dataset", "datasethierarchy"]
        tables += ["target_specific_time"]
    for table in tables:
        run(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
            f"COALESCE((SELECT max(id) FROM {table}), 0) + 1, false)")  # fmt: skip
    run("DROP SCHEMA own CASCADE")
    connection.commit()
    run("ANALYZE")


def _partition(connection: sa.Connection, layout: str) -> None:
    run: Any = connection.exec_driver_sql
    tables = ["dataset", "target_specific_time", "datasethierarchy"]
    if layout == "3.1 default":
        for table in tables:
            run(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
        return
    where, ending = ("parts.", "_v2") if layout == "3.3" else ("", "")
    if where:
        run("CREATE SCHEMA parts")
    for id_ in run("SELECT id FROM own.observation").scalars().all():
        for table in tables:
            run(f"CREATE TABLE {where}{table}_obs_{id_}{ending} PARTITION OF {table} "
                f"FOR VALUES IN ({id_})")  # fmt: skip
