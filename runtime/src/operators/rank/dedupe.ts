// dedupe: one row per key, the first or the last, by arrival or by event time.
import { MillraceError } from "../../base/errors.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { LatestRow } from "../table/latest-row.ts";
import { Earliest } from "./earliest.ts";
import { FirstArrived } from "./first-arrived.ts";

export interface DedupeParams {
  readonly input: Schema;
  readonly key: KeyLayout;
  readonly keep: "first" | "last";
  /** Which row is first or last: by when it came, or by its event time. Default arrival. */
  readonly order?: "arrival" | "time";
  /** For `last`: whether the changelog has the row before each update. Default retract. */
  readonly output?: "retract" | "upsert";
  /** How long a key is remembered. Default: for ever. */
  readonly ttl?: TimeToLive;
  /**
   * For `first`, instead of `ttl`: a row is a duplicate when its event time is less than this after that of the row that passed,
   * ms. A key is forgotten when the watermark passes that; rows behind the watermark are late.
   */
  readonly withinMs?: number;
  /** Side output for late rows (`withinMs`, or first by time); they are counted and dropped where there is none. */
  readonly late?: string;
}

/**
 * Takes an append-only stream. `first` gives out an append-only one: by arrival at once, by time when the watermark has reached
 * the row's time, as an earlier one may come until then. `last` gives out a changelog; equal times count as later.
 * Throws DEDUPE_INVALID for options that do not go together.
 */
export function dedupe(params: DedupeParams): OperatorFactory {
  const { keep, order = "arrival", withinMs, ttl } = params;
  const refuse = (problem: string, next: string): never => {
    throw new MillraceError("DEDUPE_INVALID", "dedupe", problem, next);
  };
  if (withinMs !== undefined && keep === "last") refuse("withinMs is for the first row", "use ttl");
  if (withinMs !== undefined && ttl !== undefined) refuse("it has both withinMs and ttl", "use one of them");
  if (withinMs !== undefined && !(Number.isSafeInteger(withinMs) && withinMs > 0))
    refuse(`withinMs is ${withinMs}`, "use a whole number of ms above zero");
  if (keep === "first" && params.output !== undefined) refuse("the first rows are append-only", "leave out output");
  if (keep === "last") {
    const { input, key, output } = params;
    return (context) =>
      new LatestRow(context, {
        input,
        key,
        order,
        dropUnchanged: false,
        ...(output === undefined ? {} : { output }),
        ...(ttl === undefined ? {} : { ttl }),
      });
  }
  return order === "time" ? (context) => new Earliest(context, params) : (context) => new FirstArrived(context, params);
}
