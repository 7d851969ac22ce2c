// `millrace savepoint read`: the entries of a snapshot, as NDJSON or Parquet.
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { MillraceError } from "../../base/errors.ts";
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import type { Manifest } from "../../checkpoint/format/manifest.ts";
import { type EntryRow, entryRows } from "./entry-rows.ts";
import { withSnapshot } from "./open-for-reading.ts";
import { openParquet } from "./parquet-output.ts";
import type { Print, ReadFlags } from "./savepoint-command.ts";

interface RowTarget {
  write(row: EntryRow): Promise<void>;
  close(): Promise<void>;
}

export async function readSnapshot(url: string, options: StorageOptions, flags: ReadFlags, print: Print): Promise<void> {
  await withSnapshot(url, options, async (snapshot) => {
    checkNames(snapshot.manifest, flags, url);
    const target = await openTarget(flags, print);
    let count = 0;
    try {
      if (flags.limit !== 0) {
        for await (const row of entryRows(snapshot, flags)) {
          await target.write(row);
          if (++count === flags.limit) break;
        }
      }
    } finally {
      await target.close();
    }
    if (flags.output !== undefined) await print(`${count} entries written to ${flags.output}\n`);
  });
}

// A misspelt name must not look like empty state.
function checkNames({ operators }: Manifest, { uid, table }: ReadFlags, url: string): void {
  if (uid !== undefined && operators[uid] === undefined) {
    throw new MillraceError(
      "SNAPSHOT_UID_UNKNOWN",
      url,
      `it holds nothing of an operator "${uid}"`,
      `use one of ${Object.keys(operators).join(", ")}`,
    );
  }
  if (table === undefined) return;
  const some = uid === undefined ? Object.values(operators) : [operators[uid]];
  const names = new Set(
    some.flatMap((operator) => [
      ...(operator?.tables ?? []).map(({ spec }) => spec.name),
      ...(operator?.lists ?? []).map((list) => list.name),
    ]),
  );
  if (!names.has(table)) {
    throw new MillraceError("SNAPSHOT_TABLE_UNKNOWN", url, `it holds no table or list "${table}"`, `use one of ${[...names].join(", ")}`);
  }
}

async function openTarget({ format, output }: ReadFlags, print: Print): Promise<RowTarget> {
  if (format === "parquet") {
    if (output === undefined) throw new MillraceError("OPTION_INVALID", "option --output", "is missing", "name the Parquet file to write");
    return openParquet(output);
  }
  if (output === undefined) return printedLines(print);
  const stream = createWriteStream(output);
  await once(stream, "open");
  return {
    write: async (row) => {
      if (!stream.write(`${JSON.stringify(row)}\n`)) await once(stream, "drain");
    },
    close: async () => {
      stream.end();
      await finished(stream);
    },
  };
}

// Lines are gathered, since each call that prints costs as much as a hundred lines.
function printedLines(print: Print): RowTarget {
  let text = "";
  const flush = async (): Promise<void> => {
    const part = text;
    text = "";
    if (part !== "") await print(part);
  };
  return {
    write: async (row) => {
      text += `${JSON.stringify(row)}\n`;
      if (text.length > 64 * 1024) await flush();
    },
    close: flush,
  };
}
