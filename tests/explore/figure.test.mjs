// What the figure computes equals what Python computes: run by test_figure_js.py, which writes the
// table of cases, or alone with `LCDB_CASES=cases.json node --test tests/explore`.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as numbers from "../../lcdb_notebook/explore/figure/numbers.mjs";
import { decode } from "../../lcdb_notebook/explore/figure/encoding.mjs";
import { Scene } from "../../lcdb_notebook/explore/figure/scene.mjs";

const { GOOD, FLAGGED, NOWHERE, EXCLUDED } = numbers;
const CASES = process.env.LCDB_CASES ? JSON.parse(readFileSync(process.env.LCDB_CASES, "utf8")) : [];
const PANEL = { title: "", xlabel: "t", unit: "", ylabel: "", group: 0, height: 1, line: null, time: "" };
const CHOICES = { period: null, epoch: 0, joined: false, normalize: false, bin: null, flagged: true,
  errors: false, chosen: [], ranges: [], exclude: false, levelled: true };

const curve = (start, stop, more = {}) => ({ start, stop, panel: [0, 0], colour: [0, 0], label: ["", ""],
  runs: [[start, 0]], magnitudes: false, clock: [], day: 86400, sampling: 0,
  median: null, ...more });
const bytes = (text) => {
  const { buffer, byteOffset, byteLength } = Buffer.from(text, "base64");
  return new DataView(buffer, byteOffset, byteLength);
};

function scene(time, flux, planes = []) {
  return new Scene({ time: Float64Array.from(time), flux: Float32Array.from(flux),
    planes: planes.map((p) => Uint16Array.from(p)) });
}

function fromCase(c, choices) {
  const made = scene(c.time, c.flux.map((v) => v ?? NaN), c.planes);
  made.arrange({ ...CHOICES, ...choices }, c.curves, c.panels, c.flags);
  return made;
}

function close(found, expected, tolerance, what) {
  assert.equal(found.length, expected.length, what);
  for (let i = 0; i < found.length; i++) {
    assert.ok(Math.abs(found[i] - expected[i]) <= tolerance, `${what} ${i}: ${found[i]} is not ${expected[i]}`);
  }
}

test("ticks are round, inside, and have the digits they need", () => {
  assert.deepEqual(numbers.ticks(1324.2, 1352.6, 6).text, ["1325", "1330", "1335", "1340", "1345", "1350"]);
  assert.deepEqual(numbers.ticks(0.9991, 1.0012, 5).text, ["0.9995", "1.0000", "1.0005", "1.0010"]);
  assert.deepEqual(numbers.ticks(0, 1, 4).text, ["0.00", "0.25", "0.50", "0.75", "1.00"]);
  assert.deepEqual(numbers.ticks(3, 3, 4).at, []);
});

test("ranks and median agree with sorting", () => {
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let n = 1; n < 60; n++) for (const scale of [10, 1e7]) {
    const v = Float32Array.from({ length: n }, () => Math.floor(random() * scale));
    // An outlier puts all others into one bin.
    if (n % 3 === 0) v[0] = 3e38;
    const sorted = v.slice().sort();
    assert.deepEqual(numbers.ranked(v, n, [...sorted.keys()]), [...sorted]);
    assert.equal(numbers.median(v.slice(), n), (sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2);
  }
  assert.ok(Number.isNaN(numbers.median(new Float32Array(0), 0)));
});

test("a cadence number is found from runs", () => {
  const runs = [[10, 500], [13, 700]];
  assert.deepEqual([10, 12, 13, 20].map((i) => numbers.cadence(runs, i)), [500, 502, 700, 707]);
});

test("UTC counts from the last leap second", () => {
  const clock = [[100, 0], [101, 86399]];
  assert.equal(numbers.utc(clock, 86400, 100.5), "1970-01-01 12:00:00");
  assert.equal(numbers.utc(clock, 86400, 101.5), "1970-01-02 11:59:59");
  assert.equal(numbers.utc([], 86400, 1), "");
});

test("more than 32 flags are distinguished, and excluded ranges leave points out", () => {
  const planes = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 2]];
  const flags = Array.from({ length: 40 }, (_, slot) => ({ name: `F${slot}`, slot, cadences: 1, meaning: "", own: true }));
  const s = scene([1, 2, 3, 4], [1, 2, NaN, 4], planes);
  s.arrange({ ...CHOICES, chosen: [32] }, [curve(0, 4)], [[PANEL], [PANEL]], flags);
  assert.deepEqual([...s.kind], [GOOD, FLAGGED, NOWHERE, GOOD]);
  assert.deepEqual(s.marks.map((m) => [m.name, m.count]), [["F32", 1]]);
  s.arrange({ ...CHOICES, chosen: [33], ranges: [[0.5, 1.5]], exclude: true }, [curve(0, 4)], [[PANEL], [PANEL]], flags);
  assert.deepEqual([...s.kind], [EXCLUDED, GOOD, NOWHERE, FLAGGED]);
});

test("light curves of a cadence count its flags once", () => {
  const flags = [{ name: "F", slot: 0, cadences: 1, meaning: "", own: true }];
  const s = scene([1, 2, 1, 2], [1, 2, 3, 4], [[1, 0, 1, 0]]);
  s.arrange({ ...CHOICES, chosen: [0] }, [curve(0, 2), curve(2, 4)], [[PANEL], [PANEL]], flags);
  assert.deepEqual(s.marks.map((m) => m.count), [1]);
});

