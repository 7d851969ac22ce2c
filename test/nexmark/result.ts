// Results as sorted lines of text, from the reference's rows and from what a sink was given: as inserted, or as the table that a changelog makes.
import type { MemorySink, WrittenRow } from "../../runtime/src/connectors/memory/index.ts";
import { isRetraction, rowKind } from "../../runtime/src/core/batch/batch.ts";
import { Decimal } from "../../runtime/src/index.ts";
import type { NexmarkQuery } from "./queries/tables.ts";
import type { ResultRow } from "./reference/events.ts";

export function referenceLines(rows: readonly ResultRow[]): readonly string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}

/** The lines of what a query has given; throws for a change that its kind of result must not have. */
export function resultLines(query: NexmarkQuery, { written }: Pick<MemorySink, "written">): readonly string[] {
  if (query.result === "updates") return tableLines(query, written);
  return written
    .map((entry) => {
      if (entry.kind !== rowKind.insert) throw new Error(`query ${query.number} gives inserts only, not ${lineOf(query, entry)}`);
      return lineOf(query, entry);
    })
    .sort();
}

// A multiset: what a changelog takes back must be there at that moment.
function tableLines(query: NexmarkQuery, written: readonly WrittenRow[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const entry of written) {
    const line = lineOf(query, entry);
    const count = (counts.get(line) ?? 0) + (isRetraction(entry.kind) ? -1 : 1);
    if (count < 0) throw new Error(`query ${query.number} takes back what is not there: ${line}`);
    counts.set(line, count);
  }
  return [...counts].flatMap(([line, count]) => Array.from({ length: count }, () => line)).sort();
}

function lineOf(query: NexmarkQuery, { row }: WrittenRow): string {
  const values = row as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(values).filter((name) => !query.fields.includes(name));
  if (unknown.length > 0) throw new Error(`query ${query.number} gives fields that it should not have: ${unknown.join(", ")}`);
  return JSON.stringify(
    query.fields.map((name) => {
      const value = values[name];
      return value instanceof Decimal ? value.toString() : value;
    }),
  );
}

/** The lines of `[key, sum]` over inserted rows: what can be compared where the rows depend on the clock. */
export function totalLines({ written }: Pick<MemorySink, "written">, key: string, value: string): readonly string[] {
  const totals = new Map<unknown, number>();
  for (const { row } of written) {
    const values = row as Readonly<Record<string, number>>;
    totals.set(values[key], (totals.get(values[key]) ?? 0) + (values[value] ?? 0));
  }
  return [...totals].map((total) => JSON.stringify(total)).sort();
}

/** Lines that only one of the two has, some of them: empty where they are equal. */
export function differences(actual: readonly string[], expected: readonly string[], most = 10): readonly string[] {
  const counts = new Map<string, number>();
  for (const line of expected) counts.set(line, (counts.get(line) ?? 0) - 1);
  for (const line of actual) counts.set(line, (counts.get(line) ?? 0) + 1);
  const found = [...counts].filter(([, count]) => count !== 0);
  const shown = found
    .slice(0, most)
    .map(
      ([line, count]) => `${count > 0 ? "not expected" : "missing"}: ${line}${Math.abs(count) > 1 ? ` (${Math.abs(count)} times)` : ""}`,
    );
  return found.length > most ? [...shown, `and ${found.length - most} more lines`] : shown;
}
