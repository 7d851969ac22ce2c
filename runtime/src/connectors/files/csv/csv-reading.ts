// Reads a CSV file as rows of the source's schema.
import { Rows } from "../../../core/batch/batch.ts";
import type { SourceBatch } from "../../../core/ports/source.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { BlockFeed } from "../source/block-feed.ts";
import type { RecordCutter } from "../source/record-cutter.ts";
import type { ReportBad, SplitReading } from "../source/split-reading.ts";
import type { CsvRecordReader } from "./csv-record.ts";

/** How much of a bad record is kept to show. */
const shownBytes = 4096;

export class CsvReading implements SplitReading {
  readonly #splitId: string;
  readonly #feed: BlockFeed;
  readonly #cutter: RecordCutter;
  readonly #reader: CsvRecordReader;
  readonly #rows: Rows;
  readonly #reportBad: ReportBad;

  constructor(splitId: string, schema: Schema, feed: BlockFeed, cutter: RecordCutter, reader: CsvRecordReader, reportBad: ReportBad) {
    this.#splitId = splitId;
    this.#feed = feed;
    this.#cutter = cutter;
    this.#reader = reader;
    this.#rows = new Rows(schema, 1024);
    this.#reportBad = reportBad;
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
    const rows = this.#rows;
    for (;;) {
      const count = this.#cutter.cut(most);
      if (count === 0) return null;
      const { starts, ends, positions } = this.#cutter;
      const bytes = this.#feed.window;
      rows.reset();
      rows.ensure(count);
      rows.ready.fill(1);
      let row = 0;
      let firstPosition = 0;
      for (let i = 0; i < count; i++) {
        const start = starts[i] as number;
        const end = ends[i] as number;
        const problem = this.#reader.read(bytes, start, end, rows, row);
        if (problem === undefined) {
          if (row === 0) firstPosition = positions[i] as number;
          rows.times[row++] = Number.NEGATIVE_INFINITY;
        } else {
          const value = Uint8Array.prototype.slice.call(bytes, start, Math.min(end, start + shownBytes));
          this.#reportBad(problem.code, positions[i] as number, value, problem.reason);
        }
      }
      rows.size = row;
      if (row > 0) return { kind: "rows", splitId: this.#splitId, rows, firstPosition };
    }
  }

  retry(): void {
    this.#feed.retry();
  }

  close(): Promise<void> {
    return this.#feed.close();
  }
}
