// @ts-check
// What the figure shows: the arrays, which points are good, the panels, and the view of each.
import { EXCLUDED, FLAGGED, GOOD, NOWHERE, bins, bisect, fold, limits, median } from "./numbers.mjs";

/** @typedef {[number, number]} Pair of values without (0) and with (1) all sectors in one panel */
/** @typedef {{start: number, stop: number, panel: Pair, colour: Pair, label: [string, string],
 * sampling: number, runs: Pair[], magnitudes: boolean, clock: Pair[], day: number, median: number |
 * null}} Curve median: of a processed light curve, which has no flagged cadences */
/** @typedef {{title: string, xlabel: string, unit: string, ylabel: string, group: number, height:
 * number, line: number | null, time: string}} Described */
/** @typedef {{name: string, slot: number, cadences: number, meaning: string, own: boolean}} Flag */
/** @typedef {Described & {curves: Curve[], left: number, top: number, width: number, tall: number,
 * x0: number, x1: number, home: Pair, bins: {x: Float64Array, y: Float64Array}[]}} Panel */
/** @typedef {{y0: number, y1: number, home: Pair, down: boolean, level: string}} Axis */
/** @typedef {{name: string, flags: Flag[], colour: string, shape: string, count: number}} Mark */
/** @typedef {{period: number | null, epoch: number, joined: boolean, normalize: boolean, bin:
 * number | null, flagged: boolean, errors: boolean, chosen: number[], ranges: Pair[], exclude:
 * boolean, levelled: boolean}} Choices levelled: phases of several are on one level */

// Okabe & Ito 2008 (https://jfly.uni-koeln.de/color/), as in lcdb_notebook.plot.
const MARKS = [["#D55E00", "x"], ["#009E73", "s"], ["#E69F00", "D"], ["#D55E00", "o"],
  ["#009E73", "+"], ["#E69F00", "^"]];
const REACH = 40; // CSS pixels: the largest distance from the cursor

/** What the traits of a model choose. @param {(name: string) => any} get @returns {Choices} */
export function choicesOf(get) {
  return { period: get("period"), epoch: get("epoch") ?? get("_first"), joined: get("joined"),
    normalize: get("normalize"), bin: get("bin"), flagged: get("show_flagged") && !processed(get),
    errors: get("errors"),
    chosen: get("_chosen"), ranges: get("selected_ranges"), exclude: get("exclude"),
    levelled: !get("_embedded") };
}

/** Whether flagged cadences were removed before the arrays were sent. @param {(name: string) =>
 * any} get */
export function processed(get) {
  return get("_curves").some((/** @type {Curve} */ c) => c.median !== null);
}

export class Scene {
  n = 0;
  time = new Float64Array(0);
  flux = new Float32Array(0);
  error = /** @type {Float32Array | null} */ (null);
  /** @type {Uint16Array[]} sixteen flags each */
  planes = [];
  x = /** @type {Float64Array<ArrayBufferLike>} */ (this.time);
  y = this.flux;
  folded = /** @type {Float64Array<ArrayBufferLike>} */ (new Float64Array(0));
  levelled = new Float32Array(0);
  scratch = new Float32Array(0);
  kind = new Uint8Array(0);
  /** @type {Int32Array} indices of flagged points */
  flagged = new Int32Array(0);
  marks = /** @type {Mark[]} */ ([]);
  panels = /** @type {Panel[]} */ ([]);
  axes = /** @type {Axis[]} */ ([]);
  /** @type {Choices} */
  choices = { period: null, epoch: 0, joined: false, normalize: false, bin: null, flagged: true,
    errors: false, chosen: [], ranges: [], exclude: false, levelled: true };
  key = "";
  ratio = 1;
  ink = "#000";

