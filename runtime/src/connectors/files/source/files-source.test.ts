// The files source on local files: against the connector contract in every format, and its own promises one by one.
import { appendFileSync, mkdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { isMillraceError } from "../../../base/errors.ts";
import type { Source, SourceSplit } from "../../../core/ports/source.ts";
import { int32, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { sourceContract, type SourceWorld } from "../../contract/index.ts";
import { contractContext } from "../../contract/suite.ts";
import { files, type FilesLinesOptions } from "../index.ts";
import { allOf, inDirectory, lineFormat, readWhole } from "./files-fixture.suite.ts";

const line = (file: string, i: number): string => JSON.stringify({ file, i, text: "\u00e9x".repeat(i % 5) });
const lines = (file: string, from: number, count: number): string[] => Array.from({ length: count }, (_, i) => line(file, from + i));

function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

type Pack = (text: string) => Uint8Array;
const packs: readonly { readonly name: string; readonly ending: string; readonly pack: Pack }[] = [
  { name: "plain", ending: "", pack: (text) => Buffer.from(text) },
  { name: "gzip", ending: ".gz", pack: (text) => gzipSync(text) },
  { name: "zstd", ending: ".zst", pack: (text) => zstdCompressSync(text) },
];

async function linesWorld(ending: string, pack: Pack, concurrentFiles: number): Promise<SourceWorld> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-files-"));
  const records = new Map<string, readonly string[]>();
  for (const [i, name] of ["a.ndjson", "b.ndjson", "deep/c.ndjson"].entries()) {
    const path = join(directory, name + ending);
    const content = lines(name, 0, 5 + i);
    // The last file has no line end at its end, and Windows line ends.
    put(path, pack(i === 2 ? content.join("\r\n") : content.map((text) => `${text}\n`).join("")));
    records.set(path, content);
  }
  put(join(directory, ".hidden.ndjson"), "hidden");
  put(join(directory, "_SUCCESS"), "");
  const { source } = files({ path: directory, format: lineFormat, concurrentFiles });
  return { source, records, dispose: () => rm(directory, { recursive: true }) };
}

for (const { name, ending, pack } of packs) {
  for (const concurrentFiles of [1, 4]) {
    sourceContract(test, { name: `lines, ${name}, ${concurrentFiles} at a time`, open: () => linesWorld(ending, pack, concurrentFiles) });
  }
}

sourceContract(test, {
  name: "lines, followed",
  open: async () => {
    const directory = await mkdtemp(join(tmpdir(), "millrace-files-"));
    const records = new Map<string, readonly string[]>();
    const write = (name: string, from: number): { readonly id: string; readonly records: readonly string[] } => {
      const id = join(directory, name);
      const added = lines(name, from, 6);
      appendFileSync(id, `${added.join("\n")}\n`);
      return { id, records: added };
    };
    for (const name of ["a.log", "b.log"]) {
      const added = write(name, 0);
      records.set(added.id, added.records);
    }
    const { source } = files({ path: join(directory, "*.log"), format: lineFormat, bounded: false, follow: true, discoverInterval: 5 });
    return {
      source,
      records,
      addSplit: async () => write("c.log", 0),
      addRecords: async (id) => write(id.slice(directory.length + 1), 100).records,
      dispose: () => rm(directory, { recursive: true }),
    };
  },
});

const numbered = schema({ id: int32(), name: string().nullable() });

for (const { name, ending, pack } of packs) {
  sourceContract(test, {
    name: `csv, ${name}`,
    open: async () => {
      const directory = await mkdtemp(join(tmpdir(), "millrace-files-"));
      const records = new Map<string, readonly string[]>();
      for (const [split, file] of ["x.csv", "y.csv"].entries()) {
        const path = join(directory, file + ending);
        const rows = Array.from({ length: 6 + split }, (_, id) => ({ id, name: id === 1 ? null : `a "quoted", name\nof ${id}` }));
        const text = rows.map((row) => `${row.name === null ? "" : `"${row.name.replaceAll('"', '""')}"`},${row.id}`).join("\r\n");
        put(path, pack(`name,id\r\n${text}\r\n`));
        records.set(
          path,
          rows.map((row) => JSON.stringify(row)),
        );
      }
      const { source } = files({ path: directory, format: "csv", schema: numbered });
      return { source, records, dispose: () => rm(directory, { recursive: true }) };
    },
  });
}

// --- failures by code ---

function failing(name: string, code: string, make: (directory: string) => Source): void {
  test(`${name} is a ${code}`, () =>
    inDirectory(async (directory) => {
      const error: unknown = await readWhole(make(directory)).then(
        () => "no error",
        (thrown: unknown) => thrown,
      );
      expect(isMillraceError(error) ? error.code : error).toBe(code);
    }));
}

failing(
  "a path that is not there",
  "FILES_PATH_MISSING",
  (directory) => files({ path: join(directory, "none"), format: lineFormat }).source,
);
failing(
  "a glob that names nothing",
  "FILES_PATH_MISSING",
  (directory) => files({ path: join(directory, "*.x"), format: lineFormat }).source,
);
failing("an ending of an unknown compression", "FILES_COMPRESSION_UNSUPPORTED", (directory) => {
  put(join(directory, "a.ndjson.bz2"), "x");
  return files({ path: directory, format: lineFormat }).source;
});
failing("a damaged gzip file", "FILES_CORRUPT", (directory) => {
  put(join(directory, "a.gz"), "not gzip at all");
  return files({ path: directory, format: lineFormat }).source;
});
for (const { ending, pack, name } of packs.slice(1)) {
  failing(`a truncated ${name} file`, "FILES_CORRUPT", (directory) => {
    const whole = pack(lines("a", 0, 20_000).join("\n"));
    put(join(directory, `a${ending}`), whole.subarray(0, whole.length - 20));
    return files({ path: directory, format: lineFormat }).source;
  });
}
failing("a header without a field that must be there", "FILES_SCHEMA_MISFIT", (directory) => {
  put(join(directory, "a.csv"), "name,no\n1,2\n");
  return files({ path: directory, format: "csv", schema: numbered }).source;
});

test("options that cannot be are refused by code", () => {
  const code = (options: object): string => {
    try {
      files({ path: "x", format: lineFormat, ...options } as FilesLinesOptions<unknown>);
    } catch (error) {
      return isMillraceError(error) ? error.code : String(error);
    }
    return "none";
  };
  expect(code({})).toBe("none");
  expect(code({ pth: "x" })).toBe("OPTION_UNKNOWN");
  expect(code({ s3: { endpont: "x" } })).toBe("OPTION_UNKNOWN");
  expect(code({ path: " " })).toBe("OPTION_INVALID");
  expect(code({ path: undefined })).toBe("OPTION_INVALID");
  expect(code({ path: "hdfs://x/y" })).toBe("OPTION_INVALID");
  expect(code({ format: "xml" })).toBe("OPTION_INVALID");
  expect(code({ format: "csv" })).toBe("FILES_SCHEMA_MISSING");
  expect(code({ format: "csv", schema: numbered, csv: { delimiter: "ab" } })).toBe("OPTION_INVALID");
  expect(code({ format: "csv", schema: numbered, csv: { quote: "'" } })).toBe("OPTION_UNKNOWN");
  expect(code({ format: "parquet", schema: numbered, csv: {} })).toBe("OPTION_UNKNOWN");
  expect(code({ order: "size" })).toBe("OPTION_INVALID");
  expect(code({ compression: "brotli" })).toBe("OPTION_INVALID");
  expect(code({ maxRecordBytes: 0 })).toBe("OPTION_INVALID");
  expect(code({ discoverInterval: "soon" })).toBe("OPTION_INVALID");
  expect(code({ recordsPerSecond: -1 })).toBe("OPTION_INVALID");
  expect(code({ follow: true })).toBe("OPTION_INVALID");
  expect(code({ follow: true, bounded: false })).toBe("none");
});

test("records longer than the limit are bad records at their position, whatever block they lie in", () =>
  inDirectory(async (directory) => {
    const long = "x".repeat(3_000_000);
    const middling = "y".repeat(200);
    put(join(directory, "a"), `one\n${long}\ntwo\n${middling}\nthree\n${long}`);
    for (const compression of ["none", "gzip"] as const) {
      if (compression === "gzip") put(join(directory, "a"), gzipSync(`one\n${long}\ntwo\n${middling}\nthree\n${long}`));
      const { source } = files({ path: directory, format: lineFormat, maxRecordBytes: 100, compression });
      const result = await readWhole(source);
      expect(allOf(result)).toEqual(["one", "two", "three"]);
      const positions = compression === "none" ? [4, 3_000_009, 3_000_216] : [1, 3, 5];
      expect(result.bad.map(({ code, position }) => [code, position])).toEqual(positions.map((position) => ["RECORD_TOO_LONG", position]));
      expect(Buffer.from(result.bad[1]?.value ?? []).toString()).toBe(middling);
      expect(result.bad[0]?.value?.length).toBe(4096);
      expect(result.bad.map(({ reason }) => reason)).toEqual(
        [3_000_000, 200, 3_000_000].map((size) => `it has ${size} bytes, more than 100`),
      );
    }
    put(join(directory, "a"), `one\n${long}\ntwo\n`);
    expect(allOf(await readWhole(files({ path: directory, format: lineFormat }).source))).toEqual(["one", long, "two"]);
  }));

test("a long record that is passed over is reported once over a restart", () =>
  inDirectory(async (directory) => {
    put(join(directory, "a"), `one\n${"x".repeat(5_000_000)}\ntwo\n`);
    const { source } = files({ path: directory, format: lineFormat, maxRecordBytes: 100 });
    let position: unknown = { at: 0 };
    const bad: number[] = [];
    const seen: string[] = [];
    for (let i = 0; i < 100 && seen.length < 2; i++) {
      const reader = await source.openReader({ ...contractContext(), badRow: (row) => bad.push(row.position ?? -1) });
      reader.assign([{ id: join(directory, "a"), position }]);
      await reader.ready();
      const batch = reader.poll(1);
      if (batch?.kind === "raw")
        seen.push(Buffer.from(batch.records.bytes.subarray(batch.records.valueStart[0], batch.records.valueEnd[0])).toString());
      for (let polls = 0; polls < i; polls++) {
        await reader.ready();
        const more = reader.poll(1);
        if (more?.kind === "raw")
          seen.push(Buffer.from(more.records.bytes.subarray(more.records.valueStart[0], more.records.valueEnd[0])).toString());
        if (seen.length === 2) break;
      }
      position = reader.snapshot()[0]?.position;
      await reader.close();
    }
    expect(seen).toEqual(["one", "two"]);
    expect(bad).toEqual([4]);
  }));

test("empty lines, a byte-order mark and Windows line ends are no part of records; positions are byte offsets", () =>
  inDirectory(async (directory) => {
    put(join(directory, "a"), "\ufeffone\r\n\r\n\ntwo\r\n three ");
    const result = await readWhole(files({ path: directory, format: lineFormat }).source);
    expect(allOf(result)).toEqual(["one", "two", " three "]);
    expect(result.positions).toEqual([3, 11, 16]);
    put(join(directory, "a"), "");
    expect(allOf(await readWhole(files({ path: directory, format: lineFormat }).source))).toEqual([]);
  }));

test("files are read in the order of their names, or of their times", () =>
  inDirectory(async (directory) => {
    for (const [i, name] of ["b", "c", "a"].entries()) {
      put(join(directory, name), name);
      utimesSync(join(directory, name), 1000 + i, 1000 + i);
    }
    const order = async (by: "name" | "modified"): Promise<string[]> => {
      const enumerator = await files({ path: directory, format: lineFormat, order: by }).source.openEnumerator(contractContext());
      return (await enumerator.discover(new Set())).map((split) => split.id.slice(-1));
    };
    expect(await order("name")).toEqual(["a", "b", "c"]);
    expect(await order("modified")).toEqual(["b", "c", "a"]);
  }));

test("globs choose files, with directories in between", () =>
  inDirectory(async (directory) => {
    for (const name of [
      "2024/01/a.ndjson",
      "2024/02/b.ndjson",
      "2024/02/c.csv",
      "2025/01/d.ndjson",
      "2024/.x/e.ndjson",
      "2024/_t/f.ndjson",
    ]) {
      put(join(directory, name), name);
    }
    const names = async (glob: string): Promise<unknown[]> =>
      allOf(await readWhole(files({ path: join(directory, glob), format: lineFormat }).source));
    expect(await names("2024/*/*.ndjson")).toEqual(["2024/01/a.ndjson", "2024/02/b.ndjson"]);
    expect(await names("**/*.{ndjson,csv}")).toEqual(["2024/01/a.ndjson", "2024/02/b.ndjson", "2024/02/c.csv", "2025/01/d.ndjson"]);
    expect(await names("2024/02")).toEqual(["2024/02/b.ndjson", "2024/02/c.csv"]);
    expect(await names("2025/01/d.ndjson")).toEqual(["2025/01/d.ndjson"]);
  }));

test("a finished file may go: a restart does not open it again", () =>
  inDirectory(async (directory) => {
    put(join(directory, "a"), "one\n");
    const { source } = files({ path: directory, format: lineFormat });
    const reader = await source.openReader(contractContext());
    reader.assign([{ id: join(directory, "a"), position: { at: 0 } }]);
    while (reader.takeFinished().length === 0) if (reader.poll(1) === null) await reader.ready();
    const stored = reader.snapshot();
    await reader.close();
    rmSync(join(directory, "a"));
    const again = await source.openReader(contractContext());
    again.assign(stored);
    await again.ready();
    expect([again.poll(10), again.takeFinished()]).toEqual([null, [join(directory, "a")]]);
    await again.close();
  }));

test("a file that was cut off is told, at a restart and while it is followed", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "a");
    put(path, "one\ntwo\n");
    const reader = await files({ path: directory, format: lineFormat }).source.openReader(contractContext());
    reader.assign([{ id: path, position: { at: 9 } }]);
    await expect(reader.ready()).rejects.toMatchObject({ code: "FILES_CHANGED" });
    await reader.close();
    const clock = new ManualClock();
    const following = await files({ path: directory, format: lineFormat, bounded: false, follow: true }).source.openReader({
      ...contractContext(),
      clock,
    });
    following.assign([{ id: path, position: { at: 0 } }]);
    await following.ready();
    while (following.poll(10) === null) await following.ready();
    truncateSync(path, 2);
    clock.advance(10_000);
    const read = async (): Promise<never> => {
      for (;;) {
        following.poll(10);
        await following.ready();
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "FILES_CHANGED" });
    await following.close();
  }));

