// What a batch is made of: scans into tables, queries over tables, and operators that keep state from batch to batch.
import type { OperatorFactory } from "../../../core/operator/operator.ts";
import type { KeyLayout } from "../../../core/keys/key-layout.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { Plan, UdfCall } from "../../../dataframe/analysis/plan.ts";

export type ScanPlan = Extract<Plan, { kind: "scan" }>;

/** One source of the query. */
export interface ScanStage {
  readonly kind: "scan";
  readonly uid: string;
  readonly plan: ScanPlan;
  /** The columns that the query reads. */
  readonly columns: readonly string[];
}

/** A table of the kernel that is filled once per batch; those of inputs that are no streams once per run. */
export interface TableStage {
  readonly name: string;
  readonly schema: Schema;
  readonly rows: ScanStage | RowsStage;
  readonly streaming: boolean;
}

export interface SqlStage {
  readonly kind: "sql";
  readonly sql: string;
  readonly schema: Schema;
  /** The column that gives rows their event time. */
  readonly timeField: string | undefined;
  readonly tables: readonly TableStage[];
}

/** An operator of the core with its state. */
export interface OperatorStage {
  readonly kind: "operator";
  readonly uid: string;
  readonly uidDerived: boolean;
  /** The operator's name in plans and snapshots. */
  readonly operator: string;
  readonly create: OperatorFactory;
  readonly inputs: readonly RowsStage[];
  /** By what the rows of each input belong together: rows of one key must meet in one place. */
  readonly keys: readonly KeyLayout[];
  readonly schema: Schema;
  /** False where its input is no stream: it runs once per run, and its state is nobody's. */
  readonly streaming: boolean;
  /** What a changed query is compared by; plain JSON. */
  readonly options: Readonly<Record<string, unknown>>;
  /**
   * What the watermark says: that rows at it are late (`at`), or only rows before it (`before`, for windows, which do not hold their
   * end).
   */
  readonly late: "at" | "before";
  /** True where the watermark makes it give something out or forget something: then a batch without records may be due. */
  readonly timed: boolean;
  /** How much longer than the watermark says its state lives, so that what follows must wait, ms. */
  readonly holdsMs: number;
}

/** Columns of other rows by other names, in another order; nothing is copied. */
export interface ColumnsStage {
  readonly kind: "columns";
  readonly input: RowsStage;
  readonly from: readonly string[];
  readonly schema: Schema;
}

/** Functions of the user's own, which add columns. */
export interface UdfStage {
  readonly kind: "udf";
  readonly input: RowsStage;
  readonly calls: readonly UdfCall[];
  readonly schema: Schema;
}

export type RowsStage = SqlStage | OperatorStage | ColumnsStage | UdfStage;

/** Where a watermark comes from: the latest time in a column of a source's rows, or what a query over the batch's tables says. */
export interface WatermarkStage {
  readonly delayMs: number;
  readonly from:
    | { readonly kind: "scan"; readonly uid: string; readonly column: string }
    | { readonly kind: "sql"; readonly sql: string; readonly tables: readonly TableStage[] };
}

export interface BatchStages {
  readonly result: RowsStage;
  readonly scans: readonly ScanStage[];
  readonly operators: readonly OperatorStage[];
  readonly tables: readonly TableStage[];
  readonly watermarks: readonly WatermarkStage[];
}
