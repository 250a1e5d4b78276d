// What the page draws: reads a figure from each line of the input, and writes its points.
import { createInterface } from "node:readline";
import { decode } from "../../lcdb_notebook/explore/figure/encoding.mjs";
import { GOOD } from "../../lcdb_notebook/explore/figure/numbers.mjs";
import { Scene, choicesOf } from "../../lcdb_notebook/explore/figure/scene.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const { traits, about, buffers } = JSON.parse(line), get = (name) => traits[name];
  const scene = new Scene(decode(about, buffers.map((text) => {
    const bytes = Buffer.from(text, "base64");
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  })));
  scene.arrange(choicesOf({ get }), get("_curves"), get("_panels"), get("_flags"));
  const points = scene.panels.flatMap((p) => p.curves.flatMap((c) =>
    Array.from({ length: c.stop - c.start }, (_, k) => c.start + k)))
    .filter((i) => scene.kind[i] === GOOD);
  console.log(JSON.stringify({
    x: points.map((i) => scene.x[i]),
    y: points.map((i) => scene.y[i]),
    panels: scene.panels.map((p) => p.xlabel),
    marks: scene.choices.flagged ? scene.marks.map((m) => `${m.name} (${m.count})`) : [],
  }));
}
