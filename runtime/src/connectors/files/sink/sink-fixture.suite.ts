// What tests of the files sink share: worlds for the contract, contexts, and the visible files of a directory.
import { cp, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { type Clock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { Batch, Rows } from "../../../core/batch/batch.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import type { SinkContext } from "../../../core/ports/sink.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { SinkRow, SinkWorld } from "../../contract/index.ts";
import { filesSink, type FilesSinkOptions } from "../index.ts";
import { duck } from "./duck.suite.ts";

/** Names of the files that readers see, below a directory, sorted. */
export async function visibleFiles(directory: string): Promise<string[]> {
  const names = (await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  return names.filter((name) => !name.split("/").some((part) => part.startsWith("."))).sort();
}

export function unpacked(name: string, content: Buffer): string {
  return (name.endsWith(".gz") ? gunzipSync(content) : name.endsWith(".zst") ? zstdDecompressSync(content) : content).toString();
}

/** The rows of the sink suite in files of any kind, in order of their names; DuckDB reads what is not lines. */
async function readRows(directory: string, names: readonly string[]): Promise<readonly SinkRow[]> {
  const [first] = names;
  if (first === undefined) return [];
  const paths = `[${names.map((name) => `'${join(directory, name)}'`).join(", ")}]`;
  if (first.endsWith(".parquet")) return toRows(await duck(`SELECT id, name FROM read_parquet(${paths}, hive_partitioning=false)`));
  if (first.includes(".csv")) {
    const csv = `read_csv(${paths}, header=true, quote='"', escape='"', delim=',', columns={'id': 'BIGINT', 'name': 'VARCHAR'}, hive_partitioning=false)`;
    return toRows(await duck(`SELECT id, name FROM ${csv}`));
  }
  const texts = await Promise.all(names.map(async (name) => unpacked(name, await readFile(join(directory, name)))));
  const lines = texts.flatMap((text) => text.split("\n").filter((line) => line !== ""));
  return lines.map((line) => JSON.parse(line) as SinkRow);
}

const toRows = (rows: readonly (readonly unknown[])[]): SinkRow[] => rows.map(([id, name]) => ({ id: Number(id), name: String(name) }));

/** Copies a directory; from the start when a file moves on its way. */
async function copyWhole(from: string, to: string): Promise<void> {
  for (;;) {
    try {
      return await cp(from, to, { recursive: true });
    } catch (error) {
      await rm(to, { recursive: true, force: true });
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
}

/** A world of a directory of its own. */
export async function directoryWorld(options: Omit<FilesSinkOptions, "path">): Promise<SinkWorld> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-sink-"));
  return {
    sink: () => filesSink({ ...options, path: directory }),
    visible: async () => {
      const rows = await readRows(directory, await visibleFiles(directory));
      // There is no order between the files of partitions.
      return options.partition?.includes("{id}") === true ? rows.toSorted((a, b) => a.id - b.id) : rows;
    },
    // What is on the disk when the process dies stays as it is, whatever the writers do when their files are closed.
    crash: async (writers) => {
      const kept = `${directory}-kept`;
      await copyWhole(directory, kept);
      await Promise.all(writers.map((writer) => writer.close()));
      await rm(directory, { recursive: true });
      await rename(kept, directory);
    },
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}

/** A sink context of a single instance. */
export function sinkContext(more: { readonly clock?: Clock; readonly restored?: NonNullable<SinkContext["restored"]> } = {}): SinkContext {
  return {
    jobName: "job",
    uid: "out",
    subtask: 0,
    parallelism: 1,
    clock: systemClock,
    log: silentLog,
    checkpointIntervalMs: 1000,
    ...more,
  };
}

/** A batch of row objects. */
export function batchOf<Row>(schema: Schema<Row>, objects: readonly Row[], timeMs: number = Number.NEGATIVE_INFINITY): Batch {
  const rows = new Rows(schema, objects.length);
  const put = rowWriter(schema);
  rows.ready.fill(1);
  rows.size = objects.length;
  for (const [i, row] of objects.entries()) {
    rows.times[i] = timeMs;
    put(rows, i, row);
  }
  return new Batch(rows);
}
