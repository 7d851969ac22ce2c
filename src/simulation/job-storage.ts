// The snapshot storage of one simulated job: checkpoints and savepoints, the fence, and what the job has put out for good.
import type { RestorePoint } from "millrace/api";
import type { SavepointReport } from "../ports/job-client.ts";

interface StoredSnapshot {
  readonly run: number;
  readonly location: string;
  /** How many records the state has seen: a restore goes on there. */
  readonly records: number;
}

export interface RestoreRecord {
  readonly run: number;
  readonly from: string | undefined;
  readonly records: number;
  readonly order: RestorePoint;
}

export class JobStorage {
  readonly checkpoints: StoredSnapshot[] = [];
  readonly savepoints = new Map<string, { readonly report: SavepointReport; readonly snapshot: StoredSnapshot }>();
  /** Runs that a savepoint with mode stop or drain has ended. */
  readonly stopped = new Set<number>();
  readonly restores: RestoreRecord[] = [];
  readonly violations: string[] = [];
  /** Records whose output is committed. */
  committed = 0;
  #fence = 0;
  /** A test takes state back on purpose: the next restore need not follow on what was put out. */
  rewindAllowed = false;

  /** False when a later run has been here. */
  enter(run: number): boolean {
    if (run < this.#fence) return false;
    this.#fence = run;
    return true;
  }

  isFenced(run: number): boolean {
    return run < this.#fence;
  }

  /** What a run starts from; undefined when it is not there. */
  restore(run: number, order: RestorePoint): number | undefined {
    const newest = this.checkpoints.findLast((checkpoint) => checkpoint.run >= order.sinceRun);
    const given = order.location === undefined ? undefined : this.#at(order.location);
    if (newest === undefined && order.location !== undefined && given === undefined) return undefined;
    const from = newest ?? given;
    // A run's last checkpoint and the savepoint that ended it hold the same.
    if (newest !== undefined && newest.run === given?.run && newest.records !== given.records)
      this.violations.push(`run ${run} restored ${newest.location} and not what savepoint ${given.location} holds`);
    const records = from?.records ?? 0;
    this.restores.push({ run, from: from?.location, records, order });
    if (this.rewindAllowed) {
      this.rewindAllowed = false;
      this.committed = records;
    } else if (records !== this.committed) {
      this.violations.push(`run ${run} restored ${records} records from ${from?.location ?? "nothing"}, ${this.committed} are put out`);
    }
    return records;
  }

  /** Undefined when a later run has been here. */
  checkpoint(run: number, records: number): StoredSnapshot | undefined {
    if (this.isFenced(run)) return undefined;
    if (records < this.committed) this.violations.push(`run ${run} put out records ${records} to ${this.committed} again`);
    this.committed = records;
    const snapshot = { run, records, location: `s3://snapshots/chk-${this.checkpoints.length + 1}` };
    this.checkpoints.push(snapshot);
    return snapshot;
  }

  savepoint(run: number, records: number, report: SavepointReport): void {
    const location = `s3://snapshots/savepoints/${report.id}`;
    const snapshot = { run, records, location };
    this.savepoints.set(report.id, { report: { ...report, location, sizeBytes: records, formatVersion: 1 }, snapshot });
    if (report.mode !== "keep") this.stopped.add(run);
  }

  #at(location: string): StoredSnapshot | undefined {
    return (
      [...this.savepoints.values()].map(({ snapshot }) => snapshot).find((snapshot) => snapshot.location === location) ??
      this.checkpoints.find((checkpoint) => checkpoint.location === location)
    );
  }
}
