"""A page with one empty box, and its kernel: widgets are placed in the box and inspected."""

from __future__ import annotations

import ast
import json
import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .chromium import PageErrors

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient
    from playwright.sync_api import Browser, Locator, Page

    from .servers import Server

SECONDS = 60
WIDE = {"width": 1600, "height": 1000}
NARROW = {"width": 800, "height": 1000}

STAGE = """\
import ipywidgets
stage = ipywidgets.VBox()
stage.add_class("stage")
display(stage)
"""

READY = """\
() => {
  const panel = window.jupyterapp?.shell?.currentWidget;
  const session = panel?.context?.sessionContext;
  const kernel = session?.session?.kernel;
  return Boolean(panel?.context?.isReady && session?.isReady
    && kernel?.connectionStatus === 'connected' && kernel?.status === 'idle');
}
"""
"""Whether a notebook in JupyterLab is open and its kernel waits for work."""


class KernelError(AssertionError):
    """What was run in the kernel raised; the message is its traceback."""


class FrontEnd(ABC):
    """A notebook shown in a browser, by one of the programs that can.

    Its cells are run when it is opened. Afterwards the test speaks to the same kernel as a second
    client, which both programs allow, and the page shows what becomes of its widgets.
    """

    name: str

    def __init__(self, browser: Browser, server: Server) -> None:
        self.server = server
        self.page_errors = PageErrors()
        # Pages of one context share what the browser has loaded and compiled, JupyterLab above all.
        context = browser.contexts[0] if browser.contexts else browser.new_context()
        self.page: Page = context.new_page()
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        self.page.set_default_timeout(1000 * SECONDS)
        self.page_errors.watch(self.page)
        self._client: BlockingKernelClient | None = None
        # playwright runs an event loop in this thread, and jupyter_client works only without one.
        self._beside = ThreadPoolExecutor(max_workers=1)

    def open(self, name: str, *cells: str, dark: bool = False) -> None:
        """Write a notebook of these cells, show it, run it, and find its kernel."""
        # Its import takes seconds, which every process of the tests would spend while collecting.
        import nbformat

        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]
            metadata={
                "kernelspec": {
                    "name": "python3",
                    "display_name": "Python 3",
                    "language": "python",
                }
            },
        )
        path = self.server.notebooks / f"{name}.ipynb"
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        self.hang_up()
        self._show(path.name, dark)
        self._client = self._beside.submit(self._connect, self._kernel_id()).result()

    def run(self, code: str) -> None:
        """Run code in the kernel.

        Raises
        ------
        KernelError
            If it raises.
        """
        self._ask(code, "None")

    def ask(self, expression: str) -> Any:
        """Evaluate an expression in the kernel, and bring its value over as JSON."""
        answer = self._ask("", f"__import__('json').dumps({expression}, default=str)")
        return json.loads(ast.literal_eval(answer))

    def until(self, condition: str | Callable[[], Any], *, seconds: float = SECONDS) -> Any:
        """Evaluate an expression in the kernel, or call a function here, until its value is true.

        Returns
        -------
        object
            The value.
        """
        value = condition if callable(condition) else lambda: self.ask(condition)
        end = time.monotonic() + seconds
        while not (answer := value()):
            assert time.monotonic() < end, f"{condition} is still {answer!r} after {seconds} s"
            # Lets the browser go on meanwhile.
            self.page.wait_for_timeout(20)
        return answer

    def hang_up(self) -> None:
        """Leave the kernel to itself."""
        if self._client is not None:
            self._client.stop_channels()
            self._client = None

    def close(self) -> None:
        """Close the page; its kernel ends with the server."""
        self.hang_up()
        self.page.close()
        self._beside.shutdown()

    def _connect(self, kernel: str) -> BlockingKernelClient:
        from jupyter_client.blocking.client import BlockingKernelClient

        (file,) = self.server.connections.rglob(f"kernel-{kernel}.json")
        client = BlockingKernelClient(connection_file=str(file))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=SECONDS)
        return client

    def _ask(self, code: str, expression: str) -> str:
        return self._beside.submit(self._converse, code, expression).result()

    def _converse(self, code: str, expression: str) -> str:
        client = self._client
        assert client is not None, "no notebook is open"
        request = client.execute(
            code, store_history=False, user_expressions={"answer": expression}, allow_stdin=False
        )
        end = time.monotonic() + 4 * SECONDS
        while True:
            try:
                reply = client.get_shell_msg(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise KernelError(f"no answer in {4 * SECONDS} s: {code or expression}") from None
            if reply["parent_header"].get("msg_id") == request:
                break
        content = reply["content"]
        if content["status"] != "ok":
            raise KernelError("\n".join(content.get("traceback", [str(content)])))
        answer = content["user_expressions"]["answer"]
        if answer["status"] != "ok":
            raise KernelError("\n".join(answer["traceback"]))
        text: str = answer["data"]["text/plain"]
        return text

    @abstractmethod
    def _show(self, notebook: str, dark: bool) -> None:
        """Open the notebook, run its cells, and return when they have finished."""

    @abstractmethod
    def _kernel_id(self) -> str:
        """Return the id of the kernel of the notebook shown."""


class Lab(FrontEnd):
    """A notebook in JupyterLab."""

    name = "lab"
    folder = "lab/tree"

    def _show(self, notebook: str, dark: bool) -> None:
        self.page.goto(f"{self.server.url}/{self.folder}/{notebook}?reset")
        self.page.wait_for_function(READY)
        self.theme(dark=dark)
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def _kernel_id(self) -> str:
        found: str = self.page.evaluate(
            "window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.id"
        )
        return found

    def theme(self, *, dark: bool) -> None:
        """Change JupyterLab's theme, as its menu does."""
        name = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            name,
        )
        self.page.locator(f'body[data-jp-theme-name="{name}"]').wait_for(state="attached")
        # Of two changes that meet, JupyterLab removes this twice, which fails some tests later.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")


