// Runs one operator, or several instances of it, outside of any driver: rows in as objects, manual time, outputs as objects, snapshots.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { ManualClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { Batch, Rows, noTime, rowKind } from "../core/batch/batch.ts";
import { rowObject, rowView } from "../core/batch/row-view.ts";
import { type Output, rowWriter } from "../core/batch/rows-builder.ts";
import type { BadRow } from "../core/operator/bad-rows.ts";
import type { KeyGroupRange, Operator, OperatorContext, OperatorFactory } from "../core/operator/operator.ts";
import type { KeyedStateBackend, StateBackendFactory, StateBlock, StoredTableSpec } from "../core/ports/state-backend.ts";
import type { Schema } from "../core/schema/schema.ts";
import { memoryBackend } from "../state/memory/memory-backend.ts";
import { HarnessOperatorState, type HarnessList } from "./harness-state.ts";

export type ChangeKind = keyof typeof rowKind;
const kindNames: readonly ChangeKind[] = ["insert", "updateBefore", "updateAfter", "delete"];

/** A row on its way in or out. Without a time it has none; without a kind it is an insert. */
export interface HarnessRow<Row = unknown> {
  readonly row: Row;
  readonly timeMs?: number;
  readonly kind?: ChangeKind;
}

/** What an instance held at a barrier; restorable into any number of instances. */
export interface HarnessSnapshot {
  readonly tables: readonly StoredTableSpec[];
  readonly blocks: readonly StateBlock[];
  readonly lists: ReadonlyMap<string, HarnessList>;
}

export interface HarnessOptions {
  readonly factory: OperatorFactory;
  /** The schema of each input. */
  readonly inputs: readonly Schema[];
  readonly uid?: string;
  /** Default: memory. */
  readonly backend?: StateBackendFactory;
  readonly clock?: ManualClock;
  readonly subtask?: number;
  readonly parallelism?: number;
  /** Default 128. */
  readonly maxParallelism?: number;
  /** Rows per batch; longer pushes arrive as several. Default 1024. */
  readonly batchRows?: number;
  readonly snapshot?: HarnessSnapshot | undefined;
}

const wakesPerAdvanceMax = 1_000_000;

/** The contiguous range of key groups of one of `parallelism` instances. */
export function keyGroupsOf(subtask: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  const bound = (index: number): number => Math.ceil((index * maxParallelism) / parallelism);
  return { from: bound(subtask), to: bound(subtask + 1) };
}

/** A captured block as a snapshot has it: its bytes are read, and it says how they are encoded. */
function storedBlock({ table, keyGroup, entryCount, bytes }: StateBlock, spec: StoredTableSpec | undefined): StateBlock {
  return { table, keyGroup, entryCount, bytes, ...(spec === undefined ? {} : { spec }) };
}

/** One instance. Open it with `OperatorHarness.open`, close it at the end of the test. */
export class OperatorHarness {
  readonly operator: Operator;
  readonly clock: ManualClock;
  readonly badRows: BadRow[] = [];
  readonly counters: Map<string, number> = new Map();
  /** The watermarks that went on to the outputs. */
  readonly watermarks: number[] = [];
  /** How many pauses the operator holds. */
  paused = 0;
  readonly #options: HarnessOptions;
  readonly #backend: KeyedStateBackend;
  readonly #directory: string;
  readonly #lists: HarnessOperatorState;
  readonly #outputs = new Map<string, HarnessRow[]>();
  readonly #tasks: (() => void)[] = [];
  readonly #inputs: readonly Rows[];
  /** All blocks of this instance's key groups since the operator's first start: captures hold changes only. */
  #history: readonly StateBlock[];
  #watermarkMs = -Infinity;
  #closed = false;

  private constructor(options: HarnessOptions, backend: KeyedStateBackend, directory: string, clock: ManualClock) {
    this.#options = options;
    this.#backend = backend;
    this.#directory = directory;
    this.clock = clock;
    const own = keyGroupsOf(options.subtask ?? 0, options.parallelism ?? 1, options.maxParallelism ?? 128);
    this.#history = (options.snapshot?.blocks ?? []).filter(({ keyGroup }) => keyGroup >= own.from && keyGroup < own.to);
    this.#lists = new HarnessOperatorState(options.snapshot?.lists ?? new Map(), options.subtask ?? 0, options.parallelism ?? 1);
    this.#inputs = options.inputs.map((schema) => new Rows(schema, options.batchRows ?? 1024));
    this.operator = options.factory(this.#context());
  }

  static async open(options: HarnessOptions): Promise<OperatorHarness> {
    const clock = options.clock ?? new ManualClock(0);
    // A backend that uses the disk makes its folder itself.
    const directory = join(tmpdir(), `millrace-operator-${randomUUID()}`);
    const maxParallelism = options.maxParallelism ?? 128;
    const backend = await (options.backend ?? memoryBackend()).open({
      uid: options.uid ?? "operator",
      keyGroups: keyGroupsOf(options.subtask ?? 0, options.parallelism ?? 1, maxParallelism),
      maxParallelism,
      clock,
      directory,
    });
    const harness = new OperatorHarness(options, backend, directory, clock);
    const { snapshot } = options;
    if (snapshot !== undefined) {
      await backend.restore({
        tables: snapshot.tables,
        async *blocks() {
          for (const block of snapshot.blocks) yield await Promise.resolve(block);
        },
      });
    }
    return harness;
  }

  #context(): OperatorContext {
    const { subtask = 0, parallelism = 1, maxParallelism = 128, uid = "operator" } = this.#options;
    return {
      uid,
      subtask,
      parallelism,
      maxParallelism,
      keyGroups: keyGroupsOf(subtask, parallelism, maxParallelism),
      clock: this.clock,
      log: silentLog,
      metrics: {
        count: (name, by) => this.counters.set(name, (this.counters.get(name) ?? 0) + by),
        gauge: () => {},
      },
      output: (name) => this.#output(name ?? "main"),
      keyed: this.#backend.state,
      state: this.#lists,
      badRow: (bad) => this.badRows.push(bad),
      forwardWatermark: (timeMs) => this.watermarks.push(timeMs),
      watermarkMs: () => this.#watermarkMs,
      enqueue: (task) => this.#tasks.push(task),
      pause: () => {
        this.paused++;
        return () => {
          this.paused--;
        };
      },
    };
  }

