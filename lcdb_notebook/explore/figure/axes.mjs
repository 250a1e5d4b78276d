// @ts-check
// Axes, titles and selected ranges of the panels, as lines and texts for a canvas or for SVG.
import { ticks } from "./numbers.mjs";

export const FONT = 12;
const HEAD = 22, FOOT = 22, LABEL = 18, RIGHT = 24;

/** Place the panels in a figure, and return what surrounds the points.
 * @param {Scene} s @param {number} width @param {number} height
 * @param {Measure} measure the width of a text @returns {Item[]} */
export function layOut(s, width, height, measure) {
  const items = /** @type {Item[]} */ ([]);
  const whole = s.panels.reduce((sum, p) => sum + p.height, 0) || 1;
  const labels = s.panels.map((p, k) => timeLabel(s, p, s.panels[k + 1]));
  const free = height - labels.reduce((sum, label) => sum + HEAD + FOOT + (label ? LABEL : 0), 0);
  const marks = s.panels.map((p) => {
    const { y0, y1 } = s.axes[p.group];
    return ticks(Math.min(y0, y1), Math.max(y0, y1), Math.max(3, (free * p.height / whole) / 45));
  });
  const left = Math.ceil(32 + Math.max(20, ...marks.flatMap((m) => m.text.map(measure))));
  let top = 0;
  s.panels.forEach((p, number) => {
    p.left = left;
    p.top = top + HEAD;
    p.width = Math.max(10, width - left - RIGHT);
    p.tall = Math.max(10, Math.floor(free * p.height / whole));
    const foot = p.top + p.tall, text = labels[number], x = p.left + p.width / 2;
    items.push(...around(s, p, marks[number], measure));
    if (text) items.push({ text, x, y: foot + FOOT, align: "center", baseline: "top" });
    top = foot + FOOT + (text ? LABEL : 0);
  });
  return items;
}

/** The label below a panel; "" where the one below has the same.
 * @param {Scene} s @param {Panel} p @param {Panel | undefined} below */
function timeLabel(s, p, below) {
  const { period, epoch } = s.choices;
  if (!period) return p.xlabel === below?.xlabel ? "" : p.xlabel;
  if (below) return "";
  return `Phase [days] of ${+period.toPrecision(8)} days, 0 at ${epoch.toFixed(5)}`;
}

/** @param {Panel} p @param {string} level */
function fluxLabel(p, level) {
  if (level === "ratio") return "Relative flux";
  const unit = p.unit && p.unit !== "mag" ? ` [${p.unit}]` : "";
  return level ? `${p.unit === "mag" ? "Magnitude" : "Flux"} − median${unit}` : p.ylabel;
}

/** @param {Scene} s @param {Panel} p @param {Ticks} ys @param {Measure} measure @returns {Item[]}
 */
function around(s, p, ys, measure) {
  const { y0, y1, level } = s.axes[p.group], foot = p.top + p.tall, right = p.left + p.width;
  const toX = (/** @type {number} */ v) => p.left + (v - p.x0) / (p.x1 - p.x0) * p.width;
  const toY = (/** @type {number} */ v) => p.top + (y1 - v) / (y1 - y0) * p.tall;
  /** @type {Item[]} */
  const items = s.choices.ranges.map(([from, to]) => [toX(from), toX(to)])
    .map(([a, b]) => [Math.max(a, p.left), Math.min(b, right)]).filter(([a, b]) => b > a)
    .map(([a, b]) => ({ area: [a, p.top, b - a, p.tall] }));
  const corner = [p.left, p.top];
  items.push({ line: [corner, [right, p.top], [right, foot], [p.left, foot], corner] });
  const xs = ticks(p.x0, p.x1, p.width / 90);
  xs.at.map(toX).forEach((x, k) => items.push({ line: [[x, foot], [x, foot + 4]] },
    { text: xs.text[k], x, y: foot + 6, align: "center", baseline: "top" }));
  ys.at.map(toY).forEach((y, k) => items.push({ line: [[p.left - 4, y], [p.left, y]] },
    { text: ys.text[k], x: p.left - 7, y, align: "right", baseline: "middle" }));
  if (p.line !== null && toY(p.line) > p.top && toY(p.line) < foot) {
    items.push({ line: [[p.left, toY(p.line)], [right, toY(p.line)]], dash: true });
  }
  items.push({ text: cut(p.title, p.width, measure), x: p.left + p.width / 2, y: p.top - 6,
    align: "center", baseline: "bottom", bold: true });
  items.push({ text: cut(fluxLabel(p, level), p.tall + 40, measure), x: 10, y: p.top + p.tall / 2,
    align: "center", baseline: "middle", turned: true });
  return items;
}

