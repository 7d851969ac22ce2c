// The binding takes no more memory the more is written and scanned.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadRocksDb, RocksDatabase } from "./rocks-binding.ts";

const entryBytes = 1000;
const batchEntries = 500;
const batches = 300;

describe("RocksDB binding", () => {
  it("names the package to install where it is missing", () => {
    const missing = (name: string): never => {
      throw Object.assign(new Error(`Cannot find module '${name}'\nRequire stack:\n- somewhere`), { code: "MODULE_NOT_FOUND" });
    };
    expect(() => loadRocksDb(missing)).toThrow(
      expect.objectContaining({
        code: "DEPENDENCY_MISSING",
        subject: "state in RocksDB",
        message: expect.stringMatching(/Cannot find module '@nxtedition\/rocksdb';?.*npm install @nxtedition\/rocksdb@12\.2/s),
      }),
    );
  });

  it("keeps nothing of what was written and of scans that were closed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "millrace-binding-"));
    const database = new RocksDatabase(join(folder, "db"), { memtableMemoryBudget: 4 * 2 ** 20, cacheSize: 2 ** 20 });
    await database.open();
    try {
      const value = new Uint8Array(entryBytes);
      const writeAll = (): void => {
        for (let batch = 0; batch < batches; batch++) {
          for (let i = 0; i < batchEntries; i++) database.put(Buffer.from(`${batch % 10}:${i}`), value);
          database.write();
          const scan = database.iterate(Buffer.from("0"), undefined);
          scan.next(1);
          scan.close();
        }
      };
      writeAll();
      const before = process.memoryUsage().rss;
      writeAll();
      const grown = process.memoryUsage().rss - before;
      // A quarter of the bytes that were written: a batch that outlives its write, or a scan, would keep all of them.
      expect(grown).toBeLessThan((batches * batchEntries * entryBytes) / 4);
      expect(database.getMany([Buffer.from("9:499"), Buffer.from("none")]).map((found) => found?.length)).toEqual([entryBytes, undefined]);
    } finally {
      await database.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
