"""From a page of targets to a planet in the next cell, without typing a query."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from .stage import Stage

PLANET, PERIOD = 9, 1.778  # of the demonstration data, days

# How far the page, and whatever contains the box, is scrolled.
SCROLLED = """box => {
  const found = [document.scrollingElement.scrollTop];
  for (let one = box; one; one = one.parentElement) found.push(one.scrollTop);
  return found;
}"""

TOP = "box => box.getBoundingClientRect().top"

# Pixels between the rightmost button and the edge of the explorer.
RIGHT_OF_BUTTONS = """box => box.getBoundingClientRect().right - Math.max(
  ...[...box.querySelectorAll('button, select')].map(b => b.getBoundingClientRect().right))"""


def test_a_planet_is_found_cleaned_traced_folded_and_carried_on(stage: Stage) -> None:
    page = stage.page
    page.set_viewport_size({"width": 1440, "height": 900})
    stage.set("explorer = db.explore()", "explorer")
    # It is found by going through the list: the dips show at the ninth star.
    stars = page.get_by_label("Targets")
    stars.locator("option").first.wait_for(state="attached")
    stars.focus()
    for number in range(1, PLANET + 1):
        page.keyboard.press("ArrowDown")
        stage.until(f"explorer.target and explorer.target.number == {number}")
    stage.until(f"explorer.code.startswith('db.search({PLANET},') and explorer.lineage.pictures")
    stage.box.locator(".lcdb-explorer").evaluate("box => box.scrollIntoView()")
    scrolled = stage.box.evaluate(SCROLLED)
    status = stage.box.locator(".lcdb-lightcurve .lcdb-status")
    # Flags hurt it: without them, cadences are drawn that have no business in a transit search.
    text = stage.ask("explorer.light_curve._status.value")
    taken = int(re.findall(r"removes ([\d,]+)\.", text)[0].replace(",", ""))
    expect(status).to_contain_text(f"“default” removes {taken}.")
    assert taken > 50
    page.get_by_role("button", name="none", exact=True).click()
    expect(status).to_contain_text("removes 0.")
    page.get_by_role("button", name="default", exact=True).click()
    expect(status).to_contain_text(f"removes {taken}.")
    # Back to its raw flux, by a click on the box at the left of the lineage.
    raw = stage.ask("explorer.lineage.lineage.roots()[0]")
    stage.box.locator(f'.lcdb-graph [data-dataset="{raw}"]').click()
    stage.until(f"explorer.dataset == {raw}")
    expect(page.get_by_label("The same in Python")).to_have_value(re.compile('processing="raw"'))
    # The detrended one again, of both sectors, and folded.
    page.get_by_label("Processing", exact=True).last.select_option(label="DEMO DET")
    observations = page.get_by_label("Observations").locator("option").all_inner_texts()
    page.get_by_label("Observations").select_option(label=observations)
    stage.until("explorer.selection is not None and len(explorer.selection) == 2")
    figure = stage.box.locator(".lcdb-lightcurve .lcdb-if-canvas")
    above = figure.evaluate(TOP)
    page.get_by_role("button", name="Find period").click()
    period = stage.until("explorer.settings.period")
    # The slider takes the place of a checkbox, so that the figure does not move.
    expect(page.get_by_label("tune").first).to_be_visible()
    assert figure.evaluate(TOP) == above
    # The digits of the fields are not cut, and buttons at the right end before the edge.
    for label in ("period [days]", "epoch"):
        field = page.get_by_label(label, exact=True)
        expect(field).not_to_have_value("")
        assert field.evaluate("field => field.scrollWidth <= field.clientWidth")
    assert stage.box.locator(".lcdb-explorer").evaluate(RIGHT_OF_BUTTONS) >= 4
    ratio = period / PERIOD
    assert min(abs(ratio - times) for times in (0.5, 1, 2)) < 0.01
    # On into the next cell.
    code = stage.ask("explorer.code")
    expect(page.get_by_label("The same in Python")).to_have_value(code)
    stage.run(f"carried = explorer.lightcurve()\ncopied = eval({json.dumps(code)})")
    assert stage.ask("type(carried).__name__") == "FoldedLightCurve"
    assert stage.ask(
        "bool((carried.time.value == copied.time.value).all()) and len(carried) == len(copied)"
    )
    # Everything is on one screen: what is not visible, the browser would have scrolled to.
    assert stage.box.evaluate(SCROLLED) == scrolled
    for part in ("targets", "datasets", "light_curve", "lineage"):
        assert stage.ask(f"repr(explorer.{part}.error_box.error)") == "None"
