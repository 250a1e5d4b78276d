"""Finding the database: the order, the accepted forms, and no password anywhere."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2.extensions
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.server import config

SECRET = "h%nter/2@ a:b?c#d+e"
"""A password with every character that has a meaning in a URL."""
ENCODED = "h%25nter%2F2%40%20a%3Ab%3Fc%23d%2Be"

COMPLETE = {
    "username": "ada",
    "password": SECRET,
    "database_name": "lightcurvedb",
    "database_host": "pdo.example.org",
    "database_port": "5433",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def write_conf(home: Path) -> Callable[..., Path]:
    def write(values: dict[str, str] = COMPLETE, *, text: str | None = None) -> Path:
        path = home / ".config/lightcurvedb/db.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["[Credentials]", *(f"{key} = {value}" for key, value in values.items())]
        path.write_text("\n".join(lines) if text is None else text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return write


def libpq_arguments(address: config.Address) -> dict[str, Any]:
    """Return the arguments of psycopg2.connect."""
    assert address.url is not None
    _, arguments = sa.create_engine(address.url).dialect.create_connect_args(address.url)
    return dict(arguments)


def all_text(error: BaseException) -> str:
    """Return all that a traceback, its causes and the objects in them could print."""
    text = "".join(traceback.format_exception(error))
    chained: BaseException | None = error
    while chained is not None:
        text += repr(chained) + repr(chained.args) + repr(vars(chained))
        chained = chained.__cause__ or chained.__context__
    return text


# --- the order ------------------------------------------------------------------------------


def test_a_url_argument_overrides_everything(home: Path, write_conf: Callable[..., Path]) -> None:
    write_conf()
    environ = {"LCDB_URL": "postgresql://elsewhere/x", "PGHOST": "elsewhere"}
    address = config.resolve("postgresql://given/db", environ=environ, home=home)
    assert (address.origin, str(address)) == ("the url given", "given/db")


def test_the_file_in_the_home_folder_comes_before_the_environment(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    write_conf()
    address = config.resolve(environ={"LCDB_URL": "postgresql://elsewhere/x"}, home=home)
    assert address.origin == "~/.config/lightcurvedb/db.conf"
    assert str(address) == "ada@pdo.example.org:5433/lightcurvedb"


def test_a_file_argument_overrides_the_one_in_the_home_folder(
    home: Path, write_conf: Callable[..., Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.conf"
    other.write_bytes(write_conf(COMPLETE | {"database_host": "other"}).read_bytes())
    other.chmod(0o600)
    write_conf()
    address = config.resolve(config=other, environ={}, home=home)
    assert (address.origin, str(address)) == (str(other), "ada@other:5433/lightcurvedb")


def test_lcdb_url_comes_before_the_variables_of_libpq(home: Path) -> None:
    environ = {"LCDB_URL": "postgresql://first/db", "PGHOST": "second"}
    assert config.resolve(environ=environ, home=home).origin == "LCDB_URL"


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT"])
def test_a_variable_of_libpq_leaves_everything_to_libpq(name: str, home: Path) -> None:
    address = config.resolve(environ={name: "5"}, home=home)
    assert address.origin == "PG* variables"
    assert address.url == URL.create("postgresql+psycopg2")
    assert libpq_arguments(address) == {}


def test_the_variables_of_libpq_are_shown_without_their_password(home: Path) -> None:
    environ = {"PGHOST": "pdo", "PGPORT": "6", "PGUSER": "ada", "PGDATABASE": "d"}
    address = config.resolve(environ=environ | {"PGPASSWORD": SECRET}, home=home)
    assert str(address) == "ada@pdo:6/d"
    assert SECRET not in repr(address)
    service = config.resolve(environ={"PGSERVICE": "mission"}, home=home)
    assert str(service) == "service mission"


def test_a_user_and_a_password_alone_name_no_server(home: Path) -> None:
    environ = {"PGUSER": "ada", "PGPASSWORD": "x", "PGPASSFILE": "/x", "LCDB_URL": "", "PGHOST": ""}
    assert config.resolve(environ=environ, home=home).folder is not None


def test_by_default_the_embedded_server_is_in_the_users_data_folder(home: Path) -> None:
    address = config.resolve(environ={}, home=home)
    assert address.url is None
    assert address.folder is not None
    assert address.folder.parts[-2:] == ("lcdb_notebook", "postgres")
    assert address.origin == str(address) == f"embedded server in {address.folder}"


def test_lcdb_data_moves_the_embedded_server(home: Path, tmp_path: Path) -> None:
    environ = {"LCDB_DATA": str(tmp_path)}
    assert config.resolve(environ=environ, home=home).folder == tmp_path
    assert config.resolve(embedded=True, environ=environ, home=home).folder == tmp_path


@pytest.mark.parametrize("expected", [True, "path"])
def test_embedded_wins_over_file_and_environment(
    expected: bool | str, home: Path, write_conf: Callable[..., Path], tmp_path: Path
) -> None:
    write_conf()
    environ = {"LCDB_URL": "postgresql://elsewhere/x", "PGHOST": "elsewhere"}
    folder = tmp_path / "db"
    address = config.resolve(
        embedded=folder if expected == "path" else True, environ=environ, home=home
    )
    assert address.url is None
    assert (address.folder == folder) == (expected == "path")


def test_the_embedded_servers_folder_is_absolute(home: Path) -> None:
    address = config.resolve(embedded="db", environ={}, home=home)
    assert address.folder == Path.cwd() / "db"
    in_home = config.resolve(embedded="~/db", environ={}, home=home).folder
    assert in_home == Path("~/db").expanduser()


def test_with_embedded_false_the_error_lists_the_places_searched(
    home: Path,
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config.resolve(embedded=False, environ={}, home=home)
    for place in ("url=", "config=", f"{home}/.config/lightcurvedb/db.conf", "LCDB_URL", "PGHOST"):
        assert place in str(caught.value)


def test_forbidding_the_embedded_server_contradicts_nothing(home: Path) -> None:
    address = config.resolve("postgresql://h/d", embedded=False, environ={}, home=home)
    assert str(address) == "h/d"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"url": "postgresql://h/d", "config": "x"}, ("url=", "config=")),
        ({"url": "postgresql://h/d", "embedded": True}, ("url=", "embedded=")),
        ({"config": "x", "embedded": "folder"}, ("config=", "embedded=")),
    ],
)
def test_arguments_that_contradict_each_other_are_refused_by_name(
    arguments: dict[str, Any], named: tuple[str, ...], home: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config.resolve(**arguments, environ={}, home=home)
    assert all(name in str(caught.value) for name in named)


# --- URLs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_each_scheme_of_postgresql_gets_the_same_driver(scheme: str, home: Path) -> None:
    address = config.resolve(f"{scheme}://ada@pdo:5433/lc", environ={}, home=home)
    assert address.url == URL.create(
        "postgresql+psycopg2", username="ada", host="pdo", port=5433, database="lc"
    )


def test_a_url_object_is_understood_as_its_text_is(home: Path) -> None:
    given = URL.create("postgresql", username="ada", password=SECRET, host="pdo", database="d")
    assert libpq_arguments(config.resolve(given, environ={}, home=home))["password"] == SECRET


@pytest.mark.parametrize(
    "url",
    ["sqlite:///x.db", "mysql://h/d", "postgresql+psycopg://h/d", "postgresql+asyncpg://h/d"],
)
def test_other_databases_and_drivers_are_refused_by_name(url: str, home: Path) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://") as caught:
        config.resolve(url, environ={}, home=home)
    assert url.split(":")[0] in str(caught.value)


def test_a_password_with_every_special_character_works_percent_encoded(home: Path) -> None:
    address = config.resolve(f"postgresql://ada:{ENCODED}@pdo/d", environ={}, home=home)
    arguments = libpq_arguments(address)
    assert arguments["password"] == SECRET
    # libpq itself reads the same from the string that psycopg2 builds.
    dsn = psycopg2.extensions.make_dsn(**arguments)
    assert psycopg2.extensions.parse_dsn(dsn)["password"] == SECRET


def test_a_password_in_the_query_is_used_and_not_shown(home: Path) -> None:
    url = f"postgresql:///d?host=pdo&user=ada&password={ENCODED}"
    address = config.resolve(url, environ={}, home=home)
    assert libpq_arguments(address)["password"] == SECRET
    assert str(address) == "ada@pdo/d"
    assert "nter" not in f"{address!r} {address} {address.url}"


def test_tls_and_session_options_pass_through_a_url(home: Path) -> None:
    query = "sslmode=verify-full&sslrootcert=/ca.pem&options=-csearch_path%3Dx&application_name=n"
    address = config.resolve(f"postgresql://h/d?{query}", environ={}, home=home)
    arguments = libpq_arguments(address)
    assert arguments["sslmode"] == "verify-full"
    assert arguments["sslrootcert"] == "/ca.pem"
    assert arguments["options"] == "-csearch_path=x"
    assert arguments["application_name"] == "n"


def test_a_misspelt_parameter_is_refused_with_the_nearest_one(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean sslmode"):
        config.resolve("postgresql://h/d?ssl_mode=require", environ={}, home=home)


@pytest.mark.parametrize("name", ["requiressl", "sslcertmode", "tcp_user_timeout"])
def test_every_parameter_of_the_installed_libpq_is_accepted(name: str, home: Path) -> None:
    address = config.resolve(f"postgresql://h/d?{name}=1", environ={}, home=home)
    assert libpq_arguments(address)[name] == "1"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@pdo:port/d",
        "postgresql://ada:hunter2@pdo:0/d",
        "postgresql://ada:x@pdo:hunter2/d",
        "postgresql://ada:hunter2@pdo:65536/d",
        "postgresql://ada:x@hunter2@pdo/d",
        "postgresql://ada:x@hunter2/@pdo/d",
        "postgresql://ada:x@pdo?hunter2=@h/d",
        "postgresql://pdo/d?hunter2=x",
        "postgresql://pdo/d?sslpassword=hunter2",
        "postgresql://pdo/d?password=hunter2&sslmode=a&sslmode=b",
        "host=pdo password=hunter2",
        "hunter2",
        "",
    ],
)
def test_a_bad_url_is_refused_and_never_quoted(url: str, home: Path) -> None:
    for arguments in ({"url": url}, {"environ": {"LCDB_URL": url}}):
        if not url and "environ" in arguments:
            continue  # an empty variable is as good as none
        with pytest.raises(ConfigurationError) as caught:
            config.resolve(**{"environ": {}, "home": home} | arguments)  # type: ignore[arg-type]
        source = ("the url given", "LCDB_URL")["environ" in arguments]
        assert str(caught.value).startswith(source)
        assert "hunter2" not in all_text(caught.value)


def test_the_password_of_a_url_is_in_no_text_of_the_address(home: Path) -> None:
    address = config.resolve(f"postgresql://ada:{ENCODED}@pdo:5/d", environ={}, home=home)
    assert str(address) == "ada@pdo:5/d"
    for text in (repr(address), str(address), repr(address.url), str(address.url)):
        assert "nter" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://[::1]:5433/d", "[::1]:5433/d"),
        ("postgresql:///d?host=/run/pg", "/run/pg/d"),
        ("postgresql://", "libpq's defaults"),
    ],
)
def test_an_address_shows_user_host_port_and_database(url: str, shown: str, home: Path) -> None:
    assert str(config.resolve(url, environ={}, home=home)) == shown


# --- db.conf --------------------------------------------------------------------------------


def test_a_password_in_the_file_is_read_literally(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    write_conf()
    arguments = libpq_arguments(config.resolve(environ={}, home=home))
    assert arguments == {
        "user": "ada",
        "password": SECRET,
        "host": "pdo.example.org",
        "port": 5433,
        "dbname": "lightcurvedb",
    }


def test_an_empty_password_leaves_it_to_the_pgpass_file(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    write_conf(COMPLETE | {"password": ""})
    assert "password" not in libpq_arguments(config.resolve(environ={}, home=home))


def test_tls_options_pass_through_the_file(home: Path, write_conf: Callable[..., Path]) -> None:
    write_conf(COMPLETE | {"sslmode": "verify-ca", "sslrootcert": "/etc/ca.pem"})
    arguments = libpq_arguments(config.resolve(environ={}, home=home))
    assert (arguments["sslmode"], arguments["sslrootcert"]) == ("verify-ca", "/etc/ca.pem")


def test_a_client_certificate_passes_through_the_file_from_the_home_folder(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    write_conf(COMPLETE | {"sslcert": "/etc/ada.crt", "sslkey": "~/keys/ada.key"})
    arguments = libpq_arguments(config.resolve(environ={}, home=home))
    assert arguments["sslcert"] == "/etc/ada.crt"
    assert arguments["sslkey"] == str(Path("~/keys/ada.key").expanduser())


@pytest.mark.parametrize("key", COMPLETE)
def test_a_missing_key_is_named_with_its_file(
    key: str, home: Path, write_conf: Callable[..., Path]
) -> None:
    path = write_conf({name: value for name, value in COMPLETE.items() if name != key})
    with pytest.raises(ConfigurationError) as caught:
        config.resolve(environ={}, home=home)
    assert str(path) in str(caught.value)
    assert f"has no {key} " in str(caught.value)
    assert SECRET not in all_text(caught.value)


@pytest.mark.parametrize("port", ["pdo", "", "0", "65536", "5_432", "-1", "٥", SECRET])
def test_an_invalid_port_is_named_with_its_file(
    port: str, home: Path, write_conf: Callable[..., Path]
) -> None:
    path = write_conf(COMPLETE | {"database_port": port})
    with pytest.raises(ConfigurationError, match="database_port") as caught:
        config.resolve(environ={}, home=home)
    assert str(path) in str(caught.value)
    assert SECRET not in all_text(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no section [Credentials]"),
        ("[Other]\npassword = hunter2", "no section [Credentials]"),
        ("password = hunter2", "line 1"),
        ("[Credentials]\nusername = a\nhunter2\n", "line 3"),
        (
            "[Credentials]\npassword = hunter2\npassword = hunter2",
            "repeats a section or a key in line 3",
        ),
    ],
)
def test_an_invalid_file_is_named_and_never_quoted(
    text: str, reason: str, home: Path, write_conf: Callable[..., Path]
) -> None:
    path = write_conf(text=text)
    with pytest.raises(ConfigurationError) as caught:
        config.resolve(environ={}, home=home)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "hunter2" not in all_text(caught.value)


def test_a_file_that_is_not_text_is_named_and_never_quoted(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    path = write_conf()
    path.write_bytes(b"[Credentials]\npassword = hunter2\xff\n")
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        config.resolve(environ={}, home=home)
    assert "hunter2" not in all_text(caught.value)


def test_a_missing_file_is_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*nothing\.conf: No such file"):
        config.resolve(config=tmp_path / "nothing.conf", environ={}, home=home)


def test_a_file_that_cannot_be_read_is_named(home: Path, write_conf: Callable[..., Path]) -> None:
    path = write_conf()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot read .*db\.conf"):
        config.resolve(environ={}, home=home)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_file_without_permission_is_an_error_and_not_skipped(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    write_conf().chmod(0o000)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        config.resolve(environ={}, home=home)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_warned_about(
    mode: int, home: Path, write_conf: Callable[..., Path]
) -> None:
    path = write_conf()
    path.chmod(mode)
    with pytest.warns(config.OpenToOthersWarning, match="chmod 600") as caught:
        config.resolve(environ={}, home=home)
    assert SECRET not in str(caught[0].message)


def test_a_file_is_warned_about_once(home: Path, write_conf: Callable[..., Path]) -> None:
    write_conf().chmod(0o644)
    with pytest.warns(config.OpenToOthersWarning):
        config.resolve(environ={}, home=home)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.resolve(environ={}, home=home)


def test_a_file_without_a_password_may_be_open_to_all(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    write_conf(COMPLETE | {"password": ""}).chmod(0o644)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.resolve(environ={}, home=home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_warned_about(
    home: Path, write_conf: Callable[..., Path]
) -> None:
    path = write_conf()
    path.chmod(0o644)
    os.chown(path, 65534, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.resolve(environ={}, home=home)


def test_a_private_file_is_not_warned_about(home: Path, write_conf: Callable[..., Path]) -> None:
    write_conf()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.resolve(environ={}, home=home)
