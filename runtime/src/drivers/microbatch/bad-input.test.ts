// Input that is not as declared, and how much of it a batch takes: malformed records in each mode, drift of JSON and Parquet, limits, ends.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { files, filesSink } from "../../connectors/files/index.ts";
import { memoryRecords, memorySink, memorySource, values } from "../../connectors/memory/index.ts";
import { int32, int53, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { count, sum } from "../../dataframe/expression/functions.ts";
import { type ReadOptions, Session } from "../../dataframe/session.ts";
import { json } from "../../serde/json/json.ts";
import { runBatchQuery } from "./batch-query.ts";
import { StreamingQuery } from "./streaming-query.ts";

const Line = schema({ id: int53(), name: string() });
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "bad-input-"));
  folders.push(made);
  return made;
}

/** What a stream over these records writes. */
async function through(
  records: readonly string[],
  options: ReadOptions,
  format = json(Line),
): Promise<{ readonly rows: readonly unknown[]; readonly malformed: number | undefined }> {
  const source = memoryRecords({ bounded: true });
  for (const value of records) source.push({ value });
  source.end();
  const sink = memorySink();
  const frame = new Session().readStream({ source, format }, { name: "lines", ...options });
  const query = await StreamingQuery.start(frame.writeStream(sink, { trigger: { availableNow: true } }));
  await query.done;
  return { rows: sink.rows, malformed: query.lastProgress?.sources[0]?.malformed };
}

describe("a malformed record", () => {
  const good = '{"id":1,"name":"one"}';
  const misfit = '{"id":"two","name":"two"}';
  const broken = "{not json";

  test("by default ends the query, and the message names its place", async () => {
    await expect(through([good, misfit], {})).rejects.toMatchObject({
      code: "DATAFRAME_BAD_RECORD",
      message: expect.stringMatching(/split-0 at 1/),
    });
  });

  test("with malformed: drop is left out and counted", async () => {
    expect(await through([good, misfit, broken], { malformed: "drop" })).toEqual({ rows: [{ id: 1, name: "one" }], malformed: 2 });
  });

  test("with malformed: permissive is a row of nulls, with its text in the column for it", async () => {
    const { rows } = await through([good, misfit, broken], { malformed: "permissive", corruptRecordColumn: "corrupt" });
    expect(rows).toEqual([
      { id: 1, name: "one", corrupt: null },
      { id: null, name: null, corrupt: misfit },
      { id: null, name: null, corrupt: broken },
    ]);
  });

  test("with malformed: permissive and no column for it is a row of nulls", async () => {
    expect((await through([misfit], { malformed: "permissive" })).rows).toEqual([{ id: null, name: null }]);
  });

  test("a column for bad records without the permissive mode is refused", () => {
    expect(() => new Session().readStream({ source: memoryRecords(), format: json(Line) }, { corruptRecordColumn: "corrupt" })).toThrow(
      /permissive/,
    );
  });

  test("that fails in a computation ends the query with what failed", async () => {
    const frame = new Session()
      .readStream(values(schema({ text: string() }), [{ text: "7" }, { text: "x" }]), { name: "texts" })
      .selectExpr("CAST(text AS INTEGER) AS n");
    await expect(
      (await StreamingQuery.start(frame.writeStream(memorySink(), { trigger: { availableNow: true } }))).done,
    ).rejects.toMatchObject({ code: "DATAFRAME_COMPUTE" });
  });

  test("is null with tryCast", async () => {
    const sink = memorySink();
    const frame = new Session()
      .readStream(values(schema({ text: string() }), [{ text: "7" }, { text: "x" }]), { name: "texts" })
      .select((c) => ({ n: c.text.tryCast<number>("INTEGER") }));
    await (await StreamingQuery.start(frame.writeStream(sink, { trigger: { availableNow: true } }))).done;
    expect(sink.rows).toEqual([{ n: 7 }, { n: null }]);
  });
});

