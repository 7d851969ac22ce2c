// The files sink on local files: against the connector contract in every format, then its own promises one by one.
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { isMillraceError } from "../../../base/errors.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import { int53, string, timestamp } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { sinkContract, sinkSuiteSchema } from "../../contract/index.ts";
import { filesSink, type FilesSinkOptions } from "../index.ts";
import { lines } from "./line-format.suite.ts";
import { inDirectory } from "../source/files-fixture.suite.ts";
import { batchOf, directoryWorld, sinkContext, unpacked, visibleFiles } from "./sink-fixture.suite.ts";

const worlds: readonly (readonly [string, Omit<FilesSinkOptions, "path">])[] = [
  ["lines", { format: lines }],
  ["lines, at least once", { format: lines, delivery: "at-least-once", maxFileRows: 3 }],
  ["gzip lines, small files", { format: lines, compression: "gzip", maxFileRows: 2 }],
  ["zstd lines, by id, few open files", { format: lines, compression: "zstd", partition: "id={id}", maxOpenFiles: 3 }],
  ["csv, by event time", { format: "csv", partition: "minute={$time:yyyy-MM-dd-HH-mm}" }],
  ["parquet", { format: "parquet" }],
];
for (const [name, options] of worlds) {
  sinkContract(test, {
    name,
    open: () => directoryWorld(options),
    failures: [
      {
        name: "a directory below a file",
        code: "FILES_PATH_MISSING",
        open: async () => filesSink({ ...options, path: `${import.meta.filename}/below` }),
      },
    ],
  });
}

const rowSchema = schema({ id: int53(), name: string().nullable(), at: timestamp() });
const hour = 3_600_000;
const row = (id: number, name: string | null = `n${id}`, at: number = id * hour): { id: number; name: string | null; at: number } => ({
  id,
  name,
  at,
});

async function writeAll(sink: Sink, rows: readonly ReturnType<typeof row>[]): Promise<void> {
  const writer = await sink.openWriter(sinkContext(), rowSchema);
  writer.write(batchOf(rowSchema, rows, 5 * hour));
  await writer.prepare(1);
  await writer.commit(1);
  await writer.close();
}

test("files end at their limits of rows and bytes, and lie in the directories of their rows", () =>
  inDirectory(async (directory) => {
    await writeAll(filesSink({ path: directory, format: lines, partition: "day={at:yyyy-MM-dd}/{name}", maxFileRows: 2 }), [
      row(1, "a"),
      row(2, "a"),
      row(3, "a"),
      row(24, "b/c"),
      row(25, null),
      row(26, ""),
      row(27, ".x"),
      row(28, "_y\u00e9"),
    ]);
    const found = await visibleFiles(directory);
    const content = await Promise.all(
      found.map(async (name) => [
        name.slice(0, name.lastIndexOf("/")),
        (await readFile(join(directory, name), "utf8")).split("\n").length - 1,
      ]),
    );
    expect(content).toEqual([
      ["day=1970-01-01/a", 2],
      ["day=1970-01-01/a", 1],
      ["day=1970-01-02/%", 1],
      ["day=1970-01-02/%2Ex", 1],
      ["day=1970-01-02/%5Fy%C3%A9", 1],
      ["day=1970-01-02/b%2Fc", 1],
      ["day=1970-01-02/null", 1],
    ]);
    for (const name of found) expect(name.slice(name.lastIndexOf("/") + 1)).toMatch(/^job\.out\.0\.000000\.0000\d\.[0-9a-f]{8}\.ndjson$/);
    await rm(directory, { recursive: true });
    await writeAll(
      filesSink({ path: directory, format: lines, maxFileBytes: 100 }),
      Array.from({ length: 20 }, (_, id) => row(id)),
    );
    const sizes = await Promise.all((await visibleFiles(directory)).map(async (name) => (await stat(join(directory, name))).size));
    expect(sizes.length).toBeGreaterThan(5);
    for (const size of sizes) expect(size).toBeLessThan(160);
  }));

test("files end at their age, by the clock", () =>
  inDirectory(async (directory) => {
    const clock = new ManualClock();
    const writer = await filesSink({ path: directory, format: lines, maxFileAge: "10 s", delivery: "at-least-once" }).openWriter(
      sinkContext({ clock }),
      rowSchema,
    );
    writer.write(batchOf(rowSchema, [row(1)]));
    clock.advance(9_999);
    await writer.flush();
    expect(await visibleFiles(directory)).toEqual([]);
    clock.advance(1);
    await writer.flush();
    writer.write(batchOf(rowSchema, [row(2)]));
    await writer.prepare(1);
    expect((await visibleFiles(directory)).length).toBe(2);
    await writer.close();
  }));

