// @ts-check
// What the figure shows: the arrays, which points are good, the panels, and the view of each.
import { bytes } from "./encoding.mjs";
import { EXCLUDED, FLAGGED, GOOD, NOWHERE } from "./numbers.mjs";
import { bins, bisect, fold, limits, median } from "./numbers.mjs";

// Okabe & Ito 2008 (https://jfly.uni-koeln.de/color/), as in lcdb_notebook.plot.
const MARKS = [["#D55E00", "x"], ["#009E73", "s"], ["#E69F00", "D"], ["#D55E00", "o"],
  ["#009E73", "+"], ["#E69F00", "^"]];
const REACH = 40; // CSS pixels: the largest distance from the cursor

/** What the traits of a model choose. @param {{get: Get}} model @returns {Choices} */
export function choicesOf(model) {
  const get = (/** @type {string} */ name) => model.get(name);
  return { period: get("period"), epoch: get("epoch") ?? get("_first"), joined: get("joined"),
    normalize: get("normalize"), bin: get("bin"), flagged: get("show_flagged") && !processed(model),
    errors: get("errors"), chosen: get("_chosen"), ranges: get("selected_ranges"),
    exclude: get("exclude"), levelled: !get("_embedded") };
}

/** Whether flagged cadences were removed before the arrays were sent. @param {{get: Get}} model */
export function processed(model) {
  return model.get("_curves").some((/** @type {Curve} */ c) => c.median !== null);
}

/** @param {Curve} c @param {number} i index of a point */
export const isIn = (c, i) => i >= c.start && i < c.stop;

export class Scene {
  error = /** @type {Float32Array | null} */ (null);
  requested = false; // the errors
  folded = new Float64Array(0);
  flagged = new Int32Array(0); // indices of points
  marks = /** @type {Mark[]} */ ([]);
  panels = /** @type {Panel[]} */ ([]);
  axes = /** @type {Axis[]} */ ([]);
  choices = /** @type {Choices} */ ({});
  key = "";
  ratio = 1;
  ink = "#000";

  /** @param {Arrays} [arrays] */
  constructor(arrays = { time: new Float64Array(0), flux: new Float32Array(0), planes: [] }) {
    this.x = this.time = arrays.time;
    this.y = this.flux = arrays.flux;
    this.planes = arrays.planes;
    this.n = this.time.length;
    this.kind = new Uint8Array(this.n);
    this.scratch = new Float32Array(this.n);
    this.levelled = new Float32Array(this.n);
  }

  /** Whether all sectors are in one panel: 0 or 1. */
  get together() {
    return this.choices.joined || this.choices.period ? 1 : 0;
  }

  /** @param {DataView} buffer */
  loadErrors(buffer) {
    this.error = new Float32Array(bytes(buffer));
  }

  /** Apply the choices: phases, kinds of points, levels, panels, limits. @param {Choices} choices
   * @param {Curve[]} curves @param {[Described[], Described[]]} panels @param {Flag[]} flags */
  arrange(choices, curves, panels, flags) {
    this.choices = choices;
    const { together } = this;
    if (choices.period) {
      if (this.folded.length !== this.n) this.folded = new Float64Array(this.n);
      this.x = fold(this.time, choices.period, choices.epoch, this.folded);
    } else this.x = this.time;
    // A period that is dragged changes neither flags nor levels.
    const key = choices.exclude && choices.ranges.length ? "" : JSON.stringify([together,
      Boolean(choices.period), choices.normalize, choices.flagged, choices.chosen]);
    const same = key !== "" && key === this.key;
    this.key = key;
    if (!same) this.classify(flags);
    this.place(curves, panels[together]);
    if (!same) {
      this.level();
      this.findMarks(flags);
    }
    for (const panel of this.panels) panel.bins = this.binned(panel);
  }

