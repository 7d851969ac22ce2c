// The live line of `millrace run`: rate, lag, watermark delay, last checkpoint, state size.
import { formatDuration } from "../../base/duration.ts";
import { formatSize } from "../../base/size.ts";
import type { RunStatus } from "../../drivers/continuous/job-status.ts";

/** The figures of one moment, from two readings of the status `elapsedMs` apart. */
export interface StatusFigures {
  readonly recordsPerSecond: number;
  readonly records: number;
  readonly lag: number | undefined;
  /** Clock time minus event time, ms. */
  readonly watermarkDelayMs: number | undefined;
  readonly checkpoint:
    | { readonly id: number; readonly agoMs: number; readonly durationMs: number; readonly writtenBytes: number }
    | undefined;
  readonly stateBytes: number;
  readonly badRecords: number;
}

export function statusFigures(now: RunStatus, before: RunStatus | undefined, elapsedMs: number, nowMs: number): StatusFigures {
  const records = sourceRecords(now);
  const previous = before === undefined ? 0 : sourceRecords(before);
  const lags = Object.values(now.lag).filter((lag) => lag !== null);
  const watermarks = now.operators
    .flatMap((operator) => operator.subtasks.map((subtask) => subtask.watermarkMs))
    .filter((ms) => ms !== null);
  const least = watermarks.length === 0 ? undefined : Math.min(...watermarks);
  const last = now.lastCheckpoint;
  return {
    recordsPerSecond: elapsedMs <= 0 ? 0 : ((records - previous) * 1000) / elapsedMs,
    records,
    lag: lags.length === 0 ? undefined : lags.reduce((sum, lag) => sum + lag, 0),
    watermarkDelayMs: least === undefined || least >= Number.MAX_SAFE_INTEGER ? undefined : nowMs - least,
    checkpoint:
      last === null
        ? undefined
        : { id: last.id, agoMs: nowMs - last.triggeredAtMs, durationMs: last.durationMs ?? 0, writtenBytes: last.writtenBytes },
    stateBytes: now.state.memoryBytes + now.state.diskBytes,
    badRecords: now.badRecords,
  };
}

function sourceRecords(status: RunStatus): number {
  let records = 0;
  for (const operator of status.operators) {
    if (operator.inputs.length === 0) for (const subtask of operator.subtasks) records += subtask.rowsIn;
  }
  return records;
}

/** One line of text, at most `width` columns. */
export function statusLine(name: string, figures: StatusFigures, width: number): string {
  const parts = [
    name,
    `${Math.round(figures.recordsPerSecond).toLocaleString("en-US")} records/s`,
    `${figures.records.toLocaleString("en-US")} in all`,
    figures.lag === undefined ? undefined : `lag ${figures.lag.toLocaleString("en-US")}`,
    figures.watermarkDelayMs === undefined ? undefined : `event time ${formatDuration(Math.max(0, figures.watermarkDelayMs))} behind`,
    `state ${formatSize(figures.stateBytes)}`,
    figures.checkpoint === undefined
      ? undefined
      : `checkpoint ${figures.checkpoint.id} ${formatDuration(figures.checkpoint.agoMs)} ago (${formatSize(figures.checkpoint.writtenBytes)}, ${formatDuration(figures.checkpoint.durationMs)})`,
    figures.badRecords === 0 ? undefined : `${figures.badRecords} bad records`,
  ];
  const line = parts.filter((part) => part !== undefined).join("  ");
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}
