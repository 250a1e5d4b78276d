// @ts-check
// A page keeps each module that it has imported, so that all widgets of a kind share one.
const modules = /** @type {any} */ (globalThis).lcdbModules ??= new Map();

export default {
  /** @param {{model: any}} context */
  async render(context) {
    const text = context.model.get("_module");
    if (!modules.has(text)) {
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      modules.set(text, import(url).finally(() => URL.revokeObjectURL(url)));
    }
    return (await modules.get(text)).default.render(context);
  },
};
