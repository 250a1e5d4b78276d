"""Trouble under a widget: what went wrong in one sentence, and the traceback on demand."""

from __future__ import annotations

import functools
import html
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import ipywidgets as widgets

from lcdb_notebook.errors import LCDBError

__all__ = ["ONE_AT_A_TIME", "HasTrouble", "Trouble", "guarded"]

#: Held by whatever changes widgets. JupyterLab has a kernel answer widgets in a thread of its own
#: while a cell may be running in another, and what belongs to the cell's loop comes from there.
ONE_AT_A_TIME = threading.RLock()

P = ParamSpec("P")
Result = TypeVar("Result")


class Trouble(widgets.VBox):  # type: ignore[misc]
    """A strip that is empty until something goes wrong.

    It tells of one trouble at a time, and forgets it when what failed has succeeded.

    Attributes
    ----------
    error
        The exception that is shown; None if all is well.
    """

    error: Exception | None = None

    def __init__(self) -> None:
        self._doing = ""
        self._text = widgets.HTML()
        self._dismiss = widgets.Button(
            description="Dismiss", tooltip="Take this message away", layout={"width": "auto"}
        )
        self._dismiss.on_click(lambda _: self.clear())
        super().__init__(layout={"display": "none"})
        self.children = (self._text, self._dismiss)
        self.add_class("lcdb-trouble")

    def show(self, error: Exception, doing: str) -> None:
        """Tell of an exception.

        Parameters
        ----------
        error
            What was raised.
        doing
            What was tried, as it ends the sentence "Could not ...".
        """
        self.error, self._doing = error, doing
        told = html.escape("".join(traceback.format_exception(error)))
        self._text.value = (
            f'<div role="alert"><details><summary>{html.escape(sentence(error, doing))}</summary>'
            f"<pre>{told}</pre></details></div>"
        )
        self.layout.display = None

    def clear(self, doing: str | None = None) -> None:
        """Take the message away; with ``doing``, only one about that."""
        if self.error is None or doing not in (None, self._doing):
            return
        self.error = None
        self._text.value = ""
        self.layout.display = "none"

    @contextmanager
    def watching(self, doing: str) -> Iterator[None]:
        """Show what is raised inside instead of raising it on; success clears the message."""
        with ONE_AT_A_TIME:
            try:
                yield
            except Exception as error:
                self.show(error, doing)
            else:
                self.clear(doing)


class HasTrouble(Protocol):
    """A widget with a strip for trouble."""

    @property
    def trouble(self) -> Trouble:
        """Where to tell of what went wrong."""


Owner = TypeVar("Owner", bound=HasTrouble)


def guarded(
    doing: str,
) -> Callable[[Callable[Concatenate[Owner, P], Any]], Callable[Concatenate[Owner, P], None]]:
    """Decorate a callback of a widget: its exceptions go to the strip, and the widget lives on.

    One that is closed does nothing any more.

    Parameters
    ----------
    doing
        What it does, as it ends the sentence "Could not ...".
    """

    def decorate(
        callback: Callable[Concatenate[Owner, P], Any],
    ) -> Callable[Concatenate[Owner, P], None]:
        def call(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> None:
            if getattr(self, "closed", False):
                return
            with self.trouble.watching(doing):
                callback(self, *args, **kwargs)

        functools.update_wrapper(call, callback)
        return call

    return decorate


def sentence(error: Exception, doing: str) -> str:
    """Say in one sentence what went wrong.

    Examples
    --------
    >>> sentence(KeyError("sector"), "draw the light curve")
    "Could not draw the light curve: KeyError: 'sector'"
    """
    lines = str(error).strip().splitlines()
    told = lines[0] if lines else "no reason was given"
    if not isinstance(error, LCDBError):
        told = f"{type(error).__name__}: {told}"
    return f"Could not {doing}: {told}"