  #output(name: string): Output {
    const collected = this.#collected(name);
    return {
      emit: ({ rows, selection, count }) => {
        const view = rowView(rows.schema);
        const batch = new Batch(rows);
        for (let k = 0; k < count; k++) {
          const row = selection[k] as number;
          const timeMs = rows.times[row] as number;
          const kind = kindNames[rows.kindOf(row)] as ChangeKind;
          collected.push({ row: rowObject(batch, row, view), ...(timeMs === noTime ? {} : { timeMs }), kind });
        }
      },
    };
  }

  #collected(name: string): HarnessRow[] {
    let rows = this.#outputs.get(name);
    if (rows === undefined) {
      rows = [];
      this.#outputs.set(name, rows);
    }
    return rows;
  }

  /** Hands rows to the operator, in batches. */
  push(rows: readonly HarnessRow[], input = 0): this {
    const size = this.#options.batchRows ?? 1024;
    for (let at = 0; at < rows.length; at += size) this.#pushBatch(rows.slice(at, at + size), input);
    return this;
  }

  #pushBatch(chunk: readonly HarnessRow[], input: number): void {
    const rows = this.#inputs[input];
    if (rows === undefined) throw new Error(`the harness has no input ${input}`);
    rows.reset();
    rows.ready.fill(1);
    rows.ensure(chunk.length);
    const write = rowWriter(rows.schema);
    chunk.forEach(({ row, timeMs = noTime, kind = "insert" }, at) => {
      write(rows, at, row);
      rows.times[at] = timeMs;
      rows.setKind(at, rowKind[kind]);
    });
    rows.size = chunk.length;
    this.process(new Batch(rows), input);
    // Whoever kept a reference into the batch sees it change, as it would in a driver.
    for (const column of rows.columns) {
      column.numbers.fill(-987_654_321);
      column.texts.fill("overwritten");
      column.objects.fill("overwritten");
    }
  }

  /** Hands a batch to the operator as it is. */
  process(batch: Batch, input = 0): void {
    this.operator.process(batch, input);
    this.#runTasks();
  }

  /** Lets event time reach `timeMs`; as in a driver, an operator never sees it stand still or go back. */
  watermark(timeMs: number): this {
    if (timeMs <= this.#watermarkMs) return this;
    this.#watermarkMs = timeMs;
    this.operator.onWatermark?.(timeMs);
    if (this.operator.holdsWatermarks !== true) this.watermarks.push(timeMs);
    this.#backend.onWatermark(timeMs);
    this.#runTasks();
    return this;
  }

  /** Moves processing time, waking the operator whenever it wants to be. */
  advance(byMs: number): this {
    const untilMs = this.clock.now() + byMs;
    for (let wakes = 0; ; wakes++) {
      const wakeMs = this.operator.nextWakeMs?.() ?? Infinity;
      if (wakeMs > untilMs) break;
      if (wakes === wakesPerAdvanceMax) throw new Error("the operator wants to be woken without end");
      this.clock.advance(Math.max(0, wakeMs - this.clock.now()));
      this.operator.onProcessingTime?.(this.clock.now());
      this.#runTasks();
    }
    this.clock.advance(untilMs - this.clock.now());
    this.#runTasks();
    return this;
  }

  #runTasks(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task();
  }

  /** Waits until asynchronous work of the operator has ended and its completions have run. */
  async settle(): Promise<void> {
    this.#runTasks();
    while (this.operator.busy?.() === true) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#runTasks();
    }
  }

  end(): this {
    this.operator.end?.();
    this.#runTasks();
    return this;
  }

  /** Everything emitted to an output since the last `take` of it. */
  take<Row = Record<string, unknown>>(output = "main"): HarnessRow<Row>[] {
    const rows = this.#collected(output);
    return rows.splice(0) as HarnessRow<Row>[];
  }

  /** A barrier: what a checkpoint would hold. The instance runs on. */
  snapshot(): HarnessSnapshot {
    this.operator.prepareSnapshot?.();
    this.#runTasks();
    const { tables, blocks, release } = this.#backend.capture();
    // As in a stored snapshot, each block says how it is encoded: what an older version of the operator wrote stays as it is.
    const known = this.#options.snapshot?.tables ?? [];
    const specs = tables.map((spec) => known.find((older) => isDeepStrictEqual(older, spec)) ?? spec);
    const specOf = new Map(specs.map((spec) => [spec.name, spec]));
    this.#history = [...this.#history, ...blocks.map((block) => storedBlock(block, specOf.get(block.table)))];
    release?.();
    return { tables: [...known, ...specs.filter((spec) => !known.includes(spec))], blocks: this.#history, lists: this.#lists.capture() };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.operator.close?.();
    await this.#backend.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
