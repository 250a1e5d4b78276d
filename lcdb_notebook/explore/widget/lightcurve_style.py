"""The style sheet of LightCurveExplorer, in addition to the common one."""

from __future__ import annotations

import ipywidgets as widgets

__all__ = ["SHEET", "labelled", "sheet"]

#: Flags and steps are beside the figure on wide pages, else above it. In a dark theme a filter
#: inverts the lightness of the picture and keeps its hues; the kernel does not know the theme.
SHEET = """
.lcdb-beside { display: flex; flex-flow: row-reverse wrap-reverse; gap: 16px;
  align-items: flex-end; justify-content: flex-end; overflow: visible; }
.lcdb-controls { flex: 1 1 300px; min-width: 0; max-width: 760px; overflow: visible; gap: 10px; }
.lcdb-figure { flex: 0 1 auto; min-width: 0; max-width: 100%; overflow-x: auto; gap: 4px; }
.lcdb-figure .lcdb-canvas { max-width: none; flex: 0 0 auto; }
.lcdb-flags { display: grid; gap: 0 12px; overflow: visible;
  grid-template-columns: repeat(auto-fill, minmax(min(230px, 100%), 1fr)); }
.lcdb-flags .widget-checkbox { margin: 0; width: auto; }
.lcdb-flags .widget-checkbox label, .lcdb-steps .widget-checkbox label { cursor: pointer; }
.lcdb-flags .lcdb-absent label { color: var(--jp-content-font-color2, #616161); }
.lcdb-flags .widget-checkbox label, .lcdb-steps .widget-checkbox label { display: flex;
  align-items: center; width: 100%; overflow: hidden; }
.lcdb-flags .widget-checkbox input, .lcdb-steps .widget-checkbox input { flex: none; width: auto;
  margin: 0 6px 0 0; }
.lcdb-flags .widget-checkbox label > span, .lcdb-steps .widget-checkbox label > span {
  flex: 1 1 0; min-width: 0; white-space: pre-wrap; height: 20px; line-height: 20px;
  overflow: hidden; }
.lcdb-flag-list { gap: 4px; overflow: visible; }
.lcdb-presets { width: auto; height: auto; flex: none; }
.lcdb-presets .widget-toggle-buttons, .lcdb-presets .jupyter-button { width: auto; }
.lcdb-steps { gap: 2px; overflow: visible; }
.lcdb-steps .lcdb-row { align-items: center; }
.lcdb-steps .widget-checkbox { margin: 0 8px 0 0; align-items: center; }
.lcdb-steps .widget-checkbox label { height: var(--jp-widgets-inline-height, 28px); }
.lcdb-readout { min-height: 1.8em; font-variant-numeric: tabular-nums; }
body[data-jp-theme-light="false"] .lcdb-canvas canvas { filter: invert(0.93) hue-rotate(180deg); }
body[data-jp-theme-light="false"] .lcdb-canvas { background: #111; }
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
    widget = widgets.HTML(f"<style>{SHEET}</style>", layout={"display": "none"})
    widget.add_class("lcdb-sheet")
    return widget
