"""Settings of a connection, as startup options or for one transaction at a time.

On a direct connection to PostgreSQL, startup options apply until it is closed. A pooler such as
PgBouncer may reject or ignore them, and pass the server's connection to another client after each
transaction. In that case, settings are applied with SET LOCAL, which ends with the transaction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from lcdb_notebook.errors import ConfigurationError

__all__ = ["CLIENT_CHECK", "SessionSettings"]

CLIENT_CHECK = "client_connection_check_interval"
"""Interval at which the server checks, while a statement runs, whether its client still exists.

Without this check, the query of a killed kernel would keep its snapshot and locks until it ends.
Servers on systems that cannot check (Windows) reject the setting.
"""

_READ_ONLY = "default_transaction_read_only"
_ISOLATION = "default_transaction_isolation"
_TIMEOUT = "statement_timeout"

# PostgreSQL accepts names of parameters of this form (guc.c, valid_custom_variable_name).
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*")


@dataclass(frozen=True)
class SessionSettings:
    """The settings of all connections of an engine.

    Parameters
    ----------
    write : bool
        Whether changes are allowed.
    given : str
        The user's options, from the URL or ``PGOPTIONS``, unchanged.
    values : mapping of str to str
        The settings of this package, which override the user's.
    """

    write: bool
    given: str
    values: Mapping[str, str]

    @classmethod
    def read(cls, url: sa.URL, *, write: bool, statement_timeout: object = None) -> SessionSettings:
        """Collect the settings of the user and of this package.

        Parameters
        ----------
        url : sqlalchemy.engine.URL
            The user's options are its ``options``, if any, or else ``PGOPTIONS``.
        write : bool
            Whether changes are allowed.
        statement_timeout : float, optional
            Seconds after which the server cancels a statement; None for no limit.

        Returns
        -------
        SessionSettings
            The user's settings and the package's own.

        Raises
        ------
        ConfigurationError
            If the timeout is not a positive number of seconds.
        """
        # If options are given, libpq does not read PGOPTIONS.
        given = url.query.get("options") or os.environ.get("PGOPTIONS") or ""
        values = {CLIENT_CHECK: "1s"}
        if write:
            values[_ISOLATION] = "read committed"
        else:
            values[_READ_ONLY] = "on"
        if statement_timeout is not None:
            # PostgreSQL reads 0 as "no limit", and counts whole milliseconds up to 24 days.
            if (
                not isinstance(statement_timeout, int | float)
                or isinstance(statement_timeout, bool)
                or not 0 < statement_timeout < 2_000_000
            ):
                raise ConfigurationError(
                    "statement_timeout must be a positive number of seconds or None, got "
                    f"{statement_timeout!r}"
                )
            values[_TIMEOUT] = str(max(1, round(statement_timeout * 1000)))
        return cls(write, given if isinstance(given, str) else " ".join(given), values)

    def without_client_check(self) -> SessionSettings:
        """Return the settings for a server that rejects :data:`CLIENT_CHECK`."""
        values = {name: value for name, value in self.values.items() if name != CLIENT_CHECK}
        return replace(self, values=values)

    def in_url(self, url: sa.URL) -> sa.URL:
        """Return a URL with the user's options and the timeout, for other connections.

        Parameters
        ----------
        url : sqlalchemy.engine.URL
            The URL from which the settings were read.
        """
        options = [self.given] if self.given else []
        if _TIMEOUT in self.values:
            options.append(f"-c {_TIMEOUT}={self.values[_TIMEOUT]}")
        url = url.difference_update_query(["options"])
        return url.update_query_dict({"options": " ".join(options)}) if options else url

    def startup_options(self, **more: str) -> str:
        """Return the settings as startup options (``-c name=value``).

        Parameters
        ----------
        **more : str
            More settings, with ``__`` instead of the dot in a name.
        """
        settings = dict(self.values) | {
            name.replace("__", "."): value for name, value in more.items()
        }
        options = [f"-c {name}={_escaped(value)}" for name, value in settings.items()]
        return " ".join([*([self.given] if self.given else []), *options])

    def other_options(self) -> str:
        """Return the user's options other than settings, such as Neon's ``endpoint=...``."""
        return " ".join(word for name, word in self._given() if name is None)

    def local(self) -> str:
        """Return SQL that applies the settings to the current transaction only.

        Raises
        ------
        ConfigurationError
            If a user's setting cannot be limited to a transaction.
        """
        values = {name: value for name, value in self._given() if name is not None}
        values.pop(_READ_ONLY, None)
        for name in values:
            if name.startswith("default_transaction_") or not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"options: {name} cannot be kept behind a connection pooler; remove it"
                )
        values |= self.values
        for name in (_READ_ONLY, _ISOLATION):
            values.pop(name, None)
        return "; ".join(_set_local(name, value) for name, value in values.items())

    def _given(self) -> Iterator[tuple[str | None, str]]:
        """Split the user's options into settings and other words (which have the name None)."""
        # Like PostgreSQL (pg_split_opts): at spaces, with backslash as escape character.
        words = iter(re.findall(r"(?:\\.|[^\s\\])+", self.given, re.DOTALL))
        for word in words:
            if word == "-c":
                text = next(words, "")
            elif word.startswith(("-c", "--")):
                text = word[2:]
            else:
                yield None, word
                continue
            name, _, value = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL).partition("=")
            yield name.replace("-", "_"), value


def _escaped(value: str) -> str:
    return re.sub(r"([\s\\])", r"\\\1", value)


def _set_local(name: str, value: str) -> str:
    text = value.replace("'", "''")
    literal = "E'" + text.replace("\\", "\\\\") + "'" if "\\" in text else f"'{text}'"
    # SET would interpret 'a, b' as the name of one schema.
    if "," in value or '"' in value:
        return f"SELECT set_config('{name}', {literal}, true)"
    return f"SET LOCAL {name} = {literal}"
