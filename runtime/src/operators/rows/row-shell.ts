// Rows that borrow columns of other rows: a projection, new times or new kinds without copying a value.
import { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { Schema } from "../../core/schema/schema.ts";

/** Where a column of the shell comes from: a column of the source rows, or (-1) one of its own. */
export type ColumnSources = readonly number[];

export const ownColumn = -1;

/**
 * Makes shells over rows as they come by. A row keeps its number, so a selection of the source's rows is one of the shell's.
 * There is one shell per `Rows` object: row views remember the columns of the rows that they show, so a shell's never change.
 */
export class RowShells {
  readonly #schema: Schema;
  readonly #sources: ColumnSources;
  readonly #own: readonly number[];
  // Producers use one or two `Rows` over and over; the map lets go of those that they let go of.
  readonly #shells = new WeakMap<Rows, Rows>();

  /** `schema` is the shell's; `sources` has an entry per field of it. */
  constructor(schema: Schema, sources: ColumnSources) {
    this.#schema = schema;
    this.#sources = sources;
    this.#own = sources.flatMap((source, index) => (source === ownColumn ? [index] : []));
  }

  /** The shell of `source`, in the state that `source` has now: size, times, kinds, origin, decoded columns. Its own columns are empty. */
  over(source: Rows): Rows {
    let shell = this.#shells.get(source);
    if (shell === undefined) {
      shell = this.#make(source);
      this.#shells.set(source, shell);
    }
    shell.size = source.size;
    shell.capacity = source.capacity;
    shell.times = source.times;
    shell.kinds = source.kinds;
    shell.origin = source.origin;
    const { ready } = shell;
    for (let f = 0; f < this.#sources.length; f++) {
      const from = this.#sources[f] as number;
      ready[f] = from === ownColumn ? 1 : (source.ready[from] as number);
    }
    for (const f of this.#own) {
      const column = shell.columns[f] as Column;
      column.reset();
      column.ensure(source.size);
    }
    return shell;
  }

  #make(source: Rows): Rows {
    const shell = new Rows(this.#schema, 0);
    const columns = shell.columns as Column[];
    const sources = this.#sources;
    for (let f = 0; f < sources.length; f++) {
      if (sources[f] !== ownColumn) columns[f] = source.columns[sources[f] as number] as Column;
    }
    shell.lazy = { fill: (_rows, index) => void source.column(sources[index] as number) };
    return shell;
  }
}

/** The sources of a shell that shows all fields of its source under the same schema. */
export function allColumns(schema: Schema): ColumnSources {
  return schema.fields.map((field) => field.index);
}
