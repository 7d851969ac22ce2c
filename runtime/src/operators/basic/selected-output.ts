// Sends on the rows of a batch that pass, as a narrower selection; in a changelog with the kinds that this gives them.
import { Batch, type Rows, isRetraction, rowKind } from "../../core/batch/batch.ts";
import type { Output } from "../../core/batch/rows-builder.ts";
import type { ChangelogMode } from "../../core/ports/sink.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { allColumns, RowShells } from "../rows/row-shell.ts";

const noKinds = new Uint8Array(0);
/** In `passes`: the predicate threw, and the row is a dead letter. */
export const refused = 2;

/**
 * `append`: kinds stay as they are.
 * `retract`: an update whose two rows stand next to each other and both pass stays an update. Any other row that passes
 * becomes an insert or a delete: if only one side of an update passes, the row enters or leaves the selection, and a sink
 * that takes upserts must see that as an insert or a delete. The same holds where an exchange has torn the two rows apart.
 * `upsert`: there are no rows before updates, so one that no longer passes becomes a delete of its key; deletes always pass.
 */
export class SelectedOutput {
  readonly #output: Output;
  readonly #mode: ChangelogMode;
  readonly #shells: RowShells;
  #out: Batch | undefined;
  #selection: Int32Array = new Int32Array(0);
  #kinds: Uint8Array = noKinds;

  constructor(schema: Schema, output: Output, mode: ChangelogMode) {
    this.#output = output;
    this.#mode = mode;
    this.#shells = new RowShells(schema, allColumns(schema));
  }

  /** Sends on the rows at the positions `k` of the selection where `passes[k]` is 1. Returns how many rows that were. */
  emit(batch: Batch, passes: Uint8Array): number {
    if (this.#selection.length < batch.count) this.#selection = new Int32Array(Math.max(batch.count, 1024));
    if (this.#mode === "upsert") return this.#emitUpserts(batch, passes);
    if (this.#mode === "append" || batch.rows.kinds === null) return this.#send(batch.rows, this.#narrow(batch, passes));
    return this.#emitRetracting(batch, passes);
  }

  #narrow({ selection, count }: Batch, passes: Uint8Array): number {
    const chosen = this.#selection;
    let n = 0;
    for (let k = 0; k < count; k++) {
      chosen[n] = selection[k] as number;
      if (passes[k] === 1) n++;
    }
    return n;
  }

  #emitRetracting(batch: Batch, passes: Uint8Array): number {
    const { rows, selection, count } = batch;
    const kinds = this.#kindsFor(rows);
    const chosen = this.#selection;
    let n = 0;
    for (let k = 0; k < count; k++) {
      if (passes[k] !== 1) continue;
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      const pair =
        kind === rowKind.updateBefore &&
        k + 1 < count &&
        passes[k + 1] === 1 &&
        rows.kindOf(selection[k + 1] as number) === rowKind.updateAfter;
      chosen[n++] = row;
      kinds[row] = pair ? kind : isRetraction(kind) ? rowKind.delete : rowKind.insert;
      if (!pair) continue;
      const after = selection[++k] as number;
      chosen[n++] = after;
      kinds[after] = rowKind.updateAfter;
    }
    return this.#sendWithKinds(rows, kinds, n);
  }

  #emitUpserts(batch: Batch, passes: Uint8Array): number {
    const { rows, selection, count } = batch;
    const kinds = this.#kindsFor(rows);
    const chosen = this.#selection;
    let n = 0;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      if (kind === rowKind.updateBefore || passes[k] === refused) continue;
      chosen[n++] = row;
      kinds[row] = passes[k] === 1 ? kind : rowKind.delete;
    }
    return this.#sendWithKinds(rows, kinds, n);
  }

  #kindsFor(rows: Rows): Uint8Array {
    if (this.#kinds.length < rows.capacity) this.#kinds = new Uint8Array(rows.capacity);
    return this.#kinds;
  }

  #sendWithKinds(rows: Rows, kinds: Uint8Array, count: number): number {
    const shell = this.#shells.over(rows);
    shell.kinds = kinds;
    return this.#send(shell, count);
  }

  #send(rows: Rows, count: number): number {
    if (count === 0) return 0;
    this.#out ??= new Batch(rows);
    this.#output.emit(this.#out.set(rows, this.#selection, count));
    return count;
  }
}
