"""How explorers look: one sheet of CSS for JupyterLab, light and dark, and for Voilà."""

from __future__ import annotations

import ipywidgets as widgets

__all__ = ["SHEET", "sheet", "still"]

#: Colours are JupyterLab's own, which follow its theme; where there is no theme, those of a light
#: one. Parts wrap below one another when there is no room beside.
SHEET = """
.lcdb-part { gap: 6px; color: var(--jp-content-font-color1, #212121); min-width: 0;
  overflow: visible; width: 100%; box-sizing: border-box; }
.lcdb-part .widget-label, .lcdb-part label { color: var(--jp-content-font-color1, #212121); }
.lcdb-part .widget-box { min-width: 0; }
.lcdb-part button:focus-visible, .lcdb-part input:focus-visible, .lcdb-part select:focus-visible,
.lcdb-part textarea:focus-visible, .lcdb-part summary:focus-visible {
  outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.lcdb-part select { font-variant-numeric: tabular-nums; background: var(--jp-layout-color1, #fff);
  color: var(--jp-content-font-color1, #212121); }
.lcdb-row { display: flex; flex-flow: row wrap; gap: 6px; align-items: flex-end;
  overflow: visible; }
.lcdb-status { color: var(--jp-content-font-color2, #616161); min-height: 1.6em; }
.lcdb-status .widget-html-content { line-height: 1.4; white-space: normal; }
.lcdb-trouble { border-left: 4px solid var(--jp-error-color1, #d32f2f); padding: 4px 8px;
  background: var(--jp-layout-color2, #f5f5f5); flex-flow: row wrap; align-items: flex-start;
  gap: 8px; }
.lcdb-trouble .widget-html { flex: 1 1 20em; }
.lcdb-trouble .widget-html-content { line-height: 1.4; }
.lcdb-trouble summary { cursor: pointer; white-space: normal; overflow-wrap: anywhere; }
.lcdb-trouble pre { max-height: 20em; overflow: auto; font-size: 12px;
  background: var(--jp-layout-color1, #fff); color: var(--jp-content-font-color1, #212121); }
.lcdb-work { flex-flow: row wrap; align-items: center; gap: 0 8px; overflow: visible; }
.lcdb-work > .widget-label { width: auto; }
.lcdb-work > .widget-hprogress { min-width: 6em; }
.lcdb-work > .widget-label, .lcdb-work > button { flex: none; }
.lcdb-canvas { background: #fff; border: 1px solid var(--jp-border-color2, #e0e0e0);
  border-radius: 3px; max-width: 100%; overflow: hidden; }
.lcdb-part .lcdb-stacked { display: flex; flex-flow: column nowrap; align-items: stretch;
  height: auto; margin: 0; min-width: 0; }
.lcdb-part .lcdb-stacked > .widget-label { width: auto; text-align: left; height: auto;
  line-height: 1.5; align-self: flex-start; }
.lcdb-part .lcdb-stacked > select, .lcdb-part .lcdb-stacked > input,
.lcdb-part .lcdb-stacked > textarea { width: 100%; box-sizing: border-box; flex: 0 0 auto; }
.lcdb-part .widget-select.lcdb-stacked > select,
.lcdb-part .widget-select-multiple.lcdb-stacked > select { height: auto; padding: 2px; }
.lcdb-part .widget-dropdown.lcdb-stacked > select { height: var(--jp-widgets-inline-height, 28px); }
.lcdb-code > textarea { field-sizing: content; min-height: 3em; }
.lcdb-filters > .lcdb-stacked { flex: 1 1 130px; }
.lcdb-filters > .lcdb-facet-instrument, .lcdb-filters > .lcdb-facet-photometry,
.lcdb-filters > .lcdb-facet-processing, .lcdb-filters > .lcdb-further { flex-basis: 250px; }
.lcdb-search { max-width: 100%; }
.lcdb-pager { align-items: center; }
.lcdb-columns { display: flex; flex-flow: row wrap; gap: 20px; align-items: flex-start;
  overflow: visible; }
.lcdb-column { gap: 8px; min-width: 0; overflow: visible; }
.lcdb-left { flex: 1 1 280px; max-width: 400px; }
.lcdb-right { flex: 100 1 560px; }
.lcdb-below { flex: 1 1 100%; }
.lcdb-datasets .lcdb-row > .lcdb-stacked { flex: 1 1 150px; }
.lcdb-datasets .lcdb-row > .lcdb-observations { flex: 2 1 250px; }
.lcdb-lineage .lcdb-row > .lcdb-stacked { flex: 1 1 420px; max-width: 560px; }
.lcdb-beside-graph { display: flex; flex-flow: row wrap; gap: 16px; align-items: flex-start;
  overflow: visible; }
.lcdb-graph { flex: 1 1 560px; max-width: 880px; min-width: 0; gap: 6px; overflow: visible; }
.lcdb-scrolling { overflow: auto; max-width: 100%; }
.lcdb-scrolling .lcdb-canvas { max-width: none; flex: 0 0 auto; }
@media (max-width: 900px) { .lcdb-left { max-width: none; } }
.lcdb-code textarea, .lcdb-code input { font-family: var(--jp-code-font-family, monospace);
  font-size: 13px; }
"""


# JupyterLab takes arrow keys, Enter and letters for shortcuts of the notebook wherever the focus is
# not in a text (https://github.com/jupyter-widgets/ipywidgets/issues/3912), so no list could be
# used by keyboard. An element of this attribute keeps its keys, and ipywidgets cannot give it one.
_KEEP_KEYS = (
    "this.closest('.lcdb-part').addEventListener('focusin', event => { "
    "if (event.target.matches('select, button, input, summary')) "
    "event.target.setAttribute('data-lm-suppress-shortcuts', 'true'); })"
)


# Where a widget should be JupyterLab writes "Error displaying widget", or "Loading widget...", into
# a panel of no elements. That tells nothing to somebody who sees the picture below.
_NO_COMPLAINT = (
    "<style>.jp-OutputArea:has(.lcdb-still) > .jp-OutputArea-child"
    " > .jp-OutputArea-output.lm-Panel:not(:has(*)) { display: none; }</style>"
)


def sheet(model: str) -> widgets.HTML:
    """Make the widget that carries the sheet, and leaves keys to controls; it takes no room.

    Parameters
    ----------
    model
        Id of the widget that it belongs to, whose still picture need not show beside it.
    """
    hidden = f".lcdb-still-{model}, .jp-OutputArea-child:has(.lcdb-still-{model})"
    widget = widgets.HTML(
        f'<style onload="{_KEEP_KEYS}">{SHEET}{hidden} {{ display: none; }}</style>',
        layout={"display": "none"},
    )
    widget.add_class("lcdb-sheet")
    return widget


def still(told: str, model: str) -> str:
    """Write the HTML that is shown where a widget cannot run, and hidden where it does."""
    return f'<div class="lcdb-still lcdb-still-{model}">{_NO_COMPLAINT}{told}</div>'
