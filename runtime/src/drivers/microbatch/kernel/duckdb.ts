// Loads DuckDB, which is an optional dependency, when a query first needs it.
import type * as Api from "@duckdb/node-api";
import type * as Bindings from "@duckdb/node-bindings";
import { MillraceError, messageOf } from "../../../base/errors.ts";

export type DuckDbApi = typeof Api;
export type DuckDbBindings = typeof Bindings;

export interface DuckDb {
  readonly api: DuckDbApi;
  readonly bindings: DuckDbBindings;
}

export async function loadDuckDb(): Promise<DuckDb> {
  try {
    const [api, bindings] = await Promise.all([import("@duckdb/node-api"), import("@duckdb/node-bindings")]);
    const plain = (bindings as unknown as { readonly default?: DuckDbBindings }).default ?? bindings;
    return { api, bindings: plain };
  } catch (cause) {
    throw new MillraceError(
      "DEPENDENCY_MISSING",
      "package @duckdb/node-api",
      `DataFrame queries need it, and it cannot be loaded (${messageOf(cause)})`,
      "run npm install @duckdb/node-api",
      { cause },
    );
  }
}

/** A database in memory. Threads beyond the first help only batches of more than a hundred thousand rows. */
export function openInstance({ api }: DuckDb, options: Readonly<Record<string, string>>): Promise<Api.DuckDBInstance> {
  return api.DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false", autoload_known_extensions: "false", ...options });
}
