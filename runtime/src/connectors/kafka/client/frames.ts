// Response frames: bytes go from the socket straight to where they stay, and large buffers are used again.

const smallFrameBytes = 16 * 1024;
const leastFrameBytes = 4;

/** One response, without its length: `buffer[0, size)`. */
export interface Frame {
  readonly buffer: Buffer;
  readonly size: number;
}

/** A frame may take a kept buffer of up to so many times its size: more would hold memory that nobody uses. */
const mostSlack = 4;

/** Keeps large buffers for the next responses. Sizes are powers of two, so that one fits for the next. */
export class FramePool {
  /** Longest unused first. */
  readonly #free: Buffer[] = [];
  readonly #keepBytes: number;
  #keptBytes = 0;

  /** Keeps at most `keepBytes` of unused buffers. */
  constructor(keepBytes: number = 32 * 1024 * 1024) {
    this.#keepBytes = keepBytes;
  }

  take(size: number): Buffer {
    if (size <= smallFrameBytes) return Buffer.allocUnsafe(size);
    const capacity = 2 ** Math.ceil(Math.log2(size));
    // The smallest that holds it: answers vary in size, and each new buffer brings the garbage collector nearer.
    let best = -1;
    for (let index = this.#free.length - 1; index >= 0; index--) {
      const { length } = this.#free[index] as Buffer;
      if (length < capacity || length > capacity * mostSlack) continue;
      if (best < 0 || length < (this.#free[best] as Buffer).length) best = index;
    }
    if (best < 0) return Buffer.allocUnsafeSlow(capacity);
    const [found] = this.#free.splice(best, 1) as [Buffer];
    this.#keptBytes -= found.length;
    return found;
  }

  /** Takes a buffer back; nobody may look at it any more. Those that went unused for longest make room for it. */
  give(buffer: Buffer): void {
    if (buffer.length <= smallFrameBytes || buffer.length > this.#keepBytes) return;
    this.#keptBytes += buffer.length;
    this.#free.push(buffer);
    while (this.#keptBytes > this.#keepBytes) this.#keptBytes -= (this.#free.shift() as Buffer).length;
  }
}

/** Cuts a socket's bytes into frames. The socket asks where to read to, and says how much it read. */
export class FrameReceiver {
  readonly #pool: FramePool;
  readonly #maxFrameBytes: number;
  readonly #onFrame: (frame: Frame) => void;
  // Small frames are read many at once into here; a large one is read to its own buffer once its length is known.
  readonly #scratch: Buffer = Buffer.allocUnsafeSlow(smallFrameBytes);
  #scratchEnd = 0;
  #frame: Buffer | null = null;
  #frameSize = 0;
  #frameFilled = 0;

  constructor(pool: FramePool, maxFrameBytes: number, onFrame: (frame: Frame) => void) {
    this.#pool = pool;
    this.#maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  /** Where the next bytes belong; never empty. */
  target(): Uint8Array {
    return this.#frame === null ? this.#scratch.subarray(this.#scratchEnd) : this.#frame.subarray(this.#frameFilled, this.#frameSize);
  }

  /** `bytes` were read to the last `target`. Throws RangeError for a length that no response has. */
  received(bytes: number): void {
    if (this.#frame !== null) {
      this.#frameFilled += bytes;
      this.#finishFrame();
      return;
    }
    this.#scratchEnd += bytes;
    let at = 0;
    while (this.#scratchEnd - at >= 4 && this.#frame === null) {
      const size = this.#scratch.readInt32BE(at);
      if (size < leastFrameBytes || size > this.#maxFrameBytes) throw new RangeError(`a response of ${size} bytes`);
      const there = Math.min(size, this.#scratchEnd - at - 4);
      this.#frame = this.#pool.take(size);
      this.#frameSize = size;
      this.#frameFilled = this.#scratch.copy(this.#frame, 0, at + 4, at + 4 + there);
      at += 4 + there;
      this.#finishFrame();
    }
    this.#scratch.copy(this.#scratch, 0, at, this.#scratchEnd);
    this.#scratchEnd -= at;
  }

  #finishFrame(): void {
    if (this.#frame === null || this.#frameFilled < this.#frameSize) return;
    const frame = { buffer: this.#frame, size: this.#frameSize };
    this.#frame = null;
    this.#onFrame(frame);
  }
}
