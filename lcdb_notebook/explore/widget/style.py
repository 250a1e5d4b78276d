"""The style sheet of the explorers, for JupyterLab in light and dark, and for Voilà."""

from __future__ import annotations

import ipywidgets as widgets

__all__ = ["SHEET", "sheet", "static_html"]

#: Colours are variables of JupyterLab's theme, with those of its light theme as fallback. Panels
#: wrap below one another on narrow pages.
SHEET = """
.lcdb-panel { gap: 6px; color: var(--jp-content-font-color1, #212121); min-width: 0;
  overflow: visible; width: 100%; box-sizing: border-box; }
.lcdb-panel .widget-label, .lcdb-panel label { color: var(--jp-content-font-color1, #212121); }
.lcdb-panel .widget-box { min-width: 0; }
.lcdb-panel button:focus-visible, .lcdb-panel input:focus-visible, .lcdb-panel select:focus-visible,
.lcdb-panel textarea:focus-visible, .lcdb-panel summary:focus-visible {
  outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.lcdb-panel select { font-variant-numeric: tabular-nums;
  background-color: var(--jp-layout-color1, #fff);
  color: var(--jp-content-font-color1, #212121); }
/* The arrow of ipywidgets is dark in every theme. */
[data-jp-theme-light="false"] .lcdb-panel { --jp-widgets-dropdown-arrow: url("data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E%3Cpath d='M5 7l4 4 4-4' \
fill='none' stroke='%23bdbdbd' stroke-width='2'/%3E%3C/svg%3E"); }
.lcdb-row { display: flex; flex-flow: row wrap; gap: 6px; align-items: flex-end;
  overflow: visible; }
.lcdb-status { color: var(--jp-content-font-color2, #616161); min-height: 1.6em; }
.lcdb-status .widget-html-content { line-height: 1.4; white-space: normal; }
.lcdb-error-box { border-left: 4px solid var(--jp-error-color1, #d32f2f); padding: 4px 8px;
  background: var(--jp-layout-color2, #f5f5f5); flex-flow: row wrap; align-items: flex-start;
  gap: 8px; }
.lcdb-error-box .widget-html { flex: 1 1 20em; }
.lcdb-error-box .widget-html-content { line-height: 1.4; }
.lcdb-error-box summary { cursor: pointer; white-space: normal; overflow-wrap: anywhere; }
.lcdb-error-box pre { max-height: 20em; overflow: auto; font-size: 12px;
  background: var(--jp-layout-color1, #fff); color: var(--jp-content-font-color1, #212121); }
.lcdb-work { flex-flow: row wrap; align-items: center; gap: 0 8px; overflow: visible; }
.lcdb-work > .widget-label { width: auto; }
.lcdb-work > .widget-hprogress { min-width: 6em; }
.lcdb-work > .widget-label, .lcdb-work > button { flex: none; }
.lcdb-panel .lcdb-stacked { display: flex; flex-flow: column nowrap; align-items: stretch;
  height: auto; margin: 0; min-width: 0; }
.lcdb-panel .lcdb-stacked > .widget-label { width: auto; text-align: left; height: auto;
  line-height: 1.5; align-self: flex-start; }
.lcdb-panel .lcdb-stacked > select, .lcdb-panel .lcdb-stacked > input,
.lcdb-panel .lcdb-stacked > textarea { width: 100%; box-sizing: border-box; flex: 0 0 auto; }
.lcdb-panel .widget-select.lcdb-stacked > select,
.lcdb-panel .widget-select-multiple.lcdb-stacked > select { height: auto; padding: 2px; }
.lcdb-panel .widget-dropdown.lcdb-stacked > select {
  height: var(--jp-widgets-inline-height, 28px); }
.lcdb-code > textarea { field-sizing: content; min-height: 3em; }
.lcdb-filters > .lcdb-stacked { flex: 1 1 130px; }
.lcdb-filters > .lcdb-facet-instrument, .lcdb-filters > .lcdb-facet-photometry,
.lcdb-filters > .lcdb-facet-processing, .lcdb-filters > .lcdb-further { flex-basis: 250px; }
.lcdb-panel .lcdb-search { width: auto; }
.lcdb-pager { align-items: center; }
/* The right border of lists and buttons would lie under the edge of the output. */
.lcdb-explorer { container-type: inline-size; padding-right: 6px; }
.lcdb-columns { display: flex; flex-flow: row wrap; gap: 16px; align-items: flex-start;
  overflow: visible; }
.lcdb-column { gap: 4px; min-width: 0; overflow: visible; }
.lcdb-left { flex: 0 0 auto; max-width: 222px; }
.lcdb-right { flex: 1 1 560px; }
.lcdb-right > .widget-tab { overflow: visible; }
.lcdb-right > .widget-tab > .widget-tab-contents { padding: 8px 0 0; border-width: 1px 0 0;
  background: none; overflow: visible; }
.lcdb-table .widget-html-content { overflow: auto; max-height: 220px; line-height: 1.4; }
.lcdb-table table { font-variant-numeric: tabular-nums; border: 0; border-collapse: collapse; }
.lcdb-table :is(th, td) { border: 0; padding: 2px 10px 2px 0; text-align: left;
  white-space: nowrap; }
.lcdb-table tr { border-bottom: 1px solid var(--jp-border-color2, #e0e0e0); }
.lcdb-datasets .lcdb-row > .lcdb-stacked { flex: 1 1 150px; }
.lcdb-datasets .lcdb-row > .lcdb-observations { flex: 2 1 250px; }
.lcdb-beside-graph { display: flex; flex-flow: row wrap; gap: 8px 16px; align-items: flex-start;
  overflow: visible; }
.lcdb-graph { flex: 2 1 320px; min-width: 0; overflow: visible; }
.lcdb-chooser { flex: 1 1 420px; min-width: 0; gap: 2px; overflow: visible; }
.lcdb-chooser > .lcdb-stacked { width: 100%; }
.lcdb-comparison { flex: 1 1 100%; min-width: 0; overflow: visible; }
.lcdb-comparison .lcdb-if-flag-list { display: none; }
/* The columns lie below each other. */
@container (max-width: 797px) { .lcdb-left { max-width: none; flex: 1 1 100%; } }
/* Made from the state in a notebook, without a kernel that sends arrays. */
.lcdb-panel.jupyter-widgets-disconnected:not(:has(.lcdb-interactive[data-pictures])) {
  display: none; }
.lcdb-code textarea, .lcdb-code input { font-family: var(--jp-code-font-family, monospace);
  font-size: 13px; }
"""


