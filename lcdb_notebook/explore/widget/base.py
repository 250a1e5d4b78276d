"""Base class of the explorers: status line, error box, static picture, closing."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.widget import style
from lcdb_notebook.explore.widget.background import Work
from lcdb_notebook.explore.widget.error_box import ErrorBox
from lcdb_notebook.explore.widget.page_memory import PageMemory

__all__ = ["Panel", "close_all", "sent_last"]

_WIDGET = "application/vnd.jupyter.widget-view+json"


class Panel(widgets.VBox):  # type: ignore[misc]
    """Base class of the explorers, which reports its own errors and cleans up when closed.

    A subclass builds its controls, passes them to :meth:`lay_out`, and calls :meth:`rendered` each
    time its picture is complete. It observes other widgets through :meth:`watch`, so that
    :meth:`close` removes the observers.

    Attributes
    ----------
    pictures : int
        Trait: the number of pictures completed so far. In the page it is the attribute
        ``data-pictures`` of the status line.
    error_box : ErrorBox
        Shows exceptions below the controls.
    work : Work
        Runs slow work in a thread, with a progress bar and a Stop button.
    closed : bool
        Whether :meth:`close` was called.
    """

    pictures = traitlets.Int(0)

    #: CSS class of the panel, for style sheets and tests.
    css = ""

    def __init__(self) -> None:
        # One message; add_class() would send one for each class.
        super().__init__(_dom_classes=("lcdb-panel", *([self.css] if self.css else [])))
        self._of_any_box = frozenset(vars(self))
        self.error_box = ErrorBox()
        self.work = Work(self.error_box)
        self._status = widgets.HTML(_dom_classes=("lcdb-status",))
        self._undo: list[Callable[[], object]] = []
        self._page_memory: PageMemory | None = None
        self.closed = False
        self._set_status("")

    def lay_out(self, *rows: widgets.Widget) -> None:
        """Put the controls on the page, above the status line, the progress bar and the errors.

        Parameters
        ----------
        *rows : ipywidgets.Widget
            The controls, from top to bottom.
        """
        self.children = (style.sheet(self.model_id), *rows, self._status, self.work, self.error_box)

    def watch(
        self, source: traitlets.HasTraits, call: Callable[[Any], object], *names: str
    ) -> None:
        """Observe traits of another widget until this panel is closed.

        Parameters
        ----------
        source : traitlets.HasTraits
            The object to observe.
        call : callable
            Called with the change.
        *names : str
            The names of the traits.
        """
        source.observe(call, list(names))
        self._undo.append(lambda: source.unobserve(call, list(names)))

    def when_closed(self, call: Callable[[], object]) -> None:
        """Register a function to call when this panel is closed.

        Parameters
        ----------
        call : callable
            Called without arguments. Functions are called in reverse order of registration.
        """
        self._undo.append(call)

    def rendered(self, text: str) -> None:
        """Count a completed picture and describe it in the status line.

        Parameters
        ----------
        text : str
            Plain text; it is escaped.
        """
        self.pictures += 1
        self._set_status(text)

    def static_png(self) -> bytes | None:
        """Return a PNG to show where widgets cannot run, or None."""
        return None

    def static_html(self) -> str:
        """Return HTML to show where widgets cannot run; "" for nothing."""
        return ""

    def close(self) -> None:
        """Close all widgets inside, remove all observers, and release the data and figures."""
        if self.closed:
            return
        self.closed = True
        self.work.stop()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        if self._page_memory is not None:
            self._page_memory.release(self)
        close_all(self.children)
        for made in (self, self.layout):
            made.unobserve_all()
        self.layout.close()
        super().close()
        self._release()

    def _release(self) -> None:
        """Delete private attributes, which hold controls, figures and light curves.

        IPython keeps the results of cells, as ``Out[5]``, so a closed panel is often referenced
        until the kernel ends.
        """
        self.children = ()
        for name in vars(self).keys() - self._of_any_box:
            if name in ("error_box", "work") or name.startswith("_"):
                delattr(self, name)

    def _set_status(self, text: str) -> None:
        self._status.value = (
            f'<span role="status" aria-live="polite" data-pictures="{self.pictures}">'
            f"{html.escape(text)}</span>"
        )

    def _ipython_display_(self) -> None:
        """Display the widget, and a static version for where widgets cannot run.

        JupyterLab shows only one representation of an output. In a trusted notebook this is the
        widget, even if the kernel was restarted and the widget no longer exists. The static version
        is therefore a second output, which CSS hides while the widget is shown.

        Raises
        ------
        NotImplementedError
            If it is closed: IPython then displays the default representation.
        """
        if self.closed:
            raise NotImplementedError
        if self._page_memory is None:
            self._page_memory = PageMemory()
        from IPython.display import display

        bundle = dict(super()._repr_mimebundle_() or {})
        if not self.static_html():
            display(bundle, raw=True)  # type: ignore[no-untyped-call]
            return
        # The page draws the widget while the static picture is made. nbconvert warns about outputs
        # without text/plain.
        display({_WIDGET: bundle.pop(_WIDGET), "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]
        display(bundle | self._static_bundle(), raw=True)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **how: Any) -> dict[str, Any] | None:
        bundle: dict[str, Any] | None = super()._repr_mimebundle_(**how)
        return None if bundle is None else bundle | self._static_bundle()

    def _static_bundle(self) -> dict[str, Any]:
        png, text = self.static_png(), self.static_html()
        encoded = base64.b64encode(png).decode() if png is not None else ""
        picture = f'<img alt="" src="data:image/png;base64,{encoded}">' if encoded else ""
        made = {"image/png": encoded} if encoded else {}
        if picture or text:
            made["text/html"] = style.static_html(f"{picture}{text}", self.model_id)
        return made


@contextmanager
def sent_last(*some: widgets.Widget) -> Iterator[None]:
    """Send the changes of widgets to the page when the block ends, after those of all others.

    The user waits for the light curve; lists and marks can follow it.

    Parameters
    ----------
    *some : ipywidgets.Widget
        The widgets that wait.
    """
    with ExitStack() as stack:
        for widget in some:
            stack.enter_context(widget.hold_sync())
        yield


def close_all(some: Sequence[widgets.Widget]) -> None:
    """Close widgets and all their children; ipywidgets references each widget until then.

    Parameters
    ----------
    some : sequence of ipywidgets.Widget
        The widgets to close.
    """
    for widget in some:
        if isinstance(widget, Panel):
            widget.close()
            continue
        close_all(getattr(widget, "children", ()))
        # ipywidgets creates these with every widget but does not close them with it.
        for model in ("layout", "style"):
            made = getattr(widget, model, None)
            if isinstance(made, widgets.Widget):
                made.close()
        widget.close()
