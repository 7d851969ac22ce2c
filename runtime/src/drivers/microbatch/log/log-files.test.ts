// The files of a query's folder are input: what is damaged is named, and never taken for something that was not written.
import { describe, expect, test } from "vitest";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { BatchLog, type OffsetEntry } from "./batch-log.ts";
import { claimLocation, type QueryIdentity } from "./query-identity.ts";
import { checkRunEnd, writeRunEnd } from "./run-end.ts";

const corrupt = (problem: string): object => ({
  code: "QUERY_LOG_CORRUPT",
  message: expect.stringContaining(`cannot be read: ${problem}`),
});

async function withFile(path: string, content: unknown): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  await storage.put(path, Buffer.from(typeof content === "string" ? content : JSON.stringify(content)));
  return storage;
}

describe("the end of a run", () => {
  test("is known for that run, and for no other", async () => {
    const storage = new MemoryStorage();
    await checkRunEnd(storage, "q/", 3);
    await writeRunEnd(storage, "q/", { run: 3, savepoint: "memory:/s" });
    await expect(checkRunEnd(storage, "q/", 3)).rejects.toMatchObject({ code: "QUERY_ENDED" });
    await checkRunEnd(storage, "q/", 4);
  });

  test.each([
    ["", "it is no JSON"],
    [{}, "run is missing, not there"],
    [null, "it is null, not an object"],
    [{ run: "3", savepoint: "memory:/s" }, 'run is "3", not a whole number from 0'],
  ])("that cannot be told lets no run go on: %j", async (content, problem) => {
    await expect(checkRunEnd(await withFile("q/ended.json", content), "q/", 3)).rejects.toMatchObject(corrupt(problem));
  });
});

describe("the identity of a location", () => {
  const identity: QueryIdentity = { version: 1, id: "one", mode: "append", nodes: { lines: { kind: "source.x", topic: "lines" } } };

  test("is written once, and its id stays", async () => {
    const storage = new MemoryStorage();
    expect(await claimLocation(storage, "q/", identity, false)).toEqual(identity);
    expect(await claimLocation(storage, "q/", { ...identity, id: "two" }, false)).toEqual(identity);
  });

  test.each([
    ["{", "it is no JSON"],
    [{ ...identity, nodes: undefined }, "nodes is missing, not there"],
    [{ ...identity, nodes: { lines: null } }, "nodes.lines is null, not an object"],
    [{ ...identity, id: 7 }, "id is 7, not a string"],
    [{ ...identity, version: 2 }, "version is 2, not one of 1"],
  ])("that is damaged is named, and stays as it is: %j", async (content, problem) => {
    const storage = await withFile("q/query.json", content);
    const before = (await storage.get("q/query.json")).content;
    await expect(claimLocation(storage, "q/", identity, false)).rejects.toMatchObject(corrupt(problem));
    expect((await storage.get("q/query.json")).content).toEqual(before);
  });
});

describe("what a batch reads", () => {
  const split = { id: "lines-0", position: { offset: 7 } };
  const entry: OffsetEntry = {
    version: 1,
    batchId: 4,
    epoch: 2,
    timestampMs: 1000.5,
    watermarkMs: null,
    sources: { lines: { from: [split], to: [split], counts: { "lines-0": 0 } } },
  };

  test("is read as it was written", async () => {
    const log = new BatchLog(new MemoryStorage(), "q/");
    await log.plan(entry);
    expect(await log.lastOffsets()).toEqual(entry);
  });

  test.each([
    ["", "it is no JSON"],
    [{ ...entry, version: 2 }, "version is 2, not one of 1"],
    [{ ...entry, epoch: undefined }, "epoch is missing, not there"],
    [{ ...entry, sources: { lines: { from: [split], counts: {} } } }, "sources.lines.to is missing, not there"],
    [{ ...entry, sources: { lines: { from: [{ position: 1 }], to: [], counts: {} } } }, "sources.lines.from[0].id is missing, not there"],
  ])("and is damaged is named: %j", async (content, problem) => {
    const log = new BatchLog(await withFile("q/offsets/000000000004.json", content), "q/");
    await expect(log.lastOffsets()).rejects.toMatchObject(corrupt(problem));
  });
});
