// The logical plan with its functions: what the authoring APIs build and every driver runs.
import type { KeyLayout } from "../core/keys/key-layout.ts";
import type { OperatorFactory } from "../core/operator/operator.ts";
import type { Format } from "../core/ports/format.ts";
import type { ChangelogMode, Sink } from "../core/ports/sink.ts";
import type { WholeTable } from "../core/ports/whole-table.ts";
import type { Source } from "../core/ports/source.ts";
import type { Schema } from "../core/schema/schema.ts";
import type { WatermarkStrategy } from "../core/time/watermark-strategy.ts";

/** How rows get from one node to the next: to the same instance, by key group, evenly, or to all instances. */
export type Exchange = "forward" | "hash" | "rebalance" | "broadcast";

/** The name of a node's main output; others are side outputs. */
export const mainOutput = "main";

export interface DataflowInput {
  readonly from: DataflowNode;
  /** `main`, or the name of a side output. */
  readonly output: string;
  readonly exchange: Exchange;
  /** The key of a hash exchange, in the rows of this input. */
  readonly key?: KeyLayout;
}

/** A source with how its records become rows and which time they have. */
export interface SourceBody {
  readonly kind: "source";
  readonly source: Source;
  /** Decodes raw records; undefined when the source makes rows. */
  readonly format?: Format;
  /** The field that holds event time, if any; without it rows keep the connector's timestamp. */
  readonly timeField?: string;
  /** A function for event time where no field holds it; ms since the epoch. */
  readonly timeOf?: (row: unknown) => number;
  readonly watermarks?: WatermarkStrategy;
  /** Of a global table: what keeps its rows, for a driver that holds it whole in each process. Only joins over it read the source. */
  readonly table?: { readonly create: OperatorFactory; readonly key: KeyLayout };
}

export interface OperatorBody {
  readonly kind: "operator";
  readonly create: OperatorFactory;
  /** True when its state is per key: all of its inputs then carry a key. */
  readonly keyed: boolean;
  /** Of a join with a global table, input 1: the join for a driver that holds that table whole. Then only input 0 comes in, as it is. */
  readonly overTable?: (table: WholeTable) => OperatorFactory;
}

export interface SinkBody {
  readonly kind: "sink";
  readonly sink: Sink;
}

export interface DataflowNode {
  /** Position in the plan: inputs have lower ids. */
  readonly id: number;
  readonly uid: string;
  /** True when the uid was derived from the node's kind and place: such a plan cannot be changed freely without losing state. */
  readonly uidDerived: boolean;
  /** The operator's name: `filter`, `windowAggregate`. */
  readonly kind: string;
  readonly inputs: readonly DataflowInput[];
  readonly schema: Schema;
  readonly sideSchemas: ReadonlyMap<string, Schema>;
  /** What kinds of rows the main output carries. */
  readonly changelog: ChangelogMode;
  /** True when the node keeps state: its uid then matters. */
  readonly stateful: boolean;
  /** What the plan prints; plain JSON without secrets. */
  readonly options: Readonly<Record<string, unknown>>;
  /**
   * Fields of each input that the node reads by name; null when a user's function may read any. What a keyed operator with a hash exchange
   * does not name is not sent to it from another slot.
   */
  readonly reads: readonly (readonly string[] | null)[];
  readonly parallelism?: number;
  readonly body: SourceBody | OperatorBody | SinkBody;
}

/** A dataflow: nodes in order of their ids, each after its inputs. */
export interface Dataflow {
  readonly name: string;
  readonly nodes: readonly DataflowNode[];
}