class Notebook7(Lab):
    """A notebook in Notebook 7, which is made of parts of JupyterLab."""

    name = "notebook"
    folder = "notebooks"


class Voila(FrontEnd):
    """A notebook as a page, served by Voilà."""

    name = "voila"

    def _show(self, notebook: str, dark: bool) -> None:
        address = f"{self.server.url}/voila/render/{notebook}"
        self.page.goto(f"{address}?theme={'dark' if dark else 'light'}", wait_until="commit")
        self.page.locator("#rendered_cells").wait_for(state="visible")

    def _kernel_id(self) -> str:
        config = self.page.locator("#jupyter-config-data").text_content()
        assert config is not None
        found: str = json.loads(config)["kernelId"]
        return found


class Stage:
    """An empty box on a page, which a test fills with a widget from its kernel.

    Starting a kernel, and importing all that is needed, takes seconds, so that tests share one.
    """

    def __init__(self, front_end: FrontEnd, *, dark: bool = False) -> None:
        self.front_end = front_end
        self.page: Page = front_end.page
        front_end.open("stage", STAGE, dark=dark)
        self.box: Locator = self.page.locator(".stage")
        self.box.wait_for(state="attached")
        self.run: Callable[[str], None] = front_end.run
        self.ask: Callable[[str], Any] = front_end.ask
        self.until = front_end.until

    def set(self, code: str, widget: str) -> None:
        """Run code in the kernel and put the widget of that name into the box."""
        self.run(f"{code}\nstage.children = [{widget}]")

    def clear(self) -> None:
        """Empty the box, and forget the names of the test before."""
        self.run(
            "for _shown in stage.children: _shown.close()\n"
            "stage.children = []\n"
            "for _name in set(globals()) - _kept: del globals()[_name]\n"
            if self.ask("'_kept' in globals()")
            else "stage.children = []\n_kept = {*globals(), '_kept', '_shown', '_name'}"
        )
        # Otherwise the next test may find what is still shown of the one before.
        self.page.wait_for_function("!document.querySelector('.stage').childElementCount")
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    def picture(self, folder: Path, name: str) -> Path:
        """Take a screenshot of the box alone."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.box.screenshot(path=path)
        return path
