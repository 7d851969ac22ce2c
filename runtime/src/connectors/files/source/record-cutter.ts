// Cuts a file into records at line ends, or at the line ends of CSV that are not within quotes, and keeps the position to resume at.
import type { BlockFeed } from "./block-feed.ts";

const newline = 10;
const carriageReturn = 13;
const quoteByte = 34;
/** How much of a record that is too long is kept to show. */
const shownBytes = 4096;

export interface CutterOptions {
  /** Longer records are bad. */
  readonly maxRecordBytes: number;
  /** Line ends within double quotes belong to the record. */
  readonly quoted: boolean;
  /** Positions are numbers of lines instead of byte offsets: where the file is compressed. */
  readonly byLine: boolean;
  /** With `byLine`: how many lines were read before. */
  readonly skipLines: number;
  /** A file that grows: a line without its end is not finished. */
  readonly follow: boolean;
  readonly onTooLong: (position: number, start: Buffer, reason: string) => void;
}

export class RecordCutter {
  /** The records of the last cut are ranges of `feed.window`. */
  starts: Int32Array = new Int32Array(0);
  ends: Int32Array = new Int32Array(0);
  positions: Float64Array = new Float64Array(0);
  /** Where to go on: a byte offset, or a number of lines. */
  position: number;
  /** True when all records were cut. */
  ended = false;
  readonly #feed: BlockFeed;
  readonly #options: CutterOptions;
  #toSkip: number;
  /** How far into the window there is no line end, so that a long record is not searched again from its start. */
  #searched = 0;
  #inQuotes = false;
  /** The next quote in the window; before `#searched` where it is not known. Looked for once, not once per record. */
  #quoteAt = -1;
  /** The start of a record that is being passed over because it is too long. */
  #tooLong: Buffer | undefined;
  #passedBytes = 0;
  #firstBytes: boolean;

  constructor(feed: BlockFeed, options: CutterOptions) {
    this.#feed = feed;
    this.#options = options;
    this.#toSkip = options.skipLines;
    this.position = options.byLine ? options.skipLines : feed.offset;
    this.#firstBytes = feed.offset === 0;
  }

  /** Cuts up to `most` records of what is there; returns how many. 0: wait, or the end. Ranges are valid until the next call. */
  cut(most: number): number {
    if (this.starts.length < most) {
      this.starts = new Int32Array(most);
      this.ends = new Int32Array(most);
      this.positions = new Float64Array(most);
    }
    for (;;) {
      const count = this.#firstBytes ? 0 : this.#cutWindow(most);
      if (count > 0) return count;
      const before = this.#feed.left;
      if (this.#feed.advance()) {
        // The rest of the old window now stands at the start of the new one.
        this.#searched = this.#feed.start + before;
        this.#quoteAt = -1;
        if (this.#firstBytes) this.#passByteOrderMark();
        continue;
      }
      if (!this.#feed.ended) return 0;
      if (this.#firstBytes) {
        this.#firstBytes = false;
        this.#searched = this.#feed.start;
        continue;
      }
      if (this.#options.follow) return 0;
      if (this.#feed.left === 0 && this.#tooLong === undefined) {
        this.ended = true;
        return 0;
      }
      return this.#cutLast();
    }
  }

  #passByteOrderMark(): void {
    const { window, start, left } = this.#feed;
    if (left < 3) return;
    this.#firstBytes = false;
    const isMark = window[start] === 0xef && window[start + 1] === 0xbb && window[start + 2] === 0xbf;
    if (isMark) this.#feed.start += 3;
    // Nothing was searched while it was not known whether the mark is there.
    this.#searched = this.#feed.start;
    if (!this.#options.byLine) this.position = this.#feed.offset;
  }

  #cutWindow(most: number): number {
    const feed = this.#feed;
    const { window } = feed;
    const { byLine, maxRecordBytes } = this.#options;
    let count = 0;
    if (this.#searched < feed.start) this.#searched = feed.start;
    while (count < most) {
      const end = this.#options.quoted ? this.#findQuotedEnd(window) : window.indexOf(newline, this.#searched);
      if (end < 0) {
        this.#searched = window.length;
        if (feed.left > maxRecordBytes || this.#tooLong !== undefined) this.#pass(window.length);
        break;
      }
      const start = feed.start;
      if (this.#tooLong !== undefined || end - start > maxRecordBytes) {
        this.#pass(end);
        this.#reportTooLong();
      } else {
        const stop = end > start && window[end - 1] === carriageReturn ? end - 1 : end;
        if (this.#toSkip > 0) this.#toSkip--;
        else {
          if (stop > start) {
            this.starts[count] = start;
            this.ends[count] = stop;
            this.positions[count] = byLine ? this.position : feed.origin + start;
            count++;
          }
          if (byLine) this.position++;
        }
      }
      feed.start = end + 1;
      this.#searched = end + 1;
      if (!byLine) this.position = feed.origin + end + 1;
    }
    return count;
  }

  // The next line end outside of quotes, from `#searched` on.
  #findQuotedEnd(window: Buffer): number {
    let at = this.#searched;
    for (;;) {
      if (!this.#inQuotes) {
        const end = window.indexOf(newline, at);
        const quote = this.#nextQuote(window, at);
        if (end >= 0 && end < quote) return end;
        if (quote === window.length) return -1;
        this.#inQuotes = true;
        at = quote + 1;
      } else {
        const quote = this.#nextQuote(window, at);
        if (quote === window.length) return -1;
        // A doubled quote closes and opens again: the same line ends count.
        this.#inQuotes = false;
        at = quote + 1;
      }
    }
  }

  /** The place of the first quote from `at` on; the window's length where there is none. */
  #nextQuote(window: Buffer, at: number): number {
    if (this.#quoteAt < at) {
      const found = window.indexOf(quoteByte, at);
      this.#quoteAt = found < 0 ? window.length : found;
    }
    return this.#quoteAt;
  }

  /** Passes over the window up to `end` as part of a record that is too long. */
  #pass(end: number): void {
    const feed = this.#feed;
    this.#tooLong ??= Buffer.from(feed.window.subarray(feed.start, Math.min(end, feed.start + shownBytes)));
    this.#passedBytes += end - feed.start;
    feed.start = end;
    this.#searched = end;
  }

  #reportTooLong(): void {
    const start = this.#tooLong ?? Buffer.alloc(0);
    const length = this.#passedBytes;
    const position = this.position;
    this.#tooLong = undefined;
    this.#passedBytes = 0;
    if (this.#options.byLine) {
      if (this.#toSkip > 0) {
        this.#toSkip--;
        return;
      }
      this.position++;
    }
    this.#options.onTooLong(position, start, `it has ${length} bytes, more than ${this.#options.maxRecordBytes}`);
  }

  /** The last record, which no line end follows. */
  #cutLast(): number {
    const feed = this.#feed;
    const { byLine } = this.#options;
    const start = feed.start;
    const end = feed.window.length;
    if (this.#tooLong !== undefined || end - start > this.#options.maxRecordBytes) {
      this.#pass(end);
      this.#reportTooLong();
      if (!byLine) this.position = feed.offset;
      this.ended = true;
      return 0;
    }
    feed.start = end;
    this.ended = true;
    const stop = feed.window[end - 1] === carriageReturn ? end - 1 : end;
    if (!byLine) this.position = feed.offset;
    if (this.#toSkip > 0 || stop === start) return 0;
    this.starts[0] = start;
    this.ends[0] = stop;
    this.positions[0] = byLine ? this.position++ : feed.origin + start;
    return 1;
  }
}
