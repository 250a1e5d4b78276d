"""TargetList: a search box, filters with counts of targets, and a paged list."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.controls.counts import FacetCounts
from lcdb_notebook.explore.controls.filters import Filters
from lcdb_notebook.explore.controls.search_text import SearchText, parse_search_text
from lcdb_notebook.explore.widget.background import Debounced, Task
from lcdb_notebook.explore.widget.base import Panel, close_all
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.own_connection import own_connection
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import Page, TargetFilter, TargetRow
from lcdb_notebook.search.criteria import Criteria, criteria
from lcdb_notebook.search.size import Size

__all__ = ["TargetList"]

_PAGE = 100
_ROWS_SHOWN = 8
_ROWS_STATIC = 20

# Seconds. Lists are fast, so they hardly wait; counts may be slow, and wait for a pause. A click is
# answered at once; of a held arrow key, the last row counts.
_BEFORE_LIST, _BEFORE_COUNTS, _BEFORE_CHOICE = 0.015, 0.25, 0.04


class TargetList(Panel):
    """Find a target by the first digits of its number, and by its observations.

    Parameters
    ----------
    sessions : Sessions
        The database.
    start : Criteria, optional
        The initial search.

    Attributes
    ----------
    target : TargetRow or None
        Trait: the target chosen, with ``number``, ``id`` and ``catalog``.
    target_filter : TargetFilter
        Trait: the digits and the filters of the list.
    counted : int
        Trait: how often all counts beside the filters were completed.

    Examples
    --------
    >>> from lcdb_notebook.search.criteria import criteria
    >>> part = TargetList(db, criteria(3, sector=1))
    >>> part.target.number, part.target.catalog
    (3, 'DEMO')
    """

    css = "lcdb-targets"

    target = traitlets.Instance(TargetRow, allow_none=True)
    target_filter = traitlets.Instance(TargetFilter)

    def __init__(self, sessions: Sessions, start: Criteria | None = None) -> None:
        super().__init__()
        self._sessions = sessions
        start = criteria() if start is None else start
        self._whole = dataclasses.replace(start, numbers=None)
        self._page = Page()
        self._offset = 0
        self._total: Size | None = None
        self._showing = False
        with sessions.session_scope() as session:
            values = browse.choices(session)
        self._catalogs = {name.upper(): name for name in values["catalog"]}
        self._filters = Filters(values, self._whole)
        self._counts = FacetCounts(
            sessions,
            self._filters,
            self.error_box,
            show_total=self._show_total,
            finished=self._counts_finished,
        )
        # Its progress bar is not on the page.
        self.when_closed(lambda: close_all([self._counts.work]))
        self._box = widgets.Text(
            value=_search_text(start),
            placeholder="2611…, or a list of numbers",
            description="Catalog number",
            tooltip="The first digits of a catalog number, or a list of complete numbers",
            continuous_update=True,
            _dom_classes=("lcdb-stacked", "lcdb-search"),
        )
        self._list = widgets.Select(
            options=(),
            rows=_ROWS_SHOWN,
            description="Targets",
            tooltip="Arrow keys continue on the next page",
            layout={"width": "100%"},
            _dom_classes=("lcdb-stacked", "lcdb-list"),
        )
        self._before = _button("Previous", "arrow-left", "Previous page", self._turn_back)
        self._after = _button("Next", "arrow-right", "Next page", self._turn_on)
        self._clear = _button("Clear filters", "times", "Remove all filters", self._open_all)
        self._where = widgets.Label()
        pager = widgets.Box(
            (self._before, self._after, self._where, self._clear),
            _dom_classes=("lcdb-row", "lcdb-pager"),
        )
        self.lay_out(self._box, self._filters, self._list, pager)
        self._list_soon = Debounced(self._ask, _BEFORE_LIST)
        self._count_soon = Debounced(self._count, _BEFORE_COUNTS)
        self._choose_soon = Debounced(self._choose, _BEFORE_CHOICE, leading=True)
        for waiting in (self._list_soon, self._count_soon, self._choose_soon):
            self.when_closed(waiting.cancel)
        self.watch(self._box, lambda _: self._list_soon(), "value")
        self.watch(self._filters, lambda _: self._list_soon(), "target_filter")
        self.watch(self._list, self._picked, "index")
        self._ask(at_once=True)

    # The query

    @guarded("list the targets")
    def _ask(self, *, at_once: bool = False) -> None:
        text = parse_search_text(self._box.value)
        if text.mistake:
            self.work.stop()
            self._show(Page(), 0, note=text.mistake)
            return
        self.target_filter = self._filter(text)
        self._counts.stop()
        self._total = None
        self._load(at_once=at_once)

    def _filter(self, text: SearchText) -> TargetFilter:
        target_filter: TargetFilter = self._filters.target_filter
        changed: dict[str, Any] = {}
        if text.numbers:
            changed["numbers"] = text.numbers
        if text.catalog is not None:
            name = self._catalogs.get(text.catalog.upper(), text.catalog)
            changed["catalogs"] = (name,)
        return dataclasses.replace(
            target_filter,
            digits=text.digits,
            criteria=dataclasses.replace(target_filter.criteria, **changed),
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
        target_filter = self.target_filter

        def work(task: Task) -> Page:
            with own_connection(self._sessions, task) as session:
                return browse.page(session, target_filter, size=_PAGE, after=after, before=before)

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
                # Assigning options selects the first one.
                self._list.options = [f"{row.catalog} {row.number}" for row in page.rows]
                held = keep if keep is not None else self.target
                self._list.index = page.rows.index(held) if held in page.rows else None
        finally:
            self._showing = False
        self._before.disabled = not page.more_before
        self._after.disabled = not page.more_after
        self._show_position()
        self.rendered(note or self._description())
        if not note:
            self._count_soon()
            if len(page.rows) == 1 and not (page.more_before or page.more_after):
                self._showing = True
                self._list.index = 0
                self._showing = False
                self._choose()

    def _show_position(self) -> None:
        rows = len(self._page.rows)
        total = "" if self._total is None else f" of {self._total.text}"
        self._where.value = (
            f"{self._offset + 1:,} to {self._offset + rows:,}{total}" if rows else "none"
        )

    def _description(self) -> str:
        page = self._page
        whole = not (page.more_before or page.more_after)
        number = Size(len(page.rows)) if whole else self._total
        numbers = self.target_filter.criteria.numbers
        requested = f" of {len(numbers):,} requested" if numbers is not None else ""
        if number == 0:
            return f"no target{requested or ' matches'}"
        if number is None:
            return "many targets"
        return f"{number.text} target{'' if number == 1 else 's'}{requested}"

    @guarded("choose a target")
    def _picked(self, _change: Any) -> None:
        if not self._showing and self._list.index is not None:
            self._choose_soon()

    @guarded("choose a target")
    def _choose(self) -> None:
        index, rows = self._list.index, self._page.rows
        if index is None or index >= len(rows):
            return
        # Counting may take seconds and would slow down the queries that follow.
        self._counts.stop()
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

    # The counts beside the filters

    @guarded("count targets")
    def _count(self) -> None:
        self._counts.start(self.target_filter)

    def _show_total(self, total: Size) -> None:
        self._total = total
        self._show_position()
        self._set_status(self._description())

    def _counts_finished(self) -> None:
        self.counted += 1

    counted = traitlets.Int(0, help="How often all counts beside the filters were completed.")

    # Static version

    def static_html(self) -> str:
        """Return a table of the first targets."""
        rows = "".join(
            f"<tr><td>{html.escape(row.catalog)}</td><td>{row.number}</td></tr>"
            for row in self._page.rows[:_ROWS_STATIC]
        )
        more = len(self._page.rows) > _ROWS_STATIC or self._page.more_after
        position = f"<p>{html.escape(self._where.value)}</p>" if more else ""
        table = f"<table><tr><th>catalog</th><th>target</th></tr>{rows}</table>"
        return table + position


def _search_text(start: Criteria) -> str:
    """Return the text of the search box for the numbers of a search."""
    numbers = start.numbers or ()
    # With a comma a single number is complete; without, it is the beginning of numbers.
    return ", ".join(map(str, numbers)) + ("," if len(numbers) == 1 else "")


def _button(text: str, icon: str, tooltip: str, call: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=text, icon=icon, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(lambda _: call())
    return button
