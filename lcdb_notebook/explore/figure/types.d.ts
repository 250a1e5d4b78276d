// Types of the modules, for TypeScript's check alone: the page does not receive them.

type Scene = import("./scene.mjs").Scene;
type Floats = Float32Array | Float64Array;
/** The width of a text. */
type Measure = (text: string) => number;
type Pair = [number, number];
/** From one index or value to another. */
type Ranges = readonly (readonly [number, number])[];
/** Reads a trait of the model. */
type Get = (name: string) => any;

/** As messages describe encoded arrays: encoding.py. */
type About = { unit: number, first: number, bytes: number, runs: boolean };
type Arrays = { time: Float64Array, flux: Float32Array, planes: Uint16Array[] };

/** Values without (0) and with (1) all sectors in one panel are pairs. The median is that of a
 * processed light curve, which has no flagged cadences. */
type Curve = { start: number, stop: number, panel: Pair, colour: Pair, label: [string, string],
  sampling: number, runs: Pair[], magnitudes: boolean, clock: Pair[], day: number,
  median: number | null };
type Flag = { name: string, slot: number, cadences: number, meaning: string, own: boolean };
type Described = { title: string, xlabel: string, unit: string, ylabel: string, group: number,
  height: number, line: number | null, time: string };
type Bins = { x: Float64Array, y: Float64Array };
type Panel = Described & { curves: Curve[], left: number, top: number, width: number, tall: number,
  x0: number, x1: number, home: Pair, bins: Bins[] };
type Axis = { y0: number, y1: number, home: Pair, down: boolean, level: string };
type Mark = { name: string, flags: Flag[], colour: string, shape: string, count: number };
/** levelled: phases of several light curves are brought to one level. */
type Choices = { period: number | null, epoch: number, joined: boolean, normalize: boolean,
  bin: number | null, flagged: boolean, errors: boolean, chosen: number[], ranges: Pair[],
  exclude: boolean, levelled: boolean };

type Ticks = { at: number[], text: string[] };
/** Offsets of pixels, with their opacity. */
type Stamp = { dx: number[], dy: number[], alpha: number[] };
/** In CSS pixels: points of a line; left, top, width and height of an area. */
type Line = { line: number[][], dash?: boolean };
type Area = { area: number[] };
type Label = { text: string, x: number, y: number, align: CanvasTextAlign,
  baseline: CanvasTextBaseline, turned?: boolean, bold?: boolean };
type Item = Line | Area | Label;
type Picture = { x: number, y: number, width: number, height: number, url: string };

/** What the controls need of the view. */
type Host = { on: (target: EventTarget | null, names: string, call: (event: any) => void) => void,
  model: any, mode: string, keys: HTMLElement[], home: () => void,
  save: (kind: "png" | "svg") => void };

/** A node of a lineage: centre and width in points, as all lengths. */
type Box = { id: number | string, x: number, y: number, width: number, lines: string[],
  requested: boolean };
/** turned: it ends leftwards. */
type Link = { path: string, cycle: boolean, turned: boolean };
