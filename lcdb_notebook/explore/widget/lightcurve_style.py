"""The style sheet of LightCurveExplorer, in addition to the common one."""

from __future__ import annotations

import ipywidgets as widgets

__all__ = ["SHEET", "labelled", "sheet"]

#: The toolbar of the steps.
SHEET = """
.lcdb-steps .widget-checkbox label { cursor: pointer; display: flex; align-items: center;
  width: 100%; overflow: hidden; height: var(--jp-widgets-inline-height, 28px); }
.lcdb-steps .widget-checkbox input { flex: none; width: auto; margin: 0 6px 0 0; }
.lcdb-steps .widget-checkbox label > span { flex: 1 1 0; min-width: 0; white-space: pre-wrap;
  height: 20px; line-height: 20px; overflow: hidden; }
.lcdb-steps .widget-checkbox { margin: 0; align-items: center; }
.lcdb-steps { display: flex; flex-flow: row wrap; gap: 2px 10px; overflow: visible; }
.lcdb-steps .lcdb-row { align-items: center; gap: 4px; }
.lcdb-steps .widget-inline-hbox { margin: 0; }
.lcdb-steps input[type="number"] { appearance: textfield; }
.lcdb-steps input::-webkit-inner-spin-button { display: none; }
"""


def labelled(label: str, tooltip: str) -> str:
    """Return the description of a checkbox: its label, and its tooltip on the lines below.

    ipywidgets uses the description of a checkbox as its tooltip. The style sheet shows only the
    first line; screen readers read all lines.

    Parameters
    ----------
    label, tooltip : str
        The visible label, and the text shown when the mouse is over it.
    """
    return f"{label}\n{tooltip}"


def sheet() -> widgets.HTML:
    """Return an invisible widget with the style sheet."""
    return widgets.HTML(
        f"<style>{SHEET}</style>", layout={"display": "none"}, _dom_classes=("lcdb-sheet",)
    )
