// Blocks of raw records from record objects: lets tests feed formats without a server.
import { ByteWriter } from "../../base/bytes.ts";
import type { RecordHeaders } from "../../core/batch/raw-records.ts";
import type { BlockMaker } from "./memory-reader.ts";

/** A record as a message system has it. Text is taken as UTF-8; null is "no key", "no value". */
export interface MemoryRecord {
  readonly key?: Uint8Array | string | null;
  readonly value: Uint8Array | string | null;
  /** Ms since the epoch; default none. */
  readonly timestampMs?: number;
  readonly headers?: RecordHeaders;
}

/** Writes entries one behind the other into a buffer that it reuses from block to block. */
export function recordBlocks(): BlockMaker<MemoryRecord> {
  const writer = new ByteWriter();
  const append = (content: Uint8Array | string | null | undefined): number => {
    if (content === null || content === undefined) return -1;
    const start = writer.length;
    writer.raw(typeof content === "string" ? Buffer.from(content) : content);
    return start;
  };
  return (split, from, to) => {
    const count = to - from;
    const keyStart = new Int32Array(count);
    const keyEnd = new Int32Array(count);
    const valueStart = new Int32Array(count);
    const valueEnd = new Int32Array(count);
    const timestampMs = new Float64Array(count);
    const position = new Float64Array(count);
    writer.reset();
    for (let i = 0; i < count; i++) {
      const record = split.entries[from + i] as MemoryRecord;
      keyStart[i] = append(record.key);
      keyEnd[i] = writer.length;
      valueStart[i] = append(record.value);
      valueEnd[i] = writer.length;
      timestampMs[i] = record.timestampMs ?? Number.NaN;
      position[i] = from + i;
    }
    const headersOf = (index: number): RecordHeaders => split.entries[from + index]?.headers ?? [];
    const records = {
      splitId: split.id,
      count,
      bytes: writer.buffer,
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      timestampMs,
      position,
      headersOf,
    };
    return { kind: "raw", records };
  };
}
