// Savepoints of queries: exact between two batches, restored elsewhere, refused where the query has changed; runs that begin behind others.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";
import { type MemorySource, memorySource } from "../../connectors/memory/index.ts";
import { int53, string } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import type { DataFrame } from "../../dataframe/data-frame.ts";
import { count, max, sum } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import type { QueryOptions } from "./query-options.ts";
import { StreamingQuery } from "./streaming-query.ts";

const Word = schema({ word: string(), n: int53() });
type Word = RowType<typeof Word>;
interface Total {
  readonly word: string;
  readonly n: number;
  readonly total: number;
}

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "query-savepoint-"));
  opened.push(() => rm(made, { recursive: true, force: true }));
  return pathToFileURL(made).href;
}

const totals = (words: DataFrame<Word>): DataFrame<Total> =>
  words.groupBy("word").agg((c) => ({ n: count(), total: sum(c.n) }), { name: "totals" });

class Run {
  readonly source: MemorySource<Word> = memorySource(Word, { bounded: false });
  readonly batches = new Map<number, readonly unknown[]>();

  async start(options: QueryOptions, make: (words: DataFrame<Word>) => DataFrame<unknown> = totals): Promise<StreamingQuery> {
    const frame = make(new Session().readStream(this.source, { name: "words" }));
    const written = frame.writeStream(
      { kind: "foreachBatch", fn: ({ batchId, rows }) => void this.batches.set(batchId, rows()) },
      { name: "tested", mode: "update" },
    );
    const query = await StreamingQuery.start(written, options);
    opened.push(() => query.stop().catch(() => {}));
    return query;
  }

  async feed(query: StreamingQuery, ...words: readonly [string, number][]): Promise<void> {
    for (const [word, n] of words) this.source.push({ word, n });
    await query.processAllAvailable();
  }

  get last(): unknown {
    return [...this.batches.values()].at(-1);
  }
}

test("a savepoint holds what the batches before it made, and starts another location from there", async () => {
  const first = new Run();
  const query = await first.start({ checkpointLocation: await folder() });
  await first.feed(query, ["a", 1], ["b", 10]);
  const taken = await query.savepoint("before");
  await first.feed(query, ["a", 2]);
  const second = new Run();
  for (const [word, n] of [
    ["a", 1],
    ["b", 10],
    ["a", 5],
  ] as const)
    second.source.push({ word, n });
  const other = await second.start({ checkpointLocation: await folder(), restore: { location: taken.url } });
  await other.processAllAvailable();
  expect(other.restoredFrom).toBe(taken.url);
  // The first two rows are behind the savepoint, so only the third is read.
  expect([...second.batches.entries()]).toEqual([[1, [{ word: "a", n: 2, total: 6 }]]]);
});

test("the same id is answered with the savepoint that was taken then", async () => {
  const run = new Run();
  const query = await run.start({ checkpointLocation: await folder() });
  await run.feed(query, ["a", 1]);
  const first = await query.savepoint("one");
  await run.feed(query, ["a", 1]);
  expect(await query.savepoint("one")).toEqual(first);
  expect(await query.savepointResult("one")).toEqual(first);
  expect(await query.savepointResult("two")).toBeUndefined();
});

test("with stop the query ends at the savepoint and nothing is written after it", async () => {
  const run = new Run();
  const query = await run.start({ checkpointLocation: await folder() });
  await run.feed(query, ["a", 1]);
  const asked = query.savepoint("last", "stop");
  run.source.push({ word: "a", n: 1 });
  const { checkpointId } = await asked;
  expect(await query.done).toBe("stopped");
  expect(checkpointId).toBe(query.lastBatchId + 1);
  expect(Math.max(...run.batches.keys())).toBe(query.lastBatchId);
  await expect(query.savepoint("more")).rejects.toMatchObject({ code: "JOB_NOT_RUNNING" });
});

test("a query that has run no batch yet has a savepoint all the same", async () => {
  const run = new Run();
  const query = await run.start({ checkpointLocation: await folder() });
  const { url } = await query.savepoint("empty");
  const next = new Run();
  const other = await next.start({ checkpointLocation: await folder(), restore: { location: url } });
  await next.feed(other, ["a", 1]);
  expect(next.last).toEqual([{ word: "a", n: 1, total: 1 }]);
});

