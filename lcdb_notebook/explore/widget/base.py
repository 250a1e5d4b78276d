"""Part: what every part of an explorer has: status, trouble, a static picture, a clean end."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.widget import style
from lcdb_notebook.explore.widget.background import Work
from lcdb_notebook.explore.widget.error_box import Trouble

__all__ = ["Part", "close_all"]

_WIDGET = "application/vnd.jupyter.widget-view+json"


class Part(widgets.VBox):  # type: ignore[misc]
    """A widget that tells what it shows, survives its own errors, and can be closed for good.

    A subclass builds its controls, gives them to :meth:`lay_out`, and calls :meth:`painted` each
    time that its picture is complete. Observers on widgets and traits of others are made through
    :meth:`watch`, so that :meth:`close` takes them back.

    Attributes
    ----------
    pictures
        Trait: how many pictures have been completed; in the page it is the ``data-pictures`` of
        the status line.
    trouble
        The strip in which exceptions are told.
    work
        Runs what takes long: see :class:`lcdb_notebook.explore.widget.background.Work`.
    """

    pictures = traitlets.Int(0)

    #: CSS class by which tests and style sheets find the part.
    css = ""

    def __init__(self) -> None:
        super().__init__()
        self._of_any_box = frozenset(vars(self))
        self.trouble = Trouble()
        self.work = Work(self.trouble)
        self._status = widgets.HTML()
        self._status.add_class("lcdb-status")
        self._undo: list[Callable[[], object]] = []
        self.closed = False
        self.add_class("lcdb-part")
        if self.css:
            self.add_class(self.css)
        self._say("")

    def lay_out(self, *rows: widgets.Widget) -> None:
        """Put the controls on the page, with status, progress and trouble below."""
        self.children = (style.sheet(self.model_id), *rows, self._status, self.work, self.trouble)

    def watch(
        self, source: traitlets.HasTraits, call: Callable[[Any], object], *names: str
    ) -> None:
        """Observe traits until this part is closed."""
        source.observe(call, list(names))
        self._undo.append(lambda: source.unobserve(call, list(names)))

    def when_closed(self, call: Callable[[], object]) -> None:
        """Have something done when this part is closed."""
        self._undo.append(call)

    def painted(self, text: str) -> None:
        """Say that the picture is complete, and what it shows, in words."""
        self.pictures += 1
        self._say(text)

    def still(self) -> tuple[bytes | None, str]:
        """Give what to show where widgets cannot run: a PNG, or None, and HTML."""
        return None, ""

    def close(self) -> None:
        """Close every widget inside, take back every observer, and let go of what was drawn."""
        if self.closed:
            return
        self.closed = True
        self.work.stop()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        close_all(self.children)
        for made in (self, self.layout):
            made.unobserve_all()
        self.layout.close()
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        """Forget controls, figures and light curves; parts inside, and what they say, stay.

        A notebook keeps what its cells have given, as ``Out[5]``: a thousand, closed or not.
        """
        self.children = ()
        for name in vars(self).keys() - self._of_any_box:
            if name in ("trouble", "work") or name.startswith("_"):
                delattr(self, name)

    def _say(self, text: str) -> None:
        self._status.value = (
            f'<span role="status" aria-live="polite" data-pictures="{self.pictures}">'
            f"{html.escape(text)}</span>"
        )

    def _ipython_display_(self) -> None:
        """Put the widget on the page, and below it what is to be seen where no widget can run.

        JupyterLab shows one kind of an output only. Of a notebook that it trusts this is the
        widget, which a kernel that was started since knows nothing of; so the other kind is an
        output of its own, hidden for as long as the widget is there.

        Raises
        ------
        NotImplementedError
            If it is closed: IPython then shows it as it shows any object.
        """
        if self.closed:
            raise NotImplementedError
        from IPython.display import display

        bundle = self._repr_mimebundle_() or {}
        if "text/html" not in bundle:
            display(bundle, raw=True)  # type: ignore[no-untyped-call]
            return
        # Converters complain of an output that has no text at all.
        display({_WIDGET: bundle.pop(_WIDGET), "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]
        display(bundle, raw=True)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **how: Any) -> dict[str, Any] | None:
        bundle: dict[str, Any] | None = super()._repr_mimebundle_(**how)
        if bundle is None:
            return None
        png, told = self.still()
        encoded = base64.b64encode(png).decode() if png is not None else ""
        picture = f'<img alt="" src="data:image/png;base64,{encoded}">' if encoded else ""
        if picture or told:
            bundle["text/html"] = style.still(f"{picture}{told}", self.model_id)
        return bundle | ({"image/png": encoded} if encoded else {})


def close_all(some: Sequence[widgets.Widget]) -> None:
    """Close widgets with all that is inside them; ipywidgets keeps each until then."""
    for widget in some:
        if isinstance(widget, Part):
            widget.close()
            continue
        close_all(getattr(widget, "children", ()))
        # Made with every widget, and not closed with it.
        for model in ("layout", "style"):
            made = getattr(widget, model, None)
            if isinstance(made, widgets.Widget):
                made.close()
        widget.close()
