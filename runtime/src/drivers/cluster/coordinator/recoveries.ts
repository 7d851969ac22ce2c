// How restarts of regions went: when the failure was noticed, and when each step back to running was done. The last few are kept.
import type { DeployTimes } from "../slot-protocol.ts";
import type { ExceptionRecord } from "./exceptions.ts";
import type { Region, RegionState } from "./region.ts";

/** One restart of a region, from its first failure until it runs; times are the coordinator's, null for what has not come yet. */
export interface RecoveryRecord {
  readonly region: string;
  /** What it was that failed first. */
  readonly code: string;
  readonly detectedAtMs: number;
  /** More than one when attempts to run again failed as well; the times are those of the last one. */
  readonly failures: number;
  /** Nothing of the attempt before runs any more. */
  readonly cancelledAtMs: number | null;
  /** There were slots for everything, and they were told. */
  readonly deployedAtMs: number | null;
  /** The snapshot that it began from; null for none. */
  readonly restoredFrom: string | null;
  /** All slices have their state, their sources and sinks, and their peers. */
  readonly restoredAtMs: number | null;
  readonly runningAtMs: number | null;
  /** Where the time from deployed to restored went in the slice that took longest. */
  readonly slowest: ({ readonly slot: number } & DeployTimes) | null;
}

type Changing = { -readonly [K in keyof RecoveryRecord]: RecoveryRecord[K] };

const kept = 50;

export class Recoveries {
  readonly history: RecoveryRecord[] = [];
  readonly #open = new Map<Region, Changing>();

  failed(region: Region, exception: ExceptionRecord): void {
    const before = this.#open.get(region);
    const record: Changing = {
      region: region.id,
      code: before?.code ?? exception.code,
      detectedAtMs: before?.detectedAtMs ?? exception.atMs,
      failures: (before?.failures ?? 0) + 1,
      cancelledAtMs: null,
      deployedAtMs: null,
      restoredFrom: null,
      restoredAtMs: null,
      runningAtMs: null,
      slowest: null,
    };
    if (before !== undefined) this.history.splice(this.history.indexOf(before), 1);
    this.history.push(record);
    if (this.history.length > kept) this.history.shift();
    this.#open.set(region, record);
  }

  moved(region: Region, to: RegionState, nowMs: number, restoredFrom: string | null): void {
    const record = this.#open.get(region);
    if (record === undefined) return;
    switch (to) {
      case "pausing":
        record.cancelledAtMs = nowMs;
        return;
      case "deploying":
        record.deployedAtMs = nowMs;
        record.restoredFrom = restoredFrom;
        return;
      case "running":
        record.runningAtMs = nowMs;
        this.#open.delete(region);
        return;
      case "over":
        this.#open.delete(region);
        return;
      case "adopting":
      case "waiting":
      case "cancelling":
    }
  }

  /** A slice is deployed; with the last one the region is restored. */
  sliceDeployed(region: Region, slot: number, times: DeployTimes, nowMs: number): void {
    const record = this.#open.get(region);
    if (record === undefined) return;
    if (record.slowest === null || total(times) > total(record.slowest)) record.slowest = { slot, ...times };
    if (region.every((slice) => slice.state !== "deploying")) record.restoredAtMs = nowMs;
  }

  /** When each step of a restart that is about to be over was done, from its failure on; undefined for a region that does not restart. */
  stepsOf(region: Region, nowMs: number): Readonly<Record<string, unknown>> | undefined {
    const record = this.#open.get(region);
    if (record === undefined) return undefined;
    const { detectedAtMs, cancelledAtMs, deployedAtMs, restoredAtMs, slowest } = record;
    const since = (atMs: number | null): number | null => (atMs === null ? null : Math.round(atMs - detectedAtMs));
    return {
      cancelledMs: since(cancelledAtMs),
      deployedMs: since(deployedAtMs),
      restoredMs: since(restoredAtMs),
      runningMs: since(nowMs),
      slowest: slowest === null ? null : Object.fromEntries(Object.entries(slowest).map(([name, ms]) => [name, Math.round(ms)])),
    };
  }
}

function total({ clearingMs, snapshotMs, instancesMs, connectMs }: DeployTimes): number {
  return clearingMs + snapshotMs + instancesMs + connectMs;
}
