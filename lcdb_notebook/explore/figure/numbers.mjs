// @ts-check
// Arithmetic of the figure, which node tests without a browser. What Python computes too (limits,
// phases, levels, bins) is held together by a table of cases in tests/explore.

export const GOOD = 0, FLAGGED = 1, NOWHERE = 2, EXCLUDED = 3;

/** Round numbers between two limits, and their text.
 * @param {number} low @param {number} high @param {number} about how many @returns {Ticks} */
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

/** The values of some ranks among the first n: those that share a bin with them are sorted.
 * @param {Floats} v @param {number} n @param {number[]} ranks */
export function ranked(v, n, ranks) {
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i++) {
    const value = v[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const bins = Math.min(n, 65536), scale = high > low ? (bins - 1) / (high - low) : 0;
  const ends = new Uint32Array(bins);
  for (let i = 0; i < n; i++) ends[((v[i] - low) * scale) | 0]++;
  for (let b = 1; b < bins; b++) ends[b] += ends[b - 1];
  const of = ranks.map((rank) => bisect(ends, rank + 1, 0, bins));
  const members = new Map(of.map((b) => [b, /** @type {number[]} */ ([])]));
  const chosen = new Uint8Array(bins);
  for (const b of of) chosen[b] = 1;
  for (let i = 0; i < n; i++) {
    const b = ((v[i] - low) * scale) | 0;
    if (chosen[b]) members.get(b)?.push(v[i]);
  }
  const sorted = new Map([...members].map(([b, values]) => [b, Float64Array.from(values).sort()]));
  return ranks.map((rank, k) => sorted.get(of[k])?.[rank - (of[k] ? ends[of[k] - 1] : 0)] ?? NaN);
}

/** The median of the first n values; NaN without any. @param {Floats} v @param {number} n */
export function median(v, n) {
  const [lower, upper] = ranked(v, n, [(n - 1) >> 1, n >> 1]);
  return (lower + upper) / 2;
}

/** Bottom and top of the y axis by the good points, else by the flagged ones:
 * lcdb_notebook.plot.drawing.limits.
 * @param {Float32Array} y @param {Uint8Array} kind @param {Ranges} ranges of indices
 * @param {Float32Array} scratch as long as y @returns {[number, number]} */
export function limits(y, kind, ranges, scratch) {
  let n = 0;
  for (const value of [GOOD, FLAGGED]) if (!n) for (const [from, to] of ranges) {
    for (let i = from; i < to; i++) if (kind[i] === value) scratch[n++] = y[i];
  }
  if (n === 0) return [0, 1];
  // Linear between neighbours, as in numpy.
  const places = [0.005 * (n - 1), 0.995 * (n - 1)], last = n - 1;
  const ranks = places.map(Math.floor).flatMap((k) => [k, Math.min(k + 1, last)]);
  const found = ranked(scratch, n, ranks);
  const [low, high] = places.map((at, k) =>
    found[2 * k] + (at % 1) * (found[2 * k + 1] - found[2 * k]));
  const reach = 2 * (high - low);
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
 * {Float64Array} x @param {Float32Array} y @param {Uint8Array} kind @param {Ranges} ranges of
 * indices @param {number} width of a bin @param {number} start of the first bin @param {number}
 * most number of bins; Infinity without a period @returns {Bins} */
export function bins(x, y, kind, ranges, width, start, most) {
  const members = /** @type {Map<number, number[]>} */ (new Map());
  for (const [from, to] of ranges) for (let i = from; i < to; i++) {
    if (kind[i] !== GOOD) continue;
    const least = most < Infinity ? 0 : -Infinity, at = Math.floor((x[i] - start) / width);
    const bin = Math.min(Math.max(at, least), most - 1), found = members.get(bin);
    if (found) found.push(y[i]);
    else members.set(bin, [y[i]]);
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

/** The first index in [from, to) whose value is not below another.
 * @param {ArrayLike<number>} x @param {number} value @param {number} from @param {number} to */
export function bisect(x, value, from, to) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (x[middle] < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A cadence number, from runs of consecutive ones.
 * @param {Ranges} runs index and number of the first of each @param {number} i */
export function cadence(runs, i) {
  const [start, number] = runs.findLast(([first]) => first <= i) ?? runs[0];
  return number + i - start;
}

/** UTC of a time of the mission, to the second.
 * @param {Ranges} clock a time and its Unix time in seconds, for each interval between leap seconds
 * @param {number} day seconds of the mission's unit @param {number} time */
export function utc(clock, day, time) {
  if (!clock.length) return "";
  const [start, unix] = clock.findLast(([from]) => from <= time) ?? clock[0];
  const date = new Date(Math.round(unix + (time - start) * day) * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 19).replace("T", " ");
}
