"""The JavaScript and the style sheets of the widgets, as anywidget takes them."""

from __future__ import annotations

import re
from importlib.resources import files

__all__ = ["FIGURE", "SHARED", "module", "text"]

#: The modules of the figure, each after those that it imports.
FIGURE = ("numbers", "encoding", "scene", "raster", "axes", "elements", "controls", "figure")


def module(*names: str) -> str:
    """Return ES modules joined to one; no bundler is needed.

    Parameters
    ----------
    *names : str
        The modules, without ".mjs", each after those that it imports.

    Returns
    -------
    str
    """
    joined = "\n".join(text(f"{name}.mjs") for name in names)
    joined = re.sub(r"^import .*;\n", "", joined, flags=re.MULTILINE)
    # Each widget sends its module, of which types and comments are a third.
    joined = re.sub(r"/\*\*.*?\*/", "", joined, flags=re.DOTALL)
    return re.sub(r"^\s*(//.*)?\n|^\s+", "", joined, flags=re.MULTILINE)


def text(name: str) -> str:
    """Return the text of a file of this package.

    Parameters
    ----------
    name : str
        The name of the file.

    Returns
    -------
    str
    """
    return (files(__package__) / name).read_text(encoding="utf-8")


#: Imports the module in the trait ``_module`` once for all widgets of a page.
SHARED = module("shared")
