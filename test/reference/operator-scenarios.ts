// For the tests of operators: seeds, scenarios of rows, watermarks and restarts, changelogs applied strictly, DuckDB as a reference.
import { DuckDBInstance } from "@duckdb/node-api";
import { canonicalJson } from "../../runtime/src/core/schema/schema.ts";
import type { ChangeKind, HarnessRow } from "../../runtime/src/testing/operator-harness.ts";
import { HarnessGroup, type HarnessGroupOptions } from "../../runtime/src/testing/harness-group.ts";
import { runSeed } from "./random.ts";

/** The seed of this run's random cases; set MILLRACE_SEED to repeat one. */
export const seed: number = runSeed();

/** One step of a scenario: rows of an input, event time, processing time, or a restart from a snapshot at another parallelism. */
export type Step =
  | { readonly do: "rows"; readonly input: number; readonly rows: readonly HarnessRow[] }
  | { readonly do: "watermark"; readonly timeMs: number }
  | { readonly do: "advance"; readonly byMs: number }
  | { readonly do: "restart"; readonly parallelism: number };

export interface Played {
  readonly rows: readonly HarnessRow<Record<string, unknown>>[];
  readonly side: (name: string) => readonly HarnessRow<Record<string, unknown>>[];
  readonly badRows: number;
}

/**
 * Plays a scenario. `after` sees what each step gave. No row may come out that is behind a watermark that has gone on before it,
 * unless `anyTime` is set, for operators that give out late rows for late rows.
 */
export async function play(
  options: HarnessGroupOptions,
  steps: readonly Step[],
  sides: readonly string[] = [],
  after?: (rows: readonly HarnessRow<Record<string, unknown>>[], step: number) => void,
  { anyTime = false }: { readonly anyTime?: boolean } = {},
): Promise<Played> {
  let group = await HarnessGroup.open(options);
  const rows: HarnessRow<Record<string, unknown>>[] = [];
  const side = new Map<string, HarnessRow<Record<string, unknown>>[]>(sides.map((name) => [name, []]));
  let watermarkMs = -Infinity;
  let sentMs = -Infinity;
  let badRows = 0;
  const collect = (step: number): void => {
    const given = group.take();
    for (const { timeMs } of given) {
      if (!anyTime && timeMs !== undefined && timeMs <= sentMs) throw new Error(`a row at ${timeMs} follows the watermark ${sentMs}`);
    }
    for (const instance of group.instances) sentMs = Math.max(sentMs, ...instance.watermarks);
    rows.push(...given);
    for (const [name, taken] of side) taken.push(...group.take(name));
    after?.(given, step);
  };
  for (const [index, step] of steps.entries()) {
    if (step.do === "rows") group.push(step.rows, step.input);
    else if (step.do === "advance") group.advance(step.byMs);
    else if (step.do === "watermark") {
      watermarkMs = Math.max(watermarkMs, step.timeMs);
      group.watermark(watermarkMs);
    } else {
      for (const instance of group.instances) badRows += instance.badRows.length;
      group = await group.restart(step.parallelism);
      // As a driver does: event time is where the snapshot left it.
      if (watermarkMs !== -Infinity) group.watermark(watermarkMs);
    }
    collect(index);
  }
  for (const instance of group.instances) badRows += instance.badRows.length;
  await group.close();
  return { rows, side: (name) => side.get(name) ?? [], badRows };
}

/** Values of rows as sorted text, to compare without regard to order. */
export function bag(rows: Iterable<unknown>): string[] {
  return [...rows].map((row) => canonicalJson(row)).sort();
}

/** A table made of a changelog. Each retraction must take back a row that is there. */
export class Changelog {
  readonly #counts = new Map<string, number>();

  apply(rows: readonly HarnessRow[]): this {
    for (const { row, kind = "insert" } of rows) this.one(row, kind);
    return this;
  }

  one(row: unknown, kind: ChangeKind): void {
    const text = canonicalJson(row);
    const count = (this.#counts.get(text) ?? 0) + (kind === "insert" || kind === "updateAfter" ? 1 : -1);
    if (count < 0) throw new Error(`${kind} of ${text}, which is not there`);
    if (count === 0) this.#counts.delete(text);
    else this.#counts.set(text, count);
  }

  rows(): string[] {
    return [...this.#counts].flatMap(([text, count]) => Array.from({ length: count }, () => text)).sort();
  }
}

/** Rows of a table for DuckDB: columns are bigints, doubles or texts by their SQL types. */
export interface DuckTable {
  readonly columns: Readonly<Record<string, "BIGINT" | "DOUBLE" | "VARCHAR">>;
  readonly rows: readonly (readonly (number | string | null)[])[];
}

export type Duck = (tables: Readonly<Record<string, DuckTable>>, sql: string) => Promise<Record<string, unknown>[]>;

/** A DuckDB in memory. Integers come back as numbers. */
export async function openDuck(): Promise<Duck> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  await connection.run("SET threads = 1");
  const literal = (value: number | string | null): string =>
    value === null
      ? "NULL"
      : typeof value === "string"
        ? `'${value.replaceAll("'", "''")}'`
        : Number.isFinite(value)
          ? `${value}`
          : `'${value}'::DOUBLE`;
  return async (tables, sql) => {
    for (const [name, { columns, rows }] of Object.entries(tables)) {
      const types = Object.entries(columns).map(([column, type]) => `${column} ${type}`);
      await connection.run(`CREATE OR REPLACE TABLE ${name} (${types.join(", ")})`);
      if (rows.length === 0) continue;
      await connection.run(`INSERT INTO ${name} VALUES ${rows.map((row) => `(${row.map(literal).join(", ")})`).join(", ")}`);
    }
    const result = await connection.runAndReadAll(sql);
    return result
      .getRowObjects()
      .map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value])),
      );
  };
}
