"""Sphinx configuration; ``make docs`` builds the site into ``docs/_build/html``.

The notebooks are copied into this folder and run, each with an empty embedded database. Their
outputs are cached in ``docs/_build``, so that only changed notebooks run again.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

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
exclude_patterns = ["_build", "paper"]
html_theme = "pydata_sphinx_theme"
html_title = "lcdb_notebook"
html_theme_options = {"use_edit_page_button": False, "show_prev_next": False}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / ".jupyter_cache")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
# Progress bars are on standard error.
nb_output_stderr = "remove"

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCE = PYPROJECT["project"]["urls"]["Source"] + "/blob/main/"
PAGES_OF_FILES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}


def resolve_links(text: str, prefix: str = "../") -> str:
    """Point links to files outside this folder to their pages, or else to the repository.

    Parameters
    ----------
    text : str
        Markdown.
    prefix : str, optional
        What these links begin with.

    Returns
    -------
    str
        The text with other links.
    """

    def resolved(link: re.Match[str]) -> str:
        path = link[1]
        here = path if path.startswith("notebooks/") else PAGES_OF_FILES.get(path)
        return f"]({here or SOURCE + path}"

    return re.sub(rf"\]\({re.escape(prefix)}(?!\w+:|#)([^)#]+)", resolved, text)


def read_page(_app: object, page: str, content: list[str]) -> None:
    """Resolve the links of a page, and give each notebook an empty database."""
    os.environ["LCDB_DATA"] = f"{os.environ['HOME']}/{Path(page).name}"
    content[0] = resolve_links(content[0])


def read_included(_app: object, _path: Path, _page: str, content: list[str]) -> None:
    """Resolve the links of a file at the top of the repository, which a page includes."""
    content[0] = resolve_links(content[0], prefix="")


def isolate(app: Any) -> None:
    """Copy the notebooks, and run them in an empty home folder, without other settings."""
    shutil.rmtree(DOCS / "notebooks", ignore_errors=True)
    shutil.copytree(ROOT / "notebooks", DOCS / "notebooks", dirs_exist_ok=True)
    for name in [name for name in os.environ if name.startswith(("PG", "LCDB_", "XDG_"))]:
        del os.environ[name]
    # Not in a folder whose path may be too long for a socket, or closed to a server's own user.
    home = Path(tempfile.mkdtemp(prefix="lcdb-docs-"))
    home.chmod(0o711)
    os.environ["HOME"] = str(home)
    app.connect("build-finished", lambda *_: shutil.rmtree(home, ignore_errors=True))


def setup(app: Any) -> None:
    """Register the functions with Sphinx."""
    app.connect("builder-inited", isolate, priority=1)
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
