"""Targets: a search box, filters that say what they leave, and a list paged in SQL."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.controls.filters import Filters
from lcdb_notebook.explore.controls.search_text import Typed, typed
from lcdb_notebook.explore.widget.background import Debounced, Task, Work
from lcdb_notebook.explore.widget.base import Part, close_all
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.own_connection import apart
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import Page, TargetRow, Wanted
from lcdb_notebook.search.criteria import Criteria, criteria

__all__ = ["TargetList"]

_PAGE = 100
_ROWS_SHOWN = 12
_ROWS_STILL = 20
_COUNTS_KEPT = 500

# Seconds. A list comes quickly, so it waits for little; counts may read much, and wait for a pause.
_BEFORE_LIST, _BEFORE_COUNTS, _BEFORE_CHOICE = 0.015, 0.25, 0.04


class TargetList(Part):
    """Find a target by the beginning of its number, and by what was observed of it.

    Parameters
    ----------
    sessions
        The database.
    start
        What is wanted at first: the arguments of a search.

    Attributes
    ----------
    target
        Trait: the :class:`~lcdb_notebook.search.browse.TargetRow` that is chosen, or None.
    wanted
        Trait: the :class:`~lcdb_notebook.search.browse.Wanted` that is listed.
    """

    css = "lcdb-targets"

    target = traitlets.Instance(TargetRow, allow_none=True)
    wanted = traitlets.Instance(Wanted)

    def __init__(self, sessions: Sessions, start: Criteria | None = None) -> None:
        super().__init__()
        self._sessions = sessions
        start = criteria() if start is None else start
        self._whole = dataclasses.replace(start, numbers=None)
        self._page = Page()
        self._offset = 0
        self._total: int | None = None
        self._showing = False
        self._counting = Work(self.trouble)
        self._counted: dict[tuple[Any, ...], Any] = {}
        # Not on the page: the numbers come when they come.
        self.when_closed(lambda: close_all([self._counting]))
        with sessions.session_scope() as session:
            values = browse.choices(session)
        self._catalogs = {name.upper(): name for name in values["catalog"]}
        self._filters = Filters(values, self._whole)
        self._box = widgets.Text(
            value=_as_typed(start),
            placeholder="2611…, or a list of numbers",
            description="Catalog number",
            tooltip="The first digits of a catalog number, or a pasted list of whole numbers",
            continuous_update=True,
        )
        self._box.add_class("lcdb-stacked")
        self._box.add_class("lcdb-search")
        self._list = widgets.Select(
            options=(),
            rows=_ROWS_SHOWN,
            description="Targets",
            tooltip="Arrow keys go on to the next page by themselves",
            layout={"width": "100%"},
        )
        self._list.add_class("lcdb-stacked")
        self._list.add_class("lcdb-list")
        self._before = _button("Previous", "arrow-left", "The page before", self._turn_back)
        self._after = _button("Next", "arrow-right", "The page after", self._turn_on)
        self._clear = _button("Clear filters", "times", "Leave every filter open", self._open_all)
        self._where = widgets.Label()
        pager = widgets.Box((self._before, self._after, self._where, self._clear))
        pager.add_class("lcdb-row")
        pager.add_class("lcdb-pager")
        self.lay_out(self._box, self._filters, self._list, pager)
        self._list_soon = Debounced(self._ask, _BEFORE_LIST)
        self._count_soon = Debounced(self._count, _BEFORE_COUNTS)
        self._choose_soon = Debounced(self._choose, _BEFORE_CHOICE)
        for waiting in (self._list_soon, self._count_soon, self._choose_soon):
            self.when_closed(waiting.cancel)
        self.watch(self._box, lambda _: self._list_soon(), "value")
        self.watch(self._filters, lambda _: self._list_soon(), "wanted")
        self.watch(self._list, self._picked, "index")
        self._ask(at_once=True)

    # What is asked for

    @guarded("list the targets")
    def _ask(self, *, at_once: bool = False) -> None:
        asked = typed(self._box.value)
        if asked.mistake:
            self.work.stop()
            self._show(Page(), 0, note=asked.mistake)
            return
        self.wanted = self._wanted(asked)
        self._counting.stop()
        self._total = None
        self._load(at_once=at_once)

    def _wanted(self, asked: Typed) -> Wanted:
        wanted: Wanted = self._filters.wanted
        changed: dict[str, Any] = {}
        if asked.numbers:
            changed["numbers"] = asked.numbers
        if asked.catalog is not None:
            name = self._catalogs.get(asked.catalog.upper(), asked.catalog)
            changed["catalogs"] = (name,)
        return dataclasses.replace(
            wanted,
            digits=asked.digits,
            criteria=dataclasses.replace(wanted.criteria, **changed),
        )

    def _load(
        self,
        *,
        after: TargetRow | None = None,
        before: TargetRow | None = None,
        offset: int = 0,
        keep: TargetRow | None = None,
        at_once: bool = False,
    ) -> None:
        wanted = self.wanted

        def work(task: Task) -> Page:
            with apart(self._sessions, task) as session:
                return browse.page(session, wanted, size=_PAGE, after=after, before=before)

        def then(page: Page) -> None:
            if before is not None:
                self._show(page, max(0, offset - len(page.rows)), keep)
            else:
                self._show(page, offset, keep)

        self.work.run(work, then, doing="list the targets", at_once=at_once)

    # The list

    def _show(
        self, page: Page, offset: int, keep: TargetRow | None = None, *, note: str = ""
    ) -> None:
        self._page, self._offset = page, offset
        self._showing = True
        try:
            with self._list.hold_sync():
                # This selects the first one, which nobody asked for.
                self._list.options = [f"{row.catalog} {row.number}" for row in page.rows]
                held = keep if keep is not None else self.target
                self._list.index = page.rows.index(held) if held in page.rows else None
        finally:
            self._showing = False
        self._before.disabled = not page.more_before
        self._after.disabled = not page.more_after
        self._tell_where()
        self.painted(note or self._in_words())
        if not note:
            self._count_soon()
            if len(page.rows) == 1 and not (page.more_before or page.more_after):
                self._showing = True
                self._list.index = 0
                self._showing = False
                self._choose()

    def _tell_where(self) -> None:
        rows = len(self._page.rows)
        total = "" if self._total is None else f" of {self._total:,}"
        self._where.value = (
            f"{self._offset + 1:,} to {self._offset + rows:,}{total}" if rows else "none"
        )

    def _in_words(self) -> str:
        page = self._page
        whole = not (page.more_before or page.more_after)
        number = len(page.rows) if whole else self._total
        numbers = self.wanted.criteria.numbers
        asked = f" of {len(numbers):,} asked for" if numbers is not None else ""
        if number == 0:
            return f"no target{asked or ' like that'}"
        if number is None:
            return "many targets"
        return f"{number:,} target{'' if number == 1 else 's'}{asked}"

    @guarded("choose a target")
    def _picked(self, _change: Any) -> None:
        if not self._showing and self._list.index is not None:
            self._choose_soon()

    @guarded("choose a target")
    def _choose(self) -> None:
        index, rows = self._list.index, self._page.rows
        if index is None or index >= len(rows):
            return
        # Counting may take seconds, and what comes now should not share the server with it.
        self._counting.stop()
        self._count_soon.cancel()
        self.target = rows[index]
        self._count_soon()
        half = len(rows) // 2
        if index == len(rows) - 1 and self._page.more_after and half:
            self._load(after=rows[half - 1], offset=self._offset + half, keep=rows[index])
        elif index == 0 and self._page.more_before and half:
            self._load(before=rows[half], offset=self._offset + half, keep=rows[index])

    @guarded("turn the page")
    def _turn_on(self) -> None:
        self._load(after=self._page.rows[-1], offset=self._offset + len(self._page.rows))

    @guarded("turn the page")
    def _turn_back(self) -> None:
        self._load(before=self._page.rows[0], offset=self._offset)

    def _open_all(self) -> None:
        for facet in self._filters.facets.values():
            facet.reset()

    # The numbers beside the filters

    @guarded("count targets")
    def _count(self) -> None:
        """Count one thing after the other, so that none waits for the slowest."""
        facets = self._filters.facets
        for name, facet in facets.items():
            if self._key(name) not in self._counted:
                # Numbers of another list would be believed.
                facet.forget_counts()
        self._tally("", list(facets))

    def _key(self, facet: str) -> tuple[Any, ...]:
        wanted = self.wanted.without(facet) if facet else self.wanted
        return (facet, wanted.digits, wanted.flagged, repr(wanted.criteria))

    def _tally(self, facet: str, further: list[str]) -> None:
        wanted = self.wanted.without(facet) if facet else self.wanted
        key = self._key(facet)

        def work(task: Task) -> tuple[dict[Any, int], int]:
            if key in self._counted:
                kept: tuple[dict[Any, int], int] = self._counted[key]
                return kept
            with apart(self._sessions, task) as session:
                # What a facet leaves open is the whole where it is open already.
                same = facet and wanted == self.wanted and self._total is not None
                whole = self._total if same else browse.count(session, wanted)
                assert whole is not None
                return (browse.counts(session, wanted, facet) if facet else {}), whole

        def then(result: tuple[dict[Any, int], int]) -> None:
            if len(self._counted) >= _COUNTS_KEPT:
                self._counted.clear()
            self._counted[key] = result
            counts, whole = result
            if facet:
                self._filters.facets[facet].show_counts(counts, whole)
            else:
                self._total = whole
                self._tell_where()
                self._say(self._in_words())
            if further:
                self._tally(further[0], further[1:])
            else:
                self.counted += 1

        self._counting.run(work, then, doing="count targets")

    counted = traitlets.Int(0, help="How often all numbers beside the filters were completed.")

    # How it shows where there are no widgets

    def still(self) -> tuple[bytes | None, str]:
        """Give the first rows as a table."""
        rows = "".join(
            f"<tr><td>{html.escape(row.catalog)}</td><td>{row.number}</td></tr>"
            for row in self._page.rows[:_ROWS_STILL]
        )
        more = len(self._page.rows) > _ROWS_STILL or self._page.more_after
        told = f"<p>{html.escape(self._where.value)}</p>" if more else ""
        table = f"<table><tr><th>catalog</th><th>target</th></tr>{rows}</table>"
        return None, table + told


def _as_typed(start: Criteria) -> str:
    """Write the numbers of a search as a person would have typed them."""
    numbers = start.numbers or ()
    # A comma says that a single number is whole.
    return ", ".join(map(str, numbers)) + ("," if len(numbers) == 1 else "")


def _button(text: str, icon: str, tooltip: str, call: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=text, icon=icon, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(lambda _: call())
    return button
