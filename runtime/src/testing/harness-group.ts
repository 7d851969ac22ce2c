// Several instances of one keyed operator: rows go to the instance that owns their key group, snapshots restore at any parallelism.
import { ManualClock } from "../base/clock.ts";
import { Batch, Rows } from "../core/batch/batch.ts";
import { rowWriter } from "../core/batch/rows-builder.ts";
import { keyGroupOf, KeyReader } from "../core/keys/key-batch.ts";
import type { KeyLayout } from "../core/keys/key-layout.ts";
import { mergeLists } from "./harness-state.ts";
import { type HarnessOptions, type HarnessRow, type HarnessSnapshot, keyGroupsOf, OperatorHarness } from "./operator-harness.ts";

export interface HarnessGroupOptions extends Omit<HarnessOptions, "subtask" | "snapshot"> {
  /** The key of each input. */
  readonly keys: readonly KeyLayout[];
  readonly snapshot?: HarnessSnapshot | undefined;
}

export class HarnessGroup {
  readonly instances: readonly OperatorHarness[];
  readonly clock: ManualClock;
  readonly #options: HarnessGroupOptions;

  private constructor(options: HarnessGroupOptions, instances: readonly OperatorHarness[], clock: ManualClock) {
    this.#options = options;
    this.instances = instances;
    this.clock = clock;
  }

  /** Opens `parallelism` instances (default 1), from a snapshot where one is given. */
  static async open(options: HarnessGroupOptions): Promise<HarnessGroup> {
    const clock = options.clock ?? new ManualClock(0);
    const instances: OperatorHarness[] = [];
    for (let subtask = 0; subtask < (options.parallelism ?? 1); subtask++) {
      instances.push(await OperatorHarness.open({ ...options, clock, subtask }));
    }
    return new HarnessGroup(options, instances, clock);
  }

  push(rows: readonly HarnessRow[], input = 0): this {
    const routed = this.instances.map((): HarnessRow[] => []);
    rows.forEach((row) => routed[this.#instanceOf(row, input)]?.push(row));
    this.instances.forEach((instance, index) => instance.push(routed[index] ?? [], input));
    return this;
  }

  #instanceOf(row: HarnessRow, input: number): number {
    const { keys, inputs, maxParallelism = 128 } = this.#options;
    const layout = keys[input];
    const schema = inputs[input];
    if (layout === undefined || schema === undefined) throw new Error(`the harness has no input ${input}`);
    const one = new Rows(schema, 1);
    rowWriter(schema)(one, 0, row.row);
    one.ready.fill(1);
    one.size = 1;
    const keyGroup = keyGroupOf(new KeyReader(layout).read(new Batch(one)).hashes[0] as number, maxParallelism);
    return this.instances.findIndex((_instance, subtask) => {
      const range = keyGroupsOf(subtask, this.instances.length, maxParallelism);
      return keyGroup >= range.from && keyGroup < range.to;
    });
  }

  watermark(timeMs: number): this {
    for (const instance of this.instances) instance.watermark(timeMs);
    return this;
  }

  /** Moves the shared clock; each instance is woken at its own times. */
  advance(byMs: number): this {
    const untilMs = this.clock.now() + byMs;
    for (;;) {
      const wakes = this.instances.map((instance) => instance.operator.nextWakeMs?.() ?? Infinity);
      const nextMs = Math.min(...wakes);
      if (nextMs > untilMs) break;
      this.clock.advance(Math.max(0, nextMs - this.clock.now()));
      for (const instance of this.instances) instance.advance(0);
    }
    this.clock.advance(untilMs - this.clock.now());
    return this;
  }

  /** Everything emitted since the last `take`, instance by instance. */
  take<Row = Record<string, unknown>>(output = "main"): HarnessRow<Row>[] {
    return this.instances.flatMap((instance) => instance.take<Row>(output));
  }

  snapshot(): HarnessSnapshot {
    const parts = this.instances.map((instance) => instance.snapshot());
    const first = parts[0];
    if (first === undefined) throw new Error("a group has at least one instance");
    // A block names its spec by identity, and each instance has specs of its own.
    const tables = [...new Set(parts.flatMap((part) => part.tables))];
    return { tables, blocks: parts.flatMap((part) => part.blocks), lists: mergeLists(parts.map((part) => part.lists)) };
  }

  /** Takes a snapshot, closes these instances and opens `parallelism` new ones from it. Outputs not yet taken are lost. */
  async restart(parallelism: number): Promise<HarnessGroup> {
    const snapshot = this.snapshot();
    await this.close();
    return HarnessGroup.open({ ...this.#options, clock: this.clock, parallelism, snapshot });
  }

  async close(): Promise<void> {
    for (const instance of this.instances) await instance.close();
  }
}
