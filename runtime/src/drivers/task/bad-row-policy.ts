// What happens to rows that cannot be processed: to the dead letters, or the job fails; never more than so many a minute.
import type { Clock } from "../../base/clock.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { rowKind } from "../../core/batch/batch.ts";
import { type Output, RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { BadRow } from "../../core/operator/bad-rows.ts";
import { bytes, float64, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, type Schema, schema } from "../../core/schema/schema.ts";

/** The rows of a dead-letter output. */
export const deadLetterSchema: Schema<{
  readonly at: number;
  readonly uid: string;
  readonly code: string;
  readonly reason: string;
  readonly split: string | null;
  readonly position: number | null;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly row: string | null;
}> = schema({
  at: timestamp(),
  uid: string(),
  code: string(),
  reason: string(),
  split: string().nullable(),
  position: float64().nullable(),
  key: bytes().nullable(),
  value: bytes().nullable(),
  row: string().nullable(),
});
export type DeadLetter = RowType<typeof deadLetterSchema>;

export interface BadRowOptions {
  /** `dead-letter` (default) or `fail`. */
  readonly onBadRecord: "dead-letter" | "fail";
  /** Above this many bad rows in a minute the job fails: something larger is wrong. Default 1,000. */
  readonly maxPerMinute: number;
}

export class BadRowPolicy {
  total = 0;
  readonly #byUid = new Map<string, number>();
  readonly #options: BadRowOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #letters: RowsBuilder | undefined;
  #minuteStartMs = -Infinity;
  #inMinute = 0;
  /** Letters of instances that a checkpoint has captured already, while the letters' sink still belongs to the time before it. */
  #held: DeadLetter[] = [];

  /** Without an `output` the letters go to the log. */
  constructor(options: BadRowOptions, clock: Clock, log: Log, output: Output | undefined) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#letters = output === undefined ? undefined : new RowsBuilder(deadLetterSchema, output);
  }

  /** How many a node has given. */
  countOf(uid: string): number {
    return this.#byUid.get(uid) ?? 0;
  }

  /** Takes a bad row; throws when the job must fail. `hold` keeps its letter back until `releaseHeld`. */
  take(uid: string, bad: BadRow, hold = false): void {
    this.total++;
    this.#byUid.set(uid, this.countOf(uid) + 1);
    const nowMs = this.#clock.now();
    const place = bad.splitId === undefined ? uid : `${uid}, ${bad.splitId} at ${bad.position}`;
    if (this.#options.onBadRecord === "fail") {
      throw new MillraceError(bad.code, place, bad.reason, "mend the record or its schema, or set onBadRecord to dead-letter", {
        cause: bad.cause,
      });
    }
    if (nowMs - this.#minuteStartMs >= 60_000) {
      this.#minuteStartMs = nowMs;
      this.#inMinute = 0;
    }
    if (++this.#inMinute > this.#options.maxPerMinute) {
      throw new MillraceError(
        "BAD_RECORDS_LIMIT",
        place,
        `more than ${this.#options.maxPerMinute} bad records within a minute, the last one: ${bad.code}: ${bad.reason}`,
        "look at the dead letters; raise badRecords.maxPerMinute if so many are expected",
        { cause: bad.cause },
      );
    }
    const row = bad.row === undefined ? null : showRow(bad.row);
    if (this.#letters === undefined) {
      const shown = bad.value === undefined || bad.value === null ? row : Buffer.from(bad.value).toString("utf8").slice(0, 500);
      this.#log.warn("bad record", { uid, code: bad.code, reason: bad.reason, split: bad.splitId, position: bad.position, value: shown });
      return;
    }
    const letter: DeadLetter = {
      at: nowMs,
      uid,
      code: bad.code,
      reason: bad.reason,
      split: bad.splitId ?? null,
      position: bad.position ?? null,
      key: bad.key ?? null,
      value: bad.value ?? null,
      row,
    };
    if (hold) this.#held.push(letter);
    else this.#letters.append(letter, nowMs, rowKind.insert);
  }

  /** The letters' sink is captured: what was held back belongs to the time after. */
  releaseHeld(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const letter of held) this.#letters?.append(letter, letter.at, rowKind.insert);
  }

  /** Hands pending letters to their sink; called at the end of a step and before a barrier. */
  flush(): void {
    this.#letters?.flush();
  }
}

function showRow(row: unknown): string {
  return JSON.stringify(row, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value)) ?? String(row);
}
