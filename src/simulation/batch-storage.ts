// The checkpoint location of one simulated MicroBatchJob: its committed batches, its savepoints, and the fence.
import type { RestorePoint } from "millrace/api";

interface Committed {
  readonly run: number;
  readonly id: number;
}

export class BatchStorage {
  readonly commits: Committed[] = [];
  readonly savepoints = new Map<string, Committed>();
  /** Runs that have restored, in their order. */
  readonly restores: { readonly run: number; readonly batch: number; readonly order: RestorePoint }[] = [];
  readonly violations: string[] = [];
  /** Runs that process and are not fenced. */
  readonly processing = new Set<number>();
  /** A test takes state back on purpose. */
  rewindAllowed = false;
  #fence = 0;

  get last(): number {
    return this.commits.at(-1)?.id ?? -1;
  }

  /** The batch that a run goes on behind; undefined when it may not, because a later run has been here. */
  enter(run: number, order: RestorePoint): number | undefined {
    if (run < this.#fence) return undefined;
    this.#fence = run;
    const newest = this.commits.findLast((commit) => commit.run >= order.sinceRun);
    const given = order.location === undefined ? undefined : this.savepoints.get(order.location);
    const batch = (newest ?? given)?.id ?? -1;
    this.restores.push({ run, batch, order });
    if (this.rewindAllowed) this.rewindAllowed = false;
    else if (batch !== this.last) this.violations.push(`run ${run} goes on behind batch ${batch}, but batch ${this.last} is committed`);
    this.processing.add(run);
    if (this.processing.size > 1) this.violations.push(`runs ${[...this.processing].join(", ")} process at the same time`);
    return batch;
  }

  leave(run: number): void {
    this.processing.delete(run);
  }

  /** False when a later run has been here. */
  commit(run: number, id: number): boolean {
    if (run < this.#fence) return false;
    this.commits.push({ run, id });
    return true;
  }
}
