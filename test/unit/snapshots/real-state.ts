// Keyed state as the engine keeps it, with plain functions to fill it and to read it out: for tests that put it through snapshots.
import { ManualClock } from "../../../runtime/src/base/clock.ts";
import { Batch, Rows } from "../../../runtime/src/core/batch/batch.ts";
import { rowWriter } from "../../../runtime/src/core/batch/rows-builder.ts";
import { type KeyBatch, KeyReader } from "../../../runtime/src/core/keys/key-batch.ts";
import { keyLayout, type KeyLayout } from "../../../runtime/src/core/keys/key-layout.ts";
import type { KeyedStateBackend, StateBackendFactory } from "../../../runtime/src/core/ports/state-backend.ts";
import type { KeyedMultiTable, KeyedTable, Timers } from "../../../runtime/src/core/ports/state.ts";
import { decimal, int64, string, timestamp } from "../../../runtime/src/core/schema/field.ts";
import { type Schema, schema } from "../../../runtime/src/core/schema/schema.ts";

export const maxParallelism = 8;

export const integerKey: Schema = schema({ id: int64() });
export const textKey: Schema = schema({ airport: string() });
export const pairKey: Schema = schema({ origin: string().nullable(), hour: timestamp() });

/** The value of table `totals`: what the first version of a job has, and what the second makes of it. */
export const totalsOne: Schema = schema({ flights: int64(), delay: decimal(12, 2), note: string().nullable() });
export const totalsTwo: Schema = schema({
  flights: int64(),
  delay: decimal(12, 2),
  note: string().nullable(),
  worst: int64().default(-1n),
});
const itemValue = schema({ carrier: string() });

export class RealState {
  readonly clock: ManualClock;
  readonly backend: KeyedStateBackend;
  readonly totals: KeyedTable;
  readonly items: KeyedMultiTable;
  readonly timers: Timers;
  readonly #totalsValue: Schema;

  private constructor(clock: ManualClock, backend: KeyedStateBackend, totalsValue: Schema) {
    this.clock = clock;
    this.backend = backend;
    this.#totalsValue = totalsValue;
    this.totals = backend.state.table({
      name: "totals",
      key: layoutOf(pairKey),
      value: totalsValue,
      ttl: { ttlMs: 1e12, time: "processing", refresh: "write" },
    });
    this.items = backend.state.multiTable({ name: "items", key: layoutOf(textKey), value: itemValue, subKey: "number" });
    this.timers = backend.state.timers("timers", layoutOf(integerKey), "event");
  }

  static async open(
    factory: StateBackendFactory,
    directory: string,
    keyGroups: { readonly from: number; readonly to: number },
    totalsValue: Schema = totalsOne,
  ): Promise<RealState> {
    const clock = new ManualClock(1_000);
    return new RealState(clock, await factory.open({ uid: "delays", keyGroups, maxParallelism, clock, directory }), totalsValue);
  }

  putTotal(
    key: { readonly origin: string | null; readonly hour: number },
    namespace: number,
    value: Readonly<Record<string, unknown>>,
  ): void {
    const slot = this.totals.find(keyOf(pairKey, key), 0, namespace, true);
    const rows = new Rows(this.#totalsValue, 1);
    rowWriter(this.#totalsValue)(rows, 0, value);
    this.#totalsValue.fields.forEach((field, i) => {
      const from = rows.columns[i];
      const to = this.totals.columns[i];
      if (from === undefined || to === undefined) throw new Error("columns follow the schema");
      const mark = from.nulls === null ? 0 : (from.nulls[0] ?? 0);
      if (mark !== 0 || to.nulls !== null) to.setAbsent(slot, mark);
      if (field.column === "int64") to.setInt64(slot, from.getInt64(0));
      else if (field.column === "text") to.setText(slot, mark === 0 ? from.getText(0) : "");
      else to.objects[slot] = from.objects[0];
    });
    this.totals.touch(slot);
  }

  deleteTotal(key: { readonly origin: string | null; readonly hour: number }, namespace: number): void {
    const slot = this.totals.find(keyOf(pairKey, key), 0, namespace, false);
    if (slot >= 0) this.totals.delete(slot);
  }

  putItem(airport: string, subKey: number, carrier: string): void {
    const slot = this.items.upsert(keyOf(textKey, { airport }), 0, 0, subKey);
    this.items.columns[0]?.setText(slot, carrier);
    this.items.touch(slot);
  }

  deleteItem(airport: string, subKey: number): void {
    const slot = this.items.find(keyOf(textKey, { airport }), 0, 0, subKey);
    if (slot >= 0) this.items.delete(slot);
  }

  putTimer(id: bigint, namespace: number, timeMs: number): void {
    this.timers.register(keyOf(integerKey, { id }), 0, namespace, timeMs);
  }

  /** Every entry as a line of text, sorted. Fires the timers: call it last. */
  contents(): string[] {
    const lines: string[] = [];
    const keyRows = new Rows(pairKey, 1);
    this.totals.visitAll((slots, count) => {
      for (let i = 0; i < count; i++) {
        const slot = slots[i] ?? -1;
        keyRows.reset();
        keyRows.ensure(1);
        this.totals.copyKey(slot, keyRows, 0, [0, 1]);
        const key = [keyRows.columns[0]?.nulls?.[0] === 1 ? null : keyRows.columns[0]?.getText(0), keyRows.columns[1]?.numbers[0]];
        const value = this.#totalsValue.fields.map(({ column }, f) => {
          const from = this.totals.columns[f];
          if (from?.nulls?.[slot] === 1) return null;
          return column === "int64" ? String(from?.getInt64(slot)) : column === "text" ? from?.getText(slot) : String(from?.objects[slot]);
        });
        lines.push(`total ${JSON.stringify([key, this.totals.namespaceOf(slot), value])}`);
      }
    });
    this.items.visitAll((slots, count) => {
      for (let i = 0; i < count; i++) {
        const slot = slots[i] ?? -1;
        lines.push(
          `item ${Buffer.from(this.items.keyBytes(slot)).toString()} ${this.items.subKeyOf(slot)} ${this.items.columns[0]?.getText(slot)}`,
        );
      }
    });
    this.timers.fire(Number.MAX_SAFE_INTEGER, (keys, namespace, timeMs) => {
      const id = (BigInt(keys.high[0] ?? 0) << 32n) | BigInt((keys.low[0] ?? 0) >>> 0);
      lines.push(`timer ${id} ${namespace} ${timeMs}`);
    });
    return lines.sort();
  }
}

export function layoutOf(of: Schema): KeyLayout {
  return keyLayout(
    of,
    of.fields.map((field) => field.name),
  );
}

function keyOf(of: Schema, row: Readonly<Record<string, unknown>>): KeyBatch {
  const rows = new Rows(of, 1);
  rows.ready.fill(1);
  rowWriter(of)(rows, 0, row);
  rows.size = 1;
  return new KeyReader(layoutOf(of)).read(new Batch(rows));
}
