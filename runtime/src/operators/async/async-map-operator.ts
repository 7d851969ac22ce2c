// The operator behind asyncMap: starts calls up to its capacity, and gives their results out between batches.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Batch, RowKind } from "../../core/batch/batch.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import { StoredValues } from "../rows/stored-values.ts";
import type { AsyncFailure, AsyncMapParams } from "./async-map.ts";
import { Caller, type Outcome } from "./caller.ts";
import { OrderedQueue, type Pending, type ResultQueue, UnorderedQueue } from "./result-queue.ts";

interface Entry extends Pending {
  readonly timeMs: number;
  readonly kind: RowKind;
  /** The row's bytes: what a snapshot holds, whatever the function does to its object. */
  readonly bytes: Uint8Array;
  /** Where the row came from, while that is known. */
  readonly origin: { readonly splitId: string; readonly position: number } | undefined;
  outcome: Outcome | undefined;
}

/** The options with what has a default. */
type Settings = AsyncMapParams & { readonly capacity: number; readonly timeoutMs: number };

export class AsyncMap implements Operator {
  readonly holdsWatermarks = true;
  readonly #context: OperatorContext;
  readonly #params: Settings;
  readonly #values: StoredValues;
  readonly #builder: RowsBuilder;
  readonly #queue: ResultQueue<Entry>;
  readonly #caller: Caller;
  /** Rows that have come and were not started: what a batch brought beyond the capacity. */
  #waiting: Entry[] = [];
  /** Started and not given out. */
  #held = 0;
  #resume: (() => void) | undefined;
  #drainDue = false;
  #closed = false;

  constructor(context: OperatorContext, params: Settings) {
    this.#context = context;
    this.#params = params;
    this.#values = new StoredValues(context, "in-flight", params.input);
    this.#builder = new RowsBuilder(params.output, context.output());
    this.#queue = params.order === "unordered" ? new UnorderedQueue() : new OrderedQueue();
    this.#caller = new Caller(context, params);
    const restored = context.state.list("in-flight", "split", () => this.#capture());
    for (const entry of restored) this.#take(this.#restored(entry));
    // Not before the whole job is restored and wired.
    if (restored.length > 0) context.enqueue(() => this.#start());
  }

  process({ rows, selection, count }: Batch): void {
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const { origin } = rows;
      const known = origin !== null && row < origin.count;
      this.#take({
        timeMs: rows.times[row] as number,
        kind: rows.kindOf(row),
        bytes: this.#values.encodeRow(rows, row),
        origin: known ? { splitId: origin.splitId, position: origin.position[row] as number } : undefined,
        outcome: undefined,
        done: false,
      });
    }
    this.#start();
  }

  #take(entry: Entry): void {
    this.#queue.add(entry);
    this.#waiting.push(entry);
  }

  // Starts what there is room for, and lets the sources wait while there is none.
  #start(): void {
    if (this.#closed) return;
    const room = this.#params.capacity - this.#held;
    const started = this.#waiting.splice(0, Math.max(0, room));
    this.#held += started.length;
    for (const entry of started) {
      this.#caller.call(this.#values.decode(entry.bytes), (outcome) => {
        entry.outcome = outcome;
        entry.done = true;
        this.#queue.complete(entry);
        this.#drainSoon();
      });
    }
    const full = this.#held >= this.#params.capacity || this.#waiting.length > 0;
    if (full) this.#resume ??= this.#context.pause();
    else {
      this.#resume?.();
      this.#resume = undefined;
    }
  }

  // One pass for all calls that finish before the driver's next turn.
  #drainSoon(): void {
    if (this.#drainDue || this.#closed) return;
    this.#drainDue = true;
    this.#context.enqueue(() => {
      this.#drainDue = false;
      if (!this.#closed) this.#drain();
    });
  }

  #drain(): void {
    this.#queue.drain(
      (entry) => {
        this.#held--;
        this.#give(entry);
      },
      (timeMs) => {
        this.#builder.flush();
        this.#context.forwardWatermark(timeMs);
      },
    );
    this.#builder.flush();
    this.#start();
  }

  onWatermark(timeMs: number): void {
    this.#queue.addWatermark(timeMs);
    this.#drain();
  }

  #give(entry: Entry): void {
    const outcome = entry.outcome as Outcome;
    if (outcome.kind === "result") {
      const error = this.#write(entry, outcome.value);
      if (error !== undefined) this.#fail(entry, error, this.#params.onFailure ?? "dead-letter", false);
    } else {
      const timedOut = outcome.kind === "timeout";
      const { onFailure = "dead-letter", onTimeout = onFailure } = this.#params;
      this.#fail(entry, outcome.error, timedOut ? onTimeout : onFailure, timedOut);
    }
    this.#builder.flushIfFull();
  }

  // Writes a call's answer; returns the error where a row of it does not fit, and then none of it is written.
  #write(entry: Entry, answer: unknown): unknown {
    if (answer === null || answer === undefined) return undefined;
    const mark = this.#builder.rows.size;
    try {
      for (const row of Array.isArray(answer) ? answer : [answer]) this.#builder.write(row, entry.timeMs, entry.kind);
      return undefined;
    } catch (error) {
      this.#builder.rollback(mark);
      return error;
    }
  }

  #fail(entry: Entry, error: unknown, policy: AsyncFailure, timedOut: boolean): void {
    if (policy === "drop") return;
    const row = this.#values.decode(entry.bytes);
    const reason = `the asyncMap function ${timedOut ? "did not answer in time" : "failed"}: ${messageOf(error)}`;
    if (policy === "fail") {
      const code = timedOut ? "ASYNC_TIMEOUT" : "ASYNC_FAILED";
      throw new MillraceError(code, this.#context.uid, reason, "look at the function's error, or choose another onFailure", {
        cause: error,
      });
    }
    if (policy !== "dead-letter") {
      const failure = this.#writeDefault(entry, row, error, policy.default);
      if (failure === undefined) return;
      this.#context.badRow({
        code: "FUNCTION_FAILED",
        reason: `the default of asyncMap failed: ${messageOf(failure)}`,
        ...entry.origin,
        row,
        cause: failure,
      });
      return;
    }
    this.#context.badRow({ code: "FUNCTION_FAILED", reason, ...entry.origin, row, cause: error });
  }

  #writeDefault(entry: Entry, row: unknown, error: unknown, of: (row: unknown, error: unknown) => unknown): unknown {
    try {
      return this.#write(entry, of(row, error));
    } catch (thrown) {
      return thrown;
    }
  }

  busy(): boolean {
    return this.#held > 0 || this.#waiting.length > 0;
  }

  close(): void {
    this.#closed = true;
    this.#caller.close();
    this.#resume?.();
  }

  // Results that could not go out yet are asked for again after a restart: what is stored is the rows.
  #capture(): OperatorStateEntry[] {
    return this.#queue.entries().map((entry, index) => {
      const writer = new ByteWriter(entry.bytes.length + 16);
      writer.f64(entry.timeMs);
      writer.u8(entry.kind);
      writer.raw(entry.bytes);
      return { key: `${this.#context.subtask}.${index}`, value: writer.copy() };
    });
  }

  #restored({ value }: OperatorStateEntry): Entry {
    const reader = new ByteReader(value);
    const timeMs = reader.f64();
    const kind = reader.u8() as RowKind;
    const bytes = this.#values.encode(this.#values.decodeStored(reader.raw(reader.remaining)));
    return { timeMs, kind, bytes, origin: undefined, outcome: undefined, done: false };
  }
}
