// Changes that no slot can tell of any more (deleted entries, and on a backend over disk evicted ones), in order, until the next capture.
import { ByteWriter } from "../../base/bytes.ts";
import type { ChangeOverflow } from "../spill/spill-store.ts";

const recordHeadBytes = 6;
const readBytes = 1 << 20;

/** A record is `[key group u16][length u32][entry]`. Later records of the same entry replace earlier ones. */
export class ChangeLog {
  readonly writer: ByteWriter = new ByteWriter(256);
  readonly #overflow: ChangeOverflow | undefined;

  /** With `overflow`, the older part of a long log is kept there. */
  constructor(overflow?: ChangeOverflow) {
    this.#overflow = overflow;
  }

  /** Starts a record; the caller appends the entry to `writer` and calls `close` with what this returned. */
  open(keyGroup: number): number {
    const start = this.writer.length;
    this.writer.u16(keyGroup);
    this.writer.u32(0);
    return start;
  }

  close(start: number): void {
    this.writer.buffer.writeUInt32LE(this.writer.length - start - recordHeadBytes, start + 2);
    if (this.#overflow === undefined || this.writer.length < this.#overflow.afterBytes) return;
    this.#overflow.append(this.writer.view());
    this.writer.reset();
  }

  get sizeBytes(): number {
    return this.writer.buffer.length;
  }

  get isEmpty(): boolean {
    return this.writer.length === 0 && this.isInMemory;
  }

  get isInMemory(): boolean {
    return this.#overflow === undefined || this.#overflow.sizeBytes === 0;
  }

  /** Shows all records in order: the entry is `[start, end)` of the buffer, for the time of the call. */
  forEach(visit: (keyGroup: number, bytes: Buffer, start: number, end: number) => void): void {
    const overflow = this.#overflow;
    if (overflow !== undefined && overflow.sizeBytes > 0) visitOverflow(overflow, visit);
    visitRecords(this.writer.buffer, this.writer.length, visit);
  }

  clear(): void {
    this.writer.reset();
    this.#overflow?.clear();
  }
}

type Visit = Parameters<ChangeLog["forEach"]>[0];

/** Visits the whole records in `[0, length)` and returns where the last of them ends. */
function visitRecords(buffer: Buffer, length: number, visit: Visit): number {
  let at = 0;
  while (at + recordHeadBytes <= length) {
    const end = at + recordHeadBytes + buffer.readUInt32LE(at + 2);
    if (end > length) break;
    visit(buffer.readUInt16LE(at), buffer, at + recordHeadBytes, end);
    at = end;
  }
  return at;
}

// The log may be as large as all that has changed: it passes through a buffer, which grows only for a record larger than itself.
function visitOverflow(overflow: ChangeOverflow, visit: Visit): void {
  let buffer = Buffer.allocUnsafeSlow(Math.min(readBytes, overflow.sizeBytes));
  for (let position = 0; position < overflow.sizeBytes; ) {
    const length = Math.min(buffer.length, overflow.sizeBytes - position);
    overflow.read(position, buffer.subarray(0, length));
    const used = visitRecords(buffer, length, visit);
    if (used === 0) buffer = Buffer.allocUnsafeSlow(buffer.length * 2);
    position += used;
  }
}
