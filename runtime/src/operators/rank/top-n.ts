// topN: the first rows of each key in an order, kept up to date; gives out a changelog.
import { MillraceError } from "../../base/errors.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { ChangelogMode } from "../../core/ports/sink.ts";
import type { TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { OrderField } from "../rows/row-order.ts";
import { TopN } from "./top-n-operator.ts";

export interface TopNParams {
  readonly input: Schema;
  /** The input's fields and, where one is wanted, the rank: an integer field. */
  readonly output: Schema;
  readonly key: KeyLayout;
  readonly order: readonly OrderField[];
  readonly limit: number;
  /** How many of the first rows to leave out. Default 0. */
  readonly offset?: number;
  /** The output's field for the row's place, from 1 on. Without it rows are given out without their place. */
  readonly rank?: string;
  /** What the input carries. Default append. */
  readonly changelog?: ChangelogMode;
  /** The input's primary key; needed where the input upserts. */
  readonly unique?: KeyLayout;
  /** How long rows are kept since they were written. Default: for ever. A row that is gone is not taken back. */
  readonly ttl?: TimeToLive;
}

const maxRows = 10_000;

/**
 * Rows that are equal in the order keep the order in which they came. With a rank the output changes at each place from the
 * changed one on, read by (key, rank); without one, rows enter and leave. From an append-only input only the first
 * `offset + limit` rows of a key are kept, else all of them. Throws TOP_INVALID and ORDER_UNSUPPORTED.
 */
export function topN(params: TopNParams): OperatorFactory {
  checkLimits(params.limit, params.offset ?? 0);
  if (params.changelog === "upsert" && params.unique === undefined) {
    throw new MillraceError("TOP_INVALID", "topN", "its input upserts and has no unique key", "name the input's primary key in unique");
  }
  return (context) => new TopN(context, params);
}

/** Throws TOP_INVALID for a limit or offset that cannot be. */
export function checkLimits(limit: number, offset: number): void {
  if (Number.isSafeInteger(limit) && Number.isSafeInteger(offset) && limit > 0 && offset >= 0 && limit + offset <= maxRows) return;
  throw new MillraceError(
    "TOP_INVALID",
    "topN",
    `a limit of ${limit} after ${offset} rows`,
    `use whole numbers, 1 to ${maxRows} rows in all`,
  );
}
