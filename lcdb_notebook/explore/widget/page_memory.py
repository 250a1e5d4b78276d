"""PageMemory: the page releases the widgets of a closed explorer."""

from __future__ import annotations

from collections.abc import Iterator

import anywidget
import ipywidgets as widgets

from lcdb_notebook.explore.figure.modules import module

__all__ = ["PageMemory", "with_parts"]


class PageMemory(anywidget.AnyWidget):
    """Lets the page release closed widgets. It is never displayed.

    Since version 4.4, JupyterLab connects each comm to a signal of the kernel and never disconnects
    it. The comm refers to the model, and the model to its view and its elements, so that closed
    widgets stay in the memory of the page until it is reloaded. The comm cannot be disconnected,
    but it can be made to release its model.
    """

    _esm = module("page_memory")

    def release(self, widget: widgets.Widget) -> None:
        """Announce that a widget and all its parts are about to be closed, and close this.

        Parameters
        ----------
        widget : ipywidgets.Widget
            The widget.
        """
        self.send({"closing": [one.model_id for one in (*with_parts(widget), *with_parts(self))]})
        self.layout.close()
        self.close()


def with_parts(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """Yield a widget, its layout and style, and those of all its children.

    Parameters
    ----------
    widget : ipywidgets.Widget
        A widget that is not closed.

    Yields
    ------
    ipywidgets.Widget
    """
    yield widget
    for name in ("layout", "style"):
        # ipywidgets creates these with every widget but does not close them with it.
        part = getattr(widget, name, None)
        if isinstance(part, widgets.Widget):
            yield part
    for child in getattr(widget, "children", ()):
        yield from with_parts(child)