describe("a record of another version", () => {
  test("in JSON: a field that the schema does not have is left out", async () => {
    expect((await through(['{"id":1,"name":"one","added":true}'], {})).rows).toEqual([{ id: 1, name: "one" }]);
  });

  test("in JSON: a field that is missing and optional is null", async () => {
    const Optional = schema({ id: int53(), name: string().optional() });
    expect((await through(['{"id":1}'], {}, json(Optional) as never)).rows).toEqual([{ id: 1, name: null }]);
  });

  test("in JSON: a field that is missing and required is a malformed record", async () => {
    await expect(through(['{"id":1}'], {})).rejects.toMatchObject({ code: "DATAFRAME_BAD_RECORD" });
  });

  test("in Parquet: files with more or other columns are read by name, and a missing optional one is null", async () => {
    const place = await folder();
    const write = async (name: string, frame: ReturnType<Session["read"]>): Promise<void> => {
      await runBatchQuery(frame.write(filesSink({ path: join(place, name), format: "parquet" })));
    };
    await write("old", new Session().read(values(schema({ id: int32() }), [{ id: 1 }]), { name: "v" }));
    await write(
      "new",
      new Session().read(values(schema({ more: string(), name: string(), id: int32() }), [{ more: "m", name: "two", id: 2 }]), {
        name: "v",
      }),
    );
    const Read = schema({ id: int32(), name: string().nullable().optional() });
    const sink = memorySink<{ readonly id: number }>();
    const frame = new Session().readStream(files({ path: place, format: "parquet", schema: Read }), { name: "files" });
    await (await StreamingQuery.start(frame.writeStream(sink, { trigger: { availableNow: true } }))).done;
    expect([...sink.rows].sort((a, b) => a.id - b.id)).toEqual([
      { id: 1, name: null },
      { id: 2, name: "two" },
    ]);
  });
});

describe("a batch", () => {
  const Numbered = schema({ n: int53() });
  const numbers = Array.from({ length: 1000 }, (_value, n) => ({ n }));

  async function sizes(splits: number, maxRecordsPerTrigger: number): Promise<readonly number[]> {
    const source = memorySource(Numbered, { splits, bounded: false });
    for (const row of numbers) source.push(row, { split: `split-${row.n % splits}` });
    const seen: number[] = [];
    const frame = new Session().readStream(source, { name: "numbers", maxRecordsPerTrigger });
    const query = await StreamingQuery.start(frame.writeStream(memorySink()), {
      onProgress: (progress) => seen.push(progress.numInputRows),
    });
    await query.processAllAvailable();
    await query.stop();
    return seen;
  }

  test("has at most as many records as its source's limit says", async () => {
    expect(await sizes(1, 300)).toEqual([300, 300, 300, 100]);
  });

  test("takes of several splits in proportion to what waits in each", async () => {
    const source = memorySource(Numbered, { splits: 2, bounded: false });
    for (let n = 0; n < 900; n++) source.push({ n }, { split: "split-0" });
    for (let n = 0; n < 100; n++) source.push({ n }, { split: "split-1" });
    const ends: unknown[] = [];
    const frame = new Session().readStream(source, { name: "numbers", maxRecordsPerTrigger: 100 });
    const query = await StreamingQuery.start(frame.writeStream(memorySink()), {
      onProgress: ({ sources }) => ends.push(sources[0]?.endOffset),
    });
    await query.processAllAvailable();
    await query.stop();
    expect(ends[0]).toEqual({ "split-0": 90, "split-1": 10 });
    expect(ends.at(-1)).toEqual({ "split-0": 900, "split-1": 100 });
  });

  test("of trigger once is one, whatever the limit", async () => {
    const source = memorySource(Numbered, { splits: 1, bounded: true });
    for (const row of numbers) source.push(row);
    source.end();
    const seen: number[] = [];
    const frame = new Session().readStream(source, { name: "numbers", maxRecordsPerTrigger: 300 });
    await (
      await StreamingQuery.start(frame.writeStream(memorySink(), { trigger: { once: true } }), {
        onProgress: (progress) => seen.push(progress.numInputRows),
      })
    ).done;
    expect(seen).toEqual([1000]);
  });

  test("of trigger availableNow ends with what was there, in as many batches as the limit makes", async () => {
    const source = memorySource(Numbered, { splits: 1, bounded: true });
    for (const row of numbers) source.push(row);
    source.end();
    const seen: number[] = [];
    const frame = new Session().readStream(source, { name: "numbers", maxRecordsPerTrigger: 400 });
    const query = await StreamingQuery.start(frame.writeStream(memorySink(), { trigger: { availableNow: true } }), {
      onProgress: (progress) => seen.push(progress.numInputRows),
    });
    expect(await query.done).toBe("finished");
    expect(seen).toEqual([400, 400, 200]);
  });

  test("is not run while there is nothing", async () => {
    const source = memorySource(Numbered, { bounded: false });
    const query = await StreamingQuery.start(new Session().readStream(source, { name: "numbers" }).writeStream(memorySink()));
    await query.processAllAvailable();
    await query.stop();
    expect(query.recentProgress).toEqual([]);
    expect(query.lastBatchId).toBe(-1);
  });

  test("knows where each record came from", async () => {
    const source = memoryRecords({ bounded: true });
    source.push({ key: "k", value: '{"id":1,"name":"one"}', timestampMs: 77 });
    source.end();
    const sink = memorySink();
    const frame = new Session()
      .readStream({ source, format: json(Line) }, { name: "lines", metadata: true })
      .selectExpr("id", "_split", "_offset", "_timestamp", "CAST(_key AS VARCHAR) AS k");
    await (await StreamingQuery.start(frame.writeStream(sink, { trigger: { availableNow: true } }))).done;
    expect(sink.rows).toEqual([{ id: 1, _split: "split-0", _offset: 0, _timestamp: 77, k: "k" }]);
  });
});

