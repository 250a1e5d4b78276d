"""Forked processes: a child never uses a connection of its parent.

``os.fork``, and therefore ``multiprocessing`` with the start method "fork", copies open sockets. If
the child sent anything through one of them, even the termination message of a garbage-collected
connection, the parent could read the answer to a query of the child: the light curve of another
star, without an error. Therefore in the child

* the socket of every open connection of the parent is replaced by a closed one;
* engines begin with an empty pool, so that they connect again when they are used;
* objects with a session, or with a lock that a thread of the parent may hold, are reset.
"""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg2
import sqlalchemy as sa

__all__ = ["forget_after_fork", "is_own", "renew_after_fork", "watch_connection"]


_connections: weakref.WeakSet[Any] = weakref.WeakSet()
_engines: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
_methods: list[weakref.WeakMethod[Callable[[], object]]] = []

# Pools of the parent, with their connections, are kept until the child ends. Garbage collection
# would roll back and close connections of the parent.
_inherited: list[object] = []


def watch_connection(connection: Any) -> None:
    """Replace the socket of a psycopg2 connection in each child process.

    Parameters
    ----------
    connection : psycopg2.extensions.connection
        A connection that this process has opened.
    """
    _connections.add(connection)


def forget_after_fork(engine: sa.Engine) -> None:
    """Begin with an empty pool in each child process.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        Any engine.
    """
    _engines.add(engine)


def renew_after_fork(method: Callable[[], object]) -> None:
    """Call a method first in each child process, as long as its object is alive.

    Parameters
    ----------
    method : callable
        A bound method that renews the locks and sessions of its object.
    """
    _methods[:] = [one for one in _methods if one() is not None]
    _methods.append(weakref.WeakMethod(method))


def is_own(pid: int) -> bool:
    """Return whether a process id is that of this process instead of its parent.

    Parameters
    ----------
    pid : int
        ``os.getpid()`` of the process that opened something.
    """
    return pid == os.getpid()


def _reset_after_fork() -> None:
    connections = list(_connections)
    _connections.clear()
    _cut(connections)
    _inherited.extend(connections)
    for engine in list(_engines):
        _inherited.append(engine.pool)
        engine.dispose(close=False)
    for reference in _methods:
        method = reference()
        if method is not None:
            method()


def _cut(connections: list[Any]) -> None:
    """Replace the socket of each connection with a socket whose other end is closed."""
    if not connections:
        return
    dead, other = socket.socketpair()
    other.close()
    with dead:
        for connection in connections:
            with suppress(psycopg2.Error, OSError):
                os.dup2(dead.fileno(), connection.fileno(), inheritable=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
