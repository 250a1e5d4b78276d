"""Light curves out of every layout of LightcurveDB: what was put in comes out, to the last bit."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.cli.info import summary
from lcdb_notebook.errors import LCDBError, LightCurveNotFoundError, SchemaError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import POSITIONS
from lcdb_notebook.models.tables.stored import REQUIRED
from lcdb_notebook.read.export import FileFormat
from lcdb_notebook.search import browse, results
from lcdb_notebook.search.browse import TargetFilter
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.layout import keyed
from lcdb_notebook.search.lineage.layout import lines_of
from lcdb_notebook.server.embedded.account import server_account

STAR = 1_000_000_007 * 3
FOR_ALL, FOR_ONE = "ccd_wide_quality_flags", "tglc_quality_flags"


@pytest.fixture
def db(layout_dsn: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(layout_dsn) as db:
        yield db


def same_bits(found: Any, expected: Any) -> bool:
    """Compare two float64 arrays bit by bit, so that -0.0 differs from 0.0 and NaN equals NaN."""
    found, expected = (np.ascontiguousarray(a, np.float64) for a in (found, expected))
    nan = np.isnan(found) & np.isnan(expected)
    return found.shape == expected.shape and bool(
        (nan | (found.view(np.int64) == expected.view(np.int64))).all()
    )


def change(url: str, statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statements)


def name_of(data: LightCurveData) -> tuple[Any, ...]:
    return data.target, data.observation.fields["orbit_number"], data.photometry, data.processing


def test_read_returns_the_arrays_that_were_put_in(db: lcdb.Database, sky: Any) -> None:
    selections = (db.search(), db.search(processing=[*POSITIONS]))
    found = {name_of(data): data for selection in selections for data in selection}
    assert found.keys() == sky.light_curves.keys()
    for name, (values, errors) in sky.light_curves.items():
        star, orbit, *_ = name
        data = found[name]
        assert same_bits(data.flux, values)
        assert (data.flux_err is None) == (errors is None)
        assert errors is None or same_bits(data.flux_err, errors)
        np.testing.assert_array_equal(data.cadence, sky.cadences[orbit])
        assert same_bits(data.time, sky.times[star, orbit] - 2457000.0)
        np.testing.assert_array_equal(data.quality[FOR_ALL], sky.flags[FOR_ALL, None, orbit])
        own = sky.flags.get((FOR_ONE, star, orbit))
        assert (own is None) == (FOR_ONE not in data.quality)
        assert own is None or (data.quality[FOR_ONE] == own).all()


def test_table_has_the_fields_of_observations(db: lcdb.Database) -> None:
    table = db.search(STAR, photometry="TGLC Aperture Small", processing="raw").table
    assert table["orbit_number"].tolist() == [9, 10, 11, 13, 14]
    assert table["sector"].tolist() == [1, 1, 2, 3, 3]
    assert table["instrument"].unique().tolist() == ["TESS / Camera 1 / CCD 2"]
    assert table["cadences"].tolist() == [39, 40, 41, 43, 44]


def test_a_page_of_rows_is_described_like_the_whole_search(db: lcdb.Database) -> None:
    fields = db._fields(())
    whole_search = criteria(STAR, known_fields=fields)
    with db.session_scope() as session:
        whole = results.find(session, whole_search, limit=None, offset=0)
        page = results.find(session, whole_search, limit=1000, offset=2)
        known = results.missions(session)
    assert len(page.rows) == len(whole.rows) - 2 > 10
    rows: list[Any] = [*page.rows]
    expected: list[Any] = [*whole.rows[2:]]
    assert [*map(tuple, rows)] == [*map(tuple, expected)]
    assert page.observations.keys() == whole.observations.keys()
    for id_, about in page.observations.items():
        assert repr(about) == repr(whole.observations[id_])
    assert page.table().equals(whole.part(2, None).table())
    if page.missions is not None:
        assert page.missions == {
            row.host_mission_id: known[row.host_mission_id] for row in page.rows
        }


ON_2 = pytest.mark.parametrize("layout", ["2.x"], indirect=True)


@ON_2
def test_a_field_that_the_database_does_not_have_is_named(layout_copy: str) -> None:
    change(layout_copy, "DROP TABLE tess_orbit_observation, orbit")
    with lcdb.connect(layout_copy) as db:
        found = db.search(STAR)
        assert "sector" not in found.table
        of_box = lines_of(db.lineage(found))
        about = found.table[["dataset", "observation"]].to_dict("records")
        assert all(
            of_box[row["dataset"]][1] == f"observation {row['observation']}" for row in about
        )
        for method in (db.search, db.targets, db.observations, db.quality_flags, db.frames):
            with pytest.raises(
                SchemaError, match=r"observation\.sector does not exist; the fields"
            ):
                method(sector=1)
        with pytest.raises(TypeError, match="unknown argument 'sektor'"):
            db.search(sektor=1)
        assert len(list(db.search(STAR).read())) == 45


ODD_TABLES = {
    # PostgreSQL's own cast from float8 to numeric keeps 15 digits.
    "numeric arrays": "ALTER TABLE dataset "
    "ALTER values TYPE numeric[] USING values::text::numeric[], "
    "ALTER errors TYPE numeric[] USING errors::text::numeric[];"
    "ALTER TABLE target_specific_time ALTER barycentric_julian_dates TYPE numeric[] "
    "USING barycentric_julian_dates::text::numeric[]",
    # Nothing is as small as 5e-324 there.
    "real arrays": "UPDATE dataset SET values[8] = 0 WHERE values[8] = 5e-324;"
    "ALTER TABLE dataset ALTER values TYPE real[], ALTER errors TYPE real[]",
    "text and json": "ALTER TABLE mission ALTER name TYPE text, ALTER time_format_name TYPE text;"
    "ALTER TABLE mission_catalog ALTER name TYPE text;"
    "ALTER TABLE observation ALTER type TYPE text;"
    "ALTER TABLE photometric_source ALTER name TYPE text; ALTER TABLE processing_method ALTER name "
    "TYPE text; ALTER TABLE quality_flag_array ALTER type TYPE text;"
    "ALTER TABLE instrument ALTER name TYPE text, ALTER properties TYPE json",
    "small flags": "ALTER TABLE quality_flag_array ALTER quality_flags TYPE smallint[]",
    "large flags": "ALTER TABLE quality_flag_array ALTER quality_flags TYPE bigint[];"
    "ALTER TABLE observation ALTER cadence_reference TYPE int[]",
    "views": "ALTER TABLE dataset RENAME TO all_datasets;"
    "CREATE VIEW dataset AS SELECT * FROM all_datasets;"
    "ALTER TABLE target RENAME TO all_targets; CREATE VIEW target AS SELECT * FROM all_targets;"
    "ALTER TABLE observation RENAME TO runs; CREATE VIEW observation AS SELECT * FROM runs",
    "another schema": "CREATE SCHEMA lc; ALTER TABLE dataset SET SCHEMA lc;"
    "ALTER TABLE observation SET SCHEMA lc; ALTER TABLE mission SET SCHEMA lc;"
    "ALTER DATABASE {name} SET search_path TO public, lc",
    "partitioned": "CREATE TABLE parts (LIKE dataset) PARTITION BY LIST (observation_id);"
    "CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts SELECT * FROM dataset;"
    "DROP TABLE dataset CASCADE; ALTER TABLE parts RENAME TO dataset",
    "no flags, frames or hierarchy": "DROP TABLE quality_flag_array, fits_frame, datasethierarchy",
    "padded names": "ALTER TABLE mission ALTER name TYPE character(9);"
    "ALTER TABLE mission_catalog ALTER name TYPE character(9);"
    "ALTER TABLE observation ALTER type TYPE character(30);"
    "ALTER TABLE photometric_source ALTER name TYPE character(64);"
    "ALTER TABLE processing_method ALTER name TYPE character(64);"
    "ALTER TABLE quality_flag_array ALTER type TYPE character(30)",
    "no descriptions": "ALTER TABLE photometric_source DROP description;"
    "ALTER TABLE processing_method DROP description; ALTER TABLE mission DROP description",
}


@ON_2
@pytest.mark.parametrize("change_tables", ODD_TABLES.values(), ids=ODD_TABLES)
def test_read_takes_other_types_and_kinds_of_tables(
    layout_copy: str, change_tables: str, sky: Any
) -> None:
    def stored(values: Any) -> Any:
        if "real[]" in change_tables:
            return np.float64(np.float32(values))
        # A numeric has no negative zero.
        return values + 0.0 if "numeric" in change_tables else values

    change(layout_copy, change_tables.format(name=sa.make_url(layout_copy).database))
    with lcdb.connect(layout_copy) as db:
        check_star(db, sky, stored)
        assert len(db.frames()) == (0 if "fits_frame" in change_tables else 6)
        assert db.quality_flags().empty == ("DROP TABLE quality" in change_tables)
        assert len(db.lineage(db.search(STAR)[:3])) >= 3
        assert set(db.targets()["catalog"]) == {"TIC"}
        assert [row.catalog for row in browse.page(db.session, TargetFilter(), size=1).rows] == [
            "TIC"
        ]


def check_star(db: lcdb.Database, sky: Any, stored: Callable[[Any], Any] = lambda a: a) -> None:
    """Compare the light curves of a star with those that were put in, as the tables store them."""
    assert len(list(db.search(STAR).read())) == 45
    assert len(db.search(STAR, processing="QSPMagnitude").lightcurves()) == 15
    for data in db.search(STAR, photometry="TGLC Aperture Small").read():
        orbit = data.observation.id + 8
        values, errors = sky.light_curves[STAR, orbit, data.photometry, data.processing]
        assert same_bits(data.flux, stored(values))
        assert errors is None or same_bits(data.flux_err, stored(errors))
        assert same_bits(data.time, sky.times[STAR, orbit] - 2457000.0)
    assert db.observations()["cadences"].tolist() == [39, 40, 41, 42, 43, 44]


@pytest.fixture
def server_with_postgres_fdw() -> Iterator[sa.URL]:
    """A server of Debian's, whose PostgreSQL has foreign tables; that of the wheel has not."""
    libraries = sorted(Path("/usr/lib/postgresql").glob("*/lib/postgres_fdw.so"))
    if not libraries:
        pytest.skip("PostgreSQL's postgres_fdw is not installed")
    programs = libraries[-1].parent.parent / "bin"
    account = server_account()
    folder = Path(tempfile.mkdtemp(prefix="lcdb-fdw-"))
    os.chown(folder, account.uid, account.gid)
    data = folder / "data"

    def run(program: str, *arguments: str | Path) -> None:
        done = account.run([programs / program, *arguments])
        assert done.returncode == 0, done.stdout

    run("initdb", "-D", data, "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    try:
        yield sa.make_url(f"postgresql+psycopg2://postgres@/postgres?host={folder}")
    finally:
        account.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])
        shutil.rmtree(folder)


