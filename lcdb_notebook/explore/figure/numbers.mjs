// @ts-check
// Arithmetic of the figure, which node tests without a browser. What Python computes too (limits,
// phases, levels, bins) is held together by a table of cases in tests/explore.

export const GOOD = 0, FLAGGED = 1, NOWHERE = 2, EXCLUDED = 3;

/** @typedef {{at: number[], text: string[]}} Ticks */

/** Round numbers between two limits, and their text. @param {number} low @param {number} high
 * @param {number} about how many @returns {Ticks} */
export function ticks(low, high, about) {
  const raw = (high - low) / Math.max(about, 1);
  if (!(raw > 0) || !Number.isFinite(raw)) return { at: [], text: [] };
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5].find((m) => m * power >= raw * 0.999) ?? 10);
  const quarter = step < 10 && Math.abs(step / power - 2.5) < 1e-9 ? 1 : 0;
  const digits = Math.min(20, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)) + quarter);
  const at = [];
  const first = Math.ceil(low / step - 1e-9);
  for (let k = first; k * step <= high + 1e-9 * step && at.length < 100; k++) at.push(k * step);
  return { at, text: at.map((value) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1")) };
}

/** Phases from -period/2 to period/2, 0 at the epoch: lcdb_notebook.plot.folding. @param
 * {Float64Array} time @param {number} period @param {number} epoch @param {Float64Array} into */
export function fold(time, period, epoch, into) {
  const half = period / 2;
  for (let i = 0; i < time.length; i++) {
    const cycles = (time[i] - epoch + half) / period;
    into[i] = (cycles - Math.floor(cycles)) * period - half;
  }
  return into;
}

/** The k-th smallest of the first n values, which are partly sorted (Hoare's quickselect). @param
 * {Float32Array | Float64Array} v @param {number} k @param {number} n */
export function select(v, k, n) {
  let low = 0, high = n - 1;
  while (low < high) {
    const pivot = v[(low + high) >> 1];
    let i = low, j = high;
    while (i <= j) {
      while (v[i] < pivot) i++;
      while (v[j] > pivot) j--;
      if (i <= j) {
        const t = v[i];
        v[i] = v[j];
        v[j] = t;
        i++;
        j--;
      }
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else break;
  }
  return v[k];
}

/** The median of the first n values, which are partly sorted; NaN without any. @param {Float32Array
 * | Float64Array} v @param {number} n */
export function median(v, n) {
  if (n === 0) return NaN;
  const upper = select(v, n >> 1, n);
  if (n % 2) return upper;
  let lower = -Infinity;
  for (let i = 0; i < n >> 1; i++) if (v[i] > lower) lower = v[i];
  return (lower + upper) / 2;
}

/** Bottom and top of the y axis by the good points, else by the flagged ones:
 * lcdb_notebook.plot.drawing.limits. @param {Float32Array} y @param {Uint8Array} kind @param
 * {readonly (readonly [number, number])[]} ranges of indices @param {Float32Array} scratch as long
 * as y @returns {[number, number]} */
export function limits(y, kind, ranges, scratch) {
  let n = 0;
  for (const wanted of [GOOD, FLAGGED]) {
    if (n) break;
    for (const [from, to] of ranges) {
      for (let i = from; i < to; i++) if (kind[i] === wanted) scratch[n++] = y[i];
    }
  }
  if (n === 0) return [0, 1];
  const percentile = (/** @type {number} */ q) => {
    // Linear between neighbours, as in numpy.
    const at = q * (n - 1), k = Math.floor(at), value = select(scratch, k, n);
    let next = k + 1 < n ? Infinity : value;
    for (let i = k + 1; i < n; i++) if (scratch[i] < next) next = scratch[i];
    return value + (at - k) * (next - value);
  };
  const low = percentile(0.005), high = percentile(0.995), reach = 2 * (high - low);
  let bottom = Infinity, top = -Infinity;
  for (let i = 0; i < n; i++) {
    const value = scratch[i];
    if (value >= low - reach && value <= high + reach) {
      if (value < bottom) bottom = value;
      if (value > top) top = value;
    }
  }
  const margin = 0.06 * (top - bottom) || 0.01 * Math.abs(top) || 1;
  return [bottom - margin, top + margin];
}

/** Medians of the good points in equal bins: of a period, or of time from 0 on. @param
 * {Float64Array} x @param {Float32Array} y @param {Uint8Array} kind @param {readonly (readonly
 * [number, number])[]} ranges of indices @param {number} width of a bin @param {number} start of
 * the first bin @param {number} most number of bins; Infinity without a period @returns {{x:
 * Float64Array, y: Float64Array}} */
export function bins(x, y, kind, ranges, width, start, most) {
  /** @type {Map<number, number[]>} */
  const members = new Map();
  for (const [from, to] of ranges) {
    for (let i = from; i < to; i++) {
      if (kind[i] !== GOOD) continue;
      const bin = Math.min(Math.max(Math.floor((x[i] - start) / width), most < Infinity ? 0 : -Infinity), most - 1);
      const found = members.get(bin);
      if (found) found.push(y[i]);
      else members.set(bin, [y[i]]);
    }
  }
  const order = [...members.keys()].sort((a, b) => a - b);
  return {
    x: Float64Array.from(order, (bin) => start + (bin + 0.5) * width),
    y: Float64Array.from(order, (bin) => {
      const values = Float64Array.from(members.get(bin) ?? []);
      return median(values, values.length);
    }),
  };
}

/** The first index in [from, to) whose value is not below another. @param {ArrayLike<number>} x
 * @param {number} value @param {number} from @param {number} to */
export function bisect(x, value, from, to) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (x[middle] < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A cadence number, from runs of consecutive ones. @param {readonly (readonly [number, number])[]}
 * runs index and number of the first of each @param {number} i */
export function cadence(runs, i) {
  let low = 0, high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle][0] <= i) low = middle + 1;
    else high = middle;
  }
  const [start, number] = runs[low - 1];
  return number + i - start;
}

/** UTC of a time of the mission, to the second. @param {readonly (readonly [number, number])[]}
 * clock a time and its Unix time in seconds, for each interval between leap seconds @param {number}
 * day seconds of the mission's unit @param {number} time */
export function utc(clock, day, time) {
  if (!clock.length) return "";
  const [start, unix] = clock.filter(([from]) => from <= time).at(-1) ?? clock[0];
  const date = new Date(Math.round(unix + (time - start) * day) * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 19).replace("T", " ");
}
