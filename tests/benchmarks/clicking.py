"""How long a person waits for the explorer in Chromium, beside the barest widgets of that kind."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from report import NotMeasured, Row
from sky import Sky, store_all, tidy, url_of

from lcdb_notebook import demo

sys.path.append(str(Path(__file__).resolve().parents[1]))

from browser import chromium, servers
from browser.stage import Lab, Stage

if TYPE_CHECKING:
    import lcdb_notebook as lcdb

AT_LEAST = 7
NODES = 500
STARS = 1_000_000

# Acts, waits until what is watched has changed, frame by frame, and says how long that took.
CLOCK = """async ([act, watch]) => {
  const look = eval(watch), before = look(), began = performance.now();
  eval(act)();
  while (look() === before) {
    if (performance.now() - began > 20000) throw new Error('nothing changed: ' + watch);
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - began;
}"""

# Until nothing has changed for so many frames: ipympl drops a request to draw while another is
# under way.
SETTLED = """async watch => {
  const look = eval(watch);
  for (let last = look(), frames = 0; frames < 30; frames++) {
    await new Promise(requestAnimationFrame);
    const now = look();
    if (now !== last) frames = 0;
    last = now;
  }
}"""

PIXELS = """() => {
  const c = [...document.querySelectorAll('.stage FIGURE canvas')][0];
  if (!c || !c.width) return 0;
  const bytes = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  const data = new Uint32Array(bytes.buffer);
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum = (sum * 31 + data[i]) | 0;
  return sum;
}"""

LIST = """() => [...document.querySelectorAll('.stage SELECT option')].map(o => o.text).join()"""

CLICK = """() => [...document.querySelectorAll('.stage BOX label')]
  .find(label => label.innerText.startsWith('NAME')).querySelector('input').click()"""

TYPE = """() => {
  const box = document.querySelector('.stage BOX input');
  box.value = box.value ? '' : '7';
  box.dispatchEvent(new Event('input', {bubbles: true}));
}"""

CHOOSE = """() => {
  const list = document.querySelector('.stage SELECT select');
  list.selectedIndex = list.selectedIndex === 1 ? 2 : 1;
  list.dispatchEvent(new Event('change', {bubbles: true}));
}"""

# Light curves of one star that descend from its first, three from each; every other one has the
# numbers of another star, so that the picture changes from one to the next.
FAMILY = (
    "INSERT INTO dataset (id, target_id, observation_id, photometric_method_id, values, errors) "
    "SELECT f.id + 10000000 + i, f.target_id, f.observation_id, f.photometric_method_id, "
    "CASE i % 2 WHEN 0 THEN f.values ELSE o.values END, f.errors "
    "FROM dataset f, dataset o, generate_series(1, :all - 1) i "
    "WHERE f.id = :first AND o.id = :other",
    "INSERT INTO datasethierarchy (source_dataset_id, child_dataset_id) "
    "SELECT CASE WHEN i < 4 THEN :first ELSE :first + 10000000 + (i - 1) / 3 END, "
    ":first + 10000000 + i FROM generate_series(1, :all - 1) i",
)

BARE = """
import ipywidgets as widgets, numpy as np
from matplotlib.figure import Figure
from ipympl.backend_nbagg import Canvas, FigureManager
figure = Figure(figsize=(7.2, 4), dpi=100)
canvas = Canvas(figure)
FigureManager(canvas, 0)
canvas.manager.resize(720, 400)
canvas.header_visible = canvas.footer_visible = canvas.resizable = False
canvas.add_class("bare")
ax = figure.add_subplot()
(line,) = ax.plot(record.time, record.flux, ",", color="k", rasterized=True)
toggle = widgets.Checkbox(description="NAME")
toggle.add_class("bare-box")
bad = (record.quality["tess_quality_flag"] & 4096) != 0
def redraw(change):
    good = ~bad if change["new"] else slice(None)
    line.set_data(record.time[good], record.flux[good])
    canvas.draw_idle()
toggle.observe(redraw, "value")
bare = widgets.VBox([toggle, canvas])
"""

BARE_LIST = """
import ipywidgets as widgets
box, rows = widgets.Text(), widgets.Select(options=[f"DEMO {n}" for n in range(100)], rows=12)
box.add_class("bare-box")
rows.add_class("bare-list")
def listed(change):
    rows.options = [f"DEMO {change['new']}{n}" for n in range(100)]
box.observe(listed, "value")
bare = widgets.VBox([box, rows])
"""


def explorer(sky: Sky, repeat: int) -> Iterator[Row | NotMeasured]:
    """Time clicks and keystrokes from the page to the page."""
    lacking = chromium.missing()
    if lacking is not None:
        raise ImportError(lacking)
    rounds = max(repeat, AT_LEAST)
    folder = sky.folder / "lab"
    folder.mkdir()
    fonts = sky.folder / "fonts"
    fonts.mkdir()
    with chromium.chromium() as browser, servers.jupyter_lab(folder, fonts) as server:
        front_end = Lab(browser, server)
        stage = Stage(front_end)
        try:
            for cadences, goal in ((20_000, 120), (200_000, 160)):
                yield _toggle(sky, stage, cadences, goal, rounds)
            yield _target(sky, stage, rounds)
            yield _node(sky, stage, rounds)
            yield from _first_paint(sky, stage, rounds)
            yield _keystroke(sky, stage, rounds)
        finally:
            front_end.close()


def _toggle(sky: Sky, stage: Stage, cadences: int, goal: float, rounds: int) -> Row:
    sky.say(f"toggling a flag of {cadences:,} cadences")
    _open(stage, _long(sky, cadences))
    stage.set(
        "from lcdb_notebook.explore.lightcurve import LightCurveExplorer\n"
        "found = db.search(1)\n(record,) = found.read()\nx = LightCurveExplorer(found)",
        "x",
    )
    ours = _timed(stage, _of(CLICK, BOX=".lcdb-flags", NAME="STRAYLIGHT2"), ".lcdb-figure", rounds)
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    return _row(f"toggle a flag of {cadences:,} points, to the last pixel", ours, bare, goal)


def _target(sky: Sky, stage: Stage, rounds: int) -> Row:
    sky.say("clicking targets")
    _open(stage, _long(sky, 20_000))
    stage.set("(record,) = db.search(1).read()\nx = db.explore()", "x")
    stage.page.wait_for_function("document.querySelectorAll('.stage .lcdb-list option').length > 2")
    ours = _timed(stage, _of(CHOOSE, SELECT=".lcdb-list"), ".lcdb-figure", rounds)
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    return _row("click a target to its light curve of 20,000 points", ours, bare, 300)


def _node(sky: Sky, stage: Stage, rounds: int) -> Row:
    sky.say(f"clicking one of {NODES} light curves in their lineage")
    db = _long(sky, 20_000, "family")
    first, other = (found.datasets[0] for found in (db.search(1), db.search(2)))
    for statement in FAMILY:
        db.session.execute(sa.text(statement), {"first": first, "other": other, "all": NODES})
    db.session.commit()
    tidy(db)
    _open(stage, db)
    stage.set("(record,) = db.search(3).read()\nx = db.explore(1)", "x")
    stage.until("x.lineage.lineage is not None and len(x.lineage.lineage) > 400")
    canvas = stage.page.locator(".stage .lcdb-graph .lcdb-canvas canvas").last
    watch = _of(PIXELS, FIGURE=".lcdb-figure")
    times = []
    for round_ in range(rounds + 1):
        node = int(first) + 10_000_000 + 100 + round_
        x, y = stage.ask(f"x.lineage._graph.place({node})")
        stage.ask("0")
        stage.page.evaluate(SETTLED, watch)
        stage.page.evaluate(
            f"watch => {{ window.waited = ({CLOCK})(['() => {{}}', watch]); }}", watch
        )
        canvas.click(position={"x": x, "y": y})
        times.append(float(stage.page.evaluate("window.waited")))
        stage.until(f"x.dataset == {node}")
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    work = f"click one of {NODES} light curves in their lineage, to its 20,000 points"
    return _row(work, statistics.median(times[1:]), bare, 300)


def _first_paint(sky: Sky, stage: Stage, rounds: int) -> Iterator[Row]:
    sky.say("opening explorers")
    _open(stage, _long(sky, 20_000))
    stage.run("(record,) = db.search(1).read()")
    waits: dict[str, list[float]] = {"ours": [], "bare": []}
    for round_ in range(rounds + 1):
        for name, code, figure, shown in (
            ("ours", "x = db.explore(1)", ".lcdb-figure", "x"),
            ("bare", BARE, ".bare", "bare"),
        ):
            stage.run("for shown in stage.children: shown.close()\nstage.children = []")
            # The clock on the page runs while the kernel is spoken to from here.
            began = stage.page.evaluate("performance.now()")
            stage.set(code, shown)
            stage.page.wait_for_function(f"({_of(PIXELS, FIGURE=figure)})() !== 0")
            elapsed = stage.page.evaluate("performance.now()") - began
            if round_:
                waits[name].append(elapsed)
    ours, bare = (statistics.median(waits[name]) for name in ("ours", "bare"))
    yield _row("`db.explore()` to its first paint in a running JupyterLab", ours, bare, 1500)


def _keystroke(sky: Sky, stage: Stage, rounds: int) -> Row:
    sky.say(f"typing among {STARS:,} targets")
    db = _long(sky, 20_000)
    connection = db.session.connection()
    connection.exec_driver_sql(
        "INSERT INTO target (catalog_id, name) "
        "SELECT catalog_id, 10 + n FROM target, generate_series(1, %s) AS n WHERE name = 1",
        (STARS,),
    )
    db.session.commit()
    tidy(db)
    _open(stage, db)
    stage.set("x = db.explore()", "x")
    stage.page.wait_for_function("document.querySelectorAll('.stage .lcdb-list option').length > 2")
    ours = _timed_list(stage, ".lcdb-search", ".lcdb-list", rounds)
    stage.set(BARE_LIST, "bare")
    bare = _timed_list(stage, ".bare-box", ".bare-list", rounds)
    return _row(f"keystroke to the list, {STARS:,} targets", ours, bare, 150)


def _long(sky: Sky, cadences: int, name: str = "long") -> lcdb.Database:
    """Give a database of three stars with a light curve of so many cadences; made once."""
    made: dict[str, Any] = sky.__dict__.setdefault("_long", {})
    name = f"{name}_{cadences}"
    if name not in made:
        db = sky.new_database(name)
        store_all(db, demo.products(3, sectors=[1], cadences=cadences, apertures=1, steps=0))
        tidy(db)
        made[name] = db
    found: lcdb.Database = made[name]
    return found


def _open(stage: Stage, db: lcdb.Database) -> None:
    stage.clear()
    url = url_of(db).render_as_string(hide_password=False)
    stage.run(f"import lcdb_notebook as lcdb\ndb = lcdb.connect({url!r})")


def _timed(stage: Stage, act: str, figure: str, rounds: int) -> float:
    watch = _of(PIXELS, FIGURE=figure)
    stage.page.wait_for_function(f"({watch})() !== 0")
    return _median(stage, act, watch, rounds)


def _timed_list(stage: Stage, box: str, rows: str, rounds: int) -> float:
    return _median(stage, _of(TYPE, BOX=box), _of(LIST, SELECT=rows), rounds)


def _median(stage: Stage, act: str, watch: str, rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        # The kernel answers when it has finished what comes after the picture.
        stage.ask("0")
        stage.page.evaluate(SETTLED, watch)
        times.append(float(stage.page.evaluate(CLOCK, [act, watch])))
    return statistics.median(times[1:])


def _of(code: str, **names: str) -> str:
    for name, value in names.items():
        code = code.replace(name, value)
    return code


def _row(work: str, ours: float, bare: float, goal: float) -> Row:
    against = "the barest ipympl figure or Select that does so"
    return Row(
        work,
        against,
        "ms",
        ours,
        goal,
        f"{ours:.0f} ms",
        f"{bare:.0f} ms ({ours / bare:.2f} times)",
    )
