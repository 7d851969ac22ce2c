// A fetched range of one partition, and the answer that it shares with the pieces of other partitions.
import type { FetchAnswer } from "../client/kafka-client.ts";
import type { AbortedTransaction } from "../wire/data-apis.ts";
import { batchField, batchPrefixBytes, readInt64 } from "../wire/record-batch-header.ts";

/** Gives an answer's buffer back when the last piece of it was read. */
export class AnswerLease {
  readonly bytes: Buffer;
  readonly #answer: FetchAnswer;
  readonly #onRelease: (bytes: number) => void;
  #pieces = 0;

  constructor(answer: FetchAnswer, onRelease: (bytes: number) => void) {
    this.bytes = answer.bytes;
    this.#answer = answer;
    this.#onRelease = onRelease;
  }

  take(): void {
    this.#pieces++;
  }

  give(): void {
    this.#pieces--;
    if (this.#pieces > 0) return;
    this.#answer.release();
    this.#onRelease(this.bytes.length);
  }
}

/** Whole record batches `lease.bytes[start, end)`, answered to a fetch from `fromOffset`. */
export interface FetchedPiece {
  readonly lease: AnswerLease;
  readonly start: number;
  readonly end: number;
  readonly fromOffset: number;
  readonly aborted: readonly AbortedTransaction[];
}

/** Where the whole batches of a range end, and where the partition goes on after them. */
export interface BatchSpan {
  readonly end: number;
  readonly nextOffset: number;
  readonly leaderEpoch: number;
}

/**
 * Hops from batch to batch without looking into them, so that the next fetch can be sent before this one is read. Undefined
 * when there is no whole batch. Stops before a batch whose head makes no sense: reading it is what gives the error.
 */
export function spanBatches(bytes: Buffer, start: number, end: number, fromOffset: number): BatchSpan | undefined {
  let at = start;
  let nextOffset = fromOffset;
  let leaderEpoch = -1;
  while (end - at >= batchField.records) {
    const next = at + batchPrefixBytes + bytes.readInt32BE(at + batchField.length);
    if (next > end) break;
    const offset = readInt64(bytes, at) + bytes.readInt32BE(at + batchField.lastOffsetDelta) + 1;
    if (next < at + batchField.records || !Number.isSafeInteger(offset) || offset <= 0) return { end, nextOffset, leaderEpoch };
    nextOffset = Math.max(nextOffset, offset);
    leaderEpoch = bytes.readInt32BE(at + batchField.leaderEpoch);
    at = next;
  }
  return at === start ? undefined : { end: at, nextOffset, leaderEpoch };
}
