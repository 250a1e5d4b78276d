"""Check the arguments of map()."""

from __future__ import annotations

from typing import Any

from lcdb_notebook.errors import ArgumentError, optional

__all__ = ["check", "number_of_workers"]


def check(function: Any, client: Any, workers: Any, datasets: Any, on_error: Any) -> None:
    """Check the arguments of map().

    Parameters
    ----------
    function, client, workers, datasets, on_error : object
        The arguments of map().

    Raises
    ------
    ArgumentError
        If one of them is invalid; the message names it.
    """
    if not callable(function):
        raise ArgumentError(f"map() needs a function of one light curve, got {function!r}")
    if datasets not in ("lightcurve", "record"):
        raise ArgumentError(f"datasets must be 'lightcurve' or 'record', got {datasets!r}")
    if on_error not in ("row", "raise"):
        raise ArgumentError(f"on_error must be 'row' or 'raise', got {on_error!r}")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int)):
        raise ArgumentError(f"workers must be a number of processes, got {workers!r}")
    if workers is not None and workers < 1:
        raise ArgumentError(f"workers must be at least 1, got {workers}")
    if client is None:
        return
    if workers is not None:
        raise ArgumentError("pass either workers= (for this machine) or client=, not both")
    client_class = optional.required(
        "distributed", extra="dask", needed_by="map(client=...)"
    ).Client
    if not isinstance(client, client_class):
        raise ArgumentError(f"client must be a dask.distributed.Client, got {client!r}")
    if client.asynchronous:
        raise ArgumentError("client must not be asynchronous")


def number_of_workers(given: int | None, light_curves: int) -> int:
    """Return the number of processes: the given one, or the number of available cores.

    Parameters
    ----------
    given : int or None
        The argument ``workers``.
    light_curves : int
        The number of light curves, which limits the number of processes.

    Returns
    -------
    int
        At least 1.
    """
    from loky import cpu_count

    cores: int = cpu_count()
    return min(cores if given is None else given, light_curves)
