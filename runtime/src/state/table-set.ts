// The tables that an operator instance declared, and what is done to all of them: capture, base scan, restore.
import type { ByteReader } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { keyGroupOf } from "../core/keys/key-batch.ts";
import type { KeyLayout } from "../core/keys/key-layout.ts";
import type { KeyGroupRange } from "../core/operator/operator.ts";
import type { BaseScan, StateBlock, StateCapture, StoredState, StoredTableSpec } from "../core/ports/state-backend.ts";
import type { KeyedMultiTable, KeyedState, KeyedTable, TableSpec, Timers } from "../core/ports/state.ts";
import { planAdaptation, type RowAdapter, schemaOf } from "../core/schema/evolution.ts";
import { murmur3 } from "../base/murmur3.ts";
import { type EntryCursor, readBlock } from "./entry-codec.ts";
import { corruptState, incompatibleState, unknownTable } from "./state-errors.ts";
import { storedSpecOf } from "./stored-spec.ts";
import type { Spill, SpillOptions } from "./spill/spill.ts";
import type { CaptureScratch } from "./spill/spill-store.ts";
import type { EntryStore } from "./table/entry-store.ts";
import { HeapMultiTable } from "./table/heap-multi-table.ts";
import { HeapTable, type TableOptions } from "./table/heap-table.ts";
import { heapScan, spilledScan, type TableScan } from "./table/table-scan.ts";
import { HeapTimers, timerValue } from "./table/heap-timers.ts";

export interface TableSetOptions {
  readonly uid: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly clock: Clock;
  /** The store below a table's heap part, by the table's number; without it all state is on the heap. */
  readonly spill?: (table: number) => SpillOptions;
  /** Where a large capture goes; without it captures are in memory, as the state is. */
  readonly scratch?: () => CaptureScratch;
}

interface Declared {
  readonly stored: StoredTableSpec;
  readonly spec: Pick<TableSpec, "value" | "migrate">;
  readonly entries: EntryStore;
  readonly spill: Spill | null;
  readonly sizes: { readonly memory: number; readonly entries: number };
  onWatermark(timeMs: number): void;
  capture(scratch: CaptureScratch | undefined): StateBlock[];
  restore(cursor: EntryCursor, reader: ByteReader, decode: RowAdapter): void;
  endRestore?(): void;
}

export class TableSet implements KeyedState {
  readonly #options: TableSetOptions;
  readonly #tables = new Map<string, Declared>();
  #captureFailed: unknown;

  constructor(options: TableSetOptions) {
    this.#options = options;
  }

