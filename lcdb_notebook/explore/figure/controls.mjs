// @ts-check
// The controls of the figure: each shows a trait of the model, and sets it.
import { make } from "./elements.mjs";
import { processed } from "./scene.mjs";

/** @param {Host} host @param {string} name @param {any} value */
export function set(host, name, value) {
  host.model.set(name, value);
  host.model.save_changes();
}

/** @param {string} label @param {() => void} call @param {string} [title] */
function button(label, call, title = "") {
  return make("button", { type: "button", textContent: label, onclick: call, title });
}

/** A checkbox for a trait. @param {Host} host @param {string} label @param {string} trait @param
 * {string} title @param {() => boolean} [disabled] depends on the light curves */
function checkbox(host, label, trait, title, disabled = () => false) {
  const input = make("input", { type: "checkbox" });
  const show = () => Object.assign(input, { checked: host.model.get(trait), disabled: disabled() });
  host.on(input, "change", () => set(host, trait, input.checked));
  host.on(null, `change:${trait} change:_curves`, show);
  show();
  return make("label", { title }, input, label);
}

/** A field of a number for a trait; empty is null.
 * @param {Host} host @param {string} label @param {string} trait @param {string} title */
function number(host, label, trait, title) {
  const input = make("input", { type: "number", step: "any" });
  const show = () => { input.value = host.model.get(trait) ?? ""; };
  host.on(input, "change", () => {
    const value = input.value === "" ? null : Number(input.value);
    set(host, trait, trait === "epoch" ? value : value !== null && value > 0 ? value : null);
  });
  // JupyterLab handles Enter, so that the field would not change.
  host.on(input, "keydown", (event) => { if (event.key === "Enter") input.blur(); });
  host.on(null, `change:${trait}`, show);
  show();
  return make("label", { title }, label, input);
}

/** A slider around the present period, which the kernel receives when it rests, in the place of a
 * control that has no effect if folded. @param {Host} host @param {HTMLElement} other */
function slider(host, other) {
  const input = make("input", { type: "range", min: "-1", max: "1", step: "0.0005", value: "0" });
  let middle = 0;
  host.on(input, "pointerdown focus", () => {
    input.value = "0";
    middle = host.model.get("period");
  });
  host.on(input, "input", () => {
    middle ||= host.model.get("period");
    if (middle) host.model.set("period", +(middle * 1.03 ** Number(input.value)).toPrecision(9));
  });
  host.on(input, "change", () => host.model.save_changes());
  const title = "Drag to change the period by up to 3 per cent";
  const label = make("label", { title }, "tune", input);
  const show = () => { label.hidden = !(other.hidden = Boolean(host.model.get("period"))); };
  host.on(null, "change:period", show);
  show();
  return label;
}

/** The toolbar. @param {Host} host */
export function toolbar(host) {
  const embedded = host.model.get("_embedded");
  const modes = [["Move", "Drag to move; the wheel zooms after a click"],
    ["Zoom", "Drag a box to zoom in (or Shift)"],
    ["Select", "Drag to select cadences (or Ctrl, Alt)"]].slice(0, embedded ? 2 : 3)
    .map(([label, title]) => button(label, () => choose(label), title));
  const choose = (/** @type {string} */ label) => {
    host.mode = label.toLowerCase();
    for (const one of modes) one.setAttribute("aria-pressed", `${one.textContent === label}`);
  };
  choose("Move");
  const svg = button("SVG", () => host.save("svg"));
  svg.setAttribute("aria-label", "Save SVG");
  const clear = button("Clear selection", () => set(host, "selected_ranges", []));
  const exclude = checkbox(host, "Exclude selected", "exclude", "Leave out the selected cadences");
  const joined = checkbox(host, "Join sectors", "joined", "Draw all sectors in one panel");
  const showSelection = () => {
    clear.hidden = exclude.hidden = !host.model.get("selected_ranges").length;
  };
  host.on(null, "change:selected_ranges", showSelection);
  showSelection();
  return make("div", { className: "lcdb-if-tools" },
    make("span", { role: "group", "aria-label": "Dragging" }, ...modes),
    button("Show all", () => host.home(), "Reset the view (double click, 0)"),
    make("span", { role: "group", "aria-label": "Saving" },
      button("Save PNG", () => host.save("png")), svg),
    checkbox(host, "Show flagged", "show_flagged",
      "Draw flagged cadences with a mark for each flag", () => processed(host.model)),
    joined, slider(host, joined),
    checkbox(host, "Normalize", "normalize", "Divide each light curve by its median"),
    checkbox(host, "Error bars", "errors", "Draw error bars, where they can be seen"),
    ...(embedded ? [] : [
      number(host, "Bin [minutes]", "bin", "Draw medians in bins; empty for none"),
      number(host, "Fold on period [days]", "period", "Draw flux against phase; empty for time"),
      number(host, "epoch", "epoch", "A time of phase 0, in the mission's time or as BJD")]),
    clear, exclude);
}

/** Presets and flags: those that occur first, the others folded away. @param {Host} host */
export function flagList(host) {
  const group = make("div", { className: "lcdb-if-presets", role: "group",
    "aria-label": "Quality flags" });
  const present = make("div", { className: "lcdb-if-flags" });
  const absent = make("div", { className: "lcdb-if-flags" });
  const more = make("details", {}, make("summary", {}, "Flags that no cadence has"), absent);
  let boxes = /** @type {HTMLInputElement[]} */ ([]);
  const check = () => {
    const chosen = host.model.get("_chosen"), presets = host.model.get("_presets");
    boxes.forEach((box, k) => { box.checked = chosen.includes(k); });
    for (const one of group.querySelectorAll("button")) {
      const same = JSON.stringify(presets[one.textContent ?? ""]) === JSON.stringify(chosen);
      one.setAttribute("aria-pressed", `${same}`);
    }
  };
  const toggle = (/** @type {number} */ k) => {
    const flags = host.model.get("_flags"), chosen = host.model.get("_chosen");
    // Flags that cannot be chosen singly take part in presets only.
    const own = chosen.filter((/** @type {number} */ one) => one !== k && flags[one].own);
    const next = chosen.includes(k) ? own : [...own, k];
    set(host, "_chosen", next.sort((/** @type {number} */ a, /** @type {number} */ b) => a - b));
  };
  const fill = () => {
    const flags = /** @type {Flag[]} */ (host.model.get("_flags"));
    group.replaceChildren(...Object.keys(host.model.get("_presets")).map((name) =>
      button(name, () => set(host, "_chosen", host.model.get("_presets")[name]))));
    boxes = flags.map((f, k) =>
      make("input", { type: "checkbox", disabled: !f.own, onchange: () => toggle(k) }));
    host.keys = flags.map(() => make("span"));
    const labels = flags.map((f, k) => make("label", { title: f.meaning }, boxes[k], host.keys[k],
      `${f.name} (${f.cadences.toLocaleString("en")})`));
    present.replaceChildren(...labels.filter((_, k) => flags[k].cadences));
    absent.replaceChildren(...labels.filter((_, k) => !flags[k].cadences));
    [more.hidden, group.hidden] = [!absent.childElementCount, !flags.length];
    check();
  };
  host.on(null, "change:_flags change:_presets", fill);
  host.on(null, "change:_chosen", check);
  fill();
  return make("details", { className: "lcdb-if-flag-list", open: true },
    make("summary", {}, "Quality flags"), group, present, more);
}
