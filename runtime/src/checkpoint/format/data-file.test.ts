// Data files: what was written is read back in order, a range costs only itself, and memory stays bounded whatever the size.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ObjectWriter } from "../../core/ports/snapshot-storage.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import type { Compression } from "./data-file.ts";
import { DataFileReader, readPayload } from "./data-file-reader.ts";
import { DataFileWriter } from "./data-file-writer.ts";

const specIds = new Map([
  ["a", "00000000000000aa"],
  ["b", "00000000000000bb"],
]);

class CountingStorage extends MemoryStorage {
  requests = 0;
  bytes = 0;

  override async getRange(path: string, start: number, end: number): Promise<Buffer> {
    const got = await super.getRange(path, start, end);
    this.requests++;
    this.bytes += got.length;
    return got;
  }
}

const block: fc.Arbitrary<StateBlock> = fc.record({
  table: fc.constantFrom("a", "b"),
  keyGroup: fc.nat(200),
  entryCount: fc.nat(1000),
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 200_000 })).map(([fill, size]) => new Uint8Array(size).fill(fill)),
  ),
});

describe("data files", () => {
  test("hold the blocks of several writers, each one's in order", async () => {
    const writers = fc.array(
      fc.record({
        uid: fc.constantFrom("one", "two", "three"),
        part: fc.constantFrom("changes" as const, "base" as const),
        blocks: fc.array(block, { maxLength: 20 }),
      }),
      { maxLength: 3 },
    );
    const distinct = writers.filter((list) => new Set(list.map(({ uid, part }) => `${uid} ${part}`)).size === list.length);
    await fc.assert(
      fc.asyncProperty(distinct, fc.constantFrom<Compression>("none", "zstd"), async (list, compression) => {
        const storage = new MemoryStorage();
        const writer = new DataFileWriter(storage.openWriter("file"), compression);
        const sizes = await Promise.all(list.map(({ uid, part, blocks }) => writer.addBlocks(uid, part, specIds, blocks)));
        const payload = await writer.addPayload(Buffer.from("a payload"));
        const { sizeBytes } = await writer.finish();
        expect((await storage.get("file")).content.length).toBe(sizeBytes);
        const reader = await DataFileReader.open(storage, "file", sizeBytes);
        expect(reader.sections.length).toBe(list.length);
        for (const [i, { uid, part, blocks }] of list.entries()) {
          const section = reader.sections.find((one) => one.uid === uid && one.part === part);
          const read = [];
          for await (const { block: found, bytes } of reader.read(section?.blocks ?? [])) {
            expect(found.specId).toBe(specIds.get(found.table));
            read.push({
              table: found.table,
              keyGroup: found.keyGroup,
              entryCount: found.entryCount,
              bytes: Buffer.from(bytes).toString("base64"),
            });
          }
          expect(read).toEqual(blocks.map((one) => ({ ...one, bytes: Buffer.from(one.bytes).toString("base64") })));
          expect(section?.blocks.reduce((sum, one) => sum + one.storedBytes, 0)).toBe(sizes[i]);
        }
        expect(Buffer.from(await readPayload(storage, "file", payload)).toString()).toBe("a payload");
      }),
      { numRuns: 150 },
    );
  });

  test("reading a few key groups fetches little more than them, in few requests", async () => {
    const storage = new CountingStorage();
    const writer = new DataFileWriter(storage.openWriter("file"), "none");
    const blocks = Array.from({ length: 128 }, (_, keyGroup) => ({
      table: "a",
      keyGroup,
      entryCount: 1,
      bytes: new Uint8Array(100_000).fill(keyGroup),
    }));
    await writer.addBlocks("one", "changes", specIds, blocks);
    const { sizeBytes } = await writer.finish();
    const reader = await DataFileReader.open(storage, "file", sizeBytes);
    storage.requests = 0;
    storage.bytes = 0;
    const wanted = (reader.sections[0]?.blocks ?? []).filter((one) => one.keyGroup >= 30 && one.keyGroup < 40);
    for await (const { block: found, bytes } of reader.read(wanted)) expect(bytes[0]).toBe(found.keyGroup);
    expect(storage.bytes).toBe(1_000_000);
    expect(storage.requests).toBe(1);
  });

  test("large blocks do not add up in memory: what is fetched ahead is bounded in bytes, not in requests", async () => {
    const storage = new CountingStorage();
    const writer = new DataFileWriter(storage.openWriter("file"), "none");
    const blockBytes = 5 * 2 ** 20;
    for (let keyGroup = 0; keyGroup < 6; keyGroup++) {
      const bytes = new Uint8Array(blockBytes).fill(keyGroup);
      await writer.addBlocks("one", "changes", specIds, [{ table: "a", keyGroup, entryCount: 1, bytes }]);
    }
    const reader = await DataFileReader.open(storage, "file", (await writer.finish()).sizeBytes);
    storage.bytes = 0;
    let read = 0;
    for await (const { block: found } of reader.read(reader.sections[0]?.blocks ?? [])) {
      expect(storage.bytes - read * blockBytes, "fetched, and not let go yet").toBeLessThanOrEqual(16 * 2 ** 20);
      expect(found.keyGroup).toBe(read++);
    }
    expect(read).toBe(6);
  });

  test("a block is decoded when it is asked for: one that is broken stops nobody before it", async () => {
    const storage = new CountingStorage();
    const writer = new DataFileWriter(storage.openWriter("file"), "zstd");
    const blocks = [0, 1, 2].map((keyGroup) => ({ table: "a", keyGroup, entryCount: 1, bytes: new Uint8Array(300_000).fill(keyGroup) }));
    await writer.addBlocks("one", "changes", specIds, blocks);
    const { sizeBytes } = await writer.finish();
    const whole = Buffer.from((await storage.get("file")).content);
    const index = (await DataFileReader.open(storage, "file", sizeBytes)).sections[0]?.blocks ?? [];
    const at = index[2]?.offset ?? 0;
    whole[at] = (whole[at] as number) ^ 1;
    await storage.put("broken", whole);
    const reading = (await DataFileReader.open(storage, "broken", sizeBytes)).read(index);
    for (const keyGroup of [0, 1]) {
      const { value } = await reading.next();
      expect(value?.bytes).toEqual(Buffer.alloc(300_000, keyGroup));
    }
    await expect(reading.next()).rejects.toMatchObject({ code: "SNAPSHOT_CORRUPT" });
  });

  test("bytes go to the storage as they come, not at the end", async () => {
    let sent = 0;
    let largest = 0;
    const target: ObjectWriter = {
      write: async (chunk) => {
        sent += chunk.length;
        largest = Math.max(largest, chunk.length);
      },
      finish: async () => undefined,
      abort: async () => undefined,
    };
    const writer = new DataFileWriter(target, "none");
    const bytes = new Uint8Array(40_000);
    for (let i = 0; i < 500; i++) {
      await writer.addBlocks("one", "base", specIds, [{ table: "a", keyGroup: i % 8, entryCount: 1, bytes }]);
      expect((i + 1) * bytes.length - sent).toBeLessThanOrEqual(256 * 1024);
    }
    expect(largest).toBeLessThanOrEqual(256 * 1024);
    await writer.finish();
  });

  test("a failed write fails everything after it, and abort is safe", async () => {
    const target: ObjectWriter = {
      write: () => Promise.reject(new Error("disk full")),
      finish: async () => undefined,
      abort: async () => undefined,
    };
    const writer = new DataFileWriter(target, "none");
    const big = { table: "a", keyGroup: 0, entryCount: 1, bytes: new Uint8Array(300_000) };
    await expect(writer.addBlocks("one", "base", specIds, [big])).rejects.toThrow("disk full");
    await expect(writer.addBlocks("one", "base", specIds, [{ ...big, bytes: new Uint8Array(1) }])).rejects.toThrow("disk full");
    await expect(writer.finish()).rejects.toThrow("disk full");
    await writer.abort();
  });
});
