"""The method of a Selection that reads its light curves as nested columns, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import DataError, optional
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.chunks import bytes_in_memory
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.samples import samples
from lcdb_notebook.read.selection.protocol import Rows
from lcdb_notebook.read.with_history import Made, with_histories
from lcdb_notebook.search import layout, results
from lcdb_notebook.search.grouped import group

if TYPE_CHECKING:
    import nested_pandas

__all__ = ["nested_parts"]

# Bytes of arrays in a part, which is in memory about three times while it is built.
_PART_BYTES = 64 * 2**20


def nested_parts(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> Iterator[nested_pandas.NestedFrame]:
    """Iterate over NestedFrames of some light curves each, in bounded memory.

    Each has at most 4,096 light curves of one observation, with about 64 MB of arrays. All have the
    same columns, so that they can be written to one dataset.

    Parameters
    ----------
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        Which quality flags mark a cadence as flagged: ``"none"``, ``"default"``, ``"hard"`` or
        ``"hardest"`` (each flag type has its own bits for these), an integer, a flag, the name of
        a flag, or several of these. None is ``"none"``. Bits and names apply to the flag type of
        the ``quality`` column, presets to all flag types.
    flagged : {"drop", "mask", "keep"}, optional
        What happens to flagged cadences: "drop" removes them, "mask" sets their flux to NaN,
        "keep" leaves them unchanged.
    time_format : str, optional
        Name of the astropy time format of the result, such as "jd"; None is the mission's own
        ("btjd" for TESS). The time scale is TDB.
    on_error : {"raise", "skip"}, optional
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.

    Yields
    ------
    nested_pandas.NestedFrame
        The columns of :meth:`to_nested` and ``unit_inferred``. ``catalog``, ``flag_type`` and the
        observation fields are included if they differ between any light curves of the selection.

    Raises
    ------
    MissingExtraError
        If nested-pandas is not installed.
    LightCurveNotFoundError
        If the selection is empty.
    DataError
        If arrays cannot be read or contradict each other, or the missions have different time
        formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> for part in db.search([1, 2], processing="raw").nested_parts():
    ...     print(part["sector"].unique(), len(part))
    [1] 4
    [1] 4
    [2] 4
    [2] 4
    """
    optional.required("nested_pandas", extra="nested", needed_by="nested_parts()")
    check_choice("on_error", on_error, ("raise", "skip"))
    settings = {
        "quality_bitmask": quality_bitmask,
        "flagged": flagged,
        "time_format": time_format,
    }
    search = self._search
    grouped = group(search)
    with search.sessions.session_scope() as session:
        missions = results.missions(session)
        placed = [*dict.fromkeys(layout.of(session).positions.values())]
    # Their ids are those of light curves, and must be unique.
    kinds = [
        replace(data, dataset=str(-1 - n) if isinstance(data.dataset, str) else -1 - n)
        for n, data in enumerate(samples(grouped.samples, missions, grouped.flag_types, placed))
    ]

    def parts() -> Iterator[nested_pandas.NestedFrame]:
        refused: list[str] = []
        number = sum(grouped.numbers.values())
        with Progress(number, "light curve", progress) as bar:
            done = 0
            for some in grouped.groups:
                made = with_histories(search, some.pages, missions, bar=bar, done=done)
                for part in _divided(made, on_error, refused):
                    yield _part(kinds, part, settings)
                done += len(some.datasets)
        if refused:
            warn(f"{len(refused)} of {number} light curves were skipped: " + "; ".join(refused))

    return parts()


def _divided(
    made: Iterator[Made], on_error: OnError, refused: list[str]
) -> Iterator[list[tuple[LightCurveData, str]]]:
    """Divide light curves into parts of a limited size; errors are raised, or kept as texts."""
    part: list[tuple[LightCurveData, str]] = []
    size = 0
    for _, data, history in made:
        if isinstance(data, DataError):
            if on_error == "raise":
                raise data
            refused.append(str(data))
            continue
        part.append((data, history))
        size += bytes_in_memory(data)
        if size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _part(
    kinds: Sequence[LightCurveData],
    part: Sequence[tuple[LightCurveData, str]],
    settings: dict[str, Any],
) -> nested_pandas.NestedFrame:
    """Convert light curves together with one of each kind, so that all parts have their columns."""
    made = [data for data, _ in part]
    histories = {data.dataset: history for data, history in part}
    frame = convert.to_nested([*kinds, *made], histories=histories, **settings)
    attrs = frame.attrs
    frame = frame.iloc[len(kinds) :].reset_index(drop=True)
    if hasattr(frame["dataset"], "cat"):
        frame["dataset"] = frame["dataset"].cat.remove_unused_categories()
    if "unit_inferred" not in frame:
        frame.insert([*frame].index("unit") + 1, "unit_inferred", False)
    frame.attrs = attrs
    return frame
