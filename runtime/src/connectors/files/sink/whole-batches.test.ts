// Manifests of batches on local files: whole batches whatever happens, plain Parquet for everybody else, and what is refused.
import { cpSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { files, filesSink } from "../index.ts";
import { inDirectory, readWhole } from "../source/files-fixture.suite.ts";
import { duck } from "./duck.suite.ts";
import { LocalOutput } from "./local-output.ts";
import { batchOf, sinkContext, visibleFiles } from "./sink-fixture.suite.ts";
import { batchRow, type BatchesWorld, expectWholeBatches } from "./whole-batches.suite.ts";

async function localWorld(): Promise<BatchesWorld> {
  const path = await mkdtemp(join(tmpdir(), "millrace-batches-"));
  const kept = `${path}-kept`;
  return {
    path,
    open: () => new LocalOutput(path),
    died: () => cpSync(path, kept, { recursive: true }),
    restart: async () => {
      await rm(path, { recursive: true });
      await rename(kept, path);
    },
    dispose: async () => {
      await rm(path, { recursive: true, force: true });
      await rm(kept, { recursive: true, force: true });
    },
  };
}

test("a writer that dies before or after any write leaves whole batches, each once", async () => {
  // Per batch two files: create, write, end, show each; then the manifest.
  expect(await expectWholeBatches(localWorld, 2)).toBe(2 * (2 * 4 + 1));
}, 120_000);

const rows = [
  { batch: 0, id: 1, kind: "a" },
  { batch: 0, id: 2, kind: "b" },
];

async function oneBatch(directory: string, id = 1): Promise<void> {
  const sink = filesSink({ path: directory, format: "parquet", partition: "kind={kind}", manifest: true });
  const writer = await sink.openWriter(sinkContext(), batchRow);
  writer.write(batchOf(batchRow, rows));
  await writer.prepare(id);
  await writer.commit(id);
  // A batch without rows has no files and no manifest.
  await writer.prepare(id + 1);
  await writer.commit(id + 1);
  await writer.close();
}

test("anyone reads the folder as plain Parquet, or by the manifests as docs/reference/files.md says", () =>
  inDirectory(async (directory) => {
    await oneBatch(directory);
    const expected = [
      ["1", "a"],
      ["2", "b"],
    ];
    expect(await duck(`SELECT id, kind FROM read_parquet('${directory}/**/*.parquet') ORDER BY id`)).toEqual(expected);
    const listed = await duck(`SELECT DISTINCT unnest(files) AS file FROM read_json('${directory}/_batches/*.json') ORDER BY file`);
    expect(listed.map(([file]) => file)).toEqual((await visibleFiles(directory)).filter((name) => name.endsWith(".parquet")));
    const names = await readdir(join(directory, "_batches"));
    expect(names).toEqual([expect.stringMatching(/^job\.out\.000000000001\.[0-9a-f]{8}\.json$/)]);
    const manifest: unknown = JSON.parse(await readFile(join(directory, "_batches", names[0] ?? ""), "utf8"));
    expect(manifest).toMatchObject({ version: 1, job: "job", uid: "out", checkpoint: 1 });
  }));

test("a run that begins anew in the same folder adds its batches to those of before", () =>
  inDirectory(async (directory) => {
    await oneBatch(directory);
    await oneBatch(directory);
    const result = await readWhole(files({ path: directory, format: "parquet", schema: batchRow, manifest: true }).source);
    expect([...result.bySplit.values()].flat()).toHaveLength(4);
  }));

test("a manifest that is none is named", () =>
  inDirectory(async (directory) => {
    await oneBatch(directory);
    await writeFile(join(directory, "_batches", "job.out.000000000009.00000000.json"), '{"version":2}');
    const reading = readWhole(files({ path: directory, format: "parquet", schema: batchRow, manifest: true }).source);
    await expect(reading).rejects.toMatchObject({ code: "FILES_CORRUPT", subject: expect.stringContaining("000000000009") });
  }));

test("what cannot give whole batches is refused", async () => {
  const options = { path: "x", format: "parquet", manifest: true } as const;
  expect(() => filesSink({ ...options, delivery: "at-least-once" })).toThrow(/whole with exactly-once/);
  await expect(filesSink(options).openWriter({ ...sinkContext(), parallelism: 2 }, batchRow)).rejects.toMatchObject({
    code: "OPTION_INVALID",
  });
  expect(() => files({ ...options, path: "x/*.parquet", schema: batchRow })).toThrow(/the directory that the sink writes to/);
  await inDirectory(async (directory) => {
    const before = await filesSink({ ...options, path: join(directory, "one") }).openWriter(sinkContext(), batchRow);
    before.write(batchOf(batchRow, rows));
    const restored = { checkpointId: 1, committed: false, states: [await before.prepare(1)] };
    await before.close();
    const after = filesSink({ ...options, path: join(directory, "two") }).openWriter(sinkContext({ restored }), batchRow);
    await expect(after).rejects.toMatchObject({ code: "OPTION_INVALID", next: expect.stringContaining("the path of before") });
  });
});
