// What tests of the files source share: a format that only names a schema, contexts, and reading a source to its end.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { rowView } from "../../../core/batch/row-view.ts";
import type { BadRow } from "../../../core/operator/bad-rows.ts";
import type { Format } from "../../../core/ports/format.ts";
import type { Source, SourceContext } from "../../../core/ports/source.ts";
import { string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";

/** Lines stay what they are: the files source never asks its format to decode. */
export const lineFormat: Format<{ readonly line: string }> = {
  name: "line",
  schema: schema({ line: string() }),
  options: {},
  openDecoder: () => Promise.reject(new Error("not asked for")),
  openEncoder: () => Promise.reject(new Error("not asked for")),
};

/** A directory of its own for `run`, removed afterwards. */
export async function inDirectory<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-files-"));
  try {
    return await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export interface ReadResult {
  /** Records as text, or rows as objects, by split. */
  readonly bySplit: Map<string, unknown[]>;
  readonly bad: BadRow[];
  readonly positions: number[];
}

/** Reads a bounded source to its end with one reader. */
export async function readWhole(source: Source, most = 1000, clock: Clock = systemClock): Promise<ReadResult> {
  const result: ReadResult = { bySplit: new Map(), bad: [], positions: [] };
  const context: SourceContext = {
    jobName: "test",
    uid: "files",
    subtask: 0,
    clock,
    log: silentLog,
    badRow: (bad) => result.bad.push(bad),
  };
  const enumerator = await source.openEnumerator(context);
  const reader = await source.openReader(context);
  try {
    const splits = await enumerator.discover(new Set());
    reader.assign(splits);
    for (let finished = 0; finished < splits.length; finished += reader.takeFinished().length) {
      const batch = reader.poll(most);
      if (batch === null) {
        await reader.ready();
        continue;
      }
      const id = batch.kind === "raw" ? batch.records.splitId : batch.splitId;
      const list = result.bySplit.get(id) ?? [];
      result.bySplit.set(id, list);
      if (batch.kind === "raw") {
        const { bytes, valueStart, valueEnd, count, position } = batch.records;
        for (let i = 0; i < count; i++) {
          list.push(Buffer.from(bytes.subarray(valueStart[i], valueEnd[i])).toString());
          result.positions.push(position[i] as number);
        }
      } else {
        const view = rowView(batch.rows.schema);
        for (let i = 0; i < batch.rows.size; i++) {
          view.point(batch.rows, i);
          list.push({ ...view });
        }
      }
    }
    return result;
  } finally {
    await reader.close();
    await enumerator.close();
  }
}

/** All of it, in one list, by the order of the splits' names. */
export function allOf(result: ReadResult): unknown[] {
  return [...result.bySplit].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, list]) => list);
}
