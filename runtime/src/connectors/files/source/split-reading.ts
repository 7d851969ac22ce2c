// The reading of one file: what the three formats have in common.
import type { SourceBatch, SourceContext } from "../../../core/ports/source.ts";

/** Reads one file from a position on. Calls `notify` whenever `poll` may have more to give than it said last. */
export interface SplitReading {
  /** A block of up to about `most` records; null when nothing is there now, or all was given (`ended`). */
  poll(most: number): SourceBatch | null;
  /** Where to go on after the last block. */
  readonly position: number;
  readonly ended: boolean;
  readonly failure: Error | undefined;
  /** Looks for more at the end of a file that grows. */
  retry?(): void;
  close(): Promise<void>;
}

/** The code for records that the connector refuses by itself. */
export type BadRecordCode = "RECORD_TOO_LONG" | "RECORD_UNPARSABLE" | "RECORD_MISFIT";

/** Reports a record that cannot be read; throws when the job must fail. */
export type ReportBad = (code: BadRecordCode, position: number, value: Uint8Array | undefined, reason: string) => void;

/** Hands bad records of a split to the driver, or fails where the driver takes none. */
export function badReporter(
  context: SourceContext,
  splitId: string,
  fail: (code: string, place: string, reason: string) => Error,
): ReportBad {
  return (code, position, value, reason) => {
    if (context.badRow === undefined) throw fail(code, `${splitId} at ${position}`, reason);
    context.badRow({ code, reason, splitId, position, ...(value === undefined ? {} : { value }) });
  };
}