  /** @param {DataView[]} buffers times, fluxes, and planes of flags */
  load(buffers) {
    // Copies, since the buffers need not be aligned.
    const [time, flux, ...planes] = buffers.map((b) =>
      /** @type {ArrayBuffer} */ (b.buffer).slice(b.byteOffset, b.byteOffset + b.byteLength));
    this.time = new Float64Array(time);
    this.n = this.time.length;
    this.flux = new Float32Array(flux);
    this.planes = planes.map((plane) => new Uint16Array(plane));
    this.error = null;
    this.kind = new Uint8Array(this.n);
    this.scratch = new Float32Array(this.n);
    this.levelled = new Float32Array(this.n);
    this.folded = new Float64Array(0);
    this.panels = [];
    this.axes = [];
    this.key = "";
  }

  /** @param {DataView} buffer */
  loadErrors(buffer) {
    this.error = new Float32Array(/** @type {ArrayBuffer} */ (buffer.buffer).slice(
      buffer.byteOffset, buffer.byteOffset + buffer.byteLength));
  }

  /** Whether a point has a flag. @param {number} i @param {Flag} flag */
  has(i, flag) {
    return flag.slot >= 0 && ((this.planes[flag.slot >> 4][i] >> (flag.slot & 15)) & 1) === 1;
  }

  /**  Apply the choices: phases, kinds of points, levels, panels, limits. @param {Choices} choices
   * @param {Curve[]} curves @param {[Described[], Described[]]} panels @param {Flag[]} flags */
  arrange(choices, curves, panels, flags) {
    this.choices = choices;
    const together = choices.joined || choices.period ? 1 : 0;
    if (choices.period) {
      if (this.folded.length !== this.n) this.folded = new Float64Array(this.n);
      this.x = fold(this.time, choices.period, choices.epoch, this.folded);
    } else this.x = this.time;
    // A period that is dragged changes neither flags nor levels.
    const key = choices.exclude && choices.ranges.length ? "" : JSON.stringify([together,
      Boolean(choices.period), choices.normalize, choices.chosen]);
    const same = key !== "" && key === this.key;
    this.key = key;
    if (!same) this.classify(flags);
    this.place(curves, panels[together], together);
    if (!same) {
      this.level();
      this.findMarks(flags);
    }
    for (const panel of this.panels) panel.bins = this.binned(panel, together);
  }

  /** @param {Flag[]} flags */
  classify(flags) {
    const { chosen, ranges, exclude } = this.choices;
    const masks = new Uint16Array(this.planes.length);
    for (const k of chosen) if (flags[k]?.slot >= 0) masks[flags[k].slot >> 4] |= 1 << (flags[k].slot & 15);
    const { n, flux, kind, planes, x } = this;
    for (let i = 0; i < n; i++) kind[i] = flux[i] === flux[i] ? GOOD : NOWHERE;
    planes.forEach((plane, k) => {
      const mask = masks[k];
      if (mask) for (let i = 0; i < n; i++) if (plane[i] & mask && kind[i] === GOOD) kind[i] = FLAGGED;
    });
    if (exclude) for (const [from, to] of ranges) {
      for (let i = 0; i < n; i++) if (x[i] >= from && x[i] <= to && kind[i] !== NOWHERE) kind[i] = EXCLUDED;
    }
    let many = 0;
    for (let i = 0; i < n; i++) many += kind[i] === FLAGGED ? 1 : 0;
    this.flagged = new Int32Array(many);
    for (let i = 0, k = 0; k < many; i++) if (kind[i] === FLAGGED) this.flagged[k++] = i;
  }

