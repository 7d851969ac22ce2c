// Reads Kafka's response encoding. Every read is checked against the end, so a damaged response throws and never becomes a value.

export class ProtocolReader {
  readonly buffer: Buffer;
  readonly flexible: boolean;
  readonly end: number;
  position: number;

  constructor(buffer: Buffer, flexible: boolean, start = 0, end: number = buffer.length) {
    this.buffer = buffer;
    this.flexible = flexible;
    this.position = start;
    this.end = end;
  }

  #take(bytes: number): number {
    const at = this.position;
    if (bytes < 0 || bytes > this.end - at)
      throw new RangeError(`a field of ${bytes} bytes at ${at} passes the response's end at ${this.end}`);
    this.position = at + bytes;
    return at;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  bool(): boolean {
    return this.i8() !== 0;
  }

  i8(): number {
    return this.buffer.readInt8(this.#take(1));
  }

  i16(): number {
    return this.buffer.readInt16BE(this.#take(2));
  }

  i32(): number {
    return this.buffer.readInt32BE(this.#take(4));
  }

  /** 64 bits as a number. Kafka's offsets, producer ids and timestamps stay below 2^53; anything else is damage. */
  i64(): number {
    const at = this.#take(8);
    const value = this.buffer.readInt32BE(at) * 4294967296 + this.buffer.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new RangeError(`the 64-bit field at ${at} is outside the safe integers`);
    return value;
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.#take(1)] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError(`the varint before ${this.position} is too long`);
  }

  nullableString(): string | null {
    const length = this.flexible ? this.uvarint() - 1 : this.i16();
    if (length < 0) return null;
    const at = this.#take(length);
    return this.buffer.toString("utf8", at, at + length);
  }

  string(): string {
    return this.nullableString() ?? "";
  }

  /** The length of bytes that follow, -1 for null; the caller reads or skips them. */
  byteLength(): number {
    const length = this.flexible ? this.uvarint() - 1 : this.i32();
    if (length > this.remaining) throw new RangeError(`${length} bytes at ${this.position} pass the response's end at ${this.end}`);
    return length;
  }

  bytes(): Buffer {
    const length = Math.max(0, this.byteLength());
    const at = this.#take(length);
    return this.buffer.subarray(at, at + length);
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  uuid(): string {
    const at = this.#take(16);
    return this.buffer.toString("hex", at, at + 16);
  }

  /** The count of an array, -1 for null. No element takes less than a byte, so a count above the rest of the response is damage. */
  arrayLength(): number {
    const count = this.flexible ? this.uvarint() - 1 : this.i32();
    if (count > this.remaining) throw new RangeError(`an array of ${count} at ${this.position} passes the response's end`);
    return count;
  }

  array<T>(read: () => T): T[] {
    const count = this.arrayLength();
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  /** Skips the tagged fields that end a structure of a flexible response. */
  tags(): void {
    if (this.flexible) this.eachTag(() => undefined);
  }

  /** Calls `read` for each tagged field; what it leaves unread is skipped. */
  eachTag(read: (tag: number) => void): void {
    const count = this.uvarint();
    if (count > this.remaining) throw new RangeError(`${count} tagged fields at ${this.position} pass the response's end`);
    for (let i = 0; i < count; i++) {
      const tag = this.uvarint();
      const size = this.uvarint();
      const next = this.#take(size) + size;
      this.position = next - size;
      read(tag);
      if (this.position > next) throw new RangeError(`tagged field ${tag} is longer than its size of ${size}`);
      this.position = next;
    }
  }
}
