// Finds the splits of every source and hands each to one reader.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { messageOf } from "../../base/errors.ts";
import type { SplitEnumerator } from "../../core/ports/source.ts";
import type { DataflowNode, SourceBody } from "../../plan/dataflow.ts";
import type { SourceInstance } from "../task/source-instance.ts";
import { type RestoredSource, SplitBook, type TimedSplit } from "./split-book.ts";

/** The splits of one source: which are known, which have ended, and where new ones go. */
export class SplitAssigner {
  readonly uid: string;
  readonly #enumerator: SplitEnumerator;
  readonly #readers: readonly SourceInstance[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #book: SplitBook;
  #cancel: (() => void) | undefined;
  #discovering: Promise<void> | undefined;
  #closed = false;

  private constructor(uid: string, enumerator: SplitEnumerator, readers: readonly SourceInstance[], clock: Clock, log: Log) {
    this.uid = uid;
    this.#enumerator = enumerator;
    this.#readers = readers;
    this.#clock = clock;
    this.#log = log;
    this.#book = new SplitBook(readers.length);
  }

  /** Opens the enumerator, hands out restored and discovered splits, and goes on discovering. */
  static async open(
    node: DataflowNode & { readonly body: SourceBody },
    readers: readonly SourceInstance[],
    context: { readonly jobName: string; readonly clock: Clock; readonly log: Log },
    restored: RestoredSource | undefined,
    onFailure: (error: unknown) => void,
  ): Promise<SplitAssigner> {
    const log = context.log.child({ uid: node.uid });
    const enumerator = await node.body.source.openEnumerator(
      { jobName: context.jobName, uid: node.uid, subtask: 0, clock: context.clock, log },
      restored?.enumerator,
    );
    const assigner = new SplitAssigner(node.uid, enumerator, readers, context.clock, log);
    if (restored !== undefined) {
      assigner.#book.addFinished(restored.finished);
      assigner.#assign(restored.splits);
    }
    await assigner.#discover();
    for (const reader of readers) reader.announce();
    assigner.#schedule(onFailure);
    return assigner;
  }

  /** True when no split will come any more: a bounded source that was asked once. */
  get exhausted(): boolean {
    return this.#enumerator.intervalMs === Infinity;
  }

  enumeratorState(): unknown {
    return this.#enumerator.snapshot?.();
  }

  /** The ids of all splits ever handed out: the finished ones of them must not come back after a restart. */
  knownSplits(): readonly string[] {
    return [...this.#book.known];
  }

  async #discover(): Promise<void> {
    const found = await this.#enumerator.discover(this.#book.known);
    this.#assign(found.map((split) => ({ split })));
  }

  #assign(splits: readonly TimedSplit[]): void {
    this.#book.deal(splits).forEach((some, index) => {
      if (some.length === 0) return;
      const watermarks = new Map<string, number>();
      for (const { split, watermarkMs } of some) if (watermarkMs !== undefined) watermarks.set(split.id, watermarkMs);
      this.#readers[index]?.assign(
        some.map(({ split }) => split),
        watermarks,
        this.#clock.now(),
      );
    });
    if (splits.length > 0) this.#log.info("splits assigned", { splitCount: splits.length, readerCount: this.#readers.length });
  }

  #schedule(onFailure: (error: unknown) => void): void {
    if (this.exhausted || this.#closed) return;
    this.#cancel = this.#clock.after(this.#enumerator.intervalMs, () => {
      this.#discovering = this.#discover()
        // A failed look is no failure of the job: what is being read goes on, and the next look may succeed.
        .catch((error: unknown) => this.#log.warn("split discovery failed", { reason: messageOf(error) }))
        .then(() => this.#schedule(onFailure))
        .catch(onFailure);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#discovering;
    await this.#enumerator.close();
  }
}
