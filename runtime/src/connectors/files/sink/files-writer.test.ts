// The writer of files against an output that fails or is slow, and how much it holds in memory.
import { expect, test } from "vitest";
import { int53, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { lines } from "./line-format.suite.ts";
import { FilesWriter } from "./files-writer.ts";
import { parentsOf } from "./local-output.ts";
import type { OpenFile, OutputStore, PendingFile } from "./output-store.ts";
import type { RowEncoder } from "./row-encoder.ts";
import { batchOf, sinkContext } from "./sink-fixture.suite.ts";
import { filesSinkConfig } from "./sink-options.ts";

const rowSchema = schema({ id: int53(), name: string() });
const rowsOf = (count: number): { id: number; name: string }[] => Array.from({ length: count }, (_, id) => ({ id, name: `n${id}` }));
const mebibyte = 1 << 20;

/** An output in memory; `file` says how each of its files behaves. */
function outputOf(file: (name: string) => OpenFile): OutputStore {
  return {
    create: async (name) => file(name),
    publish: async () => {},
    commit: async () => {},
    removeLeftovers: async () => {},
    close: async () => {},
  };
}

const pending: PendingFile = { kind: "local", temporary: "t", path: "p" };

/** Holds `rowBytes` for each row, as an encoder of row groups does, and gives one byte in the end. */
function holding(rowBytes: number): RowEncoder {
  let held = 0;
  return {
    add: () => void (held += rowBytes),
    readyBytes: 0,
    get heldBytes() {
      return held;
    },
    take: () => new Uint8Array(0),
    finish: () => {
      held = 0;
      return new Uint8Array(1);
    },
  };
}

test("a file that cannot be ended is let go of, and so is one that never began", async () => {
  const aborted: string[] = [];
  let creations = 0;
  const store: OutputStore = {
    ...outputOf((name) => ({
      append: async () => {},
      finish: () => Promise.reject(new Error("disk full")),
      abort: async () => void aborted.push(name),
    })),
  };
  const create = store.create.bind(store);
  const flaky = { ...store, create: (name: string) => (creations++ === 1 ? Promise.reject(new Error("no room")) : create(name)) };
  const config = filesSinkConfig({ path: "/nowhere", format: lines });
  const writer = new FilesWriter(
    config,
    sinkContext(),
    flaky,
    (_rows, row) => `id=${row}`,
    () => holding(1),
  );
  writer.write(batchOf(rowSchema, rowsOf(3), 0));
  await expect(writer.prepare(1)).rejects.toThrow(/disk full|no room/);
  await writer.close();
  expect(aborted.length).toBe(2);
});

test("many open files hold no more than a limit together: the largest are ended", async () => {
  let held = 0;
  let most = 0;
  let ended = 0;
  const config = filesSinkConfig({ path: "/nowhere", format: lines });
  const encoders: RowEncoder[] = [];
  const store = outputOf(() => ({
    append: async () => {},
    finish: async () => {
      ended++;
      return pending;
    },
    abort: async () => {},
  }));
  const newEncoder = (): RowEncoder => {
    const made = holding(mebibyte);
    encoders.push(made);
    return made;
  };
  const writer = new FilesWriter(config, sinkContext(), store, (_rows, row) => `id=${row}`, newEncoder);
  for (let round = 0; round < 20; round++) {
    writer.write(batchOf(rowSchema, rowsOf(60), 0));
    held = encoders.reduce((sum, encoder) => sum + encoder.heldBytes, 0);
    most = Math.max(most, held);
  }
  // Never more than the limit and what one batch brings.
  expect(most).toBeGreaterThan(64 * mebibyte);
  expect(most).toBeLessThanOrEqual(128 * mebibyte);
  await writer.prepare(1);
  expect(ended).toBe(encoders.length);
  await writer.close();
});

test("directories that hold new ones are known, so that the new ones can be made safe", () => {
  expect(parentsOf("/data/a=1/b=2", "/data/a=1")).toEqual(["/data", "/data/a=1"]);
  expect(parentsOf("/data/a=1", "/data/a=1")).toEqual(["/data"]);
  expect(parentsOf("/data/a=1", undefined)).toEqual([]);
});
