"""DataSetList: choose observations, photometry and processing of one target."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.explore.widget.base import Panel, sent_last
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.lightcurve.record import RAW, observation_names, processing_label
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.browse import TargetRow
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.criteria import criteria as search_criteria
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

__all__ = ["DataSetList", "narrow"]

_UNKNOWN = "unknown"
_ROWS_SHOWN, _ROWS_STATIC = 4, 40


class DataSetList(Panel):
    """Choose among the light curves of a target.

    Parameters
    ----------
    sessions : Sessions
        The database.

    Attributes
    ----------
    selection : Selection or None
        Trait: the light curves chosen; None without a target.
    datasets : tuple of int
        Trait: the ids of all DataSets of the target.

    Examples
    --------
    >>> part = db.explore(1).datasets
    >>> part.selection.table["processing"].unique().tolist()
    ['DEMO DET']
    """

    css = "lcdb-datasets"

    selection = traitlets.Instance(Selection, allow_none=True)
    datasets = traitlets.Tuple()

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions
        self._found = Found((), {})
        self._setting = False
        self._observations = _list_box(
            "Observations", "Ctrl-click adds to the choice, Shift-click chooses a range"
        )
        self._photometry = _list_box("Photometry", "The aperture or the PSF fit")
        self._processing = _list_box("Processing", "Processing after extraction; raw means without")
        self._lists = (self._observations, self._photometry, self._processing)
        row = widgets.Box(self._lists, _dom_classes=("lcdb-row",))
        self.lay_out(row)
        for one in self._lists:
            self.watch(one, self._changed, "index")

    def show(self, target: TargetRow | None, criteria: Criteria | None = None) -> None:
        """List the light curves of a target, and choose those of one kind.

        The light curves chosen at first have one photometry, processing, pipeline and exposure
        time, so that they can be stitched.

        Parameters
        ----------
        target : TargetRow or None
            The target; None empties the lists.
        criteria : Criteria, optional
            The filters by which the target was found. Light curves that match are preferred.
        """
        with self.error_box.watching("list the light curves"):
            if target is None:
                self._found = Found((), {})
                self._fill(())
                return
            of_target = search_criteria(target.number, catalog=target.catalog)
            with self._sessions.session_scope() as session:
                self._found = Search(self._sessions, of_target).found(session)
                matching = None
                if criteria is not None and _filters(criteria):
                    both = dataclasses.replace(
                        criteria, numbers=of_target.numbers, catalogs=of_target.catalogs
                    )
                    found = Search(self._sessions, both).found(session)
                    matching = {row.dataset for row in found.rows}
            rows = [r for r in self._found.rows if matching is None or r.dataset in matching]
            self._fill(_of_one_kind(self._found, rows or self._found.rows))

    def choose(self, dataset: int) -> None:
        """Choose one light curve.

        Parameters
        ----------
        dataset : int
            The id of its DataSet.

        Raises
        ------
        LightCurveNotFoundError
            If the target has no such DataSet.
        """
        for row in self._found.rows:
            if row.dataset == dataset:
                with sent_last(*self._lists):
                    self._select((row,), only=row)
                return
        raise LightCurveNotFoundError(f"DataSet {dataset} does not belong to this target")

    def _fill(self, chosen: Sequence[Row]) -> None:
        """Fill the lists and choose some rows, announcing the choice once."""
        rows = self._found.rows
        with sent_last(*self._lists):
            self._setting = True
            try:
                self._list(self._observations, list(dict.fromkeys(r.observation for r in rows)))
                self._list(self._photometry, list(dict.fromkeys(r.photometry for r in rows)))
                self._list(self._processing, list(dict.fromkeys(r.processing for r in rows)))
            finally:
                self._setting = False
            self.datasets = tuple(row.dataset for row in rows)
            self._select(chosen)

    def _list(self, which: widgets.SelectMultiple, keys: list[Any]) -> None:
        which.keys_listed = keys
        which.options = self._labels(which, keys)

    def _labels(self, which: widgets.SelectMultiple, keys: list[Any]) -> list[str]:
        if which is self._observations:
            seen = self._found.observations
            names = observation_names((seen[id_][0] for id_ in keys), complete=True)
            return [f"{names[id_]} ({seen[id_][1]:,})" for id_ in keys]
        nothing = str(RAW) if which is self._processing else _UNKNOWN
        return [nothing if key is None else key for key in keys]

    def mark(self, selection: Selection | None) -> None:
        """Mark the light curves of a selection that was not chosen in the lists."""
        if selection is not self.selection:
            drawn = set(() if selection is None else selection.datasets)
            rows = [row for row in self._found.rows if row.dataset in drawn]
            with sent_last(*self._lists):
                self._mark(rows)
                self.selection = selection
            self.rendered(f"{len(rows):,} of {len(self._found.rows):,} light curves chosen")

    def _select(self, rows: Sequence[Row], *, only: Row | None = None) -> None:
        self._mark(rows)
        self._announce(only)

    def _mark(self, rows: Sequence[Row]) -> None:
        self._setting = True
        try:
            for which, keys in (
                (self._observations, {row.observation for row in rows}),
                (self._photometry, {row.photometry for row in rows}),
                (self._processing, {row.processing for row in rows}),
            ):
                listed = which.keys_listed
                which.index = tuple(i for i, key in enumerate(listed) if key in keys)
        finally:
            self._setting = False

    @guarded("choose light curves")
    def _changed(self, _change: Any) -> None:
        if not self._setting:
            self._announce()

    def _announce(self, only: Row | None = None) -> None:
        chosen = [[which.keys_listed[i] for i in which.index] for which in self._lists]
        observations, photometry, processing = chosen
        rows = [
            row
            for row in self._found.rows
            if row.observation in observations
            and row.photometry in photometry
            and row.processing in processing
            and (only is None or row.dataset == only.dataset)
        ]
        self.selection = narrow(self._sessions, self._found, rows) if rows else None
        if not self._found.rows:
            text = "no light curve"
        elif rows:
            text = f"{len(rows):,} of {len(self._found.rows):,} light curves chosen"
        else:
            text = "no light curve matches; choose at least one entry in each list"
        self.rendered(text)

    def static_html(self) -> str:
        """Return a table of the light curves chosen."""
        if self.selection is None:
            return ""
        table = self.selection.table.head(_ROWS_STATIC)
        return str(table.to_html(index=False, na_rep=""))


def narrow(sessions: Sessions, found: Found, rows: Sequence[Row]) -> Selection:
    """Return some light curves of one target as a Selection that one line of code can reproduce.

    Nothing is queried; the Selection contains the rows given.

    Parameters
    ----------
    sessions : Sessions
        The database.
    found : Found
        All light curves of the target.
    rows : sequence of Row
        Some of them, in the same order. If no search finds exactly these, the first contiguous run
        of them is used.

    Returns
    -------
    Selection
    """
    first = rows[0]
    chosen = {row.dataset for row in rows}
    arguments: dict[str, Any] = {"catalog": first.catalog, **_when(found, rows)}
    methods = list(dict.fromkeys(row.photometry for row in rows))
    if None not in methods:
        arguments["photometry"] = methods[0] if len(methods) == 1 else methods
    steps = list(dict.fromkeys(processing_label(row.processing) for row in rows))
    arguments["processing"] = steps[0] if len(steps) == 1 else steps
    observations = {row.observation for row in rows}
    matching = [
        row
        for row in found.rows
        if row.observation in observations
        and (None in methods or row.photometry in methods)
        and (processing_label(row.processing)) in steps
    ]
    search = Search(sessions, search_criteria(first.target, **arguments))
    search.kept = Found(matching, found.observations)
    if len(matching) == len(chosen):
        return Selection(search)
    start = next(i for i, row in enumerate(matching) if row.dataset in chosen)
    stop = start
    while stop < len(matching) and matching[stop].dataset in chosen:
        stop += 1
    return Selection(search.cut(slice(start, stop)))


def _when(found: Found, rows: Sequence[Row]) -> dict[str, Any]:
    """Return search arguments for the observations: their fields if possible, else their ids."""
    chosen = {row.observation for row in rows}
    everything = {row.observation for row in found.rows}
    about = {id_: found.observations[id_][0] for id_ in everything}
    chronologies = {about[id_].chronology for id_ in chosen}
    names = [*next(iter(chronologies))] if len(chronologies) == 1 else []
    arguments: dict[str, Any] = {}
    matching = everything
    for name in [*names, "author", "exptime"]:
        values = list(dict.fromkeys(about[row.observation].fields.get(name) for row in rows))
        if None in values:
            continue
        left = {id_ for id_ in matching if about[id_].fields.get(name) in values}
        if left == matching and arguments:
            continue
        arguments[name], matching = (values[0] if len(values) == 1 else values), left
        if matching == chosen:
            return arguments
    ids = sorted(chosen)
    return {"observation": ids[0] if len(ids) == 1 else ids}


def _filters(criteria: Criteria) -> bool:
    open_ = dataclasses.replace(criteria, numbers=None, target_ids=None, catalogs=())
    return open_ != Criteria()


def _of_one_kind(found: Found, rows: Sequence[Row]) -> list[Row]:
    """Choose the light curves to show first, which can be stitched to one.

    They have the first photometry, and one processing, pipeline and exposure time: that with the
    most sectors; in a tie processed rather than raw, then the first.
    """
    kinds: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row.photometry == rows[0].photometry:
            fields = found.observations[row.observation][0].fields
            kind = (row.processing, fields.get("author"), str(fields.get("exptime")))
            kinds.setdefault(kind, []).append(row)
    if not kinds:
        return []
    return max(kinds.items(), key=lambda item: (len(item[1]), item[0][0] is not None))[1]


def _list_box(name: str, tooltip: str) -> widgets.SelectMultiple:
    made = widgets.SelectMultiple(
        options=(),
        rows=_ROWS_SHOWN,
        description=name,
        tooltip=tooltip,
        layout={"width": "auto"},
        _dom_classes=("lcdb-stacked", f"lcdb-{name.lower()}"),
    )
    made.keys_listed = []
    return made
