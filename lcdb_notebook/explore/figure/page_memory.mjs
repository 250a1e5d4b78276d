// @ts-check
// A kernel connection of JupyterLab refers to all comms that it ever had, and so to their widgets.
const nothing = () => {};

export default {
  /** @param {{model: any}} context */
  initialize({ model }) {
    const manager = model.widget_manager;
    model.on("msg:custom", (/** @type {{closing: string[]}} */ { closing }) => {
      for (const id of closing.filter((one) => manager.has_model(one))) manager.get_model(id)
        .then((/** @type {any} */ one) => one.once("destroy", () => {
          one.comm?.on_msg(nothing);
          one.comm?.on_close(nothing);
        }));
    });
  },
};
