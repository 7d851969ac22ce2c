// One checkpoint as it gathers in a task: what each instance gave when the barrier came to it, and rows that it overtook.
import type { InFlightRows } from "./in-flight.ts";
import { inFlightList } from "./in-flight.ts";
import type { Barrier } from "./barrier.ts";
import type { OperatorCapture, SinkCapture, SourceCapture, TaskCapture } from "./captures.ts";
import type { CapturedList } from "./operator-state-registry.ts";

export interface CutTimes {
  /** From the first that was heard of it to the capture of the last instance, ms. */
  readonly alignmentMs: number;
  /** Time that captures took, ms. */
  readonly cutMs: number;
  readonly unaligned: boolean;
  readonly inFlightBytes: number;
}

export class Cut {
  readonly barrier: Barrier;
  readonly startedMs: number = performance.now();
  unaligned = false;
  cutMs = 0;
  /** Channels whose rows are still taken in, until their barrier comes. */
  openChannels = 0;
  /** Instances that are not captured. */
  missing: number;
  readonly sources: (SourceCapture | undefined)[];
  readonly operators: (OperatorCapture | undefined)[];
  readonly sinks: (SinkCapture | undefined)[];
  #capturedMs = 0;
  #inFlightBytes = 0;
  readonly #inFlight = new Map<string, InFlightRows[]>();

  constructor(barrier: Barrier, counts: { readonly sources: number; readonly operators: number; readonly sinks: number }) {
    this.barrier = barrier;
    this.sources = Array.from({ length: counts.sources });
    this.operators = Array.from({ length: counts.operators });
    this.sinks = Array.from({ length: counts.sinks });
    this.missing = counts.sources + counts.operators + counts.sinks;
  }

  get checkpointId(): number {
    return this.barrier.checkpointId;
  }

  /** One instance less to wait for. */
  count(): void {
    if (--this.missing === 0) this.#capturedMs = performance.now();
  }

  get isComplete(): boolean {
    return this.missing === 0 && this.openChannels === 0;
  }

  /** Rows on their way to an instance, which it had not processed when it was captured. */
  addInFlight(uid: string, subtask: number, rows: InFlightRows): void {
    const key = `${subtask} ${uid}`;
    const list = this.#inFlight.get(key) ?? [];
    list.push(rows);
    this.#inFlight.set(key, list);
    this.#inFlightBytes += rows.frame.byteLength;
  }

  times(): CutTimes {
    const { cutMs, unaligned } = this;
    return { alignmentMs: this.#capturedMs - this.startedMs, cutMs, unaligned, inFlightBytes: this.#inFlightBytes };
  }

  capture(): TaskCapture {
    const withRows = <T extends { readonly uid: string; readonly subtask: number; readonly lists: readonly CapturedList[] }>(one: T): T => {
      const rows = this.#inFlight.get(`${one.subtask} ${one.uid}`);
      return rows === undefined ? one : { ...one, lists: [...one.lists, inFlightList(rows)] };
    };
    return {
      sources: present(this.sources),
      operators: present(this.operators).map(withRows),
      sinks: present(this.sinks).map(withRows),
    };
  }
}

function present<T>(captures: readonly (T | undefined)[]): readonly T[] {
  return captures.map((capture) => {
    if (capture === undefined) throw new Error("a cut is complete before all instances are captured");
    return capture;
  });
}
