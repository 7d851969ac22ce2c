// MurmurHash3 x86 32-bit (Austin Appleby, public domain), over bytes and over one 64-bit word: the hash that assigns keys to key groups.

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

function mixWord(hash: number, word: number): number {
  let k = Math.imul(word, C1);
  k = Math.imul((k << 15) | (k >>> 17), C2);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number, length: number): number {
  let h = hash ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}

/** Hash of `bytes[start, end)`, a signed 32-bit integer. */
export function murmur3(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let h = seed | 0;
  const length = end - start;
  const wordsEnd = start + (length & ~3);
  for (let i = start; i < wordsEnd; i += 4) {
    h = mixWord(
      h,
      (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24),
    );
  }
  const tail = length & 3;
  if (tail > 0) {
    let k = bytes[wordsEnd] as number;
    if (tail > 1) k |= (bytes[wordsEnd + 1] as number) << 8;
    if (tail > 2) k |= (bytes[wordsEnd + 2] as number) << 16;
    k = Math.imul(k, C1);
    k = Math.imul((k << 15) | (k >>> 17), C2);
    h ^= k;
  }
  return finish(h, length);
}

/** Hash of the 8 little-endian bytes of a 64-bit integer given as two 32-bit words; equals `murmur3` over those bytes. */
export function murmur3Word64(low: number, high: number): number {
  return finish(mixWord(mixWord(0, low), high), 8);
}

/** Hash of a safe integer as its 8 little-endian two's-complement bytes. */
export function murmur3Integer(value: number): number {
  const high = Math.floor(value / 4294967296);
  return finish(mixWord(mixWord(0, value | 0), high | 0), 8);
}