test("sectors are brought to one level by difference if a median is not positive", () => {
  for (const [low, level, expected] of [[100, "ratio", [0.5, 1, 2]], [-4, "difference", [-2, 0, 4]]]) {
    const s = scene([1, 2, 3, 4, 5, 6], [2, 4, 8, low, low, low]);
    s.arrange({ ...CHOICES, normalize: true }, [curve(0, 3), curve(3, 6)], [[PANEL], [PANEL]], []);
    assert.equal(s.axes[0].level, level);
    assert.deepEqual([...s.y.slice(0, 3)], expected);
  }
});

test("the nearest point is one that is shown, folded or not", () => {
  const n = 100, time = Array.from({ length: n }, (_, i) => i), flags = [{ name: "A", slot: 0, cadences: 1, meaning: "", own: true }];
  const s = scene(time, time.map((i) => i % 7), [time.map((i) => (i === 50 ? 1 : 0))]);
  for (const period of [null, 10]) for (const flagged of [true, false]) {
    s.arrange({ ...CHOICES, period, flagged, chosen: [0] }, [curve(0, n)], [[PANEL], [PANEL]], flags);
    const p = Object.assign(s.panels[0], { width: 1000, tall: 300 });
    const found = s.nearest(p, ...s.pixel(p, 31));
    assert.deepEqual([s.x[found], s.y[found]], [s.x[31], s.y[31]]);
    if (!period) assert.equal(s.nearest(p, ...s.pixel(p, 50)) === 50, flagged);
  }
  assert.equal(s.nearest(s.panels[0], -500, 0), -1);
});

test("a light curve that was processed is divided by the median it had before", () => {
  for (const [median, level, expected] of [[4, "ratio", [0.5, 1, 2]], [-1, "difference", [3, 5, 9]]]) {
    const s = scene([1, 2, 3], [2, 4, 8]);
    s.arrange({ ...CHOICES, normalize: true }, [curve(0, 3, { median })], [[PANEL], [PANEL]], []);
    assert.equal(s.axes[0].level, level);
    assert.deepEqual([...s.y], expected);
  }
});

for (const c of CASES) test(`${c.name}: the same as in Python`, () => {
  const sent = decode(c.encoded.about, c.encoded.arrays.map(bytes));
  assert.deepEqual([...sent.time], c.time);
  assert.deepEqual([...sent.flux], c.flux.map((v) => v ?? NaN));
  assert.deepEqual(sent.planes.map((p) => [...p]), c.planes);
  const joined = c.curves.length > 1;
  for (const [preset, expected] of Object.entries(c.presets)) {
    const s = fromCase(c, { chosen: expected.chosen, joined });
    assert.deepEqual(s.marks.map((m) => [m.name, m.count]), expected.marks, `marks of ${preset}`);
    assert.deepEqual(fromCase(c, { chosen: expected.chosen }).axes[0].home, s.axes[0].home, "panels share limits");
    const bad = s.kind.map((k) => (k === FLAGGED ? 1 : 0));
    assert.deepEqual([...bad.keys()].filter((i) => bad[i]), expected.flagged, `flags of ${preset}`);
    const { home } = s.axes[0], span = Math.abs(expected.limits[1] - expected.limits[0]);
    close(home, expected.limits, 1e-5 * span + 1e-6 * Math.abs(expected.limits[0]), `limits of ${preset}`);
    const level = fromCase(c, { chosen: expected.chosen, normalize: true, joined });
    const shown = expected.level.flatMap((v, i) => (v === null ? [] : [i]));
    const largest = Math.max(...shown.map((i) => Math.abs(expected.level[i])));
    close(shown.map((i) => level.y[i]), shown.map((i) => expected.level[i]), 2e-6 * largest, `levels of ${preset}`);
    const folded = fromCase(c, { chosen: expected.chosen, period: c.period, epoch: c.epoch, bin: c.bin });
    close([...folded.x], c.phase, 1e-9, `phases of ${preset}`);
    close([...folded.panels[0].bins[0].x], expected.phaseBins[0], 1e-9, `bins of phase of ${preset}`);
    close([...folded.panels[0].bins[0].y], expected.phaseBins[1], 1e-6 * Math.abs(expected.phaseBins[1][0]), `medians of ${preset}`);
    const binned = fromCase(c, { chosen: expected.chosen, bin: c.bin, joined }).panels[0].bins[0];
    close([...binned.x], expected.timeBins[0], 1e-9, `bins of time of ${preset}`);
    close([...binned.y], expected.timeBins[1], 1e-6 * Math.abs(expected.timeBins[1][0]), `medians of time of ${preset}`);
  }
  for (const [i, number, date] of c.readout) {
    const { runs, clock, day } = c.curves.find((one) => i >= one.start && i < one.stop);
    assert.equal(numbers.cadence(runs, i), number);
    assert.equal(numbers.utc(clock, day, c.time[i]), date);
  }
});

test("there are cases", { skip: !process.env.LCDB_CASES }, () => assert.ok(CASES.length >= 3));