test("records per second are kept by the clock", () =>
  inDirectory(async (directory) => {
    put(join(directory, "a"), lines("a", 0, 1000).join("\n"));
    const clock = new ManualClock();
    const reader = await files({ path: directory, format: lineFormat, recordsPerSecond: 100 }).source.openReader({
      ...contractContext(),
      clock,
    });
    reader.assign([{ id: join(directory, "a"), position: { at: 0 } }]);
    let got = 0;
    for (let i = 0; i < 300; i++) {
      clock.advance(10);
      // Input is read in real time, the rate is not.
      await new Promise((resolve) => setTimeout(resolve, i < 10 ? 10 : 0));
      for (let batch = reader.poll(50); batch !== null; batch = reader.poll(50)) got += batch.kind === "raw" ? batch.records.count : 0;
    }
    expect(got).toBeGreaterThan(280);
    expect(got).toBeLessThanOrEqual(300);
    await reader.close();
  }));

test("positions that are none are refused", async () => {
  const reader = await files({ path: "x", format: lineFormat }).source.openReader(contractContext());
  for (const position of [null, 5, { at: -1 }, { at: "x" }]) {
    expect(() => reader.assign([{ id: "x/a", position }])).toThrow(expect.objectContaining({ code: "POSITION_INVALID" }));
  }
});

test("a file begins when its turn has come, by name also after a restore of what several instances had", () =>
  inDirectory(async (directory) => {
    const paths = ["1", "2", "3", "4"].map((name) => join(directory, `${name}.ndjson`));
    for (const path of paths) put(path, `${line(path, 0)}\n`);
    const { source } = files({ path: directory, format: lineFormat, inTimeOrder: true });
    expect(source.inTimeOrder).toBe(true);
    const reader = await source.openReader(contractContext(0));
    const begun: string[] = [];
    const [first, second, third, fourth] = paths.map((id) => ({ id, position: { at: 0 } }));
    reader.assign([first, third, second, fourth] as SourceSplit[]);
    for (let finished = 0; finished < 4; finished += reader.takeFinished().length) {
      const batch = reader.poll(1);
      begun.push(...(reader.takeBegun?.() ?? []));
      expect(begun.length).toBeLessThanOrEqual(finished + 2);
      if (batch === null) await reader.ready();
    }
    expect(begun).toEqual(paths);
    await reader.close();
    expect(() => files({ path: directory, format: lineFormat, order: "modified", inTimeOrder: true })).toThrow(/inTimeOrder/);
  }));
