// Reads a file of lines as raw records: ranges over the bytes as they were read, one record per line that is not empty.
import type { RawRecords } from "../../../core/batch/raw-records.ts";
import type { SourceBatch } from "../../../core/ports/source.ts";
import type { BlockFeed } from "./block-feed.ts";
import type { RecordCutter } from "./record-cutter.ts";
import type { SplitReading } from "./split-reading.ts";

export class LinesReading implements SplitReading {
  readonly #splitId: string;
  readonly #feed: BlockFeed;
  readonly #cutter: RecordCutter;
  #noKeys = new Int32Array(0);
  #noTimes = new Float64Array(0);

  constructor(splitId: string, feed: BlockFeed, cutter: RecordCutter) {
    this.#splitId = splitId;
    this.#feed = feed;
    this.#cutter = cutter;
  }

  get position(): number {
    return this.#cutter.position;
  }

  get ended(): boolean {
    return this.#cutter.ended;
  }

  get failure(): Error | undefined {
    return this.#feed.failure;
  }

  poll(most: number): SourceBatch | null {
    const cutter = this.#cutter;
    const count = cutter.cut(most);
    if (count === 0) return null;
    if (this.#noKeys.length < count) {
      this.#noKeys = new Int32Array(count).fill(-1);
      this.#noTimes = new Float64Array(count).fill(Number.NaN);
    }
    const records: RawRecords = {
      splitId: this.#splitId,
      count,
      bytes: this.#feed.window,
      keyStart: this.#noKeys,
      keyEnd: this.#noKeys,
      valueStart: cutter.starts,
      valueEnd: cutter.ends,
      timestampMs: this.#noTimes,
      position: cutter.positions,
    };
    return { kind: "raw", records };
  }

  retry(): void {
    this.#feed.retry();
  }

  close(): Promise<void> {
    return this.#feed.close();
  }
}
