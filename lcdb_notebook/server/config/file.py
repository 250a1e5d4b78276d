"""Read ``db.conf``, the configuration file of LightcurveDB."""

from __future__ import annotations

import configparser
import os
import stat
import warnings
from pathlib import Path

from sqlalchemy.engine import URL

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.server.config.url import DRIVER, check_port
from lcdb_notebook.server.secret import Secret

__all__ = ["OpenToOthersWarning", "read_file"]

SECTION = "Credentials"

_KEYS = ("username", "password", "database_name", "database_host", "database_port")
_TLS_KEYS = ("sslmode", "sslrootcert", "sslcert", "sslkey")

_warned_of: set[Path] = set()


class OpenToOthersWarning(UserWarning):
    """Other users of this machine can read a file that contains a password."""


def read_file(path: Path) -> URL:
    """Read a ``db.conf``.

    Parameters
    ----------
    path : pathlib.Path
        An INI file with the section ``[Credentials]``.

    Returns
    -------
    sqlalchemy.engine.URL
        URL with the password exactly as written in the file.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or a key is missing; the message names the file and the problem.

    Warns
    -----
    OpenToOthersWarning
        Once per file, if it belongs to this user, contains a password, and others can read it.
        Files of other owners (such as an administrator's in ``/etc``) are accepted, as ssh does for
        keys.
    """
    values, status = _read(path)
    missing = [key for key in _KEYS if key not in values]
    if missing:
        raise ConfigurationError(
            f"{path} has no {', '.join(missing)} in its section [{SECTION}]; it needs "
            f"{', '.join(_KEYS)}"
        )
    empty = [key for key in _KEYS if key != "password" and not values[key]]
    if empty:
        raise ConfigurationError(f"{path}: {', '.join(empty)} must not be empty")
    port = check_port(values["database_port"], str(path), "database_port")
    user, host, database = (
        values[key][:] for key in ("username", "database_host", "database_name")
    )
    if values["password"]:
        _warn_if_open(path, status)
    return URL.create(
        DRIVER,
        username=user,
        password=values["password"] or None,
        host=host,
        port=port,
        database=database,
        query={key: _expanded(values[key][:]) for key in _TLS_KEYS if values.get(key)},
    )


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path.startswith("~") else path  # libpq would not


def _warn_if_open(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or not status.st_mode & 0o077 or path in _warned_of:
        return
    _warned_of.add(path)
    warnings.warn(
        f"other users of this machine can read the password in {path} (mode "
        f"{stat.S_IMODE(status.st_mode):04o}); run: chmod 600 {path}",
        OpenToOthersWarning,
        stacklevel=5,
    )


def _read(path: Path) -> tuple[dict[str, Secret], os.stat_result]:
    # A RawConfigParser, because a password may contain %. Errors are not chained: those of
    # configparser quote the line, and a UnicodeDecodeError contains the whole file.
    parser = configparser.RawConfigParser()
    reason = ""
    try:
        with path.open(encoding="utf-8-sig") as file:
            status = os.fstat(file.fileno())
            parser.read_file(file, source=str(path))
    except OSError as error:
        reason = f"cannot read {path}: {error.strerror}."
    except UnicodeDecodeError:
        reason = f"{path} is not a text file in UTF-8."
    except configparser.MissingSectionHeaderError as error:
        reason = f"{path} must begin with [{SECTION}], but line {error.lineno} comes before it."
    except configparser.ParsingError as error:
        lines = ", ".join(str(number) for number, _ in error.errors)
        reason = f"{path} is not a configuration file: line {lines} is not key = value."
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        reason = f"{path} repeats a section or a key" + (f" in line {line}." if line else ".")
    if reason:
        raise ConfigurationError(reason)
    if not parser.has_section(SECTION):
        raise ConfigurationError(f"{path} has no section [{SECTION}] with {', '.join(_KEYS)}.")
    # Any line may contain the password, if it was written in the wrong place.
    return {key: Secret(value) for key, value in parser[SECTION].items()}, status
