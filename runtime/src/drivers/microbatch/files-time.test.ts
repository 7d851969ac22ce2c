// Event time over several files: by default no row is late because another file was read first, whatever the size of batches.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { files } from "../../connectors/files/index.ts";
import { type MemorySink, memorySink } from "../../connectors/memory/index.ts";
import { MemoryStorage } from "../../checkpoint/storage/memory-storage.ts";
import { int53, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import { count, window } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import { json } from "../../serde/index.ts";
import type { QueryProgress } from "./progress.ts";
import { StreamingQuery } from "./streaming-query.ts";

const Row = schema({ id: int53(), at: timestamp() });
type Row = RowType<typeof Row>;
interface Counted {
  readonly w_start: number;
  readonly n: number;
}

const hourMs = 3_600_000;

/** Files by name, a line per row. */
async function withFiles(content: ReadonlyMap<string, readonly Row[]>, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "files-time-"));
  try {
    for (const [name, rows] of content) await writeFile(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Rows per hour, of all files. */
function hours(content: ReadonlyMap<string, readonly Row[]>): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const { at } of [...content.values()].flat()) {
    const hour = Math.floor(at / hourMs) * hourMs;
    counts.set(hour, (counts.get(hour) ?? 0) + 1);
  }
  return counts;
}

interface Counting {
  readonly rows: readonly Counted[];
  readonly late: number;
  readonly progress: readonly QueryProgress[];
}

async function countHours(folder: string, given: { readonly inTimeOrder?: boolean }): Promise<Counting> {
  const sink = memorySink<Counted>();
  const progress: QueryProgress[] = [];
  const started = await StreamingQuery.start(hourly(folder, given, sink), {
    maxRecordsPerTrigger: 40,
    openStorage: async () => new MemoryStorage(),
    onProgress: (one) => progress.push(one),
  });
  await started.done;
  const late = progress.reduce((sum, { stateOperators }) => sum + (stateOperators[0]?.numRowsDroppedByWatermark ?? 0), 0);
  return { rows: sink.rows, late, progress };
}

function hourly(folder: string, given: { readonly inTimeOrder?: boolean; readonly concurrentFiles?: number }, sink: MemorySink<Counted>) {
  return new Session()
    .readStream(files({ path: folder, format: json(Row), ...given }), { name: "files" })
    .withWatermark("at", 0)
    .groupBy((c) => ({ w: window(c.at, hourMs) }))
    .agg(() => ({ n: count() }), { name: "hours" })
    .select("w_start", "n")
    .writeStream(sink, { name: "hours", trigger: { availableNow: true } });
}

/** Every hour but the last one, which nothing closes. */
function expectClosed({ rows, late }: Counting, content: ReadonlyMap<string, readonly Row[]>): void {
  expect(late).toBe(0);
  const expected = [...hours(content)].sort(([a], [b]) => a - b).slice(0, -1);
  expect(rows.map(({ w_start: start, n }) => [start, n]).sort((a, b) => (a[0] as number) - (b[0] as number))).toEqual(expected);
}

const days = new Map(
  ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"].map((day) => [
    `${day}.ndjson`,
    Array.from({ length: 120 }, (_, id): Row => ({ id, at: Date.parse(day) + id * 700_000 })),
  ]),
);
// As a job of several writers leaves them: each file has rows of the whole time.
const parts = new Map(
  ["part-0", "part-1", "part-2"].map((name, part) => [
    `${name}.ndjson`,
    Array.from({ length: 150 }, (_, id): Row => ({ id, at: Date.parse("2024-01-01") + id * 500_000 + part * 1000 })),
  ]),
);

test("files of a day each, read in small batches: nothing is late", () =>
  withFiles(days, async (folder) => expectClosed(await countHours(folder, {}), days)));

test("files that all cover the same time, read in small batches: nothing is late", () =>
  withFiles(parts, async (folder) => expectClosed(await countHours(folder, {}), parts)));

test("inTimeOrder closes windows while later files wait", () =>
  withFiles(days, async (folder) => {
    const counting = await countHours(folder, { inTimeOrder: true });
    expectClosed(counting, days);
    const firstOutput = counting.progress.findIndex(({ sink }) => sink.numOutputRows > 0);
    expect(firstOutput).toBeGreaterThanOrEqual(0);
    // Ten batches and more are still to come.
    expect(firstOutput).toBeLessThan(counting.progress.length - 10);
  }));

test("what was read before a restart counts when the files have ended", () =>
  withFiles(parts, async (folder) => {
    const storage = new MemoryStorage();
    const sink = memorySink<Counted>();
    const query = hourly(folder, { concurrentFiles: 1 }, sink);
    const options = { maxRecordsPerTrigger: 40, openStorage: async () => storage };
    let stopping: Promise<void> | undefined;
    const first: StreamingQuery = await StreamingQuery.start(query, {
      ...options,
      onProgress: ({ batchId }) => {
        if (batchId === 4) stopping ??= first.stop();
      },
    });
    expect(await first.done).toBe("stopped");
    await stopping;
    const second = await StreamingQuery.start(query, options);
    expect(await second.done).toBe("finished");
    const expected = [...hours(parts)].sort(([a], [b]) => a - b).slice(0, -1);
    expect(sink.rows.map(({ w_start: start, n }) => [start, n])).toEqual(expected);
  }));