  table(spec: TableSpec): KeyedTable {
    const table = new HeapTable(spec, this.#tableOptions());
    this.#declare({
      stored: storedSpecOf("table", spec),
      spec,
      entries: table.entries,
      spill: table.spill,
      get sizes() {
        return { memory: table.heapBytes, entries: table.size };
      },
      onWatermark: (timeMs) => table.onWatermark(timeMs),
      capture: (scratch) => table.capture(scratch),
      restore: (cursor, reader, decode) => table.restore(cursor, reader, decode),
    });
    return table;
  }

  #tableOptions(): TableOptions {
    const { clock, maxParallelism, spill } = this.#options;
    return { clock, maxParallelism, ...(spill === undefined ? {} : { spill: spill(this.#tables.size) }) };
  }

  multiTable(spec: TableSpec & { readonly subKey: "number" | "string" }): KeyedMultiTable {
    const table = new HeapMultiTable(spec, this.#tableOptions());
    this.#declare({
      stored: storedSpecOf("multi", spec, spec.subKey),
      spec,
      entries: table.entries,
      spill: table.spill,
      get sizes() {
        return { memory: table.heapBytes, entries: table.size };
      },
      onWatermark: (timeMs) => table.onWatermark(timeMs),
      capture: (scratch) => table.capture(scratch),
      restore: (cursor, reader, decode) => table.restore(cursor, reader, decode),
      endRestore: () => table.endRestore(),
    });
    return table;
  }

  timers(name: string, key: KeyLayout, _time: "event" | "processing"): Timers {
    const timers = new HeapTimers(name, key, { clock: this.#options.clock, maxParallelism: this.#options.maxParallelism });
    const spec: TableSpec = { name, key, value: timerValue };
    this.#declare({
      stored: storedSpecOf("timers", spec, "number"),
      spec,
      entries: timers.entries,
      spill: null,
      get sizes() {
        return { memory: timers.entries.sizeBytes, entries: timers.size };
      },
      onWatermark: () => {},
      capture: (scratch) => timers.capture(scratch),
      restore: (cursor, reader) => timers.restore(cursor, reader),
    });
    return timers;
  }

  #declare(table: Declared): void {
    const { name } = table.stored;
    if (this.#tables.has(name)) throw new Error(`${this.#options.uid} declares the state table "${name}" twice`);
    this.#tables.set(name, table);
  }

  capture(): StateCapture {
    if (this.#captureFailed !== undefined) throw this.#captureFailed;
    const tables = [...this.#tables.values()];
    const specs = tables.map((table) => table.stored);
    const scratch = this.#options.scratch?.();
    if (scratch === undefined) return { tables: specs, blocks: tables.flatMap((table) => table.capture(undefined)) };
    try {
      const blocks = tables.flatMap((table) => table.capture(scratch));
      scratch.end();
      if (blocks.some(({ stored }) => stored !== undefined)) return { tables: specs, blocks, release: () => scratch.release() };
      scratch.release();
      return { tables: specs, blocks };
    } catch (error) {
      // Entries count as captured by now that no capture has: a later one would pass for complete.
      this.#captureFailed = error;
      scratch.release();
      throw error;
    }
  }

  /**
   * Why base and captures are consistent: an entry that nobody changes between the last capture before the scan's start and the
   * capture after its end keeps its slot, is not dirty, and so is written exactly once with the value that it has all along.
   * Any other entry is in one of the captures since the start (as a put, or as a tombstone where an older capture or the base
   * may hold it), and captures are applied after the base. An entry that is not in a capture yet is dirty, so the base leaves it
   * out: if it is deleted before the next capture, nothing ever held it.
   */
  startBase(): BaseScan {
    const left = [...this.#tables.values()].map(({ entries, spill }) => (spill === null ? heapScan(entries) : spilledScan(entries, spill)));
    return {
      next: (maxBytes) => {
        while (left.length > 0) {
          const blocks = (left[0] as TableScan).next(maxBytes);
          if (blocks !== null) return blocks;
          left.shift();
        }
        return null;
      },
      cancel: () => {
        for (const scan of left) scan.close();
        left.length = 0;
      },
    };
  }

  async restore(stored: StoredState): Promise<void> {
    const { uid, keyGroups } = this.#options;
    // By spec: versions of the job that changed a table leave blocks of several specs under its name.
    const adapters = new Map<StoredTableSpec, RowAdapter>();
    const specOf = new Map(stored.tables.map((table) => [table.name, table]));
    // All tables are checked before the first entry is read.
    for (const table of stored.tables) {
      const today = this.#tables.get(table.name);
      if (today === undefined) {
        if (stored.allowUnknownTables === true) continue;
        throw unknownTable(uid, table.name);
      }
      adapters.set(table, this.#adapterFor(table, today));
    }
    for await (const block of stored.blocks()) {
      if (block.keyGroup < keyGroups.from || block.keyGroup >= keyGroups.to) continue;
      const spec = block.spec ?? specOf.get(block.table);
      const adapter = spec === undefined ? undefined : adapters.get(spec);
      const today = this.#tables.get(block.table);
      if (today !== undefined && adapter !== undefined) this.#restoreBlock(block, today, adapter);
      else if (today !== undefined || !stored.tables.some((table) => table.name === block.table)) {
        // Left out it would be state that is lost without a word.
        throw corruptState(`state of ${uid}`, `a block of the table "${block.table}" has a spec that the manifest does not have`);
      }
    }
    for (const table of this.#tables.values()) table.endRestore?.();
  }

  #restoreBlock(block: StateBlock, today: Declared, adapter: RowAdapter): void {
    const { uid, maxParallelism } = this.#options;
    const subject = `table "${block.table}" of ${uid}`;
    const { keyForm, subKey } = today.stored;
    const clockMs = readBlock(block, subject, keyForm === "integer", subKey, (cursor, reader) => {
      const keyGroup = keyGroupOf(murmur3(reader.buffer, cursor.keyStart, cursor.keyEnd), maxParallelism);
      if (keyGroup !== block.keyGroup) {
        throw corruptState(
          subject,
          `an entry of key group ${keyGroup} stands in a block of key group ${block.keyGroup} (was maxParallelism changed?)`,
        );
      }
      today.restore(cursor, reader, adapter);
    });
    today.onWatermark(clockMs);
  }

  #adapterFor(stored: StoredTableSpec, today: Declared): RowAdapter {
    const { uid } = this.#options;
    const subject = `state table "${stored.name}" of ${uid}`;
    const now = today.stored;
    if (stored.form !== now.form || stored.subKey !== now.subKey) {
      const describe = (spec: StoredTableSpec): string =>
        spec.subKey === undefined ? spec.form : `${spec.form} with ${spec.subKey} sub-keys`;
      throw incompatibleState(
        subject,
        `it was stored as ${describe(stored)} and is now ${describe(now)}`,
        "give the new state a name of its own",
      );
    }
    const storedKey = schemaOf({ spec: stored.key, order: stored.keyOrder });
    const key = schemaOf({ spec: now.key, order: now.keyOrder });
    if (stored.keyForm !== now.keyForm || storedKey.fingerprint !== key.fingerprint) {
      throw incompatibleState(
        subject,
        `its key changed: stored is version ${storedKey.fingerprint} (${stored.keyOrder.join(", ")}), today's is ${key.fingerprint} (${now.keyOrder.join(", ")})`,
        "a key cannot change, because it decides where an entry is; use a new uid",
      );
    }
    return planAdaptation(subject, { spec: stored.value, order: stored.valueOrder }, today.spec.value, today.spec.migrate);
  }

  onWatermark(timeMs: number): void {
    for (const table of this.#tables.values()) table.onWatermark(timeMs);
  }

  sizeBytes(): { readonly memory: number; readonly entries: number } {
    let memory = 0;
    let entries = 0;
    for (const { sizes } of this.#tables.values()) {
      memory += sizes.memory;
      entries += sizes.entries;
    }
    return { memory, entries };
  }

  close(): void {
    for (const { spill } of this.#tables.values()) spill?.close();
  }
}