  /** @param {Flag[]} flags */
  classify(flags) {
    const { chosen, ranges, exclude } = this.choices;
    const masks = this.masks(chosen.flatMap((k) => flags[k] ?? []));
    const { n, flux, kind, planes, x } = this;
    for (let i = 0; i < n; i++) kind[i] = flux[i] === flux[i] ? GOOD : NOWHERE;
    planes.forEach((plane, k) => {
      const mask = masks[k];
      if (!mask) return;
      for (let i = 0; i < n; i++) if (plane[i] & mask && kind[i] === GOOD) kind[i] = FLAGGED;
    });
    for (const [from, to] of exclude ? ranges : []) for (let i = 0; i < n; i++) {
      if (x[i] >= from && x[i] <= to && kind[i] !== NOWHERE) kind[i] = EXCLUDED;
    }
    let many = 0;
    for (let i = 0; i < n; i++) many += kind[i] === FLAGGED ? 1 : 0;
    this.flagged = new Int32Array(many);
    for (let i = 0, k = 0; k < many; i++) if (kind[i] === FLAGGED) this.flagged[k++] = i;
  }

  /** @param {Curve[]} curves @param {Described[]} described */
  place(curves, described) {
    const { choices: { period }, together } = this;
    this.panels = described.map((one, number) => {
      const own = curves.filter((c) => c.panel[together] === number);
      let low = period ? -period / 2 : Infinity, high = period ? period / 2 : -Infinity;
      if (!period) for (const { start, stop } of own) {
        let first = start, last = stop - 1;
        while (first < stop && this.kind[first] === NOWHERE) first++;
        while (last > first && this.kind[last] === NOWHERE) last--;
        if (first < stop) low = Math.min(low, this.time[first]);
        if (first < stop) high = Math.max(high, this.time[last]);
      }
      if (!(low <= high)) [low, high] = [0, 1];
      const margin = period ? 0 : 0.03 * (high - low) || 0.5;
      const home = /** @type {Pair} */ ([low - margin, high + margin]);
      return { ...one, xlabel: period ? "" : one.xlabel, curves: own, left: 0, top: 0, width: 0,
        tall: 0, home, x0: home[0], x1: home[1], bins: [] };
    });
  }

  /** Levels of the light curves, and limits of the y axes. */
  level() {
    const { period, normalize, levelled } = this.choices, { flux, kind, scratch } = this;
    const groups = 1 + Math.max(-1, ...this.panels.map((p) => p.group));
    const y = this.y = normalize || (period && levelled) ? this.levelled : flux;
    this.axes = Array.from({ length: groups }, (_, group) => {
      const panels = this.panels.filter((p) => p.group === group);
      const curves = panels.flatMap((p) => p.curves);
      const several = period && levelled && curves.length > 1;
      const down = Boolean(curves[0]?.magnitudes);
      const brought = (normalize || several) && !panels.some((p) => p.line !== null);
      const middles = curves.map((c) => (brought ? this.middle(c) : NaN));
      const level = brought ? down || middles.some((m) => m <= 0) ? "difference" : "ratio" : "";
      if (y !== flux) curves.forEach((c, k) => {
        const m = Number.isNaN(middles[k]) ? Number(level === "ratio") : middles[k];
        if (level === "ratio") for (let i = c.start; i < c.stop; i++) y[i] = flux[i] / m;
        else for (let i = c.start; i < c.stop; i++) y[i] = flux[i] - m;
      });
      const [low, high] = limits(y, kind, curves.map((c) => [c.start, c.stop]), scratch);
      const home = /** @type {Pair} */ (down ? [high, low] : [low, high]);
      return { home, down, level, y0: home[0], y1: home[1] };
    });
  }

  /** The median of the good points of a curve, else of all (plot.levels.median_flux), before
   * processing. @param {Curve} c */
  middle(c) {
    if (c.median !== null) return c.median;
    for (const most of [GOOD, FLAGGED]) {
      const { kind, scratch, flux } = this;
      let n = 0;
      for (let i = c.start; i < c.stop; i++) if (kind[i] <= most) scratch[n++] = flux[i];
      if (n) return median(scratch, n);
    }
    return NaN;
  }

  /** @param {Flag[]} flags */
  findMarks(flags) {
    this.marks = [];
    if (!this.choices.flagged) return;
    const on = this.choices.chosen.map((k) => flags[k]).filter((f) => f && f.slot >= 0);
    const once = this.once(), counts = new Map(on.map((f) => [f, this.carriers([f], once)]));
    const count = (/** @type {Flag} */ f) => counts.get(f) ?? 0;
    const found = on.filter(count).sort((a, b) => count(b) - count(a));
    // "other flags" would take the same space as the name of a single one.
    const rest = found.splice(MARKS.length);
    this.marks = found.map((f, k) => (
      { name: f.name, flags: [f], colour: MARKS[k][0], shape: MARKS[k][1], count: count(f) }));
    if (rest.length) this.marks.push({ name: rest.length > 1 ? "other flags" : rest[0].name,
      flags: rest, colour: "", shape: "*", count: this.carriers(rest, once) });
  }

