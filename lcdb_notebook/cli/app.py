"""``lcdb-notebook app``: serve the explorer as a web page."""

from __future__ import annotations

import argparse
import html
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcdb_notebook.cli.options import LAYOUT, add_common
from lcdb_notebook.cli.output import print_output
from lcdb_notebook.database import connect
from lcdb_notebook.errors import ConfigurationError, LCDBError
from lcdb_notebook.errors.optional import required

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "page", "run"]

HOST, PORT = "127.0.0.1", 8866
NOTEBOOK = "explore.ipynb"

# Kernels of the pages inherit this variable. Other users cannot read it, so it may contain a
# password.
_DATABASE = "LCDB_APP_DATABASE"


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "app",
        help="explore a database in a browser, without a notebook",
        formatter_class=LAYOUT,
        description="Explore a database in a browser, without a notebook and without Python.\n"
        "The page is available on this computer only, to everyone with the full address, and "
        "cannot\nchange the database. Press Ctrl-C to stop the server.",
        epilog="examples:\n  lcdb-notebook app\n"
        "  lcdb-notebook app --no-browser --port 8900 --config db.conf",
    )
    command.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help=f"the port (default: {PORT}, or another free one)",
    )
    command.add_argument(
        "--no-browser",
        dest="browser",
        action="store_false",
        help="print the address without opening a browser",
    )
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve the page until it is interrupted, and return the exit code."""
    voila = required("voila.app", extra="app", needed_by="the command app")
    port = _free(given.port)
    where = {"url": given.url, "config": given.config, "embedded": given.embedded}
    # Kept open, so that the embedded server does not have to start for each page.
    with connect(**where) as database:
        folder = Path(tempfile.mkdtemp(prefix="lcdb-app-"))
        os.environ[_DATABASE] = json.dumps(where)
        try:
            token = secrets.token_urlsafe(24)
            address = f"http://{HOST}:{port}/?token={token}"
            print_output(f"{database!r}\n\nPress Ctrl-C to stop. The page is at\n\n    {address}\n")
            if given.browser:
                webbrowser.open(address)
            _serve(voila.Voila, _notebook(folder), folder, port, token)
        finally:
            del os.environ[_DATABASE]
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def page() -> None:
    """Display the explorer, or an error message, in a kernel that :func:`run` has started."""
    import ipywidgets as widgets
    from IPython.display import display

    try:
        database = connect(**json.loads(os.environ[_DATABASE]))
        shown: Any = database.explore()
    except LCDBError as error:
        shown = widgets.HTML()
        shown.value = f"<p role='alert'>{html.escape(str(error))}</p>"
    display(shown)  # type: ignore[no-untyped-call]


def _serve(voila: type[Any], notebook: Path, folder: Path, port: int, token: str) -> None:
    from traitlets.config import Config

    connections = folder / "connections"
    connections.mkdir(mode=0o700)
    # As a configuration, because other users can read the arguments of a command.
    settings = {
        "ip": HOST,
        "port": port,
        "port_retries": 0,
        "token": token,
        "open_browser": False,
        "log_level": logging.ERROR,
        "connection_dir_root": str(connections),
    }
    app = voila(notebook_path=str(notebook), config=Config({"Voila": settings}))
    app.initialize([])
    app.start()


def _notebook(folder: Path) -> Path:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "explore",
        "metadata": {},
        "outputs": [],
        "source": "from lcdb_notebook.cli.app import page\n\npage()",
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    written = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel, "title": "lcdb_notebook"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / NOTEBOOK
    path.write_text(json.dumps(written), encoding="utf-8")
    return path


def _free(requested: int | None) -> int:
    """Return the requested port, or by default a free one."""
    for port in (PORT, 0) if requested is None else (requested,):
        with socket.socket() as probe:
            # As in servers, so that a recently closed port counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if requested is not None:
                    raise ConfigurationError(
                        f"--port {requested}: {error.strerror or error}; choose another port, or "
                        "omit --port to find a free one"
                    ) from error
                continue
            found: int = probe.getsockname()[1]
            return found
    raise ConfigurationError("no free port found")


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, got {number}")
    return number
