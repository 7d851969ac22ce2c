// Finds the parts of a Debezium change event in its bytes: what happened, the images before and after, and when.
import { Column } from "../../core/batch/column.ts";
import { parseRecord } from "../json/careful.ts";
import type { JsonNode } from "../json/json-nodes.ts";
import { readInteger } from "../json/numbers.ts";
import { type EntryVisitor, readEntries } from "../json/range-reader.ts";
import { skipNull, skipSpace, skipValue } from "../json/scan.ts";
import { KeyTable } from "../json/wire-fields.ts";

/** An image of the row: a range of the block, or a parsed object where the range cannot be used; undefined where it is null or missing. */
export type Image = { readonly start: number; readonly end: number } | { readonly node: JsonNode } | undefined;

export interface ChangeEvent {
  /** `c`, `r`, `u`, `d`, or whatever the event says. */
  readonly op: string;
  readonly before: Image;
  readonly after: Image;
  /** When the source changed, or else when Debezium saw it, ms; undefined where the event does not say. */
  readonly timeMs: number | undefined;
}

const partNames = ["payload", "before", "after", "op", "source", "ts_ms"] as const;
type PartName = (typeof partNames)[number];
const timePart = partNames.indexOf("ts_ms");
const knownOps = new Map([..."crudtm"].map((op) => [op.charCodeAt(0), op]));
const plainSpec = { type: { kind: "any" }, nullable: false, optional: false, aliases: [] } as const;
const keys = new KeyTable(partNames.map((name, index) => ({ index, name, spec: plainSpec, keys: [name] })));

// Where the parts of the event being read stand; -1 for one that is not there.
class Parts {
  readonly starts = new Int32Array(partNames.length);
  readonly ends = new Int32Array(partNames.length);

  start(name: PartName): number {
    return this.starts[partNames.indexOf(name)] as number;
  }

  end(name: PartName): number {
    return this.ends[partNames.indexOf(name)] as number;
  }
}

export class EnvelopeReader {
  readonly #parts = new Parts();
  readonly #number = new Column("number", 1);
  readonly #bytes: Buffer;
  readonly #view: DataView;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The event of a record; throws BadRecord where it is not JSON, or not an event. */
  read(start: number, end: number): ChangeEvent {
    return this.#readInPlace(start, end) ?? eventOf(parseRecord(this.#bytes.subarray(start, end)));
  }

  // Undefined where the careful way has to decide.
  #readInPlace(start: number, end: number): ChangeEvent | undefined {
    const bytes = this.#bytes;
    const parts = this.#parts;
    let at = skipSpace(bytes, start, end);
    if (!this.#findParts(at, end)) return undefined;
    if (parts.start("payload") >= 0) {
      // With its schema around it; the event is inside. (A wrapped event has no other parts beside the payload.)
      at = parts.start("payload");
      if (!this.#findParts(at, parts.end("payload")) || parts.start("payload") >= 0) return undefined;
    }
    const op = parts.start("op");
    if (op < 0 || bytes[op] !== 0x22) return undefined;
    const timeMs = this.#sourceTime() ?? this.#integerAt(parts.start("ts_ms"), parts.end("ts_ms"));
    if (timeMs === null) return undefined;
    return {
      op: parts.end("op") - op === 3 ? (knownOps.get(bytes[op + 1] as number) ?? "?") : bytes.toString("utf8", op + 1, parts.end("op") - 1),
      before: this.#image("before"),
      after: this.#image("after"),
      timeMs,
    };
  }

  // Marks the parts of the object at `p`, which must fill the range but for white space.
  #findParts(p: number, end: number): boolean {
    const bytes = this.#bytes;
    const view = this.#view;
    const { starts, ends } = this.#parts;
    starts.fill(-1);
    const visit: EntryVisitor = (keyStart, keyEnd, at) => {
      const next = skipValue(bytes, at, end, view);
      const part = keys.find(bytes, keyStart, keyEnd);
      if (part < 0) return next;
      // A repeated key is left to the careful way.
      if (starts[part] !== -1) return -1;
      starts[part] = at;
      ends[part] = next;
      return next;
    };
    const after = readEntries(bytes, p, end, visit, view);
    return after >= 0 && skipSpace(bytes, after, end) === end;
  }

  #image(name: "before" | "after"): Image {
    const start = this.#parts.start(name);
    const end = this.#parts.end(name);
    return start < 0 || skipNull(this.#bytes, start, end) === end ? undefined : { start, end };
  }

  // `source.ts_ms`; undefined where it is missing or null, null where it is no integer.
  #sourceTime(): number | undefined | null {
    const start = this.#parts.start("source");
    const end = this.#parts.end("source");
    if (start < 0 || this.#bytes[start] !== 0x7b) return undefined;
    let time: number | undefined | null;
    const visit: EntryVisitor = (keyStart, keyEnd, at) => {
      const next = skipValue(this.#bytes, at, end, this.#view);
      if (keys.find(this.#bytes, keyStart, keyEnd) === timePart) time = time === undefined ? this.#integerAt(at, next) : null;
      return next;
    };
    const after = readEntries(this.#bytes, start, end, visit, this.#view);
    return after < 0 ? null : time;
  }

  #integerAt(start: number, end: number): number | undefined | null {
    if (start < 0 || skipNull(this.#bytes, start, end) === end) return undefined;
    const after = readInteger(this.#bytes, start, end, this.#number, 0, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    return after === end ? (this.#number.numbers[0] as number) : null;
  }
}

function partOf(node: JsonNode | undefined, name: PartName): JsonNode | undefined {
  if (node?.kind !== "object") return undefined;
  const found = node.entries.findLast(([key]) => key === name)?.[1];
  return found?.kind === "null" ? undefined : found;
}

function timeOf(node: JsonNode | undefined): number | undefined {
  const timeMs = node?.kind === "number" ? Number(node.text) : Number.NaN;
  return Number.isSafeInteger(timeMs) ? timeMs : undefined;
}

// The event of a parsed record, in any spelling.
function eventOf(tree: JsonNode): ChangeEvent {
  const event = partOf(tree, "payload") ?? tree;
  const op = partOf(event, "op");
  const image = (name: "before" | "after"): Image => {
    const node = partOf(event, name);
    return node === undefined ? undefined : { node };
  };
  return {
    op: op?.kind === "string" ? op.value : "",
    before: image("before"),
    after: image("after"),
    timeMs: timeOf(partOf(partOf(event, "source"), "ts_ms")) ?? timeOf(partOf(event, "ts_ms")),
  };
}
