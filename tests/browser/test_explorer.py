"""The explorer as a person uses it: with a mouse, with keys, wide and narrow, in the dark."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from .stage import NARROW, FrontEnd, Stage

OPEN = "explorer = db.explore()"
DRAWN = "explorer.light_curve.pictures and explorer.lineage.pictures"


@pytest.fixture
def page(stage: Stage) -> Stage:
    """The explorer of the demonstration data, on a page that shows it completely."""
    stage.page.set_viewport_size({"width": 1600, "height": 2000})
    stage.set(OPEN, "explorer")
    expect(part(stage, "targets").locator("select option").first).to_be_attached()
    return stage


def part(stage: Stage, name: str) -> Locator:
    return stage.box.locator(f".lcdb-{name}")


def options(stage: Stage, name: str) -> list[str]:
    return part(stage, name).locator("select option").all_inner_texts()


def click_target(stage: Stage, number: int) -> None:
    part(stage, "list").locator("select").select_option(label=f"DEMO {number}")
    stage.until(f"explorer.target and explorer.target.number == {number}")
    stage.until(DRAWN)


def click_node(stage: Stage, dataset: int, **how: Any) -> None:
    part(stage, "graph").locator(f'[data-dataset="{dataset}"]').click(**how)


def test_matches_appear_while_a_number_is_typed(page: Stage) -> None:
    search = page.page.get_by_label("Catalog number")
    search.click()
    page.page.keyboard.type("2")
    expect(part(page, "list").locator("option")).to_have_count(6)
    page.page.keyboard.type("3")
    expect(part(page, "list").locator("option")).to_have_text(["DEMO 23"])
    page.until(DRAWN)
    assert page.ask("explorer.target.number") == 23
    page.page.keyboard.press("Backspace")
    expect(part(page, "list").locator("option")).to_have_count(6)


def test_a_list_of_numbers_can_be_pasted(page: Stage) -> None:
    search = page.page.get_by_label("Catalog number")
    search.click()
    page.page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData('text/plain', text);
            document.execCommand('insertText', false, text);
        }""",
        "3\n5\n99",
    )
    expect(part(page, "list").locator("option")).to_have_text(["DEMO 3", "DEMO 5"])
    expect(part(page, "targets").locator(".lcdb-status")).to_contain_text(
        "2 targets of 3 requested"
    )


def test_arrow_keys_walk_through_targets(page: Stage) -> None:
    click_target(page, 1)
    part(page, "list").locator("select").focus()
    for number in (2, 3, 4):
        page.page.keyboard.press("ArrowDown")
        page.until(f"explorer.target.number == {number}")
    # The list keeps the keyboard while pictures are drawn.
    page.page.keyboard.press("ArrowUp")
    page.until("explorer.target.number == 3")


def test_filters_show_counts_that_match_the_targets_left(page: Stage) -> None:
    page.until("explorer.targets.counted")
    flags = part(page, "facet-flags").locator("select")
    expect(flags.locator("option")).to_have_text(["any (24)", "with flags (24)"])
    flags.select_option(index=1)
    page.until("explorer.targets.target_filter.flagged")
    expect(part(page, "list").locator("option")).to_have_count(24)
    page.page.get_by_role("button", name="Clear filters").click()
    page.until("explorer.targets.target_filter.flagged is None")


def test_a_node_that_is_clicked_is_drawn(page: Stage) -> None:
    click_target(page, 1)
    for root in page.ask("explorer.lineage.lineage.roots()[:2]"):
        click_node(page, root)
        page.until(f"explorer.dataset == {root}")
        assert page.ask("explorer.selection.table['processing'].tolist()") == ["raw"]
    assert page.ask("explorer.error_box.error is None and explorer.lineage.error_box.error is None")


def test_two_nodes_are_drawn_over_each_other(page: Stage) -> None:
    click_target(page, 1)
    first, second = page.ask(
        "[explorer.lineage.lineage.roots()[0], explorer.lineage.lineage.derived("
        "explorer.lineage.lineage.roots()[0])[-1]]"
    )
    click_node(page, first)
    page.until(f"explorer.dataset == {first}")
    click_node(page, second, modifiers=["Shift"])
    page.until(f"explorer.lineage.other == {second}")
    canvas = part(page, "comparison").locator(".lcdb-if-canvas > canvas")
    expect(canvas).to_be_visible()
    # It is laid out with a height of 200 first.
    page.until(lambda: (canvas.bounding_box() or {"height": 0})["height"] > 250)
    page.page.get_by_role("button", name="difference").click()
    page.until("explorer.lineage.compare == 'difference'")


def test_the_lineage_can_be_walked_by_keyboard_alone(page: Stage) -> None:
    click_target(page, 1)
    chosen = page.page.get_by_label("Chosen", exact=True)
    # Besides "nothing", the page has the light curves.
    expect(chosen.locator("option")).not_to_have_count(1)
    chosen.focus()
    page.page.keyboard.press("ArrowDown")
    root = page.until("explorer.lineage.node")
    assert page.ask("explorer.lineage.lineage.graph.in_degree(explorer.lineage.node)") == 0
    # The graph is drawn after the light curve, and an arrow begins at the node that it marks.
    marked = part(page, "graph").locator('[aria-selected="true"]')

    def marks() -> list[str]:
        found: list[str] = marked.evaluate_all("nodes => nodes.map(node => node.dataset.dataset)")
        return found

    page.until(lambda: marks() == [str(root)])
    part(page, "lineage-graph").focus()
    page.page.keyboard.press("ArrowRight")
    page.until(f"explorer.dataset in explorer.lineage.lineage.graph.succ[{root}]")
    page.until(lambda: marks() == [str(page.ask("explorer.dataset"))])
    page.page.keyboard.press("ArrowLeft")
    page.until(f"explorer.dataset == {root}")


