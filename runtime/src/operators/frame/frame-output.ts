// The rows of a frame aggregate: the grouping's fields in the order of the query, then the results.
import type { Rows } from "../../core/batch/batch.ts";
import { type Output, RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import type { AggregateSet, BoundAggregates } from "../aggregate/aggregate-set.ts";
import type { GroupLife } from "./group-life.ts";

const rowsPerBatch = 1024;
const instant: FieldSpec = { type: { kind: "timestamp", unit: "ms", text: "number" }, nullable: false, optional: false, aliases: [] };

/** The fields that stand for what bounds a group's life. */
export function boundFields(life: GroupLife): Readonly<Record<string, FieldSpec>> {
  switch (life.kind) {
    case "window":
      return { [life.start]: instant, [life.end]: instant };
    case "time":
      return { [life.field]: life.spec };
    case "always":
      return {};
  }
}

/** The schema of the results: what bounds the group, its key, the results. */
export function frameSchema(life: GroupLife, key: KeyLayout, set: AggregateSet): Schema {
  return new Schema({ ...boundFields(life), ...key.schema.spec, ...set.results.spec });
}

export class FrameOutput {
  readonly #builder: RowsBuilder;
  readonly #life: GroupLife;
  readonly #keyTargets: readonly number[];
  readonly #firstResult: number;
  /** How many units of the time field are a millisecond. */
  readonly #perMs: number;

  constructor(schema: Schema, life: GroupLife, key: KeyLayout, output: Output) {
    this.#builder = new RowsBuilder(schema, output, rowsPerBatch);
    this.#life = life;
    const bounds = Object.keys(boundFields(life)).length;
    this.#keyTargets = key.schema.fields.map((_field, index) => bounds + index);
    this.#firstResult = bounds + this.#keyTargets.length;
    this.#perMs = life.kind === "time" ? unitsPerMs(life.spec) : 1;
  }

  /** Appends one row for each of `slots[0..count)`. */
  emit(table: KeyedTable, aggregates: BoundAggregates, slots: Int32Array, count: number): void {
    for (let at = 0; at < count; ) {
      const { rows } = this.#builder;
      const part = Math.min(count - at, rowsPerBatch - rows.size);
      const first = rows.size;
      for (let k = 0; k < part; k++) {
        const slot = slots[at + k] as number;
        const namespace = table.namespaceOf(slot);
        const row = this.#builder.next(this.#timeOf(namespace));
        this.#writeBounds(rows, row, namespace);
        table.copyKey(slot, rows, row, this.#keyTargets);
      }
      aggregates.results(at === 0 && part === count ? slots : slots.subarray(at, at + part), part, rows, first, this.#firstResult);
      this.#builder.flushIfFull();
      at += part;
    }
  }

  flush(): void {
    this.#builder.flush();
  }

  #timeOf(namespace: number): number {
    switch (this.#life.kind) {
      case "window":
        return namespace - 1;
      case "time":
        return namespace;
      case "always":
        return -Infinity;
    }
  }

  #writeBounds({ columns }: Rows, row: number, namespace: number): void {
    const [first, second] = columns;
    if (this.#life.kind === "window" && first !== undefined && second !== undefined) {
      first.numbers[row] = namespace - this.#life.sizeMs;
      second.numbers[row] = namespace;
    } else if (this.#life.kind === "time" && first !== undefined) first.numbers[row] = namespace * this.#perMs;
  }
}

function unitsPerMs({ type }: FieldSpec): number {
  if (type.kind !== "timestamp") return 1;
  return type.unit === "s" ? 0.001 : type.unit === "us" ? 1000 : 1;
}
