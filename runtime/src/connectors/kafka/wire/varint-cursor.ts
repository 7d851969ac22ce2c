// A position in bytes from which the zigzag varints of Kafka's record format are read.

/**
 * Reads past the end give zero bytes, never an exception: the record walker compares positions with the record's end,
 * which is cheaper than a check per byte.
 */
export class VarintCursor {
  bytes: Uint8Array;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A zigzag varint of at most 32 bits; a longer one gives a wrong number, which the record's length then betrays. */
  int32(): number {
    const bytes = this.bytes;
    let at = this.position;
    let byte = bytes[at++] as number;
    let raw = byte & 0x7f;
    for (let shift = 7; byte > 0x7f && shift < 35; shift += 7) {
      byte = bytes[at++] as number;
      raw |= (byte & 0x7f) << shift;
    }
    this.position = at;
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** A zigzag varint of at most 64 bits; exact within the safe integers, else the nearest double. */
  int64(): number {
    const bytes = this.bytes;
    let at = this.position;
    let byte = bytes[at++] as number;
    let raw = byte & 0x7f;
    for (let shift = 7; byte > 0x7f && shift < 28; shift += 7) {
      byte = bytes[at++] as number;
      raw |= (byte & 0x7f) << shift;
    }
    if (!(byte > 0x7f)) {
      this.position = at;
      return (raw >>> 1) ^ -(raw & 1);
    }
    let wide = raw;
    for (let scale = 2 ** 28; byte > 0x7f && scale <= 2 ** 63; scale *= 128) {
      byte = bytes[at++] as number;
      wide += (byte & 0x7f) * scale;
    }
    this.position = at;
    return raw & 1 ? -(wide + 1) / 2 : wide / 2;
  }
}

/** Bytes of the zigzag varint of a 32-bit integer. */
export function varintSize(value: number): number {
  const raw = (value << 1) ^ (value >> 31);
  if ((raw & ~0x7f) === 0) return 1;
  if ((raw & ~0x3fff) === 0) return 2;
  if ((raw & ~0x1fffff) === 0) return 3;
  return (raw & ~0xfffffff) === 0 ? 4 : 5;
}

/** Writes the zigzag varint of a 32-bit integer and returns where it ends. */
export function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let raw = ((value << 1) ^ (value >> 31)) >>> 0;
  while (raw > 0x7f) {
    bytes[at++] = (raw & 0x7f) | 0x80;
    raw >>>= 7;
  }
  bytes[at++] = raw;
  return at;
}

const int32Limit = 2 ** 31;

/** Bytes of the zigzag varint of a safe integer. */
export function varint64Size(value: number): number {
  if (value >= -int32Limit && value < int32Limit) return varintSize(value);
  let raw = value < 0 ? -value * 2 - 1 : value * 2;
  let size = 1;
  for (; raw > 0x7f; raw = Math.floor(raw / 128)) size++;
  return size;
}

/** Writes the zigzag varint of an integer of at most 2^52 either way and returns where it ends. */
export function writeVarint64(bytes: Uint8Array, start: number, value: number): number {
  if (value >= -int32Limit && value < int32Limit) return writeVarint(bytes, start, value);
  let at = start;
  let raw = value < 0 ? -value * 2 - 1 : value * 2;
  for (; raw > 0x7f; raw = Math.floor(raw / 128)) bytes[at++] = (raw % 128) | 0x80;
  bytes[at++] = raw;
  return at;
}