/** @param {string} text @param {number} room @param {Measure} measure */
function cut(text, room, measure) {
  let fitting = text;
  while (fitting.length > 1 && measure(fitting) > room) fitting = `${fitting.slice(0, -2)}…`;
  return fitting;
}

/** @param {Item[]} items @param {CanvasRenderingContext2D} c @param {string} family
 * @param {string} ink */
export function paint(items, c, family, ink) {
  c.strokeStyle = ink;
  for (const item of items) {
    c.fillStyle = ink;
    if ("area" in item) {
      c.fillStyle = "rgb(0 114 178 / 18%)";
      c.fillRect(.../** @type {[number, number, number, number]} */ (item.area));
    } else if ("line" in item) {
      c.lineWidth = 1;
      c.setLineDash(item.dash ? [4, 4] : []);
      c.beginPath();
      // In the middle of a pixel, so that lines are sharp; the first starts the line.
      for (const [x, y] of item.line) c.lineTo(Math.round(x) + 0.5, Math.round(y) + 0.5);
      c.stroke();
    } else {
      c.font = `${item.bold ? "600 " : ""}${FONT}px ${family}`;
      Object.assign(c, { textAlign: item.align, textBaseline: item.baseline });
      c.save();
      c.translate(item.x, item.y);
      if (item.turned) c.rotate(-Math.PI / 2);
      c.fillText(item.text, 0, 0);
      c.restore();
    }
  }
}

/** The figure as SVG: texts and lines are vectors, points an image of twice the resolution.
 * @param {Item[]} items @param {number} width @param {number} height @param {string} family
 * @param {string} ink @param {string} paper @param {Picture[]} images */
export function svg(items, width, height, family, ink, paper, images) {
  const escape = (/** @type {string} */ t) => t.replace(/[&<>"]/g, (k) => `&#${k.charCodeAt(0)};`);
  const n = (/** @type {number} */ v) => +v.toFixed(2);
  const anchors = { center: "middle", right: "end", left: "start", start: "start", end: "end" };
  const body = items.map((item) => {
    if ("area" in item) {
      const [x, y, w, h] = item.area.map(n);
      return `<path d="M${x} ${y}h${w}v${h}h${-w}Z" fill="#0072B2" fill-opacity="0.18"/>`;
    }
    if ("line" in item) {
      const d = item.line.map(([x, y], k) => `${k ? "L" : "M"}${n(x)} ${n(y)}`).join("");
      const dash = item.dash ? ' stroke-dasharray="4 4"' : "";
      return `<path d="${d}" fill="none" stroke="${ink}"${dash}/>`;
    }
    // Of the baselines in use, none is understood by all programs.
    const down = { top: 0.8, middle: 0.35, bottom: -0.2 }[String(item.baseline)] ?? 0;
    const turn = item.turned ? " rotate(-90)" : "", weight = item.bold ? 600 : 400;
    return `<text transform="translate(${n(item.x)} ${n(item.y)})${turn}" y="${n(FONT * down)}"`
      + ` fill="${ink}" text-anchor="${anchors[item.align]}" font-weight="${weight}">`
      + `${escape(item.text)}</text>`;
  });
  body.unshift(...images.map((i) => `<image x="${n(i.x)}" y="${n(i.y)}" width="${n(i.width)}"`
    + ` height="${n(i.height)}" href="${i.url}"/>`));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"`
    + ` viewBox="0 0 ${width} ${height}" font-family="${escape(family)}" font-size="${FONT}">`
    + `<rect width="100%" height="100%" fill="${paper}"/>${body.join("")}</svg>`;
}
