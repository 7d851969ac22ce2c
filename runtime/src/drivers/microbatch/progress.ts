// What a query tells of each batch: the JSON that Spark calls StreamingQueryProgress, so that its tools can read it.
import type { SourceRange } from "./log/batch-log.ts";

export interface StateOperatorProgress {
  readonly operatorName: string;
  readonly uid: string;
  readonly numRowsTotal: number;
  readonly numRowsUpdated: number;
  readonly numRowsOutput: number;
  readonly allUpdatesTimeMs: number;
  readonly allRemovalsTimeMs: number;
  readonly memoryUsedBytes: number;
  readonly diskUsedBytes: number;
  readonly numRowsDroppedByWatermark: number;
}

export interface SourceProgress {
  readonly description: string;
  readonly name: string;
  readonly startOffset: unknown;
  readonly endOffset: unknown;
  readonly numInputRows: number;
  readonly inputRowsPerSecond: number;
  readonly processedRowsPerSecond: number;
  /** Records that are there and were not read yet; absent where the connector does not know. */
  readonly backlog?: number;
  /** Records that were no rows, since the query was started. */
  readonly malformed: number;
}

export interface QueryProgress {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  readonly timestamp: string;
  readonly batchId: number;
  readonly batchDuration: number;
  readonly numInputRows: number;
  readonly inputRowsPerSecond: number;
  readonly processedRowsPerSecond: number;
  /** By phase, ms: `latestOffset` reading, `walCommit` the offset log, `addBatch` the computation, `commitState`, `commitSink`, `commitOffsets`. */
  readonly durationMs: Readonly<Record<string, number>>;
  readonly eventTime: Readonly<Record<string, string>>;
  readonly stateOperators: readonly StateOperatorProgress[];
  readonly sources: readonly SourceProgress[];
  readonly sink: { readonly description: string; readonly numOutputRows: number };
}

/** The phases of one batch, timed. */
export class Phases {
  readonly #ms = new Map<string, number>();
  readonly #startedMs: number = performance.now();

  async time<T>(phase: string, work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await work();
    } finally {
      this.#ms.set(phase, (this.#ms.get(phase) ?? 0) + performance.now() - startedMs);
    }
  }

  get totalMs(): number {
    return performance.now() - this.#startedMs;
  }

  json(): Readonly<Record<string, number>> {
    const rounded = [...this.#ms].map(([phase, ms]) => [phase, Math.round(ms)] as const);
    return Object.fromEntries([...rounded, ["triggerExecution", Math.round(this.totalMs)]]);
  }
}

export function perSecond(rows: number, ms: number): number {
  return ms <= 0 ? 0 : Math.round((rows * 1_000_000) / ms) / 1000;
}

export function positionsOf(splits: SourceRange["from"]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(splits.map(({ id, position }) => [id, position]));
}

export function isoTime(timeMs: number): string {
  return Number.isFinite(timeMs) && Math.abs(timeMs) < 8.64e15 ? new Date(timeMs).toISOString() : "1970-01-01T00:00:00.000Z";
}