  /** How many of some points have one of some flags.
   * @param {Flag[]} flags @param {Int32Array} points */
  carriers(flags, points) {
    const has = this.having(flags);
    let many = 0;
    for (const i of points) if (has(i)) many++;
    return many;
  }

  /** The bits of flags in each plane. @param {Flag[]} flags */
  masks(flags) {
    const bits = (/** @type {number} */ k) => flags.filter((f) => f.slot >> 4 === k)
      .reduce((mask, f) => mask | (1 << (f.slot & 15)), 0);
    return this.planes.map((_, k) => bits(k));
  }

  /** Whether a point has one of some flags.
   * @param {Flag[]} flags @returns {(i: number) => boolean} */
  having(flags) {
    const masks = this.masks(flags), { planes } = this;
    return (i) => masks.some((mask, k) => (planes[k][i] & mask) !== 0);
  }

  /** Flagged points, each cadence once even if several light curves share it. */
  once() {
    const curves = this.panels.flatMap((p) => p.curves).sort((a, b) => a.start - b.start);
    if (curves.length === 1) return this.flagged;
    let number = 0;
    return this.flagged.filter((i) => {
      while (number < curves.length - 1 && i >= curves[number].stop) number++;
      const c = curves[number];
      return c.sampling >= 0 && !curves.some((other, k) => k < number
        && other.sampling === c.sampling && this.kind[other.start + i - c.start] === FLAGGED);
    });
  }

  /** @param {Panel} panel */
  binned(panel) {
    const { choices: { bin, period }, together } = this;
    if (!bin || panel.line !== null) return [];
    const width = bin * 60 / (panel.curves[0]?.day ?? 86400);
    if (period) {
      const many = Math.max(1, Math.round(period / width));
      const ranges = panel.curves.map((c) => /** @type {Pair} */ ([c.start, c.stop]));
      return [bins(this.x, this.y, this.kind, ranges, period / many, -period / 2, many)];
    }
    const labels = [...new Set(panel.curves.map((c) => c.label[together]))];
    return labels.map((label) => bins(this.x, this.y, this.kind,
      panel.curves.filter((c) => c.label[together] === label).map((c) => [c.start, c.stop]),
      width, 0, Infinity));
  }

  /** Indices of a curve in view: a part of increasing times, but all phases.
   * @param {Curve} c @param {number} x0 @param {number} x1 @returns {Pair} */
  range(c, x0, x1) {
    if (this.choices.period) return [c.start, c.stop];
    return [bisect(this.x, x0, c.start, c.stop), bisect(this.x, x1, c.start, c.stop)];
  }

  /** Whether a point is drawn. @param {number} i */
  shown(i) {
    return this.kind[i] === GOOD || (this.kind[i] === FLAGGED && this.choices.flagged);
  }

  /** @param {Panel} p @param {number} i @returns {Pair} CSS pixels from the corner of the panel */
  pixel(p, i) {
    const axis = this.axes[p.group];
    return [(this.x[i] - p.x0) / (p.x1 - p.x0) * p.width,
      (axis.y1 - this.y[i]) / (axis.y1 - axis.y0) * p.tall];
  }

  /** The point nearest to a pixel of a panel, or -1.
   * @param {Panel} p @param {number} px @param {number} py */
  nearest(p, px, py) {
    const scale = p.width / (p.x1 - p.x0);
    const low = p.x0 + (px - REACH) / scale, high = p.x0 + (px + REACH) / scale;
    let best = -1, distance = REACH * REACH;
    for (const c of p.curves) {
      const [from, to] = this.range(c, low, high);
      for (let i = from; i < to; i++) {
        if (this.x[i] < low || this.x[i] > high || !this.shown(i)) continue;
        const [x, y] = this.pixel(p, i), d = (x - px) ** 2 + (y - py) ** 2;
        if (d < distance) [distance, best] = [d, i];
      }
    }
    return best;
  }

  /** @param {number} i @returns {Panel | undefined} */
  panelOf(i) {
    return this.panels.find((p) => p.curves.some((c) => isIn(c, i)));
  }
}
