// select: some fields of each row, perhaps under other names; columns are passed by reference and nothing is decoded for it.
import { MillraceError } from "../../base/errors.ts";
import { Batch } from "../../core/batch/batch.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { RowShells } from "../rows/row-shell.ts";

export interface SelectParams {
  readonly input: Schema;
  readonly output: Schema;
  /** From a field of the output to the input's field that it shows; fields that keep their name may be left out. */
  readonly renames?: Readonly<Record<string, string>>;
}

/** Throws SCHEMA_FIELD_UNKNOWN for a field that is not in the input, SELECT_TYPE where the types differ. */
export function select(params: SelectParams): OperatorFactory {
  const sources = params.output.fields.map((field) => {
    const from = params.input.field(params.renames?.[field.name] ?? field.name);
    if (from.column !== field.column || from.spec.type.kind !== field.spec.type.kind) {
      throw new MillraceError(
        "SELECT_TYPE",
        `field "${field.name}"`,
        `is a ${field.spec.type.kind} in the output and a ${from.spec.type.kind} in the input`,
        "give both the same type, or convert with map",
      );
    }
    return from.index;
  });
  return (context) => {
    const output = context.output();
    const shells = new RowShells(params.output, sources);
    let out: Batch | undefined;
    return {
      process({ rows, selection, count }: Batch): void {
        const shell = shells.over(rows);
        out ??= new Batch(shell);
        output.emit(out.set(shell, selection, count));
      },
    };
  };
}
