// A bounded source of rows that are written down in the program.
import { integerOption, refuseUnknownOptions } from "../../base/options.ts";
import type { Source } from "../../core/ports/source.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { MemoryInput } from "./memory-input.ts";
import { MemoryReader, memoryEnumerator } from "./memory-reader.ts";
import { checkRow, plainRow, rowBlocks, type TimedRow } from "./row-blocks.ts";

export interface ValuesOptions {
  /** Into how many splits the rows are dealt, in turn; each is read in order. Default 1. */
  readonly splits?: number;
}

/** A source that makes rows of `schema`, as a dataflow takes it. */
export interface ValuesEndpoint<Row> {
  readonly source: Source & { readonly schema: Schema<Row> };
}

/**
 * The rows, once: `flow.source("numbers", values(schema({ id: int32() }), [{ id: 1 }, { id: 2 }]))`.
 * Throws ROW_INVALID for a row that does not fit the schema, OPTION_UNKNOWN, OPTION_INVALID.
 */
export function values<Row>(schema: Schema<Row>, rows: readonly Row[], options: ValuesOptions = {}): ValuesEndpoint<Row> {
  refuseUnknownOptions("values", options, ["splits"]);
  const splits = integerOption("values", "splits", options.splits, 1, 1, 10_000);
  const input = new MemoryInput<TimedRow>();
  for (let i = 0; i < splits; i++) input.addSplit(`values-${i}`);
  for (const [index, row] of rows.entries()) {
    checkRow(schema, row);
    input.push(`values-${index % splits}`, [plainRow(row)]);
  }
  input.end();
  return {
    source: {
      connector: "values",
      options: { rows: rows.length, splits },
      bounded: true,
      schema,
      openEnumerator: async () => memoryEnumerator(input, Number.POSITIVE_INFINITY),
      openReader: async () => new MemoryReader(input, rowBlocks(schema)),
    },
  };
}
