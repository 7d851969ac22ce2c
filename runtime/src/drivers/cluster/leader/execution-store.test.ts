// The execution record is read as it was written; anything else is one error that names the place, and is left as it is.
import { expect, test } from "vitest";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import type { ExecutionRecord } from "../coordinator/types.ts";
import { ExecutionStore } from "./execution-store.ts";

const record: ExecutionRecord = {
  format: "millrace-execution",
  formatVersion: 1,
  revision: "r1",
  parallelism: { job: 4, vertices: { windows: 2 } },
  attempts: { "0": 3 },
  savepoints: [{ id: "before", mode: "drain" }],
  stopAsked: false,
  restarts: 1,
  outcome: "failed",
  reason: "no slots",
};

test("the next leader reads what one has written, and the one before is fenced", async () => {
  const storage = new MemoryStorage();
  const one = await ExecutionStore.open(storage, "clicks", 1);
  expect(one.record).toBeUndefined();
  await one.store.write(record);
  const two = await ExecutionStore.open(storage, "clicks", 2);
  expect(two.record).toEqual(record);
  await two.store.write(record);
  await expect(one.store.write(record)).rejects.toMatchObject({ code: "FENCED" });
});

test.each([
  ["{", "it is no JSON"],
  [null, "it is null, not an object"],
  [{ epoch: "1", record }, 'epoch is "1", not a whole number from 0'],
  [{ epoch: 1 }, "record is missing, not there"],
  [{ epoch: 1, record: { ...record, formatVersion: 2 } }, "record.formatVersion is 2, not one of 1"],
  [{ epoch: 1, record: { ...record, attempts: undefined } }, "record.attempts is missing, not there"],
  [{ epoch: 1, record: { ...record, parallelism: { job: 4, vertices: { a: -1 } } } }, "record.parallelism.vertices.a is -1"],
  [{ epoch: 1, record: { ...record, savepoints: [{ id: "x", mode: "later" }] } }, 'record.savepoints[0].mode is "later"'],
])("a record that is damaged is EXECUTION_RECORD: %j", async (content, problem) => {
  const storage = new MemoryStorage();
  await storage.put("clicks/execution.json", Buffer.from(typeof content === "string" ? content : JSON.stringify(content)));
  await expect(ExecutionStore.open(storage, "clicks", 5)).rejects.toMatchObject({
    code: "EXECUTION_RECORD",
    message: expect.stringContaining(problem),
  });
});
