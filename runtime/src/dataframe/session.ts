// Where DataFrames begin: sources that are read whole or as streams, and views for SQL.
import { MillraceError } from "../base/errors.ts";
import type { Format } from "../core/ports/format.ts";
import type { Source } from "../core/ports/source.ts";
import type { Schema } from "../core/schema/schema.ts";
import { DataFrame } from "./data-frame.ts";
import type { Relation, SourceOptions } from "./relation/relation.ts";

/** What connectors give: a source with a format that decodes its records. */
export interface FormattedFrameSource<Row> {
  readonly source: Source;
  readonly format: Format<Row>;
}

/** A source that makes rows of its own schema. */
export interface RowFrameSource<Row> {
  readonly source: Source & { readonly schema: Schema<Row> };
  readonly format?: undefined;
}

type AnySource = FormattedFrameSource<unknown> | RowFrameSource<unknown>;

export type ReadOptions = Partial<SourceOptions>;

const viewName = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

export class Session {
  readonly #views = new Map<string, Relation>();
  #sources = 0;

  /** Reads what is there when the query starts. */
  read<Row>(source: FormattedFrameSource<Row>, options?: ReadOptions): DataFrame<Row>;
  read<Row>(source: RowFrameSource<Row>, options?: ReadOptions): DataFrame<Row>;
  read(source: AnySource, options: ReadOptions = {}): DataFrame {
    return this.#source(source, options, false);
  }

  /** Reads what is there and what comes. */
  readStream<Row>(source: FormattedFrameSource<Row>, options?: ReadOptions): DataFrame<Row>;
  readStream<Row>(source: RowFrameSource<Row>, options?: ReadOptions): DataFrame<Row>;
  readStream(source: AnySource, options: ReadOptions = {}): DataFrame {
    return this.#source(source, options, true);
  }

  #source({ source, format }: AnySource, options: ReadOptions, streaming: boolean): DataFrame {
    const name = options.name ?? `${source.connector}-${this.#sources}`;
    this.#sources++;
    if (options.corruptRecordColumn !== undefined && options.malformed !== "permissive") {
      throw new MillraceError(
        "OPTION_INVALID",
        `source "${name}"`,
        'names a corruptRecordColumn, which only malformed: "permissive" fills',
        "set malformed to permissive, or leave the column out",
      );
    }
    const schema = format?.schema ?? source.schema;
    if (schema === undefined) throw new MillraceError("OPTION_INVALID", `source "${name}"`, "has no schema", "give it a format");
    return new DataFrame({ kind: "source", source, format, schema: schema as Schema, streaming, options: { ...options, name } });
  }

  /** Registers a DataFrame under a name for `sql`. */
  createView(name: string, frame: DataFrame): void {
    if (!viewName.test(name))
      throw new MillraceError("OPTION_INVALID", `view "${name}"`, "is not a usable name", "use letters, digits and underscores");
    this.#views.set(name, frame.relation);
  }

  /** A query in SQL over the registered views. The row type is the caller's claim. */
  sql<Row = Record<string, unknown>>(text: string): DataFrame<Row> {
    return new DataFrame({ kind: "sql", text, views: new Map(this.#views) });
  }
}