describe("progress", () => {
  test("has the fields of StreamingQueryProgress", async () => {
    const Event = schema({ at: timestamp(), n: int53() });
    const source = memorySource(Event, { bounded: false });
    source.push({ at: 5000, n: 2 });
    const frame = new Session()
      .readStream(source, { name: "events" })
      .withWatermark("at", "1 s")
      .groupBy("n")
      .agg((c) => ({ n2: sum(c.n), c: count() }));
    const query = await StreamingQuery.start(frame.writeStream(memorySink(), { name: "told", mode: "update" }));
    await query.processAllAvailable();
    await query.stop();
    const progress = query.recentProgress[0];
    expect(progress).toMatchObject({
      name: "told",
      batchId: 0,
      numInputRows: 1,
      eventTime: { watermark: "1970-01-01T00:00:00.000Z", max: "1970-01-01T00:00:05.000Z" },
      stateOperators: [{ operatorName: "frameAggregate", numRowsTotal: 1, numRowsUpdated: 1, numRowsDroppedByWatermark: 0 }],
      sources: [{ name: "events", startOffset: { "split-0": 0 }, endOffset: { "split-0": 1 }, numInputRows: 1 }],
      sink: { description: "memory", numOutputRows: 1 },
    });
    expect(Object.keys(progress?.durationMs ?? {})).toEqual(
      expect.arrayContaining(["latestOffset", "walCommit", "addBatch", "commitState", "commitOffsets", "triggerExecution"]),
    );
    expect(progress?.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(progress?.runId).not.toBe(progress?.id);
  });

  test("goes to a listener, whose failure does not stop the query", async () => {
    const source = memorySource(schema({ n: int53() }), { bounded: false });
    source.push({ n: 1 });
    const query = await StreamingQuery.start(new Session().readStream(source, { name: "numbers" }).writeStream(memorySink()), {
      onProgress: () => {
        throw new Error("listener");
      },
    });
    await query.processAllAvailable();
    expect(query.state).toBe("running");
    await query.stop();
  });
});
