// Writes Kafka's request encoding: big-endian numbers, and strings and arrays in the plain or the compact (flexible) form.

/** One request body. `flexible` chooses compact lengths and tagged fields (KIP-482) for the whole body. */
export class ProtocolWriter {
  readonly flexible: boolean;
  #buffer: Buffer;
  #length = 0;

  constructor(flexible: boolean, initialBytes = 256) {
    this.flexible = flexible;
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(at + bytes, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = at + bytes;
    return at;
  }

  bool(value: boolean): this {
    return this.i8(value ? 1 : 0);
  }

  i8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer.writeInt8(value, at);
    return this;
  }

  i16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }

  i32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  /** A safe integer as 64 bits. */
  i64(value: number): this {
    const at = this.#reserve(8);
    this.#buffer.writeInt32BE(Math.floor(value / 4294967296), at);
    this.#buffer.writeUInt32BE(value >>> 0, at + 4);
    return this;
  }

  uvarint(value: number): this {
    let rest = value;
    while (rest > 0x7f) {
      // The room first: making it may replace the buffer.
      const more = this.#reserve(1);
      this.#buffer[more] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    const at = this.#reserve(1);
    this.#buffer[at] = rest;
    return this;
  }

  string(value: string | null): this {
    if (value === null) return this.flexible ? this.uvarint(0) : this.i16(-1);
    const size = Buffer.byteLength(value);
    if (this.flexible) this.uvarint(size + 1);
    else this.i16(size);
    const at = this.#reserve(size);
    this.#buffer.write(value, at, size, "utf8");
    return this;
  }

  bytes(value: Uint8Array): this {
    this.byteLength(value.length);
    return this.raw(value);
  }

  /** The length that stands before bytes which the caller sends from elsewhere, without copying them here. */
  byteLength(size: number): this {
    return this.flexible ? this.uvarint(size + 1) : this.i32(size);
  }

  raw(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  array<T>(items: readonly T[] | null, write: (item: T) => void): this {
    if (items === null) return this.flexible ? this.uvarint(0) : this.i32(-1);
    this.arrayLength(items.length);
    for (const item of items) write(item);
    return this;
  }

  arrayLength(count: number): this {
    return this.flexible ? this.uvarint(count + 1) : this.i32(count);
  }

  /** The empty list of tagged fields that ends every structure of a flexible request; nothing otherwise. */
  tags(): this {
    return this.flexible ? this.uvarint(0) : this;
  }

  get length(): number {
    return this.#length;
  }

  /** The content; valid until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
