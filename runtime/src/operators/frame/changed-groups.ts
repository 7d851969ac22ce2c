// Which groups have changed since the last results went out: their keys and bounds, not slots, for a table may move its entries.
import { Batch, Rows } from "../../core/batch/batch.ts";
import { copyValue } from "../../core/batch/copy.ts";
import type { Column } from "../../core/batch/column.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import { type KeyLayout, keyLayout } from "../../core/keys/key-layout.ts";
import type { KeyedTable } from "../../core/ports/state.ts";

export class ChangedGroups {
  readonly #rows: Rows;
  readonly #key: KeyLayout;
  readonly #reader: KeyReader;
  #namespaces: Float64Array = new Float64Array(1024);
  #slots: Int32Array = new Int32Array(1024);

  constructor(key: KeyLayout) {
    this.#rows = new Rows(key.schema, 1024);
    this.#rows.ready.fill(1);
    this.#key = key;
    this.#reader = new KeyReader(
      keyLayout(
        key.schema,
        key.schema.fields.map(({ name }) => name),
      ),
    );
  }

  /** Notes the groups of some rows of a batch; a group may be noted many times. */
  note({ rows }: Batch, selection: Int32Array, count: number, namespaces: Float64Array): void {
    const target = this.#rows;
    const first = target.size;
    target.ensure(first + count);
    if (this.#namespaces.length < target.capacity) {
      const grown = new Float64Array(target.capacity);
      grown.set(this.#namespaces);
      this.#namespaces = grown;
    }
    this.#key.fieldIndexes.forEach((from, field) => {
      const source = rows.column(from);
      const to = target.columns[field] as Column;
      for (let k = 0; k < count; k++) copyValue(source, selection[k] as number, to, first + k);
    });
    this.#namespaces.set(namespaces.subarray(0, count), first);
    target.size = first + count;
  }

  /** The slots of the groups noted, each once, in the order of their first change; forgets them. Valid until the table is used again. */
  take(table: KeyedTable): { readonly slots: Int32Array; readonly count: number } {
    const rows = this.#rows;
    const { size } = rows;
    if (size === 0) return { slots: this.#slots, count: 0 };
    if (this.#slots.length < size) this.#slots = new Int32Array(size * 2);
    const slots = this.#slots;
    table.findAll(this.#reader.read(new Batch(rows)), this.#namespaces, slots, false);
    const seen = new Set<number>();
    let count = 0;
    for (let k = 0; k < size; k++) {
      const slot = slots[k] as number;
      if (slot < 0 || seen.has(slot)) continue;
      seen.add(slot);
      slots[count++] = slot;
    }
    rows.reset();
    rows.ready.fill(1);
    return { slots, count };
  }
}
