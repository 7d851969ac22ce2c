// What a join gives out: fields of both sides, or what the user's function makes of the two rows.
import { MillraceError } from "../../base/errors.ts";
import { type RowKind, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { ColumnCopier, type ColumnPair } from "../rows/column-copier.ts";
import { functionFailed } from "../rows/function-failed.ts";

/** `semi`: left rows that have a match, `anti`: left rows that have none. */
export type JoinType = "inner" | "left" | "right" | "full" | "semi" | "anti";

export interface JoinWindow {
  readonly startMs: number;
  /** The first ms that is not in it. */
  readonly endMs: number;
}

/** One field of the output. Side `window` has the fields `start` and `end`, for window joins. */
export interface JoinField {
  readonly side: "left" | "right" | "window";
  readonly from: string;
  readonly to: string;
}

/**
 * The output's fields, or a function. A side that is not there is null to the function, and its fields are null. A function
 * gets views that are valid during the call; where changes are retracted it must give equal rows for equal rows.
 */
export type JoinSelect<Left = unknown, Right = unknown, Out = unknown> =
  | { readonly kind: "fields"; readonly fields: readonly JoinField[] }
  | { readonly kind: "function"; readonly fn: (left: Left | null, right: Right | null, window: JoinWindow | null) => Out };

/** What all joins are told about their sides. `left` is input 0, `right` input 1. */
export interface JoinSides<Left = unknown, Right = unknown, Out = unknown> {
  readonly left: Schema<Left>;
  readonly right: Schema<Right>;
  readonly output: Schema<Out>;
  readonly select: JoinSelect<Left, Right, Out>;
}

/** True where left rows without a match are given out. */
export function keepsLeft(type: JoinType): boolean {
  return type === "left" || type === "full" || type === "anti";
}

/** True where right rows without a match are given out. */
export function keepsRight(type: JoinType): boolean {
  return type === "right" || type === "full";
}

type JoinFunction = (left: unknown, right: unknown, window: JoinWindow | null) => unknown;

export class JoinOutput {
  readonly #context: OperatorContext;
  readonly #builder: RowsBuilder;
  readonly #left: RowView;
  readonly #right: RowView;
  readonly #copyLeft: ColumnCopier;
  readonly #copyRight: ColumnCopier;
  readonly #windowStarts: readonly number[];
  readonly #windowEnds: readonly number[];
  readonly #fn: JoinFunction | undefined;
  #window: JoinWindow | null = null;

  constructor(context: OperatorContext, sides: JoinSides, type: JoinType) {
    this.#context = context;
    this.#builder = new RowsBuilder(sides.output, context.output());
    this.#left = rowView(sides.left) as RowView;
    this.#right = rowView(sides.right) as RowView;
    this.#fn = sides.select.kind === "function" ? (sides.select.fn as JoinFunction) : undefined;
    const fields = sides.select.kind === "fields" ? sides.select.fields : [];
    if (sides.select.kind === "fields") checkFields(sides, fields, type);
    const target = (field: JoinField): number => sides.output.field(field.to).index;
    const pairs = (side: "left" | "right"): ColumnPair[] =>
      fields.filter((field) => field.side === side).map((field) => ({ from: sides[side].field(field.from).index, to: target(field) }));
    this.#copyLeft = new ColumnCopier(sides.left, pairs("left"));
    this.#copyRight = new ColumnCopier(sides.right, pairs("right"));
    this.#windowStarts = fields.filter((field) => field.side === "window" && field.from === "start").map(target);
    this.#windowEnds = fields.filter((field) => field.side === "window" && field.from === "end").map(target);
  }

  /** The window of the rows that follow. */
  inWindow(window: JoinWindow): void {
    this.#window = window;
  }

  /** Gives out one joined row; a side whose rows are null is not there. */
  emit(left: Rows | null, leftRow: number, right: Rows | null, rightRow: number, timeMs: number, kind: RowKind = rowKind.insert): void {
    if (this.#fn !== undefined) this.#emitComputed(left, leftRow, right, rightRow, timeMs, kind);
    else this.#emitFields(left, leftRow, right, rightRow, timeMs, kind);
    this.#builder.flushIfFull();
  }

  flush(): void {
    this.#builder.flush();
  }

  #emitFields(left: Rows | null, leftRow: number, right: Rows | null, rightRow: number, timeMs: number, kind: RowKind): void {
    const row = this.#builder.next(timeMs, kind);
    const { columns } = this.#builder.rows;
    if (left === null) this.#copyLeft.clear(columns, row);
    else this.#copyLeft.copy(left, leftRow, columns, row);
    if (right === null) this.#copyRight.clear(columns, row);
    else this.#copyRight.copy(right, rightRow, columns, row);
    const window = this.#window;
    if (window === null) return;
    for (const f of this.#windowStarts) (columns[f] as { numbers: Float64Array }).numbers[row] = window.startMs;
    for (const f of this.#windowEnds) (columns[f] as { numbers: Float64Array }).numbers[row] = window.endMs;
  }

  #emitComputed(left: Rows | null, leftRow: number, right: Rows | null, rightRow: number, timeMs: number, kind: RowKind): void {
    if (left !== null) this.#left.point(left, leftRow);
    if (right !== null) this.#right.point(right, rightRow);
    const leftView = left === null ? null : this.#left;
    const rightView = right === null ? null : this.#right;
    try {
      this.#builder.write(this.#fn?.(leftView, rightView, this.#window), timeMs, kind);
    } catch (cause) {
      const shown = { left: leftView === null ? null : { ...leftView }, right: rightView === null ? null : { ...rightView } };
      functionFailed(this.#context, "the join function", this.#builder.rows, this.#builder.rows.size, shown, cause);
    }
  }
}

function checkFields(sides: JoinSides, fields: readonly JoinField[], type: JoinType): void {
  const absent = { left: keepsRight(type), right: type === "left" || type === "full", window: false };
  for (const { side, from, to } of fields) {
    const target = sides.output.field(to);
    if (side === "window") {
      if (target.column === "number" && (from === "start" || from === "end")) continue;
      throw new MillraceError(
        "JOIN_FIELD",
        `field "${to}"`,
        `cannot hold the window's ${from}`,
        'use "start" or "end" and a field of type timestamp()',
      );
    }
    const source = sides[side].field(from);
    if (source.column !== target.column || source.spec.type.kind !== target.spec.type.kind) {
      throw new MillraceError(
        "JOIN_FIELD",
        `field "${to}"`,
        `is a ${target.spec.type.kind} but takes ${side}.${from}, a ${source.spec.type.kind}`,
        "give both the same type",
      );
    }
    if (absent[side] && !target.spec.nullable) {
      throw new MillraceError(
        "JOIN_FIELD",
        `field "${to}"`,
        `takes ${side}.${from}, which a ${type} join leaves null`,
        "declare it nullable",
      );
    }
  }
  const covered = new Set(fields.map((field) => field.to));
  for (const { name } of sides.output.fields) {
    if (!covered.has(name)) {
      throw new MillraceError(
        "JOIN_FIELD",
        `field "${name}"`,
        "of the join's output comes from neither side",
        "name its source, or leave it out",
      );
    }
  }
}
