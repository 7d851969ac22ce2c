// Prints rows to the terminal: for looking at a stream, not for keeping it.
import { MillraceError } from "../../base/errors.ts";
import { integerOption, refuseUnknownOptions } from "../../base/options.ts";
import type { Batch, RowKind } from "../../core/batch/batch.ts";
import { rowObject, type RowView, rowView } from "../../core/batch/row-view.ts";
import { rowToJson } from "../../core/codec/json-value.ts";
import type { Sink, SinkContext, SinkWriter } from "../../core/ports/sink.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { SharedOutput, type TextOutput } from "./shared-output.ts";

export interface ConsoleSinkOptions {
  /** `pretty`: `+I { id: 1, name: "a" }`. `ndjson`: a JSON object per line, with `$kind` where the row is not an insert. Default pretty. */
  readonly format?: "pretty" | "ndjson";
  /** Prints so many rows of an instance, then counts only. Default no limit. */
  readonly limit?: number;
  /** Stands before each row; default nothing. Only with `pretty`. */
  readonly label?: string;
  /** Default `process.stdout`. */
  readonly output?: TextOutput;
}

/** How changelogs are usually written: insert, update before, update after, delete. */
export const kindSigns: Readonly<Record<RowKind, string>> = { 0: "+I", 1: "-U", 2: "+U", 3: "-D" };

/** Prints rows. Throws OPTION_UNKNOWN and OPTION_INVALID; fails with CONSOLE_WRITE_FAILED when the output is closed. */
export function consoleSink(options: ConsoleSinkOptions = {}): Sink {
  refuseUnknownOptions("console sink", options, ["format", "limit", "label", "output"]);
  const { format = "pretty", label = "" } = options;
  if (format !== "pretty" && format !== "ndjson") {
    throw new MillraceError("OPTION_INVALID", 'console sink option "format"', `"${String(format)}" is not known`, "use pretty or ndjson");
  }
  const limit = integerOption("console sink", "limit", options.limit, Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY);
  const show = format === "pretty" ? prettyRow(label) : jsonRow;
  return {
    connector: "console",
    options: { format, ...(Number.isFinite(limit) ? { limit } : {}), ...(label === "" ? {} : { label }) },
    accepts: "retract",
    delivery: "at-least-once",
    openWriter: async (context, schema) => new ConsoleWriter(options.output ?? process.stdout, schema, show, limit, context),
  };
}

type ShowRow = (kind: RowKind, json: Readonly<Record<string, unknown>>) => string;

function prettyRow(label: string): ShowRow {
  const before = label === "" ? "" : `${label} `;
  return (kind, json) => {
    const fields = Object.entries(json).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    return `${before}${kindSigns[kind]} { ${fields.join(", ")} }\n`;
  };
}

const jsonRow: ShowRow = (kind, json) => `${JSON.stringify(kind === 0 ? json : { ...json, $kind: kindSigns[kind] })}\n`;

class ConsoleWriter implements SinkWriter {
  readonly #output: SharedOutput;
  readonly #schema: Schema;
  readonly #show: ShowRow;
  readonly #limit: number;
  readonly #uid: string;
  readonly #view: RowView;
  #rows = 0;
  #closed = false;

  constructor(output: TextOutput, schema: Schema, show: ShowRow, limit: number, context: SinkContext) {
    this.#output = SharedOutput.of(output);
    this.#output.open();
    this.#schema = schema;
    this.#show = show;
    this.#limit = limit;
    this.#uid = context.uid;
    this.#view = rowView(schema) as RowView;
  }

  write(batch: Batch): void {
    const { rows, selection, count } = batch;
    let text = "";
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      if (this.#rows++ >= this.#limit) {
        if (this.#rows === this.#limit + 1) text += `further rows of ${this.#uid} are not printed\n`;
        continue;
      }
      const object = rowObject(batch, row, this.#view as RowView & Readonly<Record<string, unknown>>);
      text += this.#show(rows.kindOf(row), rowToJson(this.#schema.spec, object));
    }
    if (text !== "") this.#output.write(text, this.#uid);
  }

  ready(): Promise<void> | undefined {
    this.#output.check(this.#uid);
    return this.#output.draining;
  }

  async flush(): Promise<void> {
    await this.#output.draining;
    this.#output.check(this.#uid);
  }

  async prepare(): Promise<Uint8Array> {
    await this.flush();
    return new Uint8Array();
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#output.close();
  }
}
