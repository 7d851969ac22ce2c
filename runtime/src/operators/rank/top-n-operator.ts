// The operator behind topN: finds the place of each row that comes or goes, and gives out what that moves.
import { type Batch, type RowKind, type Rows, isRetraction, rowKind } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, SubKey } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import { KeyText } from "../rows/key-text.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { RowIdentity } from "../rows/row-identity.ts";
import { RowOrder } from "../rows/row-order.ts";
import { Sequence } from "../rows/sequence.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import { selectTop } from "./ranked-rows.ts";
import type { TopNParams } from "./top-n.ts";

export class TopN implements Operator {
  readonly #appends: boolean;
  readonly #offset: number;
  /** Rows before this place (offset and limit) are in sight or before those that are. */
  readonly #end: number;
  readonly #rankIndex: number;
  readonly #order: RowOrder;
  readonly #reader: KeyReader;
  readonly #unique: KeyText | undefined;
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #identity: RowIdentity;
  readonly #sequence: Sequence;
  readonly #emitter: RowEmitter;
  readonly #top: number[] = [];

  constructor(context: OperatorContext, params: TopNParams) {
    const { input, output, key, changelog = "append", ttl } = params;
    this.#appends = changelog === "append";
    this.#offset = params.offset ?? 0;
    this.#end = this.#offset + params.limit;
    this.#rankIndex = params.rank === undefined ? -1 : output.field(params.rank).index;
    this.#order = new RowOrder(input, params.order);
    this.#reader = new KeyReader(key);
    this.#unique = changelog === "upsert" && params.unique !== undefined ? new KeyText(params.unique) : undefined;
    const value = storedSchema(input, { sequence: float64() });
    const subKey = this.#unique === undefined ? "number" : "string";
    this.#table = context.keyed.multiTable({ name: "rows", key, value, subKey, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(input, this.#table);
    this.#identity = new RowIdentity(input);
    this.#sequence = new Sequence(context);
    this.#emitter = new RowEmitter(input, output, context.output());
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    this.#unique?.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      if (this.#unique !== undefined) this.#upsert(keys, k, rows, row, kind);
      else if (isRetraction(kind)) this.#remove(keys, k, rows, row);
      else this.#insert(keys, k, rows, row);
    }
    this.#emitter.flush();
  }

  #upsert(keys: KeyBatch, k: number, rows: Rows, row: number, kind: RowKind): void {
    if (kind === rowKind.updateBefore) return;
    const slot = this.#table.find(keys, k, 0, (this.#unique as KeyText).at(k));
    if (slot >= 0) {
      this.#identity.look(rows, row);
      if (kind !== rowKind.delete && this.#identity.matches(this.#stored.rows, slot)) return this.#table.touch(slot);
      this.#leave(keys, k, this.#table.subKeyOf(slot), rows.times[row] as number);
    }
    if (kind !== rowKind.delete) this.#insert(keys, k, rows, row);
  }

  #insert(keys: KeyBatch, k: number, rows: Rows, row: number): void {
    const timeMs = rows.times[row] as number;
    const top = this.#select(keys, k, this.#end);
    const place = this.#placeOf(rows, row, top);
    const isFull = top.length === this.#end;
    if (place < this.#end) {
      if (this.#rankIndex >= 0) this.#shiftDown(rows, row, top, place, timeMs);
      else this.#enter(rows, row, top, place, timeMs);
    } else if (this.#appends) return;
    // What is pushed out of an append-only input's first rows can never come back.
    if (this.#appends && isFull) this.#table.delete(top[this.#end - 1] as number);
    const sequence = this.#sequence.take();
    const slot = this.#table.upsert(keys, k, 0, this.#unique === undefined ? sequence : this.#unique.at(k));
    this.#stored.store(rows, row, slot);
    this.#stored.note(0).numbers[slot] = sequence;
    this.#table.touch(slot);
  }

  #select(keys: KeyBatch, k: number, size: number): number[] {
    const { slots, count } = this.#table.entriesOf(keys, k, 0);
    selectTop(this.#stored.rows, this.#order, this.#stored.note(0).numbers, slots, count, size, this.#top);
    return this.#top;
  }

  // A new row stands behind those that it is equal to.
  #placeOf(rows: Rows, row: number, top: readonly number[]): number {
    let place = top.length;
    while (place > 0 && this.#order.compare(rows, row, this.#stored.rows, top[place - 1] as number) < 0) place--;
    return place;
  }

  // With ranks: every row in sight from the new one's place on moves down by one.
  #shiftDown(rows: Rows, row: number, top: readonly number[], place: number, timeMs: number): void {
    const stored = this.#stored.rows;
    for (let i = Math.max(place, this.#offset); i <= top.length && i < this.#end; i++) {
      const isOccupied = i < top.length;
      if (isOccupied) this.#give(stored, top[i] as number, i, timeMs, rowKind.updateBefore);
      const kind = isOccupied ? rowKind.updateAfter : rowKind.insert;
      if (i === place) this.#give(rows, row, i, timeMs, kind);
      else this.#give(stored, top[i - 1] as number, i, timeMs, kind);
    }
  }

  // Without ranks: one row comes into sight, and where there is no room one leaves.
  #enter(rows: Rows, row: number, top: readonly number[], place: number, timeMs: number): void {
    const stored = this.#stored.rows;
    if (top.length === this.#end) this.#give(stored, top[this.#end - 1] as number, 0, timeMs, rowKind.delete);
    if (place >= this.#offset) this.#give(rows, row, 0, timeMs, rowKind.insert);
    else if (top.length >= this.#offset) this.#give(stored, top[this.#offset - 1] as number, 0, timeMs, rowKind.insert);
  }

  #remove(keys: KeyBatch, k: number, rows: Rows, row: number): void {
    this.#identity.look(rows, row);
    const { slots, count } = this.#table.entriesOf(keys, k, 0);
    // Of equal rows the last goes: that moves the fewest.
    for (let i = count - 1; i >= 0; i--) {
      const slot = slots[i] as number;
      if (this.#order.compare(rows, row, this.#stored.rows, slot) !== 0 || !this.#identity.matches(this.#stored.rows, slot)) continue;
      this.#leave(keys, k, this.#table.subKeyOf(slot), rows.times[row] as number);
      return;
    }
  }

  // Gives out what it means that an entry goes, and deletes it. Slots from before do not outlive the look-up.
  #leave(keys: KeyBatch, k: number, subKey: SubKey, timeMs: number): void {
    const top = this.#select(keys, k, this.#end + 1);
    const place = top.findIndex((slot) => this.#table.subKeyOf(slot) === subKey);
    const stored = this.#stored.rows;
    if (place >= 0 && place < this.#end) {
      if (this.#rankIndex >= 0) this.#shiftUp(top, place, timeMs);
      else {
        const leaving = Math.max(place, this.#offset);
        if (leaving < top.length) this.#give(stored, top[leaving] as number, 0, timeMs, rowKind.delete);
        if (top.length > this.#end) this.#give(stored, top[this.#end] as number, 0, timeMs, rowKind.insert);
      }
    }
    this.#table.delete(place >= 0 ? (top[place] as number) : this.#table.find(keys, k, 0, subKey));
  }

  #shiftUp(top: readonly number[], place: number, timeMs: number): void {
    const stored = this.#stored.rows;
    for (let i = Math.max(place, this.#offset); i < top.length && i < this.#end; i++) {
      const follows = i + 1 < top.length;
      this.#give(stored, top[i] as number, i, timeMs, follows ? rowKind.updateBefore : rowKind.delete);
      if (follows) this.#give(stored, top[i + 1] as number, i, timeMs, rowKind.updateAfter);
    }
  }

  #give(rows: Rows, row: number, place: number, timeMs: number, kind: RowKind): void {
    const out = this.#emitter.open(rows, row, timeMs, kind);
    if (this.#rankIndex >= 0) (this.#emitter.rows.columns[this.#rankIndex] as Column).numbers[out] = place + 1;
    this.#emitter.close(kind);
  }
}
