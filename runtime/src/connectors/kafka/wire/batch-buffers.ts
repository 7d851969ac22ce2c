// Buffers of full batch size, used again: a producer fills hundreds a second, and the garbage collector is slow to notice them.

export class BatchBuffers {
  readonly sizeBytes: number;
  readonly #free: Buffer[] = [];
  readonly #mostFree: number;

  /** Keeps up to `keepBytes` of unused buffers of `sizeBytes` each. */
  constructor(sizeBytes: number, keepBytes: number) {
    this.sizeBytes = sizeBytes;
    this.#mostFree = Math.floor(keepBytes / sizeBytes);
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.sizeBytes);
  }

  /** Takes back the buffer behind `view` if it came from here; nobody may look at it any more. */
  give(view: Buffer): void {
    if (view.buffer.byteLength !== this.sizeBytes || this.#free.length >= this.#mostFree) return;
    this.#free.push(Buffer.from(view.buffer as ArrayBuffer));
  }
}
