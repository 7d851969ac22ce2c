// HyperLogLog: about how many different values were seen, in at most 16 KiB.
// Sparse form: S. Heule, M. Nunkesser, A. Hall, "HyperLogLog in Practice" (EDBT 2013), section 5.3, so small counts are nearly exact.
// Estimate of the dense form: O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6:
// unbiased over the whole range without the tables of empirical corrections that HyperLogLog++ needs.

const denseBits = 14;
const registers = 1 << denseBits;
const sparseBits = 25;
/** 4 bytes per entry and half of the table empty: beyond this many entries the dense form is no larger. */
const sparseEntriesMax = registers / 8;
const denseForm = 1;

/** The relative standard error of a large count: 1.04 / sqrt(16,384), below 0.82 %. */
export const hyperLogLogError: number = 1.04 / Math.sqrt(registers);

/*
 * A sketch is a byte array, so that it is stored as it is:
 *   byte 0      0 sparse, 1 dense
 *   sparse      u32 little-endian number of entries at 4, then a table of u32 (a power of two of them, at least half empty):
 *               the upper 25 bits of the hash << 6 | the run of zeros after them + 1; 0 is an empty place
 *   dense       16,384 registers of one byte from 8 on
 */
const headerBytes = 8;

export function emptySketch(): Uint8Array {
  return new Uint8Array(headerBytes + 16 * 4);
}

/** Adds a value by its 64-bit hash; returns the sketch, which is a new array when it had to grow. */
export function addToSketch(sketch: Uint8Array, high: number, low: number): Uint8Array {
  // The first 25 bits choose the fine register; the run of zeros in the remaining 39 bits is its value.
  const index = high >>> (32 - sparseBits);
  const rest = (high << sparseBits) >>> 0;
  const zeros = rest !== 0 ? Math.clz32(rest) : 32 - sparseBits + Math.clz32(low);
  return addEntry(sketch, index, Math.min(zeros, 64 - sparseBits) + 1);
}

function addEntry(sketch: Uint8Array, index: number, run: number): Uint8Array {
  if (sketch[0] === denseForm) {
    addDense(sketch, index, run);
    return sketch;
  }
  const words = wordsOf(sketch);
  const mask = words.length - 1;
  let at = (Math.imul(index, 0x9e3779b1) >>> 7) & mask;
  for (; words[at] !== 0; at = (at + 1) & mask) {
    const entry = words[at] as number;
    if (entry >>> 6 !== index) continue;
    if ((entry & 63) < run) words[at] = ((index << 6) | run) >>> 0;
    return sketch;
  }
  const count = countOf(sketch);
  if (count >= sparseEntriesMax) return addEntry(toDense(sketch), index, run);
  if ((count + 1) * 2 > words.length) return addEntry(grow(sketch), index, run);
  words[at] = ((index << 6) | run) >>> 0;
  setCount(sketch, count + 1);
  return sketch;
}

/** Adds everything that `from` has seen to `to`; returns the sketch as `addToSketch` does. */
export function mergeSketch(to: Uint8Array, from: Uint8Array): Uint8Array {
  let target = to;
  if (from[0] !== denseForm) {
    for (const entry of wordsOf(from)) if (entry !== 0) target = addEntry(target, entry >>> 6, entry & 63);
    return target;
  }
  if (target[0] !== denseForm) target = toDense(target);
  for (let i = headerBytes; i < headerBytes + registers; i++)
    if ((from[i] as number) > (target[i] as number)) target[i] = from[i] as number;
  return target;
}

/** About how many different values the sketch has seen. */
export function estimateSketch(sketch: Uint8Array): number {
  if (sketch[0] === denseForm) return Math.round(estimateDense(sketch));
  // Linear counting over 2^25 registers: the expected number of values that leaves this many of them empty.
  const size = 2 ** sparseBits;
  return Math.round(size * Math.log(size / (size - countOf(sketch))));
}

function addDense(sketch: Uint8Array, index: number, run: number): void {
  const extra = sparseBits - denseBits;
  const below = index & ((1 << extra) - 1);
  // Seen from the coarse register, the fine index's own lower bits are the start of the run.
  const value = below === 0 ? extra + run : Math.clz32(below) - (32 - extra) + 1;
  const at = headerBytes + (index >>> extra);
  if (value > (sketch[at] as number)) sketch[at] = value;
}

function toDense(sketch: Uint8Array): Uint8Array {
  const dense = new Uint8Array(headerBytes + registers);
  dense[0] = denseForm;
  for (const entry of wordsOf(sketch)) if (entry !== 0) addDense(dense, entry >>> 6, entry & 63);
  return dense;
}

function grow(sketch: Uint8Array): Uint8Array {
  const old = wordsOf(sketch);
  let grown: Uint8Array = new Uint8Array(headerBytes + old.length * 2 * 4);
  for (const entry of old) if (entry !== 0) grown = addEntry(grown, entry >>> 6, entry & 63);
  return grown;
}

// Every sketch made here is aligned; one that was read from a snapshot is aligned by `alignSketch`.
function wordsOf(sketch: Uint8Array): Uint32Array {
  return new Uint32Array(sketch.buffer, sketch.byteOffset + headerBytes, (sketch.length - headerBytes) >> 2);
}

/** The sketch, copied where it does not start at a multiple of 4 in memory, as bytes from a decoder may not. */
export function alignSketch(sketch: Uint8Array): Uint8Array {
  return (sketch.byteOffset & 3) === 0 ? sketch : Uint8Array.from(sketch);
}

function countOf(sketch: Uint8Array): number {
  return (sketch[4] as number) | ((sketch[5] as number) << 8);
}

function setCount(sketch: Uint8Array, count: number): void {
  sketch[4] = count & 0xff;
  sketch[5] = count >>> 8;
}

// Ertl 2017, algorithm 6, with q = 64 - 14.
function estimateDense(sketch: Uint8Array): number {
  const q = 64 - denseBits;
  const histogram = new Uint32Array(q + 2);
  for (let i = headerBytes; i < headerBytes + registers; i++)
    histogram[sketch[i] as number] = (histogram[sketch[i] as number] as number) + 1;
  let z = registers * tau(1 - (histogram[q + 1] as number) / registers);
  for (let k = q; k >= 1; k--) z = 0.5 * (z + (histogram[k] as number));
  z += registers * sigma((histogram[0] as number) / registers);
  return ((1 / (2 * Math.LN2)) * registers * registers) / z;
}

function sigma(start: number): number {
  if (start === 1) return Infinity;
  let x = start;
  let y = 1;
  let z = x;
  for (;;) {
    x *= x;
    const before = z;
    z += x * y;
    y += y;
    if (z === before) return z;
  }
}

function tau(start: number): number {
  if (start === 0 || start === 1) return 0;
  let x = start;
  let y = 1;
  let z = 1 - x;
  for (;;) {
    x = Math.sqrt(x);
    const before = z;
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
    if (z === before) return z / 3;
  }
}
