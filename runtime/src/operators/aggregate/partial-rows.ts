// Partial results on their way from a local aggregate to the window or group behind the exchange: key, pane, accumulators.
import { type KeyLayout, keyLayout } from "../../core/keys/key-layout.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import type { AggregateSet } from "./aggregate-set.ts";

const paneName = "pane$";
const paneSpec: FieldSpec = { type: { kind: "int64", as: "number" }, nullable: false, optional: false, aliases: [] };

export interface PartialLayout {
  readonly schema: Schema;
  /** The key in partial rows; it has the same bytes, and so the same key group, as in the rows themselves. */
  readonly key: KeyLayout;
  /** Which column holds the start of the pane; 0 in every row where there are no windows. */
  readonly pane: number;
  /** The first column of the accumulators. */
  readonly accumulators: number;
}

export function partialLayout(key: KeyLayout, set: AggregateSet): PartialLayout {
  const keyFields = key.schema.fields;
  const schema = new Schema({ ...key.schema.spec, [paneName]: paneSpec, ...set.accumulators.spec });
  return {
    schema,
    key: keyLayout(
      schema,
      keyFields.map(({ name }) => name),
    ),
    pane: keyFields.length,
    accumulators: keyFields.length + 1,
  };
}
