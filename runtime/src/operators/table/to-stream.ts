// toStream: a changelog as an append-only stream that says in a field what each row is.
import { Batch, type RowKind, rowKind } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { ownColumn, RowShells } from "../rows/row-shell.ts";

/** As they stand in the kind field. */
export const kindNames = ["insert", "update-before", "update-after", "delete"] as const;
export type KindName = (typeof kindNames)[number];

export interface ToStreamParams {
  readonly input: Schema;
  /** The input's fields and, where one is wanted, the kind field: a string or an enumeration of `kindNames`. */
  readonly output: Schema;
  readonly kindField?: string;
  /** Rows of other kinds are left out. Default all. */
  readonly kinds?: readonly KindName[];
}

/** Columns pass by reference; only the kind is written. */
export function toStream(params: ToStreamParams): OperatorFactory {
  const { input, output, kindField, kinds } = params;
  const sources = output.fields.map((field) => (field.name === kindField ? ownColumn : input.field(field.name).index));
  const kindIndex = kindField === undefined ? -1 : output.field(kindField).index;
  const wanted = kindNames.map((name) => kinds === undefined || kinds.includes(name));
  return (context) => {
    const to = context.output();
    const shells = new RowShells(output, sources);
    let selected = new Int32Array(0);
    let out: Batch | undefined;
    return {
      process({ rows, selection, count }: Batch): void {
        if (selected.length < count) selected = new Int32Array(Math.max(count, 1024));
        const shell = shells.over(rows);
        const column: Column | undefined = kindIndex < 0 ? undefined : shell.columns[kindIndex];
        let n = 0;
        for (let k = 0; k < count; k++) {
          const row = selection[k] as number;
          const kind: RowKind = rows.kinds === null ? rowKind.insert : rows.kindOf(row);
          if (wanted[kind] !== true) continue;
          selected[n++] = row;
          column?.setText(row, kindNames[kind]);
        }
        if (n === 0) return;
        shell.kinds = null;
        out ??= new Batch(shell);
        to.emit(out.set(shell, selected, n));
      },
    };
  };
}