test("what earlier runs left behind is removed, what belongs to others is not", () =>
  inDirectory(async (directory) => {
    const sink = filesSink({ path: directory, format: lines });
    const writer = await sink.openWriter(sinkContext(), rowSchema);
    writer.write(batchOf(rowSchema, [row(1)]));
    await writer.flush();
    const other = await sink.openWriter({ ...sinkContext(), uid: "other" }, rowSchema);
    other.write(batchOf(rowSchema, [row(2)]));
    await other.flush();
    const higher = await sink.openWriter({ ...sinkContext(), subtask: 1, parallelism: 2 }, rowSchema);
    higher.write(batchOf(rowSchema, [row(3)]));
    const state = await higher.prepare(1);
    const inProgress = async (): Promise<string[]> =>
      (await readdir(join(directory, ".inprogress"))).map((name) => name.split(".").slice(1, 3).join(".")).sort();
    expect(await inProgress()).toEqual(["other.0", "out.0", "out.1"]);
    const next = await sink.openWriter({ ...sinkContext({ restored: { checkpointId: 1, committed: false, states: [state] } }) }, rowSchema);
    expect(await inProgress()).toEqual(["other.0"]);
    expect((await visibleFiles(directory)).length).toBe(1);
    for (const open of [writer, other, higher, next]) await open.close();
    expect(await inProgress()).toEqual([]);
  }));

test("a commit whose files are gone is told, not passed over", () =>
  inDirectory(async (directory) => {
    const sink = filesSink({ path: directory, format: lines });
    const writer = await sink.openWriter(sinkContext(), rowSchema);
    writer.write(batchOf(rowSchema, [row(1)]));
    const state = await writer.prepare(1);
    await rm(join(directory, ".inprogress"), { recursive: true });
    await expect(writer.commit(1)).rejects.toMatchObject({ code: "FILES_COMMIT_LOST" });
    const restored = { checkpointId: 1, committed: false, states: [state] };
    await expect(sink.openWriter(sinkContext({ restored }), rowSchema)).rejects.toMatchObject({ code: "FILES_COMMIT_LOST" });
    await expect(sink.openWriter(sinkContext({ restored: { ...restored, states: [Buffer.from("{}")] } }), rowSchema)).rejects.toMatchObject(
      { code: "SINK_STATE_CORRUPT" },
    );
    await writer.close();
  }));

test("the path may change between runs: the restored commit goes where it was prepared", () =>
  inDirectory(async (directory) => {
    const before = await filesSink({ path: join(directory, "one"), format: lines }).openWriter(sinkContext(), rowSchema);
    before.write(batchOf(rowSchema, [row(1)]));
    const restored = { checkpointId: 1, committed: false, states: [await before.prepare(1)] };
    const after = await filesSink({ path: join(directory, "two"), format: lines }).openWriter(sinkContext({ restored }), rowSchema);
    expect((await visibleFiles(join(directory, "one"))).length).toBe(1);
    await after.close();
    await before.close();
  }));

test("a large compressed file is whole, and rows without a value are left out", () =>
  inDirectory(async (directory) => {
    for (const compression of ["gzip", "zstd"] as const) {
      const path = join(directory, compression);
      const writer = await filesSink({ path, format: lines, compression }).openWriter(sinkContext(), rowSchema);
      const expected: string[] = [];
      for (let i = 0; i < 200; i++) {
        const rows = Array.from({ length: 500 }, (_, k) => row(i * 500 + k, k === 7 ? "tombstone" : `text ${k}`));
        expected.push(...rows.filter((entry) => entry.name !== "tombstone").map((entry) => JSON.stringify(entry)));
        await writer.ready();
        writer.write(batchOf(rowSchema, rows));
      }
      await writer.prepare(1);
      await writer.commit(1);
      await writer.close();
      const [name = ""] = await visibleFiles(path);
      const text = unpacked(name, await readFile(join(path, name)));
      expect(text.split("\n").slice(0, -1)).toEqual(expected);
    }
  }));

test("options that cannot be are refused by code", async () => {
  const code = (options: object): string => {
    try {
      filesSink({ path: "x", format: lines, ...options } as FilesSinkOptions);
    } catch (error) {
      return isMillraceError(error) ? error.code : String(error);
    }
    return "none";
  };
  expect(code({})).toBe("none");
  expect(code({ partitions: "x" })).toBe("OPTION_UNKNOWN");
  expect(code({ path: "x/*.csv" })).toBe("OPTION_INVALID");
  expect(code({ format: "xml" })).toBe("OPTION_INVALID");
  expect(code({ format: { ...lines, name: "avro" } })).toBe("OPTION_INVALID");
  expect(code({ delivery: "once" })).toBe("OPTION_INVALID");
  expect(code({ compression: "bzip2" })).toBe("OPTION_INVALID");
  expect(code({ maxFileRows: 0 })).toBe("OPTION_INVALID");
  expect(code({ maxFileAge: "old" })).toBe("OPTION_INVALID");
  const opening = async (partition: string): Promise<string> =>
    filesSink({ path: "x", format: lines, partition })
      .openWriter(sinkContext(), rowSchema)
      .then(
        (writer) => writer.close().then(() => "none"),
        (error: unknown) => (isMillraceError(error) ? error.code : String(error)),
      );
  for (const partition of ["{nobody}", "{name:yyyy}", "{at:YYYY}", "{at", "x}"])
    expect(await opening(partition), partition).toBe("OPTION_INVALID");
  expect(filesSink({ path: "x", format: { ...lines, changelog: "retract" } }).accepts).toBe("retract");
  expect(sinkSuiteSchema.fields.length).toBe(2);
});
