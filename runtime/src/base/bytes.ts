// A growing byte buffer to write into, and a cursor to read from: the two halves of every binary format here.

const utf8Decoder = new TextDecoder("utf-8");

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Appends numbers, strings and byte ranges to a buffer that doubles when it is full. Multi-byte numbers are little-endian. */
export class ByteWriter {
  buffer: Buffer;
  /** The same bytes, for writing words: engines compile it to plain stores. Replaced, as `buffer` is, when the writer grows. */
  data: DataView;
  length = 0;

  constructor(initialBytes = 1024) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.data = viewOf(this.buffer);
  }

  /** Forgets the content, keeps the memory. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for `bytes` more and returns where they start; the caller writes them and moves `length` on. */
  reserve(bytes: number): number {
    const needed = this.length + bytes;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, this.length);
      this.buffer = grown;
      this.data = viewOf(grown);
    }
    return this.length;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  u16(value: number): void {
    const at = this.reserve(2);
    this.data.setUint16(at, value, true);
    this.length = at + 2;
  }

  u32(value: number): void {
    const at = this.reserve(4);
    this.data.setUint32(at, value, true);
    this.length = at + 4;
  }

  i32(value: number): void {
    const at = this.reserve(4);
    this.data.setInt32(at, value, true);
    this.length = at + 4;
  }

  f64(value: number): void {
    const at = this.reserve(8);
    this.data.setFloat64(at, value, true);
    this.length = at + 8;
  }

  i64(value: bigint): void {
    const at = this.reserve(8);
    this.data.setBigInt64(at, value, true);
    this.length = at + 8;
  }

  /** A safe integer as 8 little-endian two's-complement bytes. */
  i64FromNumber(value: number): void {
    const at = this.reserve(8);
    this.data.setInt32(at, value, true);
    this.data.setInt32(at + 4, Math.floor(value / 4294967296), true);
    this.length = at + 8;
  }

  /** Unsigned LEB128 of a safe non-negative integer. */
  varint(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.length++] = rest;
  }

  /** The bytes alone, without a length. */
  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    const at = this.reserve(end - start);
    // A loop beats the native call for the short ranges that keys and small values are; `copy` needs no view object.
    if (end - start < 24) {
      const target = this.buffer;
      for (let i = start, o = at; i < end; i++, o++) target[o] = bytes[i] as number;
    } else if (bytes instanceof Buffer) bytes.copy(this.buffer, at, start, end);
    else this.buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
    this.length = at + end - start;
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.varint(end - start);
    this.raw(bytes, start, end);
  }

  /** UTF-8 without a length; returns how many bytes it took. */
  utf8Raw(text: string): number {
    const at = this.reserve(text.length * 3);
    const short = text.length < 24;
    if (short) {
      // Most strings in records are short ASCII: a loop avoids the cost of entering native code.
      const target = this.buffer;
      let i = 0;
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        target[at + i] = code;
      }
      if (i === text.length) {
        this.length = at + i;
        return i;
      }
    }
    const written = this.buffer.write(text, at, "utf8");
    this.length = at + written;
    return written;
  }

  /** A varint byte length, then UTF-8. */
  string(text: string): void {
    if (text.length < 24) {
      // At most 72 bytes of UTF-8, so the length takes one byte: it is filled in afterwards.
      const at = this.reserve(1);
      this.length = at + 1;
      const written = this.utf8Raw(text);
      this.buffer[at] = written;
      return;
    }
    const size = Buffer.byteLength(text);
    this.varint(size);
    const at = this.reserve(size);
    this.buffer.write(text, at, size, "utf8");
    this.length = at + size;
  }

  /** The content as a view that the next write may overwrite. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** The content as a copy of exactly its size. */
  copy(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length));
  }
}

/** Reads what `ByteWriter` wrote. Throws RangeError past the end, so that truncated input never becomes a value. */
export class ByteReader {
  readonly buffer: Buffer;
  position: number;
  /** Where reading ends; a reader may be pointed at another range of its buffer. */
  end: number;
  #data: DataView | undefined;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = start;
    this.end = end;
  }

  /** The buffer's bytes, for reading words. */
  get data(): DataView {
    this.#data ??= viewOf(this.buffer);
    return this.#data;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  #take(bytes: number): number {
    const at = this.position;
    if (bytes < 0 || at + bytes > this.end) throw new RangeError(`read of ${bytes} bytes at ${at} passes the end at ${this.end}`);
    this.position = at + bytes;
    return at;
  }

  u8(): number {
    return this.buffer[this.#take(1)] as number;
  }

  u16(): number {
    return this.buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.buffer.readInt32LE(this.#take(4));
  }

  f64(): number {
    return this.buffer.readDoubleLE(this.#take(8));
  }

  i64(): bigint {
    return this.buffer.readBigInt64LE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (scale > 2 ** 56) throw new RangeError(`varint at ${this.position} is too long`);
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError(`varint before ${this.position} is above 2^53`);
    return value;
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.buffer.subarray(at, at + length);
  }

  /** A view of bytes with a varint length. */
  bytes(): Buffer {
    return this.raw(this.varint());
  }

  string(): string {
    const length = this.varint();
    const at = this.#take(length);
    return utf8Decoder.decode(this.buffer.subarray(at, at + length));
  }
}
