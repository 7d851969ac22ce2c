// Finds the splits of every source and hands each to one reader.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { messageOf } from "../../base/errors.ts";
import type { SourceSplit, SplitEnumerator } from "../../core/ports/source.ts";
import type { DataflowNode, SourceBody } from "../../plan/dataflow.ts";
import type { SourceInstance } from "../task/source-instance.ts";

export interface RestoredSource {
  readonly splits: readonly { readonly split: SourceSplit; readonly watermarkMs: number }[];
  readonly enumerator: unknown;
  readonly finished: readonly string[];
}

/** The splits of one source: which are known, which have ended, and where new ones go. */
export class SplitAssigner {
  readonly uid: string;
  readonly #enumerator: SplitEnumerator;
  readonly #readers: readonly SourceInstance[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #known = new Set<string>();
  readonly #counts: number[];
  #cancel: (() => void) | undefined;
  #discovering: Promise<void> | undefined;
  #closed = false;

  private constructor(uid: string, enumerator: SplitEnumerator, readers: readonly SourceInstance[], clock: Clock, log: Log) {
    this.uid = uid;
    this.#enumerator = enumerator;
    this.#readers = readers;
    this.#clock = clock;
    this.#log = log;
    this.#counts = readers.map(() => 0);
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
      for (const id of restored.finished) assigner.#known.add(id);
      assigner.#assign(
        restored.splits.map(({ split }) => split),
        new Map(restored.splits.map(({ split, watermarkMs }) => [split.id, watermarkMs])),
      );
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
    return [...this.#known];
  }

  async #discover(): Promise<void> {
    this.#assign(await this.#enumerator.discover(this.#known), new Map());
  }

  #assign(splits: readonly SourceSplit[], watermarks: ReadonlyMap<string, number>): void {
    const perReader: SourceSplit[][] = this.#readers.map(() => []);
    for (const split of splits) {
      this.#known.add(split.id);
      const least = this.#counts.indexOf(Math.min(...this.#counts));
      this.#counts[least] = (this.#counts[least] as number) + 1;
      perReader[least]?.push(split);
    }
    perReader.forEach((some, index) => {
      if (some.length > 0) this.#readers[index]?.assign(some, watermarks, this.#clock.now());
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
