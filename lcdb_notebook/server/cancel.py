"""Cancel the statement that runs on a connection, or abandon the connection."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
from typing import Any

import psycopg2

__all__ = ["CancelRequest", "abandon", "cancel_within", "is_abandoned"]


def cancel_within(connection: Any, seconds: float) -> None:
    """Cancel the statement that runs on a connection; abandon the connection if that fails.

    Parameters
    ----------
    connection : psycopg2.extensions.connection
        The connection.
    seconds : float
        How long to wait for the server.
    """
    canceller = threading.Thread(target=CancelRequest(connection), name="lcdb-cancel", daemon=True)
    canceller.start()
    canceller.join(seconds)
    if canceller.is_alive():
        # A request that arrives late would cancel the next statement.
        abandon(connection)


def abandon(connection: Any) -> None:
    """Shut a connection's socket down, so that libpq stops waiting for the server.

    Parameters
    ----------
    connection : psycopg2.extensions.connection
        The connection, which cannot be used afterwards.
    """
    with contextlib.suppress(AttributeError):
        connection.given_up = True
    with (
        contextlib.suppress(psycopg2.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)


def is_abandoned(connection: Any) -> bool:
    """Return whether a connection was abandoned, or is closed.

    Parameters
    ----------
    connection : psycopg2.extensions.connection
        The connection.
    """
    return bool(connection.closed or getattr(connection, "given_up", False))


class CancelRequest:
    """A request to cancel the statement that runs on a connection.

    It waits for the server without holding the interpreter's lock, and does not use the connection,
    which may be closed in the meantime.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._library = _libpq()
        pointer = None if self._library is None else connection.pgconn_ptr
        self._request = self._library.PQgetCancel(pointer) if pointer else None

    def __call__(self) -> None:
        """Send the request, and wait until the server has received it."""
        if self._request:
            message = ctypes.create_string_buffer(256)
            self._library.PQcancel(self._request, message, len(message))
        elif self._library is None:
            # On a connection that is already dead, the statement ends by itself.
            with contextlib.suppress(psycopg2.Error):
                psycopg2.extensions.connection.cancel(self._connection)

    def __del__(self) -> None:
        if self._request:
            self._library.PQfreeCancel(self._request)


def _libpq() -> Any:
    """Load the libpq that psycopg2 uses; None if its functions are not exported.

    psycopg2's ``connection.cancel()`` holds the interpreter's lock while PQcancel waits for the
    server, so a server that does not answer would freeze the whole process.
    """
    global _library
    if _library is _NOT_LOADED:
        import psycopg2._psycopg

        try:
            library = ctypes.CDLL(psycopg2._psycopg.__file__)
            library.PQgetCancel.restype = ctypes.c_void_p
            library.PQgetCancel.argtypes = [ctypes.c_void_p]
            library.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
            library.PQfreeCancel.argtypes = [ctypes.c_void_p]
            library.PQfreeCancel.restype = None
            _library = library
        except (OSError, AttributeError):
            _library = None
    return _library


_NOT_LOADED = object()
_library: Any = _NOT_LOADED
