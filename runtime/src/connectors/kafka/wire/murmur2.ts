// MurmurHash2 (Austin Appleby, public domain) with the seed of Kafka's Java client, so that equal keys go to the same partition as from there.

const multiplier = 0x5bd1e995;
const javaSeed = 0x9747b28c;

/** Hash of `bytes[start, end)`, a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = javaSeed ^ length;
  const wordsEnd = start + (length & ~3);
  for (let i = start; i < wordsEnd; i += 4) {
    const word =
      (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24);
    let mixed = Math.imul(word, multiplier);
    mixed = Math.imul(mixed ^ (mixed >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ mixed;
  }
  const tail = length & 3;
  if (tail > 0) {
    if (tail > 2) hash ^= (bytes[wordsEnd + 2] as number) << 16;
    if (tail > 1) hash ^= (bytes[wordsEnd + 1] as number) << 8;
    hash = Math.imul(hash ^ (bytes[wordsEnd] as number), multiplier);
  }
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

/** The partition that Java's default partitioner gives a key. */
export function keyPartition(bytes: Uint8Array, start: number, end: number, partitions: number): number {
  return (murmur2(bytes, start, end) & 0x7fffffff) % partitions;
}