def test_the_code_on_the_page_is_the_code_of_the_explorer(page: Stage) -> None:
    click_target(page, 2)
    shown = page.page.get_by_label("The same in Python")
    expect(shown).to_have_value(page.ask("explorer.code"))
    page.run(f"copied = eval({json.dumps(page.ask('explorer.code'))})")
    assert page.ask("len(copied) == len(explorer.lightcurve())")


def test_trouble_is_one_sentence_with_more_on_demand(page: Stage) -> None:
    page.run("explorer.targets.error_box.show(ValueError('odd'), 'list the targets')")
    message = page.page.get_by_text("Could not list the targets: ValueError: odd")
    expect(message).to_be_visible()
    trace = part(page, "targets").locator(".lcdb-error-box pre")
    expect(trace).to_be_hidden()
    message.click()
    expect(trace).to_be_visible()
    page.page.get_by_role("button", name="Dismiss").click()
    expect(message).to_be_hidden()
    click_target(page, 1)


@pytest.mark.parametrize("width", [800, 1600])
def test_no_text_is_cut_off(page: Stage, width: int) -> None:
    page.page.set_viewport_size({"width": width, "height": 2600})
    if page.front_end.name == "lab" and width == NARROW["width"]:
        page.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    click_target(page, 1)
    # The bar of long work has the least room in the narrowest part.
    page.run(
        "explorer.targets.work._progress = (0.5, 'List the targets')\n"
        "explorer.targets.work._appear(None)"
    )
    expect(page.page.get_by_role("button", name="Stop")).to_be_visible()
    cut = page.box.evaluate(
        """box => [...box.querySelectorAll('button, label, .widget-label, summary')]
            .filter(one => one.offsetParent && !one.closest('.lcdb-lightcurve')
                           && one.scrollWidth > one.clientWidth + 1
                           && getComputedStyle(one).display !== 'inline')
            .map(one => one.textContent)"""
    )
    assert cut == []
    beyond = page.box.evaluate(
        """box => [...box.querySelectorAll('select, input, button, textarea')]
            .filter(one => one.offsetParent
                           && one.getBoundingClientRect().right
                              > box.getBoundingClientRect().right + 2)
            .map(one => one.outerHTML.slice(0, 200))"""
    )
    assert beyond == []
    # Any choice in a drop-down can be read, beside its arrow.
    narrow = page.box.evaluate(
        """box => {
            const pen = document.createElement('canvas').getContext('2d');
            return [...box.querySelectorAll('.widget-dropdown select')]
                .filter(one => one.offsetParent).flatMap(one => {
                    const style = getComputedStyle(one);
                    pen.font = `${style.fontSize} ${style.fontFamily}`;
                    const room = one.clientWidth - parseFloat(style.paddingLeft)
                        - parseFloat(style.paddingRight);
                    return [...one.options].map(option => option.textContent)
                        .filter(text => pen.measureText(text).width > room + 1);
                });
        }"""
    )
    assert narrow == []


# Voilà runs a notebook once.
@pytest.mark.slow
@pytest.mark.parametrize("front_end", ["lab"], indirect=True)
def test_a_cell_that_is_run_again_leaves_one_explorer(front_end: FrontEnd, demo_dsn: str) -> None:
    front_end.open(
        "again",
        "import lcdb_notebook as lcdb\n"
        # Work that lasts shows a bar, whose widgets would be counted, too.
        "from lcdb_notebook.explore.widget.background import Work\n"
        "Work._appear = lambda self, task: None\n"
        f"db = lcdb.connect({demo_dsn!r})",
        "explorer = db.explore(1)\nexplorer",
    )
    front_end.page.locator(".lcdb-explorer").wait_for()
    count = "len(__import__('ipywidgets').widgets.widget._instances)"
    before = front_end.ask(count)
    execute = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
    for _ in range(3):
        front_end.page.evaluate(execute)
    front_end.page.locator(".lcdb-explorer").wait_for()
    assert front_end.ask(count) == before
    assert front_end.page.locator(".lcdb-explorer").count() == 1


def test_closed_explorers_leave_no_elements_in_the_memory_of_the_page(stage: Stage) -> None:
    """JupyterLab refers to each comm for good, and so to all that its widget refers to."""
    browser = stage.page.context.new_cdp_session(stage.page)

    def elements() -> int:
        browser.send("HeapProfiler.collectGarbage")
        return int(browser.send("Memory.getDOMCounters")["nodes"])

    stage.run("from lcdb_notebook.explore.targets import TargetList")
    before = 0
    for number in range(4):
        stage.set("part = TargetList(db)\ndisplay(part)", "part")
        part(stage, "targets").wait_for()
        stage.run("part.close()\nstage.children = []")
        expect(part(stage, "targets")).to_have_count(0)
        before = before if number else elements()
    # Otherwise it is about 300 for each of them.
    stage.until(lambda: elements() < before + 150)
