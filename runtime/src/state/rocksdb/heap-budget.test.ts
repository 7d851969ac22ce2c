// The heap parts of tables over RocksDB stay within their budget, and give back what they took.
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import type { KeyedStateBackend, StateBackendFactory } from "../../core/ports/state-backend.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type KeyKind, KeyMaker, keyKinds } from "../suite/fixture.suite.ts";
import { rocksdbBackend } from "./rocksdb-backend.ts";

const kind = keyKinds[1] as KeyKind;
const value = schema({ n: int53(), text: string() });
const heapBytes = 1_500_000;
const maxParallelism = 16;

const opened: KeyedStateBackend[] = [];

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-budget-"));
  try {
    await run(folder);
  } finally {
    await Promise.all(opened.splice(0).map((backend) => backend.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Adds entries `[from, to)` in batches, with a text of `textLength`, and looks at the size after each batch. */
function fill(backend: KeyedStateBackend, table: KeyedTable, from: number, to: number, textLength: number): number {
  const maker = new KeyMaker(kind);
  const slots = new Int32Array(64);
  let greatest = 0;
  for (let i = from; i < to; i += 64) {
    const numbers = Array.from({ length: Math.min(64, to - i) }, (_, k) => i + k);
    table.findAll(maker.keys(numbers), null, slots, true);
    const [n, text] = table.columns;
    numbers.forEach((number, k) => {
      (n as { numbers: Float64Array }).numbers[slots[k] as number] = number;
      text?.setText(slots[k] as number, `${number}`.padEnd(textLength, "."));
    });
    table.touchAll(slots, numbers.length);
    greatest = Math.max(greatest, backend.sizeBytes().memory);
  }
  return greatest;
}

async function openIn(
  folder: string,
  name: string,
  factory: StateBackendFactory = rocksdbBackend({ heapBytes }),
): Promise<KeyedStateBackend> {
  const keyGroups = { from: 0, to: maxParallelism };
  const backend = await factory.open({ uid: name, keyGroups, maxParallelism, clock: new ManualClock(0), directory: join(folder, name) });
  opened.push(backend);
  return backend;
}

const tableOf = (backend: KeyedStateBackend, name: string): KeyedTable => backend.state.table({ name, key: kind.layout, value });

describe("heap budget", () => {
  it("bounds one table however much it holds, and nothing is lost", async () => {
    await withFolder(async (folder) => {
      const backend = await openIn(folder, "state");
      const table = tableOf(backend, "t");
      const count = 28_000;
      expect(fill(backend, table, 0, count, 60)).toBeLessThanOrEqual(heapBytes);
      // Longer texts in entries that are there already count as well.
      expect(fill(backend, table, 0, count / 4, 600)).toBeLessThanOrEqual(heapBytes);
      expect(table.size).toBe(count);
      const lengths = new Map<number, number>();
      table.visitAll((slots, slotCount) => {
        const [n, text] = table.columns;
        for (let k = 0; k < slotCount; k++)
          lengths.set(n?.numbers[slots[k] as number] as number, text?.getText(slots[k] as number).length as number);
      });
      expect(lengths.size).toBe(count);
      for (const [number, length] of lengths) expect(length).toBe(number < count / 4 ? 600 : 60);
    });
  });

  it("is shared by all tables and instances, and leaves room for one that comes late", async () => {
    await withFolder(async (folder) => {
      const factory = rocksdbBackend({ heapBytes });
      const backends = [await openIn(folder, "a", factory), await openIn(folder, "b", factory)];
      const tables = backends.flatMap((backend) => ["one", "two"].map((name) => ({ backend, table: tableOf(backend, name) })));
      for (const { backend, table } of tables) {
        fill(backend, table, 0, 12_000, 60);
        expect(backends.reduce((sum, { sizeBytes }) => sum + sizeBytes().memory, 0)).toBeLessThanOrEqual(heapBytes);
      }
      expect(backends[1]?.sizeBytes().memory).toBeGreaterThan(heapBytes / 10);
    });
  });

  it("leaves nothing on disk after close, and clears what a crash left", async () => {
    await withFolder(async (folder) => {
      const directory = join(folder, "state");
      const first = await openIn(folder, "state");
      fill(first, tableOf(first, "t"), 0, 20_000, 60);
      expect((await stat(directory)).isDirectory()).toBe(true);
      await first.close();
      expect(await readdir(folder)).toEqual([]);
      await mkdir(join(directory, "rocksdb"), { recursive: true });
      await writeFile(join(directory, "rocksdb", "CURRENT"), "left by a crash");
      const second = await openIn(folder, "state");
      expect(tableOf(second, "t").size).toBe(0);
    });
  });

  it("says where it could not open its store", async () => {
    await withFolder(async (folder) => {
      await writeFile(join(folder, "file"), "");
      await expect(openIn(folder, "file/state")).rejects.toMatchObject({
        code: "STATE_STORE_FAILED",
        subject: expect.stringContaining(join(folder, "file", "state")) as string,
      });
    });
  });
});
