"""``db.conf``, the file that LightcurveDB's users already have."""

from __future__ import annotations

import configparser
import os
import stat
import warnings
from pathlib import Path

from sqlalchemy.engine import URL

from lcdb_notebook.config.url import DRIVER, check_port
from lcdb_notebook.errors import ConfigurationError

__all__ = ["OpenToOthersWarning", "read_file"]

SECTION = "Credentials"

_KEYS = ("username", "password", "database_name", "database_host", "database_port")
_TLS_KEYS = ("sslmode", "sslrootcert")


class OpenToOthersWarning(UserWarning):
    """Other users of this machine can read a file with a password in it."""


def read_file(path: Path) -> URL:
    """Read a ``db.conf``.

    Parameters
    ----------
    path
        An INI file with the section ``[Credentials]``.

    Returns
    -------
    sqlalchemy.engine.URL
        With the password as it stands in the file.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or lacks something; the message names the file and what is wrong.

    Warns
    -----
    OpenToOthersWarning
        If other users can read it.
    """
    values = _read(path)
    missing = [key for key in _KEYS if key not in values]
    if missing:
        raise ConfigurationError(
            f"{path} has no {', '.join(missing)} in its section [{SECTION}]; add what is missing. "
            f"It needs {', '.join(_KEYS)}."
        )
    empty = [key for key in _KEYS if key != "password" and not values[key]]
    if empty:
        raise ConfigurationError(f"{path} has nothing after {', '.join(empty)} =.")
    port = check_port(values["database_port"], str(path), "database_port")
    user, host, database = (values[k] for k in ("username", "database_host", "database_name"))
    return URL.create(
        DRIVER,
        username=user,
        password=values["password"] or None,
        host=host,
        port=port,
        database=database,
        query={key: values[key] for key in _TLS_KEYS if values.get(key)},
    )


def _read(path: Path) -> dict[str, str]:
    # A RawConfigParser takes % as it stands. No reason is chained: configparser's quote
    # the line, and UnicodeDecodeError carries the whole file.
    parser = configparser.RawConfigParser()
    reason = ""
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            parser.read_file(file, source=str(path))
    except OSError as error:
        reason = f"cannot read {path}: {error.strerror}."
    except UnicodeDecodeError:
        reason = f"{path} is not a text file in UTF-8."
    except configparser.MissingSectionHeaderError as error:
        reason = f"{path} does not begin with [{SECTION}]: see line {error.lineno}."
    except configparser.ParsingError as error:
        lines = ", ".join(str(number) for number, _ in error.errors)
        reason = f"{path} is not a configuration file: line {lines} is not of the form key = value."
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        reason = f"{path} names a section or a key twice" + (f", in line {line}." if line else ".")
    if reason:
        raise ConfigurationError(reason)
    if mode & 0o077:
        warnings.warn(
            f"other users of this machine can read the password in {path} (mode {mode:04o}). "
            f"Close it to them: chmod 600 {path}",
            OpenToOthersWarning,
            stacklevel=5,
        )
    if not parser.has_section(SECTION):
        raise ConfigurationError(f"{path} has no section [{SECTION}] with {', '.join(_KEYS)}.")
    return dict(parser[SECTION])
