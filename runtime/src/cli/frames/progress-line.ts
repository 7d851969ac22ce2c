// One line for a terminal: a bar for a batch, figures for a stream.
import type { BatchProgress } from "../../drivers/microbatch/batch-query.ts";
import type { QueryProgress } from "../../drivers/microbatch/progress.ts";

const barCells = 24;

export function progressBar(name: string, { phase, inputRows, outputRows, fraction }: BatchProgress, columns: number): string {
  const filled = fraction === undefined ? 0 : Math.round(Math.min(1, Math.max(0, fraction)) * barCells);
  const bar = fraction === undefined ? "-".repeat(barCells) : `${"#".repeat(filled)}${".".repeat(barCells - filled)}`;
  const percent = fraction === undefined ? "    " : `${Math.round(fraction * 100)} %`.padStart(5);
  const rows = outputRows > 0 ? `${grouped(inputRows)} rows in, ${grouped(outputRows)} out` : `${grouped(inputRows)} rows in`;
  return `${name} [${bar}] ${percent} ${phase}, ${rows}`.slice(0, columns - 1);
}

export function queryLine(progress: QueryProgress, columns: number): string {
  const { watermark } = progress.eventTime;
  const parts = [
    `${progress.name}: batch ${progress.batchId}`,
    `${grouped(Math.round(progress.inputRowsPerSecond))} rows/s`,
    `${progress.batchDuration} ms`,
    ...(watermark === undefined ? [] : [`event time ${watermark}`]),
  ];
  return parts.join("  ").slice(0, columns - 1);
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
