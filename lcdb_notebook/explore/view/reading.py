"""Reading a selection in a background thread, one light curve at a time."""

from __future__ import annotations

from collections.abc import Callable

from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.explore.widget.event_loop import in_this_thread
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.results import Found

__all__ = ["found", "reader"]


def found(selection: Selection) -> Found:
    """Return the rows of a selection; ``selection.table`` takes 4 ms to make a DataFrame of them.

    Parameters
    ----------
    selection : Selection
        The light curves.

    Returns
    -------
    Found
    """
    search = selection._search
    with search.sessions.session_scope() as session:
        return search.found(session)


def reader(selection: Selection) -> Callable[[Task], list[LightCurveData]]:
    """Return the work of reading all light curves of a selection.

    The database's session is used in the present thread only, so each light curve is read in the
    event loop, which handles clicks in between.

    Parameters
    ----------
    selection : Selection
        The light curves.

    Returns
    -------
    callable
        For :meth:`~lcdb_notebook.explore.widget.background.Work.run`.
    """
    records, number = selection.read(progress=False), len(selection)
    call = in_this_thread()

    def work(task: Task) -> list[LightCurveData]:
        read: list[LightCurveData] = []
        while (data := call(lambda: next(records, None))) is not None:
            read.append(data)
            task.progress(len(read) / number)
        return read

    return work
