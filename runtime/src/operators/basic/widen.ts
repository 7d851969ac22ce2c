// widen: rows as rows of a schema with more fields: some are copied, under other names maybe, the others are null.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { ColumnCopier, setNull } from "../rows/column-copier.ts";

export interface WidenParams {
  readonly input: Schema;
  readonly output: Schema;
  /** From a field of the output to the input's field of the same type that it takes. Fields that are not named are nullable. */
  readonly names: Readonly<Record<string, string>>;
}

export function widen({ input, output, names }: WidenParams): OperatorFactory {
  const pairs = Object.entries(names).map(([to, from]) => ({ from: input.field(from).index, to: output.field(to).index }));
  const absent = output.fields.filter(({ name }) => names[name] === undefined).map(({ index }) => index);
  return (context) => {
    const builder = new RowsBuilder(output, context.output());
    const copier = new ColumnCopier(input, pairs);
    return {
      process({ rows, selection, count }: Batch): void {
        for (let k = 0; k < count; k++) {
          const from = selection[k] as number;
          const row = builder.next(rows.times[from] as number, rows.kindOf(from));
          const { columns } = builder.rows;
          copier.copy(rows, from, columns, row);
          for (let f = 0; f < absent.length; f++) setNull(columns[absent[f] as number] as Column, row);
          builder.flushIfFull();
        }
        builder.flush();
      },
    };
  };
}
