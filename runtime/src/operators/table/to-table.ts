// toTable: a stream as a table, the changelog of the latest row of each key.
import type { OperatorFactory } from "../../core/operator/operator.ts";
import { LatestRow, type LatestRowParams } from "./latest-row.ts";

export type ToTableParams<Row = unknown> = LatestRowParams<Row>;

/** Each row replaces the one before it of its key. */
export function toTable<Row>(params: ToTableParams<Row>): OperatorFactory {
  return (context) => new LatestRow(context, params as unknown as LatestRowParams);
}

export interface UpsertToRetractParams<Row = unknown> extends Omit<LatestRowParams<Row>, "output" | "isDelete"> {}

/**
 * Makes a changelog that upserts (CDC without before images, a compacted topic) one that retracts: with the row before each
 * update, deletes that carry the whole row, and no delete for a key that is not there.
 */
export function upsertToRetract<Row>(params: UpsertToRetractParams<Row>): OperatorFactory {
  return toTable({ ...params, output: "retract" });
}
