"""JupyterLab and Voilà on 127.0.0.1, each in a separate process group and with separate folders."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SECONDS_TO_START = 60
SECONDS_TO_STOP = 60

NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}

# What other programs add to Jupyter's server takes longer to import than JupyterLab.
OTHERS = (
    "jupyter_lsp",
    "jupyter_server_terminals",
    "nbclassic",
    "notebook",
    "solara.server.jupyter.server_extension",
    "voila.server_extension",
)

PAGE = {
    # JupyterLab would start node to find out whether it must be built.
    "buildAvailable": False,
    "buildCheck": False,
    "disabledExtensions": {"@jupyterlab/lsp-extension": True},
}
"""Settings of JupyterLab's page; without the server's part, the language servers' fails."""


@dataclass(frozen=True)
class Server:
    """A running server: where it is, which notebooks it serves, where its kernels' files are."""

    url: str
    notebooks: Path
    connections: Path


@contextmanager
def jupyter_lab(folder: Path, fonts: Path) -> Iterator[Server]:
    """Run JupyterLab in ``folder``, without a token, since no other user knows the port."""
    port = free_port()
    notebooks = _folder(folder / "notebooks")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    _folder(settings)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(NO_NEWS))
    extensions = {"ServerApp": {"jpserver_extensions": dict.fromkeys(OTHERS, False)}}
    config = _folder(folder / "config") / "jupyter_server_config.json"
    config.write_text(json.dumps(extensions))
    page = _folder(folder / "config" / "labconfig") / "page_config.json"
    page.write_text(json.dumps(PAGE))
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", f"--ServerApp.root_dir={notebooks}"),
        *("--expose-app-in-browser", "--LabApp.extension_manager=readonly"),
        f"--LabApp.user_settings_dir={folder / 'settings'}",
        f"--LabApp.workspaces_dir={folder / 'workspaces'}",
    ]
    with running(command, environment(folder, fonts), folder / "log", f"127.0.0.1:{port}/lab"):
        yield Server(f"http://127.0.0.1:{port}", notebooks, folder / "runtime")


@contextmanager
def notebook_7(folder: Path, fonts: Path) -> Iterator[Server]:
    """Run Notebook 7 in ``folder``."""
    port = free_port()
    notebooks = _folder(folder / "notebooks")
    command = [
        *(sys.executable, "-m", "notebook", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
        *(f"--ServerApp.root_dir={notebooks}", "--expose-app-in-browser"),
    ]
    with running(command, environment(folder, fonts), folder / "log", f"127.0.0.1:{port}/tree"):
        # Notebook 7 prints its address before it listens there.
        wait_until_it_listens(f"http://127.0.0.1:{port}/tree")
        yield Server(f"http://127.0.0.1:{port}", notebooks, folder / "runtime")


@contextmanager
def voila(folder: Path, fonts: Path) -> Iterator[Server]:
    """Run Voilà in ``folder``."""
    port = free_port()
    notebooks = _folder(folder / "notebooks")
    command = [
        *(sys.executable, "-m", "voila", "--no-browser", "--Voila.ip=127.0.0.1", f"--port={port}"),
        *("--show_tracebacks=True", f"--Voila.connection_dir_root={_folder(folder / 'runtime')}"),
        str(notebooks),
    ]
    with running(command, environment(folder, fonts), folder / "log", f"127.0.0.1:{port}"):
        # Voilà creates a folder in the given one.
        yield Server(f"http://127.0.0.1:{port}", notebooks, folder / "runtime")


def environment(folder: Path, fonts: Path) -> dict[str, str]:
    """Return the environment of a server: no settings and no database but its own.

    Parameters
    ----------
    folder
        For Jupyter's and IPython's settings.
    fonts
        matplotlib's folder; kept from run to run, for listing all fonts takes it seconds.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LCDB_", "XDG_", "JUPYTER", "IPYTHON", "COV_"))
    }
    # A kernel chooses its own backend.
    inherited.pop("MPLBACKEND", None)
    return inherited | {
        "JUPYTER_CONFIG_DIR": str(_folder(folder / "config")),
        "JUPYTER_DATA_DIR": str(_folder(folder / "data")),
        "JUPYTER_RUNTIME_DIR": str(_folder(folder / "runtime")),
        "IPYTHONDIR": str(_folder(folder / "ipython")),
        "MPLCONFIGDIR": str(fonts),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")]),
    }


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path, until: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a server until the block is left; it is ready once it has written ``until``.

    Raises
    ------
    AssertionError
        If it ends or does not write this within a minute (with its log), or if it or a kernel of
        it still runs 20 s after the signal to end.
    """
    server = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    ready = threading.Event()

    def listen() -> None:
        assert server.stdout is not None
        with log.open("w", encoding="utf-8") as file:
            for line in server.stdout:
                print(line, end="", file=file, flush=True)
                if until in line:
                    ready.set()
        # It has ended; there is nothing to wait for.
        ready.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        started = ready.wait(SECONDS_TO_START)
        assert started, f"{command} printed nothing in {SECONDS_TO_START} s:\n{log.read_text()}"
        assert server.poll() is None, f"{command} ended at once:\n{log.read_text()}"
        yield server
    finally:
        family = []
        if server.poll() is None:
            family = psutil.Process(server.pid).children(recursive=True)
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        _, left = psutil.wait_procs(family, timeout=SECONDS_TO_STOP)
        for process in left:
            process.kill()
        listener.join(SECONDS_TO_STOP)
    assert not left, f"{command[2]} left {left} behind; its log:\n{log.read_text()}"


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def wait_until_it_listens(address: str) -> None:
    """Connect until there is an answer: the address is printed before the port is open."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, TimeoutError):
            psutil.wait_procs([psutil.Process()], timeout=0.05)
    raise AssertionError(f"no server listens at {address}")
