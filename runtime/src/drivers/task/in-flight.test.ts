// Rows that were on their way when a snapshot was taken: who takes them again, what a later snapshot takes of them, and what they must have.
import { expect, test } from "vitest";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int32 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { DataflowInput, DataflowNode } from "../../plan/dataflow.ts";
import { FrameBuilder } from "../exchange/frame/frame-builder.ts";
import type { Receiver } from "./edge.ts";
import { inFlightList, type InFlightRows, type ReplayStep, replaySteps } from "./in-flight.ts";

const Pair = schema({ key: int32(), n: int32() });
const count = 200;

function rowsOf(fields: readonly number[]): InFlightRows {
  const rows = new Rows(Pair, count);
  rows.ready.fill(1);
  rows.size = count;
  for (let row = 0; row < count; row++) {
    (rows.columns[0] as { numbers: Float64Array }).numbers[row] = row % 20;
    (rows.columns[1] as { numbers: Float64Array }).numbers[row] = row;
  }
  const builder = new FrameBuilder(Pair, fields, { frameBytes: 1_000_000, frameRows: 1_000 });
  builder.take(
    new Batch(
      rows,
      Int32Array.from({ length: count }, (_, row) => row),
      count,
    ),
    0,
  );
  return { input: 0, subtask: 0, parallelism: 1, schema: Pair, fields, frame: builder.build(0) };
}

function restored(
  stored: readonly InFlightRows[],
  subtask: number,
  parallelism: number,
  needed: readonly number[] = [0, 1],
): { readonly steps: readonly ReplayStep[]; readonly seen: number[] } {
  const seen: number[] = [];
  const receiver = {
    receive({ rows, selection, count: given }: Batch) {
      const { numbers } = rows.column(1);
      for (let k = 0; k < given; k++) seen.push(numbers[selection[k] as number] as number);
    },
  } as unknown as Receiver;
  const from = { schema: Pair, sideSchemas: new Map() } as unknown as DataflowNode;
  const inputs: readonly DataflowInput[] = [{ from, output: "main", exchange: "hash", key: keyLayout(Pair, ["key"]) }];
  const about = { uid: "u", subtask, parallelism, maxParallelism: 16, inputs, fields: () => needed, receiver };
  return { steps: replaySteps(inFlightList(stored).entries, about), seen };
}

test("each instance takes the rows of its keys, and a later snapshot has each of them once, whoever takes them then", () => {
  const first = [0, 1, 2].map((subtask) => restored([rowsOf([0, 1])], subtask, 3));
  for (const { steps } of first) for (const step of steps) step.give();
  const given = first.map(({ seen }) => seen);
  expect(given.every((seen) => seen.length > 0)).toBe(true);
  expect(given.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, row) => row));
  // Nothing of it was processed when the next snapshot was taken, which is restored at another parallelism.
  const again = first.flatMap(({ steps }) => steps.map((step) => step.rows()));
  const second = [0, 1].map((subtask) => restored(again, subtask, 2));
  for (const { steps } of second) for (const step of steps) step.give();
  expect(second.flatMap(({ seen }) => seen).toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, row) => row));
});

test("rows without a field that is read now are refused by its name, not read as something else", () => {
  expect(() => restored([rowsOf([0])], 0, 1)).toThrow(
    expect.objectContaining({ code: "IN_FLIGHT_SCHEMA", message: expect.stringContaining("without n, which") as string }),
  );
  expect(restored([rowsOf([0, 1])], 0, 1, [0]).steps).toHaveLength(1);
});
