// The changelog of a group aggregate: for each group of a batch, what its result was and what it is.
import { Rows, rowKind, type RowKind } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import { type Output, RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { BoundAggregates } from "./aggregate-set.ts";
import { compareScalars, readScalar } from "./scalar.ts";
import { Decimal } from "../../core/schema/decimal.ts";

export class GroupOutput {
  readonly #builder: RowsBuilder;
  readonly #table: KeyedTable;
  readonly #keyTargets: readonly number[];
  readonly #updateBefore: boolean;
  readonly #after: Rows;

  constructor(schema: Schema, table: KeyedTable, keyFields: number, updateBefore: boolean, output: Output) {
    this.#builder = new RowsBuilder(schema, output);
    this.#table = table;
    this.#keyTargets = Array.from({ length: keyFields }, (_value, index) => index);
    this.#updateBefore = updateBefore;
    this.#after = new Rows(schema.pick(schema.fields.slice(keyFields).map(({ name }) => name)), 1024);
  }

  /**
   * Appends the changes of `groups[0..count)`. Row g of `before` is the group's earlier result, which counts where `existed[g]`
   * is set; `lastRows[g]` is the row of `rows` that changed it last and gives the change its time.
   */
  emit(
    aggregates: BoundAggregates,
    groups: Int32Array,
    count: number,
    before: Rows,
    existed: Uint8Array,
    rows: Rows,
    lastRows: Int32Array,
  ): void {
    const after = this.#after;
    after.reset();
    after.ready.fill(1);
    after.ensure(count);
    aggregates.results(groups, count, after, 0, 0);
    for (let g = 0; g < count; g++) {
      const slot = groups[g] as number;
      const timeMs = rows.times[lastRows[g] as number] as number;
      const exists = aggregates.rowCount(slot) > 0;
      if (existed[g] === 0) {
        if (exists) this.#append(slot, after, g, timeMs, rowKind.insert);
      } else if (!exists) this.#append(slot, before, g, timeMs, rowKind.delete);
      // A change that nobody can see is none.
      else if (!equalRows(before, after, g)) {
        if (this.#updateBefore) this.#append(slot, before, g, timeMs, rowKind.updateBefore);
        this.#append(slot, after, g, timeMs, rowKind.updateAfter);
      }
    }
  }

  #append(slot: number, results: Rows, g: number, timeMs: number, kind: RowKind): void {
    const builder = this.#builder;
    const row = builder.next(timeMs, kind);
    this.#table.copyKey(slot, builder.rows, row, this.#keyTargets);
    const first = this.#keyTargets.length;
    const { columns } = results;
    for (let f = 0; f < columns.length; f++) copyValue(columns[f] as Column, g, builder.rows.columns[first + f] as Column, row);
    builder.flushIfFull();
  }

  flush(): void {
    this.#builder.flush();
  }
}

// True where row `g` is the same in both. Lists and other objects count as changed: to compare them would cost more than it saves.
function equalRows(a: Rows, b: Rows, g: number): boolean {
  for (let f = 0; f < a.columns.length; f++) {
    const left = a.columns[f] as Column;
    const right = b.columns[f] as Column;
    const mark = left.nulls === null ? 0 : (left.nulls[g] as number);
    if (mark !== (right.nulls === null ? 0 : right.nulls[g])) return false;
    if (mark !== 0) continue;
    if (left.kind === "object" && !(left.objects[g] instanceof Decimal)) return false;
    if (compareScalars(readScalar(left, g), readScalar(right, g)) !== 0) return false;
  }
  return true;
}
