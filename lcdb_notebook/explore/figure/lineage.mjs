// @ts-check
// The graph of a lineage: boxes and arrows, which Python has laid out, clicked or walked by keys.
import { make, track } from "./elements.mjs";

const POINT = 4 / 3; // CSS pixels
const ARROW = "M-7 -3.5L0 0L-7 3.5Z";
let views = 0;

/** @param {string} tag @param {Record<string, string | number>} props @param {...Node} children */
function shape(tag, props, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, `${value}`);
  made.append(...children);
  return made;
}

class Graph {
  nodes = /** @type {Box[]} */ ([]);
  groups = /** @type {SVGElement[]} */ ([]);
  chosen = -1;
  waiting = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  view = ++views;

  /** @param {any} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.root = make("div", { className: "lcdb-lineage-graph", tabIndex: 0, role: "listbox",
      "data-lm-suppress-shortcuts": "true", "aria-label":
      "Graph. Arrow keys: left to the source, right to the derived, up and down in its column." });
    el.append(this.root);
    // anywidget removes these with the view.
    model.on("change:_drawn", () => this.draw());
    for (const name of ["chosen", "other", "shown"]) model.on(`change:_${name}`, () => this.mark());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("pointerdown", (event) => this.press(event));
    this.draw();
  }

  draw() {
    const { nodes, links, size, height } = this.model.get("_drawn");
    this.nodes = nodes;
    const paths = links.map((/** @type {Link} */ l) => {
      const [x, y] = l.path.split(" ").slice(-2);
      return shape("g", { class: l.cycle ? "lcdb-lineage-cycle" : "lcdb-lineage-link" },
        shape("path", { d: l.path, fill: "none" }),
        shape("path", { d: ARROW, class: "lcdb-lineage-head", transform:
          `translate(${x} ${y})${l.turned ? " rotate(180)" : ""}` }));
    });
    this.groups = nodes.map((/** @type {Box} */ n, /** @type {number} */ k) => {
      const rows = n.lines.map((line, row) => {
        const y = n.y + (row - (n.lines.length - 1) / 2) * 12 + 3.2;
        const text = shape("text", { x: n.x, y });
        text.textContent = line;
        return text;
      });
      const x = n.x - n.width / 2, y = n.y - height / 2;
      return shape("g", { "data-dataset": n.id, "data-number": k, role: "option",
        "aria-selected": "false", "aria-label": n.lines.join(", "),
        id: `lcdb-node-${this.view}-${k}`, class: n.requested ? "lcdb-lineage-asked" : "" },
      shape("rect", { x, y, width: n.width, height, rx: 4 }), ...rows);
    });
    const [width, tall] = size;
    this.root.replaceChildren(!nodes.length ? "No lineage" : shape("svg", { width: width * POINT,
      height: tall * POINT, viewBox: `0 0 ${width} ${tall}` }, ...paths, ...this.groups));
    this.mark();
  }

  mark() {
    const [chosen, other, shown] = ["_chosen", "_other", "_shown"].map((t) => this.model.get(t));
    this.chosen = chosen;
    this.groups.forEach((one, k) => {
      one.setAttribute("aria-selected", `${k === chosen || shown.includes(k)}`);
      one.classList.toggle("lcdb-lineage-other", k === other);
    });
    const at = chosen < 0 ? shown[0] ?? -1 : chosen;
    this.root.setAttribute("aria-activedescendant", this.groups[at]?.id ?? "");
    if (this.groups[at]) this.show(this.nodes[at]);
  }

  /** Scroll the graph, and not the page, to a box. @param {Box} n */
  show(n) {
    const { root } = this, { clientWidth: width, clientHeight: tall } = root;
    const x = n.x * POINT, y = n.y * POINT, half = n.width / 2 * POINT;
    const left = x - root.scrollLeft, top = y - root.scrollTop;
    if (left < half || left + half > width) root.scrollLeft = x - width / 2;
    if (top < 20 || top + 20 > tall) root.scrollTop = y - tall / 2;
  }

  /** @param {number} k @param {boolean} further to compare with the chosen one
   * @param {number} [wait] for another key, in milliseconds */
  choose(k, further, wait = 0) {
    clearTimeout(this.waiting);
    const send = () => this.model.send({ choose: k, further });
    this.waiting = wait ? setTimeout(send, wait) : send();
    if (further || this.chosen === k) return;
    this.model.set({ _shown: [], _chosen: k });
    this.mark();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const across = { ArrowRight: [0, 1], ArrowLeft: [1, 0] }[event.key];
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const { nodes, chosen } = this, here = nodes[chosen];
    if (!across && !down) return;
    let next = /** @type {number[]} */ ([0]);
    if (here && across) {
      const edges = /** @type {Pair[]} */ (this.model.get("_drawn").edges);
      next = edges.filter((e) => e[across[0]] === chosen).map((e) => e[across[1]]);
    } else if (here && down) {
      next = nodes.flatMap((n, k) => (n.x === here.x && (n.y - here.y) * down > 0 ? [k] : []))
        .sort((a, b) => (nodes[a].y - nodes[b].y) * down);
    }
    event.preventDefault();
    if (next.length && nodes.length) this.choose(next[0], false, 150);
  }

  /** A click chooses, and a drag moves. @param {PointerEvent} event */
  press(event) {
    if (event.button) return;
    const { root } = this, { scrollLeft, scrollTop } = root;
    const node = /** @type {Element} */ (event.target).closest("[data-number]");
    let far = false;
    track(window, event, (e) => {
      far ||= Math.hypot(e.clientX - event.clientX, e.clientY - event.clientY) > 4;
      if (far) root.scrollLeft = scrollLeft + event.clientX - e.clientX;
      if (far) root.scrollTop = scrollTop + event.clientY - e.clientY;
    }, (e) => {
      if (far || !node || e.type !== "pointerup") return;
      this.choose(Number(node.getAttribute("data-number")), e.shiftKey || e.ctrlKey || e.metaKey);
    });
  }
}

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const graph = new Graph(model, el);
    return () => graph.root.remove();
  },
};