# JupyterLab treats arrow keys, Enter and letters as notebook shortcuts unless the focus is in a
# text field (https://github.com/jupyter-widgets/ipywidgets/issues/3912), so lists could not be used
# with the keyboard. Elements with this attribute receive their keys; ipywidgets cannot set it.
_KEEP_KEYS = (
    "this.closest('.lcdb-panel').addEventListener('focusin', event => { "
    "if (event.target.matches('select, button, input, summary')) "
    "event.target.setAttribute('data-lm-suppress-shortcuts', 'true'); })"
)


# Instead of a widget that does not exist, JupyterLab writes "Error displaying widget" or "Loading
# widget..." into a panel without elements. It is hidden, since the static version is shown below.
_HIDE_MISSING_WIDGET = (
    "<style>.jp-OutputArea:has(.lcdb-static) > .jp-OutputArea-child"
    " > .jp-OutputArea-output.lm-Panel:not(:has(*)) { display: none; }</style>"
)


def sheet(model: str) -> widgets.HTML:
    """Return an invisible widget with the style sheet, which also makes lists work by keyboard.

    Parameters
    ----------
    model : str
        Model id of the panel, whose static version is hidden while the panel is shown.
    """
    sheet = f".lcdb-sheet-{model}"
    shown = (
        f":is(.lcdb-panel:not(.jupyter-widgets-disconnected) > {sheet}, "
        f"{sheet} ~ * .lcdb-interactive[data-pictures])"
    )
    static = f".lcdb-static-{model}"
    hidden = f":root:has({shown}) :is({static}, .jp-OutputArea-child:has({static}))"
    return widgets.HTML(
        f'<style onload="{_KEEP_KEYS}">{SHEET}{hidden} {{ display: none; }}</style>',
        layout={"display": "none"},
        _dom_classes=("lcdb-sheet", f"lcdb-sheet-{model}"),
    )


def static_html(content: str, model: str) -> str:
    """Return HTML that is shown where widgets cannot run, and hidden where they can.

    Parameters
    ----------
    content : str
        HTML.
    model : str
        Model id of the panel.
    """
    return f'<div class="lcdb-static lcdb-static-{model}">{_HIDE_MISSING_WIDGET}{content}</div>'
