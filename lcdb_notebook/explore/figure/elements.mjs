// @ts-check
// Elements of a page, and pointers on them.

/** @template {keyof HTMLElementTagNameMap} K @param {K} tag @param {Record<string, any>} [props]
 * @param {...(Node | string)} children @returns {HTMLElementTagNameMap[K]} */
export function make(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else Object.assign(made, { [name]: value });
  }
  made.append(...children);
  return made;
}

/** Follow a pointer until it is released. @param {EventTarget} target @param {PointerEvent} pressed
 * @param {(event: PointerEvent) => void} moved @param {(event: PointerEvent) => void} released */
export function track(target, pressed, moved, released) {
  const call = (/** @type {any} */ e) => {
    if (e.pointerId !== pressed.pointerId) return;
    if (e.type !== "pointermove") for (const name of names) target.removeEventListener(name, call);
    (e.type === "pointermove" ? moved : released)(e);
  };
  const names = ["pointermove", "pointerup", "pointercancel"];
  for (const name of names) target.addEventListener(name, call);
}
