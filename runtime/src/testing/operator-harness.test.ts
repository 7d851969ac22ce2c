// The harness itself: routing, times, snapshots that restore at another parallelism, and rows that do not survive their call.
import { describe, expect, test } from "vitest";
import type { Batch } from "../core/batch/batch.ts";
import { RowsBuilder } from "../core/batch/rows-builder.ts";
import { KeyReader } from "../core/keys/key-batch.ts";
import { keyLayout } from "../core/keys/key-layout.ts";
import type { OperatorFactory } from "../core/operator/operator.ts";
import { int53, string } from "../core/schema/field.ts";
import { schema } from "../core/schema/schema.ts";
import { HarnessGroup } from "./harness-group.ts";
import { OperatorHarness } from "./operator-harness.ts";

const input = schema({ key: string(), by: int53() });
const output = schema({ key: string(), total: int53() });
const layout = keyLayout(input, ["key"]);

/** Adds `by` per key and emits the total; wakes every 10 ms of processing time. */
const totals: OperatorFactory = (context) => {
  const table = context.keyed.table({ name: "totals", key: layout, value: schema({ total: int53() }) });
  const seen = context.state.list("seen", "union", () => [{ key: `${context.subtask}`, value: Uint8Array.of(rows) }]);
  let rows = seen.reduce((sum, entry) => sum + (entry.value[0] as number), 0);
  const reader = new KeyReader(layout);
  const builder = new RowsBuilder(output, context.output());
  const slots = new Int32Array(1024);
  let wakeMs = 10;
  return {
    process(batch: Batch) {
      rows += batch.count;
      table.findAll(reader.read(batch), null, slots, true);
      const total = table.columns[0]?.numbers as Float64Array;
      for (let k = 0; k < batch.count; k++) {
        const row = batch.selection[k] as number;
        const slot = slots[k] as number;
        total[slot] = (total[slot] as number) + (batch.rows.column(1).numbers[row] as number);
        builder.append({ key: batch.rows.column(0).getText(row), total: total[slot] }, batch.rows.times[row] as number, 2);
      }
      table.touchAll(slots, batch.count);
      builder.flush();
    },
    nextWakeMs: () => wakeMs,
    onProcessingTime(nowMs) {
      wakeMs += 10;
      builder.append({ key: "wake", total: nowMs }, nowMs);
      builder.flush();
    },
  };
};

describe("operator harness", () => {
  test("hands rows over and gives the output with times and kinds", async () => {
    const harness = await OperatorHarness.open({ factory: totals, inputs: [input], batchRows: 2 });
    harness.push([
      { row: { key: "a", by: 1 }, timeMs: 5 },
      { row: { key: "b", by: 2 } },
      { row: { key: "a", by: 3 }, timeMs: 7, kind: "delete" },
    ]);
    expect(harness.take()).toEqual([
      { row: { key: "a", total: 1 }, timeMs: 5, kind: "updateAfter" },
      { row: { key: "b", total: 2 }, kind: "updateAfter" },
      { row: { key: "a", total: 4 }, timeMs: 7, kind: "updateAfter" },
    ]);
    expect(harness.take()).toEqual([]);
    await harness.close();
  });

  test("wakes the operator at each of its times on the way", async () => {
    const harness = await OperatorHarness.open({ factory: totals, inputs: [input] });
    harness.advance(25);
    expect(harness.take().map(({ timeMs }) => timeMs)).toEqual([10, 20]);
    expect(harness.clock.now()).toBe(25);
    await harness.close();
  });

  test("restores a group's snapshot at another parallelism", async () => {
    const keys = Array.from({ length: 50 }, (_value, i) => `key-${i}`);
    const push = keys.map((key) => ({ row: { key, by: 1 } }));
    let group = await HarnessGroup.open({ factory: totals, inputs: [input], keys: [layout], parallelism: 2 });
    group.push(push);
    expect(group.instances.every((instance) => instance.take().length > 10)).toBe(true);
    for (const parallelism of [3, 1]) {
      group = await group.restart(parallelism);
      group.push(push);
    }
    const totalsByKey = new Map(group.take<{ key: string; total: number }>().map(({ row }) => [row.key, row.total]));
    expect(totalsByKey).toEqual(new Map(keys.map((key) => [key, 3])));
    await group.close();
  });
});
