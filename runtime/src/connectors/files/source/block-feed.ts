// Reads a stream ahead in large blocks and shows it as one window that moves on: two buffers, one shown and one being filled.
import { messageOf } from "../../../base/errors.ts";
import type { ByteStream } from "../store/file-store.ts";
import { corrupt } from "../store/store-errors.ts";

export interface FeedSizes {
  /** Bytes read at a time. */
  readonly blockBytes: number;
  /** Room before a block, so that the unfinished record at the end of the last one is put right before it without moving the block. */
  readonly headroomBytes: number;
}

const usualSizes: FeedSizes = { blockBytes: 1 << 20, headroomBytes: 1 << 16 };
/** How much a window may grow for one record: the limit of Node's buffers is far beyond. */
const windowLimitBytes = 1 << 30;

interface Filled {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
}

/**
 * The window is `window[start, window.length)`; users move `start` on. What they hold of the window stays as it is until the next
 * `advance`, which begins to fill the buffer anew.
 */
export class BlockFeed {
  /** The shown buffer up to its last byte that belongs to the stream. */
  window: Buffer = Buffer.alloc(0);
  start = 0;
  /** The stream's offset of `window[0]`; may be negative. */
  origin: number;
  /** True when the window holds all that is left. */
  ended = false;
  failure: Error | undefined;
  readonly #stream: ByteStream;
  readonly #notify: () => void;
  readonly #follow: boolean;
  readonly #blockBytes: number;
  readonly #headroomBytes: number;
  #shown: Buffer | undefined;
  #spare: Buffer | undefined;
  #next: Filled | undefined;
  #atEnd = false;
  #filling: Promise<void> | undefined;
  #closed = false;

  /** `offset` is where in the stream reading begins; `notify` is called when there is more, or a failure. */
  constructor(stream: ByteStream, offset: number, follow: boolean, notify: () => void, sizes: FeedSizes = usualSizes) {
    this.#stream = stream;
    this.origin = offset;
    this.#follow = follow;
    this.#notify = notify;
    this.#blockBytes = sizes.blockBytes;
    this.#headroomBytes = sizes.headroomBytes;
    this.#fill();
  }

  /** Bytes in the window that were not taken. */
  get left(): number {
    return this.window.length - this.start;
  }

  /** The stream's offset of the next byte. */
  get offset(): number {
    return this.origin + this.start;
  }

  /** Adds the next block to what is left of the window. False when it is not there yet, or nothing is left to come (`ended`). */
  advance(): boolean {
    const next = this.#next;
    if (next === undefined) {
      if (this.#atEnd) this.ended = true;
      return false;
    }
    const left = this.left;
    const offset = this.offset;
    let buffer = next.buffer;
    let from = next.from;
    let to = next.to;
    if (left > from) {
      // A record longer than the headroom: a larger buffer takes both, and the room before the next block grows with it.
      const size = to - from;
      buffer = Buffer.allocUnsafeSlow(Math.min(windowLimitBytes, (left + size) * 2 + this.#blockBytes));
      const place = buffer.length - this.#blockBytes;
      next.buffer.copy(buffer, place, from, to);
      from = place;
      to = place + size;
    }
    this.window.copy(buffer, from - left, this.start, this.window.length);
    this.#spare = this.#shown;
    this.#shown = buffer;
    this.window = buffer.subarray(0, to);
    this.start = from - left;
    this.origin = offset - this.start;
    this.#next = undefined;
    this.#fill();
    return true;
  }

  /** Looks for more at the end of a stream that grows; only with `follow`. */
  retry(): void {
    if (this.#follow && this.#atEnd && this.#filling === undefined) {
      this.#atEnd = false;
      this.ended = false;
      this.#fill();
    }
  }

  /** True when nothing came at the last look and nothing is under way: a stream that grows waits for `retry`. */
  get idle(): boolean {
    return this.#atEnd && this.#next === undefined;
  }

  #fill(): void {
    if (this.#closed || this.#atEnd || this.failure !== undefined) return;
    this.#filling = this.#readBlock().then(
      () => {
        this.#filling = undefined;
        this.#notify();
      },
      (error: unknown) => {
        this.#filling = undefined;
        this.failure = error instanceof Error ? error : corrupt("stream", messageOf(error));
        this.#notify();
      },
    );
  }

  async #readBlock(): Promise<void> {
    const buffer = this.#spare ?? Buffer.allocUnsafeSlow(this.#headroomBytes + this.#blockBytes);
    this.#spare = undefined;
    const from = buffer.length - this.#blockBytes;
    let to = from;
    while (to < buffer.length && !this.#closed) {
      const size = await this.#stream.read(buffer, to, buffer.length - to);
      if (size === 0) {
        this.#atEnd = true;
        break;
      }
      to += size;
    }
    if (to > from) this.#next = { buffer, from, to };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#filling;
    await this.#stream.close();
  }
}
