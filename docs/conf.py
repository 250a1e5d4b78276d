"""Sphinx configuration; ``make docs`` builds the site into ``docs/_build``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import lcdb_notebook

project = "lcdb_notebook"
author = copyright = "The lcdb_notebook developers"
version = release = lcdb_notebook.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = "lcdb_notebook"
html_theme_options = {"use_edit_page_button": False, "show_prev_next": False}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
myst_heading_anchors = 3
# Notebooks need a database; tests run them.
nb_execution_mode = "off"

SOURCE = "https://lcdb-notebook.example.org/source/blob/main/"


def link_to_source(_app: object, _page: str, content: list[str]) -> None:
    """Replace links to files outside this folder, which are not part of the site."""
    content[0] = content[0].replace("](../", f"]({SOURCE}")


def setup(app: Any) -> None:
    """Register the function with Sphinx."""
    app.connect("source-read", link_to_source)