@pytest.mark.parametrize("layout", [pytest.param("2.x", marks=pytest.mark.slow), "3.1"])
def test_read_takes_foreign_tables(
    all_layouts: Any, sky: Any, server_with_postgres_fdw: sa.URL, layout: str
) -> None:
    url = server_with_postgres_fdw
    made = type(all_layouts)(url)
    try:
        far = sa.make_url(made.shared(layout))
        near = url.set(database="near").render_as_string(hide_password=False)
        with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE near")
        change(
            near,
            "CREATE EXTENSION postgres_fdw;"
            "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS "
            f"(host '{url.query['host']}', dbname '{far.database}');"
            "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres');"
            "IMPORT FOREIGN SCHEMA public FROM SERVER far INTO public",
        )
        with lcdb.connect(near) as db:
            check_star(db, sky)
            assert len(db.frames()) == len(db.observations()) == 6
            assert len(db.lineage(db.search(STAR)[:3])) >= 3
            assert len(db.search(STAR)[0].lightcurve(quality_bitmask="none").meta["LINEAGE"]) > 0
            # Foreign tables have no keys, by which the fields beside observations are found.
            with pytest.raises(SchemaError, match=r"observation\.sector does not exist"):
                db.search(sector=1)
    finally:
        made.close()


@pytest.mark.parametrize("layout", ["3.1", "3.3"], indirect=True)
def test_read_does_without_flags_and_frames_in_lightcurvedb_3(layout_copy: str, sky: Any) -> None:
    change(layout_copy, "DROP TABLE quality_flag_array, fits_frame")
    with lcdb.connect(layout_copy) as db:
        check_star(db, sky)
        assert db.frames().empty
        assert db.quality_flags().empty
        assert len(db.lightcurve(STAR, orbit_number=9, **PRIMARY)) > 0


