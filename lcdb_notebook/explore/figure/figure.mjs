// @ts-check
// The figure on the page: drawing, moving, zooming, selecting, and the cadence under the cursor.
import { FONT, layOut, paint, svg } from "./axes.mjs";
import { flagList, set, toolbar } from "./controls.mjs";
import { make, track } from "./elements.mjs";
import { decode } from "./encoding.mjs";
import { cadence, utc } from "./numbers.mjs";
import { CURVES, Raster, rgb, stamp } from "./raster.mjs";
import { Scene, choicesOf, isIn } from "./scene.mjs";

const TRAITS = ["_curves", "_panels", "_flags", "_chosen", "_loaded", "show_flagged", "errors",
  "joined", "normalize", "bin", "period", "epoch", "selected_ranges", "exclude"];
const LEAST_HEIGHT = 200, DRAG = 4;

class View {
  scene = new Scene();
  raster = new Raster();
  undo = /** @type {(() => void)[]} */ ([]);
  keys = /** @type {HTMLElement[]} */ ([]); // places for the marks of flags
  mode = "move";
  frame = 0;
  pictures = 0;
  tall = 0;
  stale = false;
  at = -1;
  loaded = -1; // the number of the arrays
  shown = ""; // in the legend
  resting = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  pointers = /** @type {Map<number, PointerEvent>} */ (new Map());
  items = /** @type {Item[]} */ ([]);

  /** @param {any} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.canvas = make("canvas", { tabIndex: 0, role: "application", "aria-label":
      "Light curve. Left and right arrow: next cadence. Plus and minus: zoom. 0: show all." });
    this.c = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.ring = make("div", { className: "lcdb-if-ring", hidden: true });
    this.rubber = make("div", { className: "lcdb-if-rubber", hidden: true });
    this.readout = make("div", { className: "lcdb-if-readout", role: "status",
      "aria-live": "polite" });
    this.legend = make("div", { className: "lcdb-if-legend" });
    this.box = make("div", { className: "lcdb-if-canvas" }, this.canvas, this.ring, this.rubber);
    // Without the attribute, JupyterLab treats keys as shortcuts of the notebook.
    this.root = make("div", { className: "lcdb-interactive", "data-lm-suppress-shortcuts": "true" },
      make("div", { className: "lcdb-if-parts" },
        toolbar(this), this.legend, this.box, this.readout, flagList(this)));
    el.append(this.root);
    this.listen();
    model.send({ ask: "arrays" });
  }

  /** Listen until the view is closed. @param {EventTarget | null} target null for the model @param
   * {string} names @param {(event: any, buffers?: any) => void} call */
  on(target, names, call) {
    for (const name of names.split(" ")) {
      if (target === null) this.model.on(name, call);
      else target.addEventListener(name, call, name === "wheel" ? { passive: false } : undefined);
      const from = target ?? this.model, how = target ? "removeEventListener" : "off";
      this.undo.push(() => from[how](name, call));
    }
  }