  /** @param {Curve[]} curves @param {Described[]} described @param {number} together */
  place(curves, described, together) {
    const { period } = this.choices;
    this.panels = described.map((one, number) => {
      const own = curves.filter((c) => c.panel[together] === number);
      let low = period ? -period / 2 : Infinity, high = period ? period / 2 : -Infinity;
      if (!period) for (const c of own) for (let i = c.start; i < c.stop; i++) {
        if (this.kind[i] === NOWHERE) continue;
        if (this.time[i] < low) low = this.time[i];
        if (this.time[i] > high) high = this.time[i];
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
    const { period, normalize } = this.choices;
    const groups = 1 + Math.max(-1, ...this.panels.map((p) => p.group));
    this.y = this.levelled;
    this.axes = Array.from({ length: groups }, (_, group) => {
      const panels = this.panels.filter((p) => p.group === group);
      const curves = panels.flatMap((p) => p.curves);
      const several = Boolean(period) && curves.length > 1 && this.choices.levelled;
      const compared = panels.some((p) => p.line !== null);
      const middles = curves.map((c) => this.middle(c));
      let level = "";
      if ((normalize || several) && !compared) {
        level = curves[0]?.magnitudes || middles.some((m) => m <= 0) ? "difference" : "ratio";
      }
      curves.forEach((c, k) => {
        const m = Number.isNaN(middles[k]) ? (level === "ratio" ? 1 : 0) : middles[k];
        for (let i = c.start; i < c.stop; i++) {
          this.y[i] = level === "ratio" ? this.flux[i] / m : level ? this.flux[i] - m : this.flux[i];
        }
      });
      const [low, high] = limits(this.y, this.kind, curves.map((c) => [c.start, c.stop]), this.scratch);
      const down = Boolean(curves[0]?.magnitudes);
      const home = /** @type {Pair} */ (down ? [high, low] : [low, high]);
      return { home, down, level, y0: home[0], y1: home[1] };
    });
  }

  /** The median of the good points of a curve, else of all (plot.levels.median_flux), before
   * processing. @param {Curve} c */
  middle(c) {
    if (c.median !== null) return c.median;
    for (const most of [GOOD, FLAGGED]) {
      let n = 0;
      for (let i = c.start; i < c.stop; i++) if (this.kind[i] <= most) this.scratch[n++] = this.flux[i];
      if (n) return median(this.scratch, n);
    }
    return NaN;
  }

  /** @param {Flag[]} flags */
  findMarks(flags) {
    const on = this.choices.chosen.map((k) => flags[k]).filter((f) => f && f.slot >= 0);
    const counts = new Map(on.map((f) => [f, 0])), once = this.once();
    for (const i of once) for (const f of on) {
      if (this.has(i, f)) counts.set(f, (counts.get(f) ?? 0) + 1);
    }
    const count = (/** @type {Flag} */ f) => counts.get(f) ?? 0;
    const found = on.filter(count).sort((a, b) => count(b) - count(a));
    // "other flags" would take the same space as the name of a single one.
    const rest = found.splice(MARKS.length);
    this.marks = found.map((f, k) => (
      { name: f.name, flags: [f], colour: MARKS[k][0], shape: MARKS[k][1], count: count(f) }));
    if (rest.length) this.marks.push({ name: rest.length > 1 ? "other flags" : rest[0].name,
      flags: rest, colour: "", shape: "*",
      count: once.filter((i) => rest.some((f) => this.has(i, f))).length });
  }

  /** Flagged points, each cadence once even if several light curves share it. */
  once() {
    const curves = this.panels.flatMap((p) => p.curves).sort((a, b) => a.start - b.start);
    let number = 0;
    return this.flagged.filter((i) => {
      while (number < curves.length - 1 && i >= curves[number].stop) number++;
      const c = curves[number];
      return c.sampling >= 0 && !curves.some((other, k) => k < number && other.sampling === c.sampling
        && this.kind[other.start + i - c.start] === FLAGGED);
    });
  }

  /** @param {Panel} panel @param {number} together */
  binned(panel, together) {
    const { bin, period } = this.choices;
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

  /** Indices of a curve in view: a part of increasing times, but all phases. @param {Curve} c
   * @param {number} x0 @param {number} x1 @returns {Pair} */
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

  /** The point nearest to a pixel of a panel, or -1. @param {Panel} p @param {number} px @param
   * {number} py */
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
    return this.panels.find((p) => p.curves.some((c) => i >= c.start && i < c.stop));
  }
}