@pytest.mark.parametrize("layout", ["2.x", "3.1"], indirect=True)
def test_connect_names_a_column_of_a_type_that_cannot_be_read(layout_copy: str) -> None:
    change(
        layout_copy,
        "ALTER TABLE quality_flag_array ALTER quality_flags TYPE text[];"
        "ALTER TABLE target_specific_time ALTER barycentric_julian_dates TYPE real[]",
    )
    with pytest.raises(
        SchemaError, match=r"quality_flags is text\[\], and must be bigint\[\] or i"
    ) as error:
        lcdb.connect(layout_copy)
    assert len(str(error.value)) < 1000


@pytest.fixture
def reader(layout_copy: str) -> Iterator[tuple[str, str]]:
    """A role that may read every table, and the URL with it."""
    name = f"lcdb_reader_{uuid.uuid4().hex[:8]}"
    change(
        layout_copy,
        f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA public TO {name};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    yield name, sa.make_url(layout_copy).set(username=name).render_as_string(hide_password=False)
    change(layout_copy, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("layout", ["own", "2.x", "3.1"], indirect=True)
def test_connect_names_the_grant_that_is_missing_on_a_required_table(
    layout_copy: str, reader: tuple[str, str], sky: Any
) -> None:
    name, url = reader
    for table in REQUIRED:
        change(layout_copy, f"REVOKE SELECT ON {table} FROM {name}")
        with pytest.raises(SchemaError, match=f'may not read "public"."{table}"') as error:
            lcdb.connect(url)
        # The owner may run the statement of the message.
        change(layout_copy, str(error.value).partition("Ask the owner for: ")[2])
    with lcdb.connect(url) as db:
        check_star(db, sky)


@pytest.mark.parametrize("layout", ["own", "2.x", "3.1"], indirect=True)
@pytest.mark.parametrize("table", ["quality_flag_array", "fits_frame"])
def test_reading_names_the_grant_that_is_missing_on_an_optional_table(
    layout_copy: str, reader: tuple[str, str], table: str, sky: Any
) -> None:
    name, url = reader
    change(layout_copy, f"REVOKE SELECT ON {table} FROM {name}")
    with lcdb.connect(url) as db:
        assert len(db.search(STAR).table) == 45
        with pytest.raises(LCDBError, match=f"GRANT SELECT ON {table} TO {name}") as error:
            list(db.search(STAR).read()) if table == "quality_flag_array" else db.frames()
        change(layout_copy, str(error.value).partition("ask the owner for: ")[2])
        check_star(db, sky)
        assert len(db.frames()) == 6


@pytest.mark.parametrize("layout", ["2.x", "3.1"], indirect=True)
@pytest.mark.parametrize(
    ("table", "fields"),
    [
        ("tess_orbit_observation", {"sector": 1, "orbit_number": 9}),
        ("orbit", {"sector": 1, "orbit_number": 9}),
        ("extra", {"cloudy": True}),
    ],
)
def test_search_names_the_grant_that_is_missing_on_a_table_beside_observations(
    layout_copy: str, reader: tuple[str, str], table: str, fields: dict[str, Any], sky: Any
) -> None:
    name, url = reader
    change(
        layout_copy,
        "CREATE TABLE extra (id int PRIMARY KEY REFERENCES observation, cloudy bool);"
        f"INSERT INTO extra SELECT id, true FROM observation; GRANT SELECT ON extra TO {name};"
        f"REVOKE SELECT ON {table} FROM {name}",
    )
    with lcdb.connect(url) as db:
        assert len(db.search(STAR).table) == 45
        for field, value in fields.items():
            for search in (db.search, db.targets, db.observations, db.quality_flags, db.frames):
                with pytest.raises(SchemaError, match=f"the field {field} cannot be") as error:
                    search(**{field: value})
        statement = f"GRANT SELECT ON public.{table} TO {name}"
        assert str(error.value).endswith(f"Ask the owner for: {statement}")
        change(layout_copy, statement)
        assert len(db.search(STAR, **fields)) > 0
        check_star(db, sky)


OPTIONAL = {
    "astro_parameter": "light curves have no parameters of stars",
    "parameter_kind": "light curves have no parameters of stars",
    "datasethierarchy": "light curves have no lineage",
}


@pytest.mark.parametrize("layout", ["3.1"], indirect=True)
@pytest.mark.parametrize("table", [*OPTIONAL, "alias"])
def test_connect_names_the_grant_that_is_missing_on_a_table_that_is_not_required(
    layout_copy: str, reader: tuple[str, str], table: str, sky: Any
) -> None:
    name, url = reader
    change(
        layout_copy,
        "CREATE TABLE parameter_kind (id int PRIMARY KEY, name text);"
        "CREATE TABLE astro_parameter (target_id bigint, kind_id int, value float8);"
        f"GRANT SELECT ON parameter_kind, astro_parameter TO {name};"
        f"REVOKE SELECT ON {table} FROM {name}",
    )
    grant = f"GRANT SELECT ON {table} TO {name}"
    if table == "alias":
        with lcdb.connect(url) as db:
            check_star(db, sky)
            with pytest.raises(SchemaError, match=grant):
                len(db.search(STAR, aliases=True))
        return
    with pytest.warns(UserWarning, match=f"{OPTIONAL[table]}.*{grant}"), lcdb.connect(url) as db:
        assert len(list(db.search(STAR).read())) == 45
    change(layout_copy, grant)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lcdb.connect(url).close()


def test_positions_are_columns_of_light_curves_and_found_only_by_name(
    db: lcdb.Database, sky: Any
) -> None:
    methods = set(db.search(STAR).table["processing"])
    assert not methods & POSITIONS.keys()
    assert set(db.search(STAR, processing="FFI X Position").table["unit"]) == {"pix"}
    lc = db.lightcurve(
        STAR, orbit_number=9, photometry="TGLC Aperture Small", processing="raw", flagged="keep"
    )
    values, _ = sky.light_curves[STAR, 9, None, "FFI X Position"]
    timed = np.isfinite(sky.times[STAR, 9])
    assert same_bits(np.asarray(lc["centroid_col"].value), values[timed])
    assert str(lc["centroid_col"].unit) == "pix"


def test_positions_are_in_every_output(db: lcdb.Database, sky: Any, tmp_path: Path) -> None:
    found = db.search(STAR, orbit_number=9, **PRIMARY)
    values, _ = sky.light_curves[STAR, 9, None, "FFI X Position"]
    timed = values[np.isfinite(sky.times[STAR, 9])]
    keep: dict[str, Any] = {"flagged": "keep", "quality_bitmask": "none"}
    (data,) = found
    assert same_bits(data.positions["centroid_col"], values)
    frame = found.to_pandas(**keep)
    assert same_bits(frame["centroid_col"], timed)
    assert same_bits(lcdb.from_pandas(frame)[0]["centroid_col"].value, timed)
    assert same_bits(found.to_pandas(wide=True, **keep)["centroid_col"], timed)
    assert same_bits(found.to_nested(**keep)["lightcurve"].iloc[0]["centroid_col"], timed)
    lazy: Any = found.to_dask(**keep)
    dask = lazy.compute(scheduler="synchronous")
    assert same_bits(dask["centroid_col"], timed)
    assert list(dask) == list(frame)
    (first,) = found.map(lambda lc: lc["centroid_col"][0], workers=1, **keep)["result"]
    assert first == timed[0]
    for written in ("fits", "ecsv", "csv"):
        (file,) = found.export(tmp_path / written, format=written)["file"]
        again = lcdb.read_lightcurve(file)["centroid_col"]
        assert same_bits(again.value, timed)
        assert str(again.unit) == "pix"
    (file,) = found.export(tmp_path / "parquet", format="parquet")["file"]
    import pyarrow.parquet as pq

    (row,) = pq.read_table(file, partitioning=None)["lightcurve"].to_pylist()
    assert same_bits(row["centroid_col"], values)


@pytest.mark.parametrize("layout", ["own", "3.1"], indirect=True)
def test_positions_that_do_not_fit_are_named(layout_copy: str) -> None:
    which = "(SELECT id FROM processing_method WHERE name = 'FFI X Position')"
    where = f"WHERE observation_id = 1 AND processing_method_id = {which}"
    for changed, message in (
        ("ARRAY[1.0, 2.0]", "2 centroid_col.* refusing to align by position"),
        ("ARRAY[ARRAY[1.0, 2.0]]", "its positions have 2 dimensions"),
    ):
        change(layout_copy, f"UPDATE dataset SET values = {changed} {where}")
        with lcdb.connect(layout_copy) as db:
            with pytest.raises(LCDBError, match=message):
                db.lightcurve(STAR, orbit_number=9, **PRIMARY)
            assert len(db.lightcurve(STAR, orbit_number=10, quality_bitmask="none", **PRIMARY))


PRIMARY: dict[str, Any] = {"photometry": "TGLC Aperture Primary", "processing": "QSPMagnitude"}


def expected(sky: Any, orbit: int = 9) -> tuple[Any, Any, Any]:
    """Return values, errors and times of the light curve that PRIMARY finds in an orbit."""
    values, errors = sky.light_curves[STAR, orbit, *PRIMARY.values()]
    return values, errors, sky.times[STAR, orbit] - 2457000.0


def test_search_finds_what_was_put_in(db: lcdb.Database, sky: Any) -> None:
    # Positions are not light curves.
    names = [name for name in sky.light_curves if name[3] not in POSITIONS]
    assert len(db.search()) == len(names)
    assert len(db.search(STAR)) == sum(name[0] == STAR for name in names)
    assert len(db.search(STAR, sector=1)) == sum(n[0] == STAR and n[1] < 11 for n in names)
    assert len(db.search(orbit_number=[9, 14])) == sum(name[1] in (9, 14) for name in names)
    assert len(db.search(processing="raw")) == sum(name[3] is None for name in names)
    assert len(db.search(processing=["raw", "QSPMagnitude"], observation=1)) == sum(
        name[3] in (None, "QSPMagnitude") and name[1] == 9 for name in names
    )
    assert len(db.search([STAR, 1_000_000_007], catalog="TIC", instrument="Camera 1")) == 81
    ids = db.search(STAR).datasets
    assert len(set(ids)) == len(ids) == 45
    table = db.search(STAR)[10:20].table
    assert table["dataset"].tolist() == ids[10:20]
    assert db.search(observation=1, processing="FFI X Position").table["photometry"].isna().all()
    for wrong, message in (
        ({"target": 5}, "no target 5 in catalog TIC"),
        ({"photometry": "SAP"}, "no photometric source named 'SAP'.*TGLC"),
        ({"target": STAR, "sector": 99}, "no light curve matches"),
    ):
        with pytest.raises(LCDBError, match=message):
            db.lightcurve(**wrong)


def test_lightcurve_and_lightcurves_are_exact(db: lcdb.Database, sky: Any) -> None:
    values, errors, time = expected(sky)
    keep: dict[str, Any] = {"flagged": "keep", "quality_bitmask": "none", "as_flux": False}
    lc = db.lightcurve(STAR, orbit_number=9, **PRIMARY, **keep)
    kept = ~np.isnan(time)
    assert same_bits(lc.flux.value, values[kept])
    assert same_bits(lc.flux_err.value, errors[kept])
    assert same_bits(lc.time.value, time[kept])
    assert lc.meta["ORBIT_NUMBER"] == 9
    assert lc.meta["SECTOR"] == 1
    assert [lc.meta["DATASET"]] == db.search(STAR, orbit_number=9, **PRIMARY).datasets
    several = db.lightcurves(STAR, **PRIMARY, **keep)
    assert [one.meta["ORBIT_NUMBER"] for one in several] == [9, 10, 11, 13, 14]
    assert same_bits(several[4].flux.value, expected(sky, 14)[0][~np.isnan(expected(sky, 14)[2])])


def test_lightcurve_joins_the_orbits_of_a_sector(db: lcdb.Database, sky: Any) -> None:
    keep: dict[str, Any] = {"flagged": "keep", "quality_bitmask": "none", "as_flux": False}
    joined = db.lightcurve(STAR, sector=1, **PRIMARY, **keep)
    parts = [expected(sky, orbit) for orbit in (9, 10)]
    assert same_bits(joined.flux.value, np.concatenate([v[~np.isnan(t)] for v, _, t in parts]))
    ids = db.search(STAR, sector=1, **PRIMARY).datasets
    assert set(ids) <= set(db.lineage(joined).to_pandas()["dataset"])
    if isinstance(ids[0], str):
        assert joined.meta["DATASETS"] == ", ".join(map(str, ids))
        assert list(dict.fromkeys(joined["observation"].tolist())) == [1, 2]
    else:
        assert list(dict.fromkeys(joined["dataset"].tolist())) == ids
    assert set(joined["orbit_number"]) == {9, 10}
    assert len(db.lightcurves(STAR, **PRIMARY).stitch().remove_nans()["sector"])
    again = joined.remove_nans().bin(time_bin_size=0.5)
    assert 0 < len(again) < len(joined)
    assert len(joined.remove_nans().fold(1.0)) == len(joined.remove_nans())


@pytest.mark.parametrize("to", ["to_pandas", "to_nested", "to_dask"])
def test_tables_are_exact(db: lcdb.Database, sky: Any, to: str) -> None:
    found = db.search(STAR, sector=1, **PRIMARY)
    frame = getattr(found, to)(flagged="keep", quality_bitmask="none")
    if to == "to_dask":
        frame = frame.compute(scheduler="synchronous")
    if to == "to_nested":
        assert frame["dataset"].tolist() == found.datasets
        parts = [frame["lightcurve"].iloc[place] for place in range(2)]
    else:
        assert frame["dataset"].drop_duplicates().tolist() == found.datasets
        parts = [frame[frame["dataset"] == id_] for id_ in found.datasets]
    for orbit, part in zip((9, 10), parts, strict=True):
        values, errors, time = expected(sky, orbit)
        kept = ~np.isnan(time)
        assert same_bits(part["flux"], values[kept] if len(part) == kept.sum() else values)
        assert same_bits(part["flux_err"], errors[kept] if len(part) == kept.sum() else errors)


@pytest.mark.parametrize("written", ["fits", "ecsv", "csv", "parquet"])
def test_export_writes_what_can_be_read_back(
    db: lcdb.Database, sky: Any, written: FileFormat, tmp_path: Path
) -> None:
    found = db.search(STAR, sector=1, **PRIMARY)
    options = {"quality_bitmask": "none", "as_flux": False} if written != "parquet" else {}
    report = found.export(tmp_path, format=written, **options)  # type: ignore[arg-type]
    assert report["status"].tolist() == ["written", "written"]
    assert report["dataset"].tolist() == found.datasets
    again = found.export(tmp_path, format=written, **options)  # type: ignore[arg-type]
    assert again["status"].tolist() == ["kept", "kept"]
    values, _, time = expected(sky)
    kept = ~np.isnan(time)
    if written == "parquet":
        import pyarrow.dataset as ds

        rows = ds.dataset(tmp_path, partitioning="hive", exclude_invalid_files=True)
        frame = rows.to_table().to_pandas().set_index("dataset")
        assert same_bits(frame.loc[found.datasets[0], "lightcurve"]["flux"], values)
        return
    lc = lcdb.read_lightcurve(tmp_path / report["file"][0])
    assert same_bits(lc.flux.value, values[kept])
    assert str(lc.meta["DATASET"]) == str(found.datasets[0])


def test_map_reads_every_light_curve(db: lcdb.Database) -> None:
    found = db.search(STAR, photometry="TGLC Aperture Large")
    done = found.map(lambda lc: lc.flux.value[0], workers=1, quality_bitmask="none")
    assert done["error"].isna().all()
    assert done["dataset"].tolist() == found.datasets
    assert {"sector", "orbit_number"} <= set(done)


def test_lineage_leads_from_raw_to_final(db: lcdb.Database, layout: str) -> None:
    (final,) = db.search(STAR, orbit_number=9, **PRIMARY).datasets
    lineage = db.lineage(final)
    recorded = layout != "3.3"
    assert lineage.recorded == recorded
    assert ("no record of lineage" in repr(lineage)) == (not recorded)
    assert len(lineage) == (3 if recorded else 1)
    assert lineage.to_pandas()["processing"].tolist() == (
        ["raw", "QSPIntermediateMagnitude", "QSPMagnitude"] if recorded else ["QSPMagnitude"]
    )
    assert "<svg" in (lineage._repr_svg_() or "")
    assert lineage.to_mermaid().count("-->") == (2 if recorded else 0)
    history = db.lightcurve(STAR, orbit_number=9, quality_bitmask="none", **PRIMARY).meta["LINEAGE"]
    assert history.count("->") == (2 if recorded else 0)
    assert str(final) in history
    for wrong in (10**9, "99:1:1:1"):
        with pytest.raises(LightCurveNotFoundError, match=str(wrong)):
            db.lineage(wrong)
    with pytest.raises(TypeError, match="DataSet key"):
        db.lineage("nonsense")


def test_listings_are_those_of_the_layout(db: lcdb.Database, sky: Any) -> None:
    assert len(db.targets()) == 20
    assert db.targets(sector=2, photometry="TGLC Aperture Small")["target"].is_unique
    observations = db.observations(target=STAR)
    assert observations["orbit_number"].tolist() == [9, 10, 11, 13, 14]
    assert observations["instrument"].unique().tolist() == ["TESS / Camera 1 / CCD 2"]
    assert db.photometric_sources()["name"].tolist() == sorted(
        name for name in {name[2] for name in sky.light_curves} if name
    )
    assert "Unspecified" not in set(db.processing_methods()["name"])
    assert len(db.quality_flags(sector=[1, 2, 3], limit=None)) == len(sky.flags)
    assert len(db.frames()) == 6
    assert db.missions()["time_unit"].tolist() == ["d"]
    assert summary(db).split()[:2] == ["targets", "20"]
    assert "960" in summary(db)


def test_browse_counts_by_every_facet(db: lcdb.Database, sky: Any) -> None:
    everything = TargetFilter()
    with db.session_scope() as session:
        assert browse.count(session, everything) == 20
        assert len(browse.page(session, everything, size=7).rows) == 7
        small = TargetFilter(criteria=criteria(photometry="TGLC Aperture Small", orbit_number=9))
        stars = {name[0] for name in sky.light_curves if name[1] == 9}
        assert browse.count(session, small) == len(stars)
        assert browse.counts(session, everything, "processing") == dict.fromkeys(
            [None, "QSPIntermediateMagnitude", "QSPMagnitude", "FFI X Position"], 20
        )
        assert browse.counts(session, everything, "flags")[True] == 20
        assert browse.counts(session, everything, "sector") == {1: 20, 2: 20, 3: 20}
        assert browse.choices(session)["sector"] == [1, 2, 3]


def test_plot_draws(db: lcdb.Database) -> None:
    ax = db.search(STAR, orbit_number=9, **PRIMARY).plot(quality_bitmask="none")
    assert ax.lines or ax.collections


def test_explorer_opens_and_chooses(db: lcdb.Database) -> None:
    explorer = db.explore(STAR, sector=1)
    try:
        selection = explorer.selection
        assert selection is not None
        assert set(selection.table["target"]) == {STAR}
        assert "sector=1" in explorer.code
    finally:
        explorer.close()


@pytest.mark.parametrize("layout", ["3.1"], indirect=True)
def test_writing_into_lightcurvedb_3_is_refused(layout_copy: str) -> None:
    with pytest.raises(SchemaError, match="LightcurveDB 3, which lcdb_notebook only reads"):
        lcdb.connect(layout_copy, write=True, create=True)
    with lcdb.connect(layout_copy, write=True) as db:
        with pytest.raises(SchemaError, match=r"add\(\) cannot write to LightcurveDB 3, because"):
            db.add(None)
        with pytest.raises(SchemaError, match="LightcurveDB 3"):
            db.create(alter=True)
        rows = db.session.execute(sa.text("SELECT count(*) FROM dataset")).scalar()
        assert rows == 960


@pytest.mark.parametrize("layout", ["3.1", "3.3"], indirect=True)
@pytest.mark.parametrize("most", [5, 100_000])
def test_search_reads_keys_a_few_partitions_at_a_time(
    db: lcdb.Database, sky: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(keyed, "AT_ONCE", 2)
    monkeypatch.setattr(keyed, "MOST_KEYS", most)
    monkeypatch.setattr(keyed, "_TOGETHER", 2)
    names = [name for name in sky.light_curves if name[3] not in POSITIONS]
    assert len(set(db.search().datasets)) == len(db.search()) == len(names)
    found = db.search(orbit_number=[9, 10, 11], photometry="TGLC Aperture Small", processing="raw")
    assert len(found) == sum(
        name[1] < 12 and name[2:] == ("TGLC Aperture Small", None) for name in names
    )
    assert len(db.lineage(db.search(STAR)[0])) >= 1


@pytest.mark.parametrize("layout", ["own", "2.x", "3.1"], indirect=True)
def test_a_target_and_its_flags_are_found_by_the_index(layout_copy: str) -> None:
    change(
        layout_copy,
        "INSERT INTO target SELECT i, 1, i FROM generate_series(1000, 6000) i;"
        "INSERT INTO quality_flag_array (type, observation_id, target_id, quality_flags) "
        f"SELECT '{FOR_ONE}', o, t, '{{0}}' FROM generate_series(1, 6) o, "
        "generate_series(1000, 6000) t; ANALYZE quality_flag_array, target",
    )
    sent: list[tuple[str, Any]] = []
    with lcdb.connect(layout_copy) as db:
        bind = db.session.get_bind()

        @sa.event.listens_for(bind, "before_cursor_execute")
        def _record(_c: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
            sent.append((statement, given))

        flags = db.quality_flags(STAR)
        few = db.quality_flags(STAR, sector=1)
        flagged = TargetFilter(str(STAR), flagged=True)
        assert [row.number for row in browse.page(db.session, flagged).rows] == [STAR]
        db.search(STAR).to_dask()
        assert len(db.search(STAR).table) == 45
        assert len(db.targets([STAR, 1_000_000_007])) == 2
        assert set(flags["observation"]) == {1, 2, 3, 5, 6}
        assert set(flags["target"]) == {STAR}
        assert set(few["observation"]) == {1, 2}
    with sa.create_engine(layout_copy, poolclass=sa.NullPool).connect() as connection:
        plans = [
            "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars())
            for statement, given in sent
            if not statement.startswith("EXPLAIN")
        ]
    assert sum("quality_flag_array" in plan for plan in plans) >= 4
    assert sum(" on target" in plan for plan in plans) >= 3
    for table in ("quality_flag_array", "target"):
        assert not any(f"Seq Scan on {table} " in plan for plan in plans), plans