  listen() {
    this.on(null, "msg:custom", (message, buffers) => {
      if ("arrays" in message) {
        this.scene = new Scene(decode(message, buffers));
        this.loaded = message.arrays;
        this.at = -1;
        this.change();
      } else if (message.errors === this.loaded) {
        this.scene.loadErrors(buffers[0]);
        this.draw();
      }
    });
    // Limits of flux are not those of relative flux.
    this.on(null, "change:normalize", () => this.model.set("ylim", null));
    this.on(null, TRAITS.map((name) => `change:${name}`).join(" "), () => this.change());
    this.on(null, "change:xlim change:ylim change:height", () => this.follow());
    const resized = new ResizeObserver(() => {
      this.keepHeight();
      this.draw();
    });
    for (const one of [this.root, this.box]) resized.observe(one);
    const themed = new MutationObserver(() => this.draw());
    themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name",
      "data-jp-theme-light", "class", "data-vscode-theme-id"] });
    this.on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.draw());
    this.undo.push(() => resized.disconnect(), () => themed.disconnect());
    this.on(this.canvas, "pointerdown", (event) => this.press(event));
    this.on(this.canvas, "pointermove", (event) => this.point(event));
    this.on(this.canvas, "pointerleave", () => this.tell(-1));
    this.on(this.canvas, "dblclick", () => this.home());
    this.on(this.canvas, "wheel", (event) => this.wheel(event));
    this.on(this.canvas, "keydown", (event) => this.key(event));
  }

  /** Prepare at the next frame: several traits may change at once. */
  change() {
    this.stale = true;
    this.draw();
  }

  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  prepare() {
    const { model } = this;
    this.stale = false;
    this.scene.arrange(choicesOf(model), model.get("_curves"), model.get("_panels"),
      model.get("_flags"));
    if (model.get("errors") && !this.scene.error && !this.scene.requested) {
      this.scene.requested = true;
      model.send({ ask: "errors" });
    }
    this.follow(false);
  }

  paint() {
    const s = this.scene, c = this.c, style = getComputedStyle(this.root);
    const width = this.box.clientWidth;
    // Descriptions of other arrays may arrive a frame before them.
    if (!width || this.loaded !== this.model.get("_loaded")) return;
    s.ink = style.color;
    s.ratio = window.devicePixelRatio;
    // Without a theme of the page, fields and checkboxes would stay white on dark.
    this.root.style.colorScheme = (rgb(s.ink) & 255) > 127 ? "dark" : "light";
    if (this.stale) this.prepare();
    const parts = s.panels.reduce((sum, p) => sum + p.height, 0);
    const tall = s.panels.length < 2 ? 400 : 230 * parts + 20;
    // An explorer has other things to show on the same screen.
    const natural = this.model.get("_embedded") ? Math.max(270, 135 * parts) : tall;
    const height = this.tall = Math.max(LEAST_HEIGHT, this.model.get("height") || natural);
    this.box.style.height = `${height}px`;
    const w = Math.round(width * s.ratio), h = Math.round(height * s.ratio);
    const resized = this.canvas.width !== w || this.canvas.height !== h;
    if (resized) Object.assign(this.canvas, { width: w, height: h });
    c.font = `${FONT}px ${style.fontFamily}`;
    this.items = layOut(s, width, height, (text) => c.measureText(text).width);
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, w, h);
    for (const p of s.panels) {
      const [x, y] = [p.left, p.top].map((v) => Math.round(v * s.ratio));
      c.putImageData(this.raster.draw(p, s), x, y);
    }
    c.setTransform(s.ratio, 0, 0, s.ratio, 0, 0);
    paint(this.items, c, style.fontFamily, s.ink);
    this.showLegend();
    this.root.dataset.pictures = `${++this.pictures}`;
    this.mark();
  }

  showLegend() {
    const { panels, marks, together, ratio, ink } = this.scene;
    const names = new Map(panels.flatMap((p) => p.curves)
      .map((c) => [c.label[together], c.colour[together]]));
    const shown = JSON.stringify([...names, marks, ratio, ink, this.model.get("_flags").length]);
    if (shown === this.shown) return;
    this.shown = shown;
    const curves = [...names].filter(([label]) => label).map(([label, colour]) =>
      make("span", {}, this.keyOf(".", CURVES[colour % CURVES.length]), label));
    this.legend.replaceChildren(...curves, ...marks.map((m) => make("span",
      { className: "lcdb-if-mark" }, this.keyOf(m.shape, m.colour),
      `${m.name} (${m.count.toLocaleString("en")})`)));
    // The list has the marks too, and takes the place of the legend beside the figure.
    this.model.get("_flags").forEach((/** @type {Flag} */ flag, /** @type {number} */ k) => {
      const mark = marks.find((m) => m.flags.includes(flag));
      this.keys[k]?.replaceChildren(...(mark ? [this.keyOf(mark.shape, mark.colour)] : []));
    });
  }

  /** A dot or mark, as in the figure. @param {string} shape @param {string} colour */
  keyOf(shape, colour) {
    const ratio = this.scene.ratio, key = make("canvas", { width: 14 * ratio, height: 14 * ratio });
    const c = /** @type {CanvasRenderingContext2D} */ (key.getContext("2d"));
    const pixels = stamp(shape, Math.round(6 * ratio));
    c.fillStyle = colour || this.scene.ink;
    pixels.dx.forEach((dx, i) => {
      c.globalAlpha = pixels.alpha[i] / 255;
      c.fillRect(Math.round(7 * ratio) + dx, Math.round(7 * ratio) + pixels.dy[i], 1, 1);
    });
    return key;
  }

  // The view

  /** Show the limits of the traits. @param {boolean} [draw] */
  follow(draw = true) {
    const { panels, axes } = this.scene;
    const [xlim, ylim] = ["xlim", "ylim"].map((name) => this.model.get(name));
    for (const p of panels) {
      if (!xlim) [p.x0, p.x1] = p.home;
      else if (xlim[0] < p.home[1] && xlim[1] > p.home[0]) [p.x0, p.x1] = xlim;
    }
    axes.forEach((axis, k) => {
      if (!ylim) [axis.y0, axis.y1] = axis.home;
      else if (k === 0) [axis.y0, axis.y1] = axis.down ? [ylim[1], ylim[0]] : ylim;
    });
    if (draw) this.draw();
  }

  /** Write the view to the traits, when it rests. @param {Panel} p */
  publish(p) {
    clearTimeout(this.resting);
    this.draw();
    this.resting = setTimeout(() => {
      const axis = this.scene.axes[p.group], model = this.model;
      const moved = p.x0 !== p.home[0] || p.x1 !== p.home[1];
      const tall = axis && (axis.y0 !== axis.home[0] || axis.y1 !== axis.home[1]);
      model.set("xlim", moved ? [p.x0, p.x1] : null);
      if (p.group === 0) model.set("ylim", tall ? [axis.y0, axis.y1].sort((a, b) => a - b) : null);
      model.save_changes();
    }, 100);
  }

  home() {
    clearTimeout(this.resting);
    this.model.set("xlim", null);
    set(this, "ylim", null);
    this.follow();
  }

  /** @param {{offsetX: number, offsetY: number}} event */
  under(event) {
    const { offsetX: x, offsetY: y } = event;
    return this.scene.panels.find((p) => x >= p.left && x <= p.left + p.width
      && y >= p.top && y <= p.top + p.tall);
  }

  /** @param {PointerEvent} event */
  press(event) {
    const p = this.under(event);
    if (!p || event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, event);
    this.tell(-1);
    const held = event.ctrlKey || event.altKey || event.metaKey;
    const selects = held && !this.model.get("_embedded");
    const action = event.shiftKey ? "zoom" : selects ? "select" : this.mode;
    let far = false, pinched = this.pointers.size > 1, box = [0, 0, 0, 0];
    track(this.canvas, event, (e) => {
      const before = this.pointers.get(e.pointerId) ?? e;
      this.pointers.set(e.pointerId, e);
      far ||= Math.hypot(e.offsetX - event.offsetX, e.offsetY - event.offsetY) >= DRAG;
      pinched ||= this.pointers.size > 1;
      if (this.pointers.size > 1) this.pinch(p, before, e);
      else if (action === "move") this.move(p, before, e);
      else box = this.stretch(p, event, e, action);
    }, (e) => {
      this.pointers.delete(e.pointerId);
      this.rubber.hidden = true;
      if (action === "move" && far) this.publish(p);
      else if (far && !pinched && e.type === "pointerup") this.stretched(p, box, action);
    });
  }

  /** @param {Panel} p @param {PointerEvent} before @param {PointerEvent} now */
  move(p, before, now) {
    const axis = this.scene.axes[p.group];
    const dx = (now.offsetX - before.offsetX) / p.width * (p.x1 - p.x0);
    const dy = (now.offsetY - before.offsetY) / p.tall * (axis.y1 - axis.y0);
    [p.x0, p.x1, axis.y0, axis.y1] = [p.x0 - dx, p.x1 - dx, axis.y0 + dy, axis.y1 + dy];
    this.draw();
  }

  /** Two fingers: what is below them stays there.
   * @param {Panel} p @param {PointerEvent} before @param {PointerEvent} now */
  pinch(p, before, now) {
    const other = [...this.pointers.values()].find((one) => one.pointerId !== now.pointerId);
    if (!other) return;
    const factor = (/** @type {"offsetX" | "offsetY"} */ of, /** @type {number} */ least) =>
      Math.max(least, Math.abs(before[of] - other[of]))
        / Math.max(least, Math.abs(now[of] - other[of]));
    this.zoom(p, factor("offsetX", 20), other.offsetX, other.offsetY, factor("offsetY", 60));
  }

  /** Draw a box, and return its left, right, top and bottom.
   * @param {Panel} p @param {PointerEvent} begun @param {PointerEvent} e @param {string} action */
  stretch(p, begun, e, action) {
    const x = Math.min(Math.max(e.offsetX, p.left), p.left + p.width);
    const y = Math.min(Math.max(e.offsetY, p.top), p.top + p.tall);
    const [l, r] = [begun.offsetX, x].sort((a, b) => a - b);
    const [t, b] = [begun.offsetY, y].sort((a, b) => a - b);
    const [top, tall] = action === "select" ? [p.top, p.tall] : [t, b - t];
    this.rubber.hidden = false;
    this.rubber.style.cssText = `left:${l}px;top:${top}px;width:${r - l}px;height:${tall}px`;
    return [l, r, top, top + tall];
  }

  /** @param {Panel} p @param {number[]} box @param {string} action */
  stretched(p, [l, r, t, b], action) {
    const axis = this.scene.axes[p.group];
    const toX = (/** @type {number} */ v) => p.x0 + (v - p.left) / p.width * (p.x1 - p.x0);
    const toY = (/** @type {number} */ v) => axis.y1 - (v - p.top) / p.tall * (axis.y1 - axis.y0);
    if (r - l < DRAG || b - t < DRAG) return;
    if (action === "select") {
      set(this, "selected_ranges", [...this.model.get("selected_ranges"), [toX(l), toX(r)]]);
    } else {
      [p.x0, p.x1, axis.y0, axis.y1] = [toX(l), toX(r), toY(b), toY(t)];
      this.publish(p);
    }
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const p = this.under(event);
    // The page still scrolls over the figure, until it is clicked.
    if (!p || document.activeElement !== this.canvas) return;
    event.preventDefault();
    const factor = Math.exp(Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100) / 400);
    this.zoom(p, factor, event.offsetX, event.shiftKey ? event.offsetY : null);
  }

  /** @param {Panel} p @param {number} factor @param {number} px @param {number | null} py
   * @param {number} [tall] factor of the fluxes */
  zoom(p, factor, px, py, tall = factor) {
    const axis = this.scene.axes[p.group], x = p.x0 + (px - p.left) / p.width * (p.x1 - p.x0);
    [p.x0, p.x1] = [x + (p.x0 - x) * factor, x + (p.x1 - x) * factor];
    if (py !== null) {
      const y = axis.y1 - (py - p.top) / p.tall * (axis.y1 - axis.y0);
      [axis.y0, axis.y1] = [y + (axis.y0 - y) * tall, y + (axis.y1 - y) * tall];
    }
    this.publish(p);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const s = this.scene, p = s.panelOf(this.at) ?? s.panels[0];
    if (!p || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const factor = { "+": 0.8, "=": 0.8, "-": 1.25 }[event.key];
    if (step && event.shiftKey) {
      const by = step * 0.1 * (p.x1 - p.x0);
      [p.x0, p.x1] = [p.x0 + by, p.x1 + by];
      this.publish(p);
    } else if (step) this.step(p, step);
    else if (factor) this.zoom(p, factor, p.left + p.width / 2, null);
    else if (event.key === "0" || event.key === "Home") this.home();
    else if (event.key === "Escape") this.tell(-1);
    else return;
    event.preventDefault();
  }

  /** The next cadence that is drawn. @param {Panel} p @param {number} step */
  step(p, step) {
    const s = this.scene, [from, to] = p.curves.length ? s.range(p.curves[0], p.x0, p.x1) : [0, 0];
    let i = this.at < 0 ? (step > 0 ? from - 1 : to) : this.at;
    do i += step; while (i >= 0 && i < s.n && !s.shown(i));
    if (i >= 0 && i < s.n) this.tell(i);
  }

  /** @param {PointerEvent} event */
  point(event) {
    if (event.buttons) return;
    const p = this.under(event);
    this.tell(p ? this.scene.nearest(p, event.offsetX - p.left, event.offsetY - p.top) : -1);
  }

  // The readout

  /** @param {number} i the index of a cadence, or -1 */
  tell(i) {
    if (i === this.at && i < 0) return;
    this.at = i;
    this.readout.replaceChildren(...(i < 0 ? [] : this.describe(i)));
    this.mark();
  }

  /** @param {number} i @returns {(string | Node)[]} */
  describe(i) {
    const s = this.scene, p = s.panelOf(i), c = p?.curves.find((one) => isIn(one, i));
    if (!p || !c) return [];
    const error = s.error && s.error[i] > 0 ? ` ± ${s.error[i].toPrecision(3)}` : "";
    const date = utc(c.clock, c.day, s.time[i]);
    const parts = [c.runs.length ? `cadence ${cadence(c.runs, i)}` : "",
      `${p.time} ${s.time[i].toFixed(5)}`, date ? `UTC ${date}` : "",
      s.choices.period ? `phase ${s.x[i].toFixed(5)}` : "",
      `${c.magnitudes ? "magnitude" : "flux"} ${+s.flux[i].toPrecision(7)}${error}`];
    const flags = /** @type {Flag[]} */ (this.model.get("_flags")).filter((f) => s.having([f])(i));
    const names = flags.map((f) => make("span", {}, ` · ${f.name}: ${f.meaning.split("\n")[0]}`));
    const none = names.length || !c.runs.length ? [] : [" · no flags"];
    return [parts.filter(Boolean).join(" · "), ...names, ...none];
  }

  /** Put the ring around the cadence of the readout. */
  mark() {
    const s = this.scene, p = s.panelOf(this.at);
    this.ring.hidden = this.at < 0 || !p;
    if (this.at < 0 || !p) return;
    const [x, y] = s.pixel(p, this.at), top = p.top + Math.min(Math.max(y, 0), p.tall);
    if (x < 0 || x > p.width) this.ring.hidden = true;
    this.ring.style.transform = `translate(${p.left + x}px, ${top}px)`;
  }

  /** The lower edge of the box was dragged. */
  keepHeight() {
    const dragged = this.box.clientHeight;
    if (!this.tall || !dragged || Math.abs(dragged - this.tall) <= 1) return;
    this.model.set("height", dragged);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.model.save_changes(), 100);
  }

  /** @param {"png" | "svg"} kind */
  async save(kind) {
    const s = this.scene, style = getComputedStyle(this.root), width = this.box.clientWidth;
    const paper = (rgb(s.ink) & 255) > 127 ? "#111" : "#fff", height = this.canvas.height / s.ratio;
    const sheet = make("canvas", { width: this.canvas.width, height: this.canvas.height });
    const c = /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d"));
    c.fillStyle = paper;
    c.fillRect(0, 0, sheet.width, sheet.height);
    c.drawImage(this.canvas, 0, 0);
    let blob = await new Promise((done) => { sheet.toBlob(done, "image/png"); });
    if (kind === "svg") {
      const ratio = s.ratio;
      s.ratio = 2;
      const images = s.panels.map((p) => {
        const image = this.raster.draw(p, s);
        const own = make("canvas", { width: image.width, height: image.height });
        own.getContext("2d")?.putImageData(image, 0, 0);
        return { x: p.left, y: p.top, width: p.width, height: p.tall, url: own.toDataURL() };
      });
      s.ratio = ratio;
      const text = svg(this.items, width, height, style.fontFamily, s.ink, paper, images);
      blob = new Blob([text], { type: "image/svg+xml" });
    }
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: `lightcurve.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  close() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.resting);
    for (const undo of this.undo) undo();
    this.root.remove();
    // Release the arrays even if something still refers to the view.
    this.scene = new Scene();
  }
}

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  },
};
