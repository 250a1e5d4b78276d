// @ts-check
// The arrays of a figure, as encoding.py encodes them.

/** A copy, since buffers need not be aligned. @param {DataView} view */
export const bytes = (view) => /** @type {ArrayBuffer} */ (view.buffer)
  .slice(view.byteOffset, view.byteOffset + view.byteLength);

/** Times, fluxes, and planes of flags. @param {About} about @param {DataView[]} views */
export function decode(about, views) {
  const [flux, time, breaks, lengths, runs, ...flags] = views.map(bytes);
  const fluxes = new Float32Array(flux), n = fluxes.length, starts = new Uint32Array(runs);
  const planes = flags.map((one) => new Uint16Array(one)).map((values) => {
    if (!about.runs) return values;
    const plane = new Uint16Array(n);
    values.forEach((value, k) => plane.fill(value, starts[k], starts[k + 1] ?? n));
    return plane;
  });
  return { time: times(about, time, new Uint32Array(breaks), new Float64Array(lengths)),
    flux: fluxes, planes };
}

/** @param {About} about @param {ArrayBuffer} encoded @param {Uint32Array} breaks
 * @param {Float64Array} lengths of the steps at breaks */
function times(about, encoded, breaks, lengths) {
  if (about.bytes === 8) return new Float64Array(encoded);
  const changes = about.bytes === 2 ? new Int16Array(encoded) : new Int32Array(encoded);
  const time = new Float64Array(changes.length);
  let step = 0, now = about.first;
  for (let i = 0, k = 0; i < time.length; i++) {
    step = breaks[k] === i ? lengths[k++] : step + changes[i];
    now += step;
    time[i] = now * about.unit;
  }
  return time;
}
