// One simulated driver: from its restore to its end, one batch after the other.
import type { RestorePoint } from "millrace/api";
import type { ProcessEnd } from "../memory/kubelet.ts";
import type { DriverReport, DriverState } from "../ports/driver-client.ts";
import { JobClientError, type SavepointReport } from "../ports/job-client.ts";
import type { BatchStorage } from "./batch-storage.ts";
import type { VirtualTime } from "./virtual-time.ts";

const restoreMs = 300;
const batchMs = 1_500;
/** A run that ends has so many batches. */
const lastingBatches = 3;
export const triggerMs = 2_000;

export interface DriverParts {
  readonly run: number;
  /** What is wrong with a version is told by words in its image's name. */
  readonly image: string;
  readonly ends: boolean;
  readonly restore: RestorePoint;
  readonly storage: BatchStorage;
  readonly time: VirtualTime;
  readonly backlog: () => number;
  readonly executors: () => number;
  readonly ended: (end: ProcessEnd) => void;
}

export class SimulatedDriver {
  readonly #parts: DriverParts;
  #state: DriverState = "created";
  #sinceMs: number | undefined;
  #batch: DriverReport["batch"];
  #next = 0;
  #done = 0;
  #asked: { readonly kind: "stop" } | { readonly kind: "savepoint"; readonly id: string } | undefined;
  #savepoint: DriverReport["savepoint"];
  #over = false;

  constructor(parts: DriverParts) {
    this.#parts = parts;
    parts.time.after(restoreMs, () => this.#restore());
  }

  report(lastFailure?: string): DriverReport {
    return {
      run: this.#parts.run,
      state: this.#state,
      batch: this.#batch,
      idle: this.#parts.image.includes("idle") ? true : undefined,
      triggerMs,
      runningSinceMs: this.#sinceMs,
      lastFailure,
      failureIsFinal: false,
      restoredFrom: undefined,
      savepoint: this.#savepoint,
    };
  }

  stop(mode: "after-batch" | "immediate"): void {
    if (mode === "immediate") return this.#end("stopped", 0);
    if (this.#state === "running") this.#state = "stopping";
    this.#asked ??= { kind: "stop" };
  }

  stopWithSavepoint(id: string): SavepointReport {
    const known = this.savepoint(id);
    if (known !== undefined) return known;
    if (this.#state !== "running") throw new JobClientError("refused", "driver", "the job does not run");
    this.#state = "stopping";
    this.#asked = { kind: "savepoint", id };
    return reportOf(id, undefined);
  }

  savepoint(id: string): SavepointReport | undefined {
    if (this.#asked?.kind === "savepoint" && this.#asked.id === id) return reportOf(id, this.#savepoint?.location);
    const location = locationOf(id);
    return this.#parts.storage.savepoints.has(location) ? reportOf(id, location) : undefined;
  }

  kill(): void {
    this.#over = true;
    this.#parts.storage.leave(this.#parts.run);
  }

  crash(message: string, exitCode = 1): void {
    if (this.#over) return;
    this.kill();
    this.#parts.ended({ exitCode, message });
  }

  #restore(): void {
    if (this.#over) return;
    const { storage, run, restore, image, time } = this.#parts;
    if (image.includes("no-restore")) return this.#end("failed", 1, "QUERY_CHANGED: it belongs to a query that this one cannot go on from");
    const batch = storage.enter(run, restore);
    if (batch === undefined) return this.#end("failed", 1, "FENCED");
    this.#next = batch + 1;
    this.#state = this.#asked === undefined ? "running" : "stopping";
    this.#sinceMs = time.now();
    this.#later();
  }

  #later(): void {
    this.#parts.time.after(batchMs, () => this.#commit());
  }

  #commit(): void {
    if (this.#over) return;
    const { storage, run, image, time, backlog, ends } = this.#parts;
    if (image.includes("crash-running")) return this.#end("failed", 1, "the user's function threw");
    const works = !image.includes("no-batch") && !image.includes("idle");
    if (works) {
      if (!storage.commit(run, this.#next)) return this.#end("failed", 1, "FENCED");
      this.#batch = {
        id: this.#next++,
        completedAtMs: time.now(),
        durationMs: backlog() > 0 ? (triggerMs * 2) / Math.max(1, this.#parts.executors()) : triggerMs / 10,
        inputRows: 100,
        inputRowsPerSecond: 50,
        backlog: backlog(),
        watermark: undefined,
      };
      this.#done++;
    }
    if (this.#asked !== undefined) return this.#endAsAsked();
    if (ends && this.#done >= lastingBatches) return this.#end("finished", 0);
    this.#later();
  }

  #endAsAsked(): void {
    const { storage, run } = this.#parts;
    if (this.#asked?.kind === "savepoint") {
      const { id } = this.#asked;
      storage.savepoints.set(locationOf(id), { run, id: storage.last });
      this.#savepoint = { id, location: locationOf(id) };
    }
    this.#end("stopped", 0);
  }

  #end(state: DriverState, exitCode: number, failure?: string): void {
    if (this.#over) return;
    this.#state = state;
    this.kill();
    const { batch, savepoint, run, runningSinceMs } = this.report();
    const progress =
      batch === undefined ? {} : { lastProgress: { batchId: batch.id, batchDuration: batch.durationMs, numInputRows: batch.inputRows } };
    const words = {
      ...{ run, state, runningSinceMs, ...progress },
      ...(savepoint === undefined ? {} : { savepoint }),
      ...(failure === undefined ? {} : { lastFailure: failure }),
    };
    this.#parts.ended({ exitCode, message: JSON.stringify(words) });
  }
}

const locationOf = (id: string): string => `s3://batches/savepoints/${id}`;

const reportOf = (id: string, location: string | undefined): SavepointReport => ({
  ...{ id, mode: "stop", phase: location === undefined ? "running" : "completed", location },
  ...{ sizeBytes: undefined, formatVersion: undefined, cutAtMs: undefined, completedAtMs: undefined, failure: undefined },
});
