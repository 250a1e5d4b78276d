// @ts-check
// Points to pixels. Pixels that many points share become darker, as with transparent points.
import { GOOD, bisect } from "./numbers.mjs";

const MOST_BARS = 30_000; // points in view, above which error bars would be a grey area
export const CURVES = ["", "#0072B2", "#CC79A7", "#56B4E9", "#999999"];
const BINNED = "#D55E00";

/** @param {number} width @param {number} height */
function context(width, height) {
  return /** @type {OffscreenCanvasRenderingContext2D} */ (
    new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
}

const stamps = /** @type {Map<string, Stamp>} */ (new Map());

/** The pixels of a dot or mark, as offsets with an opacity.
 * @param {string} shape as in matplotlib @param {number} size device pixels across */
export function stamp(shape, size) {
  const key = `${shape} ${size}`, known = stamps.get(key);
  if (known) return known;
  const r = size / 2, side = 2 * Math.ceil(r + 1) + 1, d = r * 0.7;
  const c = context(side, side);
  c.translate(side / 2, side / 2);
  c.lineWidth = Math.max(1, size / 6);
  const path = new Path2D({
    x: `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
    s: `M${-r} ${-r}H${r}V${r}H${-r}Z`,
    D: `M0 ${-r * 1.3}L${r * 1.3} 0L0 ${r * 1.3}L${-r * 1.3} 0Z`,
    "+": `M${-r} 0H${r}M0 ${-r}V${r}`,
    "^": `M0 ${-r}L${r} ${r}H${-r}Z`,
    "*": `M${-r} 0H${r}M0 ${-r}V${r}M${-d} ${-d}L${d} ${d}M${-d} ${d}L${d} ${-d}`,
  }[shape] ?? "");
  if (shape === "o" || shape === ".") path.arc(0, 0, r, 0, 7);
  if (shape === ".") c.fill(path);
  else c.stroke(path);
  const pixels = c.getImageData(0, 0, side, side).data;
  const made = /** @type {Stamp} */ ({ dx: [], dy: [], alpha: [] });
  for (let i = 0; i < side * side; i++) {
    const alpha = pixels[4 * i + 3];
    if (alpha <= 40) continue;
    made.dx.push((i % side) - (side >> 1));
    made.dy.push(Math.floor(i / side) - (side >> 1));
    made.alpha.push(alpha);
  }
  stamps.set(key, made);
  return made;
}

const colours = /** @type {Map<string, number>} */ (new Map());

/** Red, green and blue of a CSS colour, as the low bytes of a little-endian pixel.
 * @param {string} colour */
export function rgb(colour) {
  const known = colours.get(colour);
  if (known !== undefined) return known;
  const c = context(1, 1);
  c.fillStyle = colour;
  c.fillRect(0, 0, 1, 1);
  const [r, g, b] = c.getImageData(0, 0, 1, 1).data;
  colours.set(colour, r | (g << 8) | (b << 16));
  return r | (g << 8) | (b << 16);
}

/** Draws the points of a panel into an ImageData. */
export class Raster {
  counts = new Uint16Array(0);
  out = new Uint32Array(1);
  w = 1;
  h = 1;
  pad = 0;
  scale = { sx: 1, sy: 1, x0: 0, y1: 0 }; // from the lower limit of x and the upper of y

  /** @param {Panel} p @param {Scene} s */
  draw(p, s) {
    const { ratio, together } = s;
    this.w = Math.max(1, Math.round(p.width * ratio));
    this.h = Math.max(1, Math.round(p.tall * ratio));
    this.pad = Math.ceil(6 * ratio);
    const { y0, y1 } = s.axes[p.group];
    this.scale = { x0: p.x0, y1, sx: this.w / (p.x1 - p.x0), sy: this.h / (y1 - y0) };
    const wide = this.w + 2 * this.pad, high = this.h + 2 * this.pad;
    if (this.counts.length < wide * high) this.counts = new Uint16Array(wide * high);
    const image = new ImageData(this.w, this.h);
    this.out = new Uint32Array(image.data.buffer);
    const ranges = p.curves.map((c) => s.range(c, p.x0, p.x1));
    const seen = Math.max(1, ranges.reduce((sum, [from, to]) => sum + to - from, 0));
    // matplotlib's "." is half as wide as its marker size, in points of 1/72 inch at 100 dpi.
    const points = Math.min(5, Math.max(1.8, 8 - 1.5 * Math.log10(seen)));
    const size = Math.max(1, Math.round(points * 0.5 * ratio * (100 / 72) * 2) / 2);
    for (const number of new Set(p.curves.map((c) => c.colour[together]))) {
      const own = ranges.filter((_, k) => p.curves[k].colour[together] === number);
      const colour = rgb(CURVES[number % CURVES.length] || s.ink);
      if (s.choices.errors && p.line === null && seen <= MOST_BARS) this.bars(p, s, own, colour);
      this.dots(s, own, colour, size, seen);
    }
    for (const mark of p.line === null ? s.marks : []) this.mark(s, ranges, mark);
    for (const found of p.bins) this.binned(s, found);
    return image;
  }

  /** @param {Scene} s @param {Pair[]} ranges @param {number} colour @param {number} size
   * @param {number} seen */
  dots(s, ranges, colour, size, seen) {
    const { counts, w, h, pad, out } = this, { sx, sy, x0, y1 } = this.scale, { x, y, kind } = s;
    const dot = stamp(".", size), many = dot.dx.length, wide = w + 2 * pad;
    const at = Int32Array.from(dot.dx, (dx, k) => dot.dy[k] * wide + dx);
    const top = new Uint8Array(w), bottom = new Uint8Array(w);
    counts.fill(0);
    for (const [from, to] of ranges) for (let i = from; i < to; i++) {
      if (kind[i] !== GOOD) continue;
      const px = (x[i] - x0) * sx, py = (y1 - y[i]) * sy;
      if (!(px >= 0 && px < w)) continue;
      if (!(py >= 0 && py < h)) {
        (py < 0 ? top : bottom)[px | 0] = 1;
        continue;
      }
      const here = ((py | 0) + pad) * wide + (px | 0) + pad;
      for (let k = 0; k < many; k++) counts[here + at[k]]++;
    }
    // The opacity of one point, such that a full area does not saturate.
    const opacity = Math.min(1, Math.max(0.15, (3 * w * h) / (seen * many)));
    const table = new Uint32Array(64);
    for (let k = 1; k < 64; k++) {
      table[k] = (colour | (Math.round(255 * (1 - (1 - opacity) ** k)) << 24)) >>> 0;
    }
    for (let v = 0; v < h; v++) {
      const row = (v + pad) * wide + pad;
      for (let u = 0; u < w; u++) {
        const n = counts[row + u];
        if (n !== 0) out[v * w + u] = table[n < 64 ? n : 63];
      }
    }
    this.edges(top, bottom, colour, s.ratio);
  }

  /** @param {Panel} p @param {Scene} s @param {Pair[]} ranges @param {number} colour */
  bars(p, s, ranges, colour) {
    const { w, h, out } = this, { sx, sy, x0, y1 } = this.scale, { x, y, kind, error } = s;
    // Errors shrink with the fluxes.
    const ratio = s.axes[p.group].level === "ratio";
    const faint = (colour | (90 << 24)) >>> 0;
    if (!error) return;
    for (const [from, to] of ranges) for (let i = from; i < to; i++) {
      const px = ((x[i] - x0) * sx) | 0, py = (y1 - y[i]) * sy;
      const e = Math.abs(error[i] * sy * (ratio ? y[i] / s.flux[i] : 1));
      if (kind[i] !== GOOD || px < 0 || px >= w || !(e > 0)) continue;
      const last = Math.min(h - 1, py + e);
      for (let v = Math.max(0, (py - e) | 0); v <= last; v++) out[v * w + px] = faint;
    }
  }

  /** @param {Scene} s @param {Pair[]} ranges @param {Mark} mark */
  mark(s, ranges, mark) {
    const { w, h } = this, { sx, sy, x0, y1 } = this.scale;
    const top = new Uint8Array(w), bottom = new Uint8Array(w), colour = rgb(mark.colour || s.ink);
    const shape = stamp(mark.shape, Math.round(5.5 * s.ratio));
    const { flagged } = s, has = s.having(mark.flags);
    const first = (/** @type {number} */ from) => bisect(flagged, from, 0, flagged.length);
    for (const [from, to] of ranges) for (const i of flagged.subarray(first(from), first(to))) {
      if (!has(i)) continue;
      const px = ((s.x[i] - x0) * sx) | 0, py = (y1 - s.y[i]) * sy;
      if (px < 0 || px >= w) continue;
      if (py >= 0 && py < h) this.stamp(shape, px, py | 0, colour);
      else (py < 0 ? top : bottom)[px] = 1;
    }
    this.edges(top, bottom, colour, s.ratio);
  }

  /** @param {Scene} s @param {Bins} found */
  binned(s, found) {
    const { sx, sy, x0, y1 } = this.scale, size = Math.round(5 * s.ratio);
    const around = stamp(".", size + Math.round(2 * s.ratio)), dot = stamp(".", size);
    // A rim in the opposite lightness separates them from the points.
    const rim = rgb((rgb(s.ink) & 255) > 127 ? "#000" : "#fff"), colour = rgb(BINNED);
    found.x.forEach((x, k) => {
      const px = ((x - x0) * sx) | 0, py = ((y1 - found.y[k]) * sy) | 0;
      if (px < 0 || px >= this.w || py < 0 || py >= this.h) return;
      this.stamp(around, px, py, rim);
      this.stamp(dot, px, py, colour);
    });
  }

  /** @param {Stamp} shape @param {number} px @param {number} py @param {number} colour */
  stamp(shape, px, py, colour) {
    const { w, h, out } = this;
    for (let m = 0; m < shape.dx.length; m++) {
      const u = px + shape.dx[m], v = py + shape.dy[m];
      if (u < 0 || u >= w || v < 0 || v >= h) continue;
      const o = v * w + u, a = shape.alpha[m], old = out[o] >>> 24;
      if (a > 127 || a >= old) out[o] = (colour | (Math.max(a, old) << 24)) >>> 0;
    }
  }

  /** Triangles where points lie outside of the y limits; neighbours share one. @param {Uint8Array}
   * top @param {Uint8Array} bottom @param {number} colour @param {number} ratio */
  edges(top, bottom, colour, ratio) {
    const { w, h, out } = this, size = Math.round(5 * ratio), solid = (colour | (255 << 24)) >>> 0;
    for (const where of [top, bottom]) for (let u = 0; u < w; u++) {
      if (!where[u]) continue;
      for (let v = 0; v < size; v++) for (let b = -(v >> 1); b <= v >> 1; b++) {
        const y = where === top ? v + 2 : h - 3 - v;
        if (u + b >= 0 && u + b < w && y >= 0 && y < h) out[y * w + u + b] = solid;
      }
      u += size - 1;
    }
  }
}
