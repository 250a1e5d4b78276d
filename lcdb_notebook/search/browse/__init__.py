"""Browsing targets: by the first digits of their numbers, a page at a time, counted by filter."""

from lcdb_notebook.search.browse.counting import choices, count, counts
from lcdb_notebook.search.browse.pages import Page, page, statement
from lcdb_notebook.search.browse.target_filter import TargetRow, Wanted, beginning_with

__all__ = [
    "Page",
    "TargetRow",
    "Wanted",
    "beginning_with",
    "choices",
    "count",
    "counts",
    "page",
    "statement",
]
