// withColumns: computed fields beside those of the row. Only the new values are written; the others pass by reference.
import { Batch, Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { rowView } from "../../core/batch/row-view.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { ownColumn, RowShells } from "../rows/row-shell.ts";

export interface WithColumnsParams<In = unknown, Added = unknown> {
  readonly input: Schema<In>;
  /** The computed fields; one that the input has too replaces it. */
  readonly added: Schema<Added>;
  /** The input's fields and the added ones, in any order. */
  readonly output: Schema;
  readonly fn: (row: In) => Added;
}

/** Rows for which the function throws, or gives a value that does not fit, go to the dead letters as FUNCTION_FAILED. */
export function withColumns<In, Added>(params: WithColumnsParams<In, Added>): OperatorFactory {
  const { input, added, output, fn } = params;
  const isAdded = (name: string): boolean => added.find(name) !== undefined;
  const sources = output.fields.map((field) => (isAdded(field.name) ? ownColumn : input.field(field.name).index));
  const targets = added.fields.map((field) => output.field(field.name).index);
  return (context) => {
    const out = context.output();
    const view = rowView(input);
    const write = rowWriter(added);
    const shells = new RowShells(output, sources);
    // The writer's target: rows of the added fields alone whose columns are the shell's own.
    const computed = new WeakMap<Rows, Rows>();
    const computedOf = (shell: Rows): Rows => {
      let made = computed.get(shell);
      if (made === undefined) {
        made = new Rows(added, 0);
        const columns = made.columns as Column[];
        for (let f = 0; f < targets.length; f++) columns[f] = shell.columns[targets[f] as number] as Column;
        computed.set(shell, made);
      }
      return made;
    };
    let selected = new Int32Array(0);
    let batchOut: Batch | undefined;
    return {
      process({ rows, selection, count }: Batch): void {
        if (selected.length < count) selected = new Int32Array(Math.max(count, 1024));
        const shell = shells.over(rows);
        const target = computedOf(shell);
        let n = 0;
        for (let k = 0; k < count; k++) {
          const row = selection[k] as number;
          view.point(rows, row);
          try {
            write(target, row, fn(view));
            selected[n++] = row;
          } catch (cause) {
            functionFailed(context, "the withColumns function", rows, row, view, cause);
          }
        }
        if (n === 0) return;
        batchOut ??= new Batch(shell);
        out.emit(batchOut.set(shell, selected, n));
      },
    };
  };
}
