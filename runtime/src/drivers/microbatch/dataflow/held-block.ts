// A block of records that outlives its reader's next poll: how a batch is held between its plan and its processing.
import { Batch, identitySelection, Rows } from "../../../core/batch/batch.ts";
import { appendRows } from "../../../core/batch/copy.ts";
import type { RawRecords, RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { SourceBatch } from "../../../core/ports/source.ts";

export interface HeldBlock {
  readonly block: SourceBatch;
  readonly records: number;
  /** What it takes of memory, about. */
  readonly sizeBytes: number;
}

/** What the arrays of a record take beside its bytes. */
const recordBytes = 32;
/** A row's share of its columns, about: rows come from connectors of tests, generators and columnar files. */
const rowBytes = 64;

/** How many records a block has. */
export function recordsOf(block: SourceBatch): number {
  return block.kind === "raw" ? block.records.count : block.rows.size;
}

export function splitOf(block: SourceBatch): string {
  return block.kind === "raw" ? block.records.splitId : block.splitId;
}

/** A copy of the first `records` of a block. */
export function holdBlock(block: SourceBatch, records: number = recordsOf(block)): HeldBlock {
  if (block.kind === "raw") {
    const copy = copyRecords(block.records, records);
    return { block: { kind: "raw", records: copy }, records, sizeBytes: copy.bytes.length + records * recordBytes };
  }
  const rows = new Rows(block.rows.schema, records);
  appendRows(new Batch(block.rows, identitySelection(records), records), rows);
  const { splitId, firstPosition } = block;
  return { block: { kind: "rows", splitId, rows, firstPosition }, records, sizeBytes: records * rowBytes };
}

function copyRecords(from: RawRecords, count: number): RawRecords {
  const ranges = [
    [from.keyStart, from.keyEnd],
    [from.valueStart, from.valueEnd],
  ] as const;
  let first = Infinity;
  let end = 0;
  for (const [starts, ends] of ranges) {
    for (let index = 0; index < count; index++) {
      const start = starts[index] as number;
      if (start < 0) continue;
      if (start < first) first = start;
      if ((ends[index] as number) > end) end = ends[index] as number;
    }
  }
  if (first === Infinity) first = end;
  // A slab of its own: a pooled one would be kept by whatever else lies in it.
  const bytes = Buffer.allocUnsafeSlow(end - first);
  bytes.set(from.bytes.subarray(first, end));
  const moved = (positions: Int32Array): Int32Array => {
    const copy = positions.slice(0, count);
    for (let index = 0; index < count; index++) if ((copy[index] as number) >= 0) copy[index] = (copy[index] as number) - first;
    return copy;
  };
  return {
    ...{ splitId: from.splitId, count, bytes },
    ...{ keyStart: moved(from.keyStart), keyEnd: moved(from.keyEnd), valueStart: moved(from.valueStart), valueEnd: moved(from.valueEnd) },
    ...{ timestampMs: from.timestampMs.slice(0, count), position: from.position.slice(0, count) },
    ...copyHeaders(from, count),
  };
}

const noHeaders: RecordHeaders = [];

function copyHeaders({ headersOf }: RawRecords, count: number): { readonly headersOf?: (index: number) => RecordHeaders } {
  if (headersOf === undefined) return {};
  const held = new Map<number, RecordHeaders>();
  for (let index = 0; index < count; index++) {
    const headers = headersOf(index);
    if (headers.length > 0)
      held.set(
        index,
        headers.map(([name, value]) => [name, value === null ? null : new Uint8Array(value)] as const),
      );
  }
  return { headersOf: (index) => held.get(index) ?? noHeaders };
}