test("between two triggers a savepoint does not wait for the next one", async () => {
  const run = new Run();
  const words = new Session().readStream(run.source, { name: "words" });
  const query = await StreamingQuery.start(
    totals(words).writeStream(
      { kind: "foreachBatch", fn: () => {} },
      { name: "tested", mode: "update", trigger: { processingTime: "1 h" } },
    ),
    { checkpointLocation: await folder() },
  );
  opened.push(() => query.stop());
  run.source.push({ word: "a", n: 1 });
  await query.savepoint("early");
  expect(query.lastBatchId).toBe(0);
  await query.savepoint("again");
  expect(query.lastBatchId).toBe(0);
});

test("a query without a checkpoint location has no savepoints", async () => {
  const query = await new Run().start({});
  await expect(query.savepoint("x")).rejects.toMatchObject({ code: "SAVEPOINT_NO_STORAGE" });
});

test("a savepoint of a query that has changed is refused with what differs, and filters may change", async () => {
  const run = new Run();
  const query = await run.start({ checkpointLocation: await folder() });
  await run.feed(query, ["a", 1], ["b", 2]);
  const { url } = await query.savepoint("v1");
  const changed = (words: DataFrame<Word>): DataFrame<unknown> =>
    words.groupBy("word").agg((c) => ({ n: count(), most: max(c.n) }), { name: "totals" });
  const location = await folder();
  await expect(new Run().start({ checkpointLocation: location, restore: { location: url } }, changed)).rejects.toMatchObject({
    code: "QUERY_CHANGED",
    message: expect.stringMatching(/"totals": aggregates was/),
  });
  const next = new Run();
  const filtered = (words: DataFrame<Word>): DataFrame<unknown> => totals(words.filter((c) => c.n.gt(4)));
  const other = await next.start({ checkpointLocation: await folder(), restore: { location: url } }, filtered);
  for (const word of ["a", "b", "a", "b"]) next.source.push({ word, n: word === "a" ? 1 : 5 });
  await other.processAllAvailable();
  expect(next.last).toEqual([{ word: "b", n: 2, total: 7 }]);
});

test("a run that goes back to a savepoint does not follow the batches of the run it replaces", async () => {
  const checkpointLocation = await folder();
  const first = new Run();
  const query = await first.start({ checkpointLocation, run: 1 });
  await first.feed(query, ["a", 1]);
  const { url } = await query.savepoint("v1", "stop");
  await query.done;
  // Run 2 is given up after two batches, and its plan of a third is left in the log.
  const second = new Run();
  second.source.push({ word: "a", n: 1 });
  const failing = await second.start({ checkpointLocation, run: 2, restore: { sinceRun: 2, location: url } });
  await second.feed(failing, ["a", 100]);
  await second.feed(failing, ["a", 100]);
  const ids = [...second.batches.keys()];
  expect(ids).toEqual([1, 2]);
  await failing.stop();
  const third = new Run();
  third.source.push({ word: "a", n: 1 });
  third.source.push({ word: "a", n: 7 });
  const back = await third.start({ checkpointLocation, run: 3, restore: { sinceRun: 3, location: url } });
  await back.processAllAvailable();
  expect([...third.batches.entries()]).toEqual([[3, [{ word: "a", n: 2, total: 8 }]]]);
  await back.stop();
  // The same run started again goes on from its own checkpoint.
  const again = await third.start({ checkpointLocation, run: 3, restore: { sinceRun: 3, location: url } });
  expect(again.restoredFrom).toMatch(/chk-4$/);
});

test("a driver of an earlier run is fenced by a later one", async () => {
  const checkpointLocation = await folder();
  const late = new Run();
  const old = await late.start({ checkpointLocation, run: 1 });
  await late.feed(old, ["a", 1]);
  const next = await new Run().start({ checkpointLocation, run: 2 });
  late.source.push({ word: "a", n: 1 });
  await expect(old.done).rejects.toMatchObject({ code: "FENCED" });
  expect(next.state).toBe("running");
});
