"""Light curves of one target: which observations, which photometry, which processing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.widget.base import Part
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.browse import TargetRow
from lcdb_notebook.search.criteria import RAW, Criteria, criteria
from lcdb_notebook.search.results import Found, Search
from lcdb_notebook.search.rows import Row

__all__ = ["DataSetList", "narrowed"]

_NOT_SAID = "not said"
_ROWS_SHOWN, _ROWS_STILL = 5, 40


class DataSetList(Part):
    """Choose among the light curves of a target.

    Parameters
    ----------
    sessions
        The database.

    Attributes
    ----------
    selection
        Trait: the Selection of what is chosen, with its rows already found; None without a target.
    datasets
        Trait: ids of all DataSets of the target, a tuple.
    """

    css = "lcdb-datasets"

    selection = traitlets.Instance(Selection, allow_none=True)
    datasets = traitlets.Tuple()

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions
        self._found = Found((), {})
        self._setting = False
        self._observations = _several("Observations", "When, and by what; Ctrl adds, Shift spans")
        self._photometry = _several("Photometry", "How the light was extracted")
        self._processing = _several("Processing", "What was done to it; raw is nothing")
        self._lists = (self._observations, self._photometry, self._processing)
        row = widgets.Box(self._lists)
        row.add_class("lcdb-row")
        self.lay_out(row)
        for one in self._lists:
            self.watch(one, self._changed, "index")

    def show(self, target: TargetRow | None, wanted: Criteria | None = None) -> None:
        """List the light curves of a target, and choose those of one kind.

        Parameters
        ----------
        target
            Whose; None empties the list.
        wanted
            The filters by which the target was found: what they match is chosen among.
        """
        with self.trouble.watching("list the light curves"):
            if target is None:
                self._found = Found((), {})
                self._fill(())
                return
            of_target = criteria(target.number, catalog=target.catalog)
            with self._sessions.session_scope() as session:
                self._found = Search(self._sessions, of_target).found(session)
                matching = None
                if wanted is not None and _filters(wanted):
                    both = dataclasses.replace(
                        wanted, numbers=of_target.numbers, catalogs=of_target.catalogs
                    )
                    found = Search(self._sessions, both).found(session)
                    matching = {row.dataset for row in found.rows}
            rows = [r for r in self._found.rows if matching is None or r.dataset in matching]
            self._fill(_of_one_kind(self._found, rows or self._found.rows))

    def choose(self, dataset: int) -> None:
        """Choose a single one of the light curves listed.

        Raises
        ------
        KeyError
            If it is not among them.
        """
        for row in self._found.rows:
            if row.dataset == dataset:
                self._select((row,), only=row)
                return
        raise KeyError(f"DataSet {dataset} is none of this target's")

    def _fill(self, chosen: Sequence[Row]) -> None:
        """List what there is, choose some of it, and tell of it once."""
        rows = self._found.rows
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
        with which.hold_sync():
            which.options = self._labels(which, keys)
            which.index = ()

    def _labels(self, which: widgets.SelectMultiple, keys: list[Any]) -> list[str]:
        if which is self._observations:
            return _observation_labels(self._found, keys)
        nothing = RAW if which is self._processing else _NOT_SAID
        return [nothing if key is None else key for key in keys]

    def _select(self, rows: Sequence[Row], *, only: Row | None = None) -> None:
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
        self._announce(only)

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
        self.selection = narrowed(self._sessions, self._found, rows) if rows else None
        if not self._found.rows:
            told = "no light curve"
        elif rows:
            told = f"{len(rows):,} of {len(self._found.rows):,} light curves chosen"
        else:
            told = "no light curve is all of that; choose in each list"
        self.painted(told)

    def still(self) -> tuple[bytes | None, str]:
        """Give the light curves that are chosen as a table."""
        if self.selection is None:
            return None, ""
        table = self.selection.table.head(_ROWS_STILL)
        return None, str(table.to_html(index=False, na_rep=""))


def narrowed(sessions: Sessions, found: Found, rows: Sequence[Row]) -> Selection:
    """Give some light curves of one target as a Selection that a line of code can find again.

    Nothing is queried: what is known of the rows goes into the Selection.

    Parameters
    ----------
    sessions
        The database.
    found
        All light curves of the target.
    rows
        Some of them, in their order. Where no search finds exactly these, those of the first run
        of neighbours among them are taken.
    """
    first = rows[0]
    chosen = {row.dataset for row in rows}
    told: dict[str, Any] = {"catalog": first.catalog, **_when(found, rows)}
    methods = list(dict.fromkeys(row.photometry for row in rows))
    if None not in methods:
        told["photometry"] = methods[0] if len(methods) == 1 else methods
    steps = list(dict.fromkeys(row.processing or RAW for row in rows))
    told["processing"] = steps[0] if len(steps) == 1 else steps
    observations = {row.observation for row in rows}
    matching = [
        row
        for row in found.rows
        if row.observation in observations
        and (None in methods or row.photometry in methods)
        and (row.processing or RAW) in steps
    ]
    search = Search(sessions, criteria(first.target, **told))
    search.kept = Found(matching, found.observations)
    if len(matching) == len(chosen):
        return Selection(search)
    start = next(i for i, row in enumerate(matching) if row.dataset in chosen)
    stop = start
    while stop < len(matching) and matching[stop].dataset in chosen:
        stop += 1
    return Selection(search.cut(slice(start, stop)))


def _when(found: Found, rows: Sequence[Row]) -> dict[str, Any]:
    """Say which observations: by the fields that people say, if these find exactly them."""
    wanted = {row.observation for row in rows}
    everything = {row.observation for row in found.rows}
    about = {id_: found.observations[id_][0] for id_ in everything}
    chronologies = {about[id_].chronology for id_ in wanted}
    names = [*next(iter(chronologies))] if len(chronologies) == 1 else []
    told: dict[str, Any] = {}
    matching = everything
    for name in [*names, "author", "exptime"]:
        values = list(dict.fromkeys(about[row.observation].fields.get(name) for row in rows))
        if None in values:
            continue
        left = {id_ for id_ in matching if about[id_].fields.get(name) in values}
        if left == matching and told:
            continue
        told[name], matching = (values[0] if len(values) == 1 else values), left
        if matching == wanted:
            return told
    ids = sorted(wanted)
    return {"observation": ids[0] if len(ids) == 1 else ids}


def _filters(wanted: Criteria) -> bool:
    open_ = dataclasses.replace(wanted, numbers=None, target_ids=None, catalogs=())
    return open_ != Criteria()


def _of_one_kind(found: Found, rows: Sequence[Row]) -> list[Row]:
    """Choose what a person would look at first, which can be joined to one light curve.

    Of the first photometry the light curves of one processing, one pipeline and one exposure time:
    those that there are most sectors of, processed rather than raw, the first where that is equal.
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


def _observation_labels(found: Found, ids: list[int]) -> list[str]:
    """Name observations by what they say of themselves; two that are named alike, by id as well."""
    labels = []
    for id_ in ids:
        about, cadences = found.observations[id_]
        when = [
            f"{name.removesuffix('_number').replace('_', ' ')} {about.fields[name]}"
            for name in about.chronology
            if about.fields.get(name) is not None
        ]
        author, exptime = (about.fields.get(name) for name in ("author", "exptime"))
        how = [str(author)] if author is not None else []
        how += [f"{exptime:g} s"] if exptime is not None else []
        labels.append(", ".join([*(when or [f"observation {id_}"]), *how]) + f" ({cadences:,})")
    return [
        f"{label} #{id_}" if labels.count(label) > 1 else label
        for label, id_ in zip(labels, ids, strict=True)
    ]


def _several(name: str, tooltip: str) -> widgets.SelectMultiple:
    made = widgets.SelectMultiple(
        options=(), rows=_ROWS_SHOWN, description=name, tooltip=tooltip, layout={"width": "auto"}
    )
    made.add_class("lcdb-stacked")
    made.add_class(f"lcdb-{name.lower()}")
    made.keys_listed = []
    return made
