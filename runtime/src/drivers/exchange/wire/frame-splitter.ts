// Cuts a stream of bytes into frames, each in a buffer of its own so that it is aligned and can be kept.
import { at, frameCorrupt, headerBytes, magic, maxFrameBytes } from "../frame/layout.ts";

export class FrameSplitter {
  readonly #give: (frame: ArrayBuffer) => void;
  readonly #header = Buffer.alloc(8);
  #headerFilled = 0;
  #frame: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;

  constructor(give: (frame: ArrayBuffer) => void) {
    this.#give = give;
  }

  /** Takes the next bytes of the stream; they are the caller's again afterwards. Throws EXCHANGE_FRAME_CORRUPT. */
  push(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      if (this.#frame === undefined) from = this.#readHeader(chunk, from);
      if (this.#frame !== undefined) from = this.#fill(this.#frame, chunk, from);
    }
  }

  #readHeader(chunk: Buffer, from: number): number {
    const taken = Math.min(8 - this.#headerFilled, chunk.length - from);
    chunk.copy(this.#header, this.#headerFilled, from, from + taken);
    this.#headerFilled += taken;
    if (this.#headerFilled < 8) return from + taken;
    const length = this.#header.readUInt32LE(at.length);
    if (this.#header.readUInt32LE(at.magic) !== magic) throw frameCorrupt("a frame does not begin as one");
    if (length < headerBytes || length > maxFrameBytes) throw frameCorrupt(`a frame says it has ${length} bytes`);
    const buffer = Buffer.allocUnsafeSlow(length);
    this.#header.copy(buffer);
    this.#frame = new Uint8Array(buffer.buffer);
    this.#filled = 8;
    this.#headerFilled = 0;
    return from + taken;
  }

  #fill(frame: Uint8Array<ArrayBuffer>, chunk: Buffer, from: number): number {
    const taken = Math.min(frame.length - this.#filled, chunk.length - from);
    frame.set(chunk.subarray(from, from + taken), this.#filled);
    this.#filled += taken;
    if (this.#filled === frame.length) {
      this.#frame = undefined;
      this.#give(frame.buffer);
    }
    return from + taken;
  }
}
