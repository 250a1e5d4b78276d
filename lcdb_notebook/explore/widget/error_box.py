"""Errors below a widget: one sentence each, with the traceback on demand."""

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

__all__ = ["ONE_AT_A_TIME", "ErrorBox", "HasErrorBox", "guarded"]

#: Lock for changing widgets. JupyterLab handles widget messages in a subshell thread while a cell
#: may run in the main thread, and callbacks of the event loop run in the main thread too.
ONE_AT_A_TIME = threading.RLock()

P = ParamSpec("P")
Result = TypeVar("Result")


class ErrorBox(widgets.VBox):  # type: ignore[misc]
    """A box that shows the latest exception, hidden while there is none.

    The message disappears when the action that failed succeeds.

    Attributes
    ----------
    error : Exception or None
        The exception that is shown.
    """

    error: Exception | None = None

    def __init__(self) -> None:
        self._doing = ""
        super().__init__(layout={"display": "none"}, _dom_classes=("lcdb-error-box",))

    def show(self, error: Exception, doing: str) -> None:
        """Show an exception.

        Parameters
        ----------
        error : Exception
            The exception.
        doing : str
            The action that failed, as in "Could not <doing>".
        """
        self.error, self._doing = error, doing
        if not hasattr(self, "_text"):
            # Not made before, as each widget delays the first picture.
            self._text = widgets.HTML()
            self._dismiss = widgets.Button(
                description="Dismiss", tooltip="Hide this message", layout={"width": "auto"}
            )
            self._dismiss.on_click(lambda _: self.clear())
            self.children = (self._text, self._dismiss)
        trace = html.escape("".join(traceback.format_exception(error)))
        self._text.value = (
            f'<div role="alert"><details><summary>{html.escape(sentence(error, doing))}</summary>'
            f"<pre>{trace}</pre></details></div>"
        )
        self.layout.display = None

    def clear(self, doing: str | None = None) -> None:
        """Hide the message.

        Parameters
        ----------
        doing : str, optional
            Hide it only if it is about this action.
        """
        if self.error is None or doing not in (None, self._doing):
            return
        self.error = None
        self._text.value = ""
        self.layout.display = "none"

    @contextmanager
    def watching(self, doing: str) -> Iterator[None]:
        """Show exceptions raised inside the block instead of raising them.

        Success clears the message about the same action.

        Parameters
        ----------
        doing : str
            The action, as in "Could not <doing>".
        """
        with ONE_AT_A_TIME:
            try:
                yield
            except Exception as error:
                self.show(error, doing)
            else:
                self.clear(doing)


class HasErrorBox(Protocol):
    """A widget with an error box."""

    @property
    def error_box(self) -> ErrorBox:
        """The box that shows its errors."""


Owner = TypeVar("Owner", bound=HasErrorBox)


def guarded(
    doing: str,
) -> Callable[[Callable[Concatenate[Owner, P], Any]], Callable[Concatenate[Owner, P], None]]:
    """Decorate a callback of a widget so that its exceptions are shown in the error box.

    The callbacks of a closed widget do nothing.

    Parameters
    ----------
    doing : str
        The action, as in "Could not <doing>".
    """

    def decorate(
        callback: Callable[Concatenate[Owner, P], Any],
    ) -> Callable[Concatenate[Owner, P], None]:
        def call(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> None:
            if getattr(self, "closed", False):
                return
            with self.error_box.watching(doing):
                callback(self, *args, **kwargs)

        functools.update_wrapper(call, callback)
        return call

    return decorate


def sentence(error: Exception, doing: str) -> str:
    """Return an error message of one sentence.

    Parameters
    ----------
    error : Exception
        The exception. The class is named unless it is an :class:`~lcdb_notebook.errors.LCDBError`.
    doing : str
        The action that failed.

    Returns
    -------
    str

    Examples
    --------
    >>> sentence(KeyError("sector"), "draw the light curve")
    "Could not draw the light curve: KeyError: 'sector'"
    """
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else "no reason was given"
    if not isinstance(error, LCDBError):
        text = f"{type(error).__name__}: {text}"
    return f"Could not {doing}: {text}"
