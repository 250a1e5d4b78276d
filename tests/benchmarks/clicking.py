"""How long a person waits for the explorer in Chromium, beside the barest widgets of that kind."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import delay
import sqlalchemy as sa
from report import NotMeasured, Row
from sky import Sky, store_all, tidy, url_of

from lcdb_notebook import demo

sys.path.append(str(Path(__file__).resolve().parents[1]))

from browser import chromium, servers
from browser.stage import Lab, Stage

if TYPE_CHECKING:
    import lcdb_notebook as lcdb

AT_LEAST = 9
FIGURE = ".lcdb-if-canvas"
KERNEL = "window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel"
NODES = 500
DELAY = 0.05
STARS = 1_000_000


@dataclass(frozen=True)
class Goals:
    """Milliseconds to toggle a flag and for a frame, and MB at load."""

    toggle: float
    frame: float
    load: float


GOALS = {20_000: Goals(33, 34, 0.4), 200_000: Goals(60, 40, 3), 1_000_000: Goals(250, 80, 15)}

# Acts, waits frame by frame until the watched element has changed, and returns the duration.
CLOCK = """async ([act, watch]) => {
  const look = eval(watch), before = look(), began = performance.now();
  eval(act)();
  while (look() === before) {
    if (performance.now() - began > 20000) throw new Error('nothing changed: ' + watch);
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - began;
}"""

# Until nothing has changed for so many frames.
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

# Moves the view to and fro, by the key that does so.
PAN = """() => {
  window.right = !window.right;
  document.querySelector('.stage .lcdb-if-canvas > canvas').dispatchEvent(new KeyboardEvent(
    'keydown', { key: window.right ? 'ArrowRight' : 'ArrowLeft', shiftKey: true, bubbles: true }));
}"""

# Changes the period by the slider.
TUNE = """() => {
  const slider = document.querySelector('.stage .lcdb-if-tools input[type=range]');
  window.longer = !window.longer;
  slider.value = window.longer ? '0.5' : '-0.5';
  slider.dispatchEvent(new Event('input', { bubbles: true }));
}"""

# Clicks a node of the lineage.
PRESS = """() => {
  const node = document.querySelector('.stage [data-dataset="NODE"]');
  for (const name of ['pointerdown', 'pointerup']) {
    node.dispatchEvent(new PointerEvent(name, { bubbles: true, button: 0 }));
  }
}"""

TOGGLE = """() => [...document.querySelectorAll('.stage .lcdb-if-flag-list label')]
  .find(label => label.innerText.startsWith('STRAYLIGHT2')).querySelector('input').click()"""

PART = (
    "from lcdb_notebook.explore.lightcurve import LightCurveExplorer\n"
    "x = LightCurveExplorer(db.search(1))"
)

# Shows the first half of a light curve.
HALF = "t = record.time\nx.figure.xlim = (float(t[0]), float(t[t.size // 2]))"

# Draws each point as a rectangle, and leaves out those of a flag if its box is ticked.
BARE = """
import anywidget, numpy as np, traitlets
class Bare(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
      el.innerHTML = '<div class="bare-box"><label><input type="checkbox">NAME</label></div>'
        + '<canvas width="720" height="400"></canvas>';
      const c = el.querySelector("canvas").getContext("2d"), box = el.querySelector("input");
      const array = (name, type) => {
        const { buffer, byteOffset, byteLength } = model.get(name);
        return new type(buffer.slice(byteOffset, byteOffset + byteLength));
      };
      const time = array("time", Float64Array), flux = array("flux", Float32Array);
      const bad = array("bad", Uint8Array);
      const low = flux.reduce((a, b) => (b < a ? b : a), Infinity);
      const high = flux.reduce((a, b) => (b > a ? b : a), -Infinity);
      const draw = () => {
        c.clearRect(0, 0, 720, 400);
        for (let i = 0; i < time.length; i++) {
          if (box.checked && bad[i]) continue;
          c.fillRect((time[i] - time[0]) / (time[time.length - 1] - time[0]) * 720,
            400 * (high - flux[i]) / (high - low), 1, 1);
        }
      };
      box.addEventListener("change", draw);
      draw();
    } };'''
    time, flux, bad = (traitlets.Bytes().tag(sync=True) for _ in range(3))
known = np.isfinite(record.time) & np.isfinite(record.flux)
bare = Bare(
    time=record.time[known].tobytes(),
    flux=record.flux[known].astype(np.float32).tobytes(),
    bad=((record.quality["tess_quality_flag"][known] & 4096) != 0).astype(np.uint8).tobytes(),
)
bare.add_class("bare")
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
    missing = chromium.missing()
    if missing is not None:
        raise ImportError(missing)
    rounds = max(repeat, AT_LEAST)
    folder = sky.folder / "lab"
    folder.mkdir()
    fonts = sky.folder / "fonts"
    fonts.mkdir()
    with chromium.chromium() as browser, servers.jupyter_lab(folder, fonts) as server:
        front_end = Lab(browser, server)
        stage = Stage(front_end)
        try:
            traffic = Traffic(stage)
            for cadences, goals in GOALS.items():
                yield from _figure(sky, stage, traffic, cadences, goals, rounds)
            yield _target(sky, stage, rounds)
            yield _node(sky, stage, rounds)
            yield from _first_paint(sky, stage, rounds)
            yield _keystroke(sky, stage, rounds)
        finally:
            front_end.close()
        port = urlsplit(server.url).port
        assert port is not None
        with delay.delayed(port, DELAY) as slow:
            front_end = Lab(browser, replace(server, url=f"http://127.0.0.1:{slow}"))
            try:
                yield from _delayed(sky, Stage(front_end), rounds)
            finally:
                front_end.close()


class Traffic:
    """Bytes between the page and its kernel."""

    def __init__(self, stage: Stage) -> None:
        self.bytes = 0
        with stage.page.expect_websocket() as opened:
            # The connection of the kernel is older than this.
            stage.page.evaluate(f"{KERNEL}.reconnect()")
        for event in ("framesent", "framereceived"):
            opened.value.on(event, self._count)
        stage.page.wait_for_function(f"{KERNEL}.connectionStatus === 'connected'")

    def _count(self, payload: str | bytes) -> None:
        self.bytes += len(payload)


def _figure(
    sky: Sky, stage: Stage, traffic: Traffic, cadences: int, goals: Goals, rounds: int
) -> Iterator[Row]:
    sky.report(f"drawing {cadences:,} cadences")
    _open(stage, long_light_curves(sky, cadences))
    stage.run("(record,) = db.search(1).read()")
    before = traffic.bytes
    stage.set(PART, "x")
    watch = _of(PIXELS, FIGURE=FIGURE)
    stage.page.wait_for_function(f"({watch})() !== 0")
    loaded = (traffic.bytes - before) / 1e6
    toggled = _timed(stage, TOGGLE, FIGURE, rounds)
    stage.ask("0")
    stage.page.evaluate(SETTLED, watch)
    before = traffic.bytes
    stage.page.evaluate(f"({TOGGLE})()")
    stage.page.evaluate(SETTLED, watch)
    of_toggle = (traffic.bytes - before) / 1e3
    stage.run(HALF)
    moved = _timed(stage, PAN, FIGURE, rounds)
    stage.run("x.settings = type(x.settings)('none', period=3.21)")
    folded = _timed(stage, TUNE, FIGURE, rounds)
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    points = f"{cadences:,} points"
    yield _row(f"toggle a flag of {points}, to the last pixel", toggled, bare, goals.toggle)
    yield _row(f"a frame of moving the view of {points}", moved, bare, goals.frame)
    yield _row(f"a frame of changing the period of {points}", folded, bare, goals.frame)
    yield _bytes(f"bytes at load of {points}", loaded, goals.load, "MB")
    yield _bytes(f"bytes for a toggled flag of {points}", of_toggle, 2.5, "kB")


def _delayed(sky: Sky, stage: Stage, rounds: int) -> Iterator[Row]:
    """Toggle and move as in :func:`_figure`, far from the kernel."""
    cadences = 20_000
    sky.report(f"drawing {cadences:,} cadences far from the kernel")
    _open(stage, long_light_curves(sky, cadences))
    stage.set(f"(record,) = db.search(1).read()\n{PART}", "x")
    toggled = _timed(stage, TOGGLE, FIGURE, rounds)
    stage.run(HALF)
    moved = _timed(stage, PAN, FIGURE, rounds)
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    far = f"of {cadences:,} points, {DELAY * 1000:.0f} ms each way from the kernel"
    yield _row(f"toggle a flag {far}", toggled, bare, GOALS[cadences].toggle)
    yield _row(f"a frame of moving the view {far}", moved, bare, GOALS[cadences].frame)


def _target(sky: Sky, stage: Stage, rounds: int) -> Row:
    sky.report("clicking targets")
    _open(stage, long_light_curves(sky, 20_000))
    stage.set("(record,) = db.search(1).read()\nx = db.explore()", "x")
    stage.page.wait_for_function("document.querySelectorAll('.stage .lcdb-list option').length > 2")
    choose = _of(CHOOSE, SELECT=".lcdb-list")
    stage.page.evaluate(f"({choose})()")
    ours = _timed(stage, choose, FIGURE, rounds)
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    return _row("click a target to its light curve of 20,000 points", ours, bare, 150)


def _node(sky: Sky, stage: Stage, rounds: int) -> Row:
    sky.report(f"clicking one of {NODES} light curves in their lineage")
    db = long_light_curves(sky, 20_000, "family")
    first, other = (found.datasets[0] for found in (db.search(1), db.search(2)))
    for statement in FAMILY:
        db.session.execute(sa.text(statement), {"first": first, "other": other, "all": NODES})
    db.session.commit()
    tidy(db)
    _open(stage, db)
    stage.set("(record,) = db.search(3).read()\nx = db.explore(1)", "x")
    # Not all of them together, which are shown first.
    stage.run(f"x.datasets.choose({first})")
    stage.until("x.lineage.lineage is not None and len(x.lineage.lineage) > 400")
    stage.until("not x.light_curve.work.busy and len(x.light_curve._records) == 1")
    watch = _of(PIXELS, FIGURE=FIGURE)
    times = []
    for round_ in range(rounds + 1):
        # The first of them has other numbers than what is shown.
        node = int(first) + 10_000_000 + 101 + round_
        stage.ask("0")
        stage.page.evaluate(SETTLED, watch)
        act = _of(PRESS, NODE=str(node))
        times.append(float(stage.page.evaluate(CLOCK, [act, watch])))
        stage.until(f"x.dataset == {node}")
    stage.set(BARE, "bare")
    bare = _timed(stage, _of(CLICK, BOX=".bare-box", NAME="NAME"), ".bare", rounds)
    work = f"click one of {NODES} light curves in their lineage, to its 20,000 points"
    return _row(work, statistics.median(times[1:]), bare, 150)


def _first_paint(sky: Sky, stage: Stage, rounds: int) -> Iterator[Row]:
    sky.report("opening explorers")
    _open(stage, long_light_curves(sky, 20_000))
    stage.run("(record,) = db.search(1).read()")
    waits: dict[str, list[float]] = {"ours": [], "bare": []}
    for round_ in range(rounds + 1):
        for name, code, figure, shown in (
            ("ours", "x = db.explore(1)", FIGURE, "x"),
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
    yield _row("`db.explore()` to its first paint in a running JupyterLab", ours, bare, 700)


def _keystroke(sky: Sky, stage: Stage, rounds: int) -> Row:
    sky.report(f"typing among {STARS:,} targets")
    db = long_light_curves(sky, 20_000)
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


def long_light_curves(sky: Sky, cadences: int, name: str = "long") -> lcdb.Database:
    """Return a database of three stars with light curves of this many cadences; it is made once."""
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
    against = "the barest canvas in anywidget or Select that does so"
    return Row(
        work,
        against,
        "ms",
        ours,
        goal,
        f"{ours:.0f} ms",
        f"{bare:.0f} ms ({ours / bare:.2f} times)",
    )


def _bytes(work: str, ours: float, goal: float, unit: Literal["MB", "kB"]) -> Row:
    return Row(work, "nothing", unit, ours, goal, f"{ours:.2f} {unit}", "-")
