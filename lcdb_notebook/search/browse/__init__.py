"""Browse targets by the first digits of their numbers: pages, and counts for each filter."""

from lcdb_notebook.search.browse.counting import count
from lcdb_notebook.search.browse.facets import choices, counts
from lcdb_notebook.search.browse.pages import Page, page, statement
from lcdb_notebook.search.browse.target_filter import TargetFilter, TargetRow, beginning_with

__all__ = [
    "Page",
    "TargetFilter",
    "TargetRow",
    "beginning_with",
    "choices",
    "count",
    "counts",
    "page",
    "statement",
]
