// The source contract: splits that are discovered and assigned, and a reader that hands out fetched blocks.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { RawRecords } from "../batch/raw-records.ts";
import type { Rows } from "../batch/batch.ts";
import type { BadRow } from "../operator/bad-rows.ts";
import type { Schema } from "../schema/schema.ts";

/** A part of a source that is read in order by one reader: a Kafka partition, a file, a generator's share. */
export interface SourceSplit {
  /** Stable across restarts and unique within the source: `bids-3`, a file's path. */
  readonly id: string;
  /** Where to go on reading, as JSON; what it means is the connector's. It is what snapshots store. */
  readonly position: unknown;
}

/** What a split's reader gives: records to decode by the source's format, or rows where the connector makes rows itself. */
export type SourceBatch =
  | { readonly kind: "raw"; readonly records: RawRecords }
  /** Rows of the source's own schema, `rows.size` of them; `position` of a row is its number since `firstPosition`. */
  | { readonly kind: "rows"; readonly splitId: string; readonly rows: Rows; readonly firstPosition: number };

/** Reads the splits of one source instance. All calls come from one thread. */
export interface SourceReader {
  /** Takes over more splits; each is read from its position. */
  assign(splits: readonly SourceSplit[]): void;
  /**
   * The next block of one split, of at most about `maxRecords`; null when nothing is there now. Synchronous: fetching goes on
   * in the background. The block is valid until the next call. A block never spans splits.
   */
  poll(maxRecords: number): SourceBatch | null;
  /** Settles when `poll` may have something, a split has ended, or the reader has failed (then it rejects). */
  ready(): Promise<void>;
  /** The splits with the position after the last block that `poll` gave: what a barrier stores. Synchronous. */
  snapshot(): readonly SourceSplit[];
  /** Ids of splits that have ended since the last call (bounded sources, finished files). */
  takeFinished(): readonly string[];
  /**
   * Ids of splits whose reading has begun since the last call. For readers that read some splits after others: until then a split waits, is
   * not called idle, and holds event time back unless `Source.inTimeOrder`. Without it a split has begun when it is assigned.
   */
  takeBegun?(): readonly string[];
  /** Stops or resumes reading a split (watermark alignment). */
  setPaused(splitId: string, paused: boolean): void;
  /** Records that are there to be read but were not polled yet, by split; undefined where the connector cannot know. */
  lag(): ReadonlyMap<string, number> | undefined;
  /** Brings `lag` up to now where the connector knows it only as of what it has fetched. Rejects where that cannot be asked at the moment. */
  refreshLag?(): Promise<void>;
  /** A checkpoint whose barrier stored `splits` is complete: for connectors that tell the outside (consumer group offsets). */
  checkpointCompleted?(splits: readonly SourceSplit[]): Promise<void>;
  close(): Promise<void>;
}

/** Ranges of one split that follow each other, each a split of the same id with an end. */
export interface DividedSplit {
  readonly pieces: readonly SourceSplit[];
  /** The split as it was, going on behind the last piece; `last` is that piece as its reader left it. */
  behind(last: SourceSplit): SourceSplit;
}

/** Finds splits. Runs once per source, at the coordinator. */
export interface SplitEnumerator {
  /** All splits that are there now and not in `known` (the ids already handed out), each at the position where the options say to start. */
  discover(known: ReadonlySet<string>): Promise<readonly SourceSplit[]>;
  /** How often to discover again, ms; Infinity for a bounded source. */
  readonly intervalMs: number;
  /** The same splits with an end where each of them ends now: for runs that end. Absent where every split ends by itself. */
  withEnds?(splits: readonly SourceSplit[]): Promise<readonly SourceSplit[]>;
  /** The same splits without such an end. */
  withoutEnds?(splits: readonly SourceSplit[]): readonly SourceSplit[];
  /** Divides what lies ahead in a split: one piece for each of `lengths`, counted as `SourceReader.lag` does. Absent where only one reader can read it. */
  divide?(split: SourceSplit, lengths: readonly number[]): DividedSplit;
  /** State beyond the splits (files already finished), as JSON; undefined where there is none. */
  snapshot?(): unknown;
  close(): Promise<void>;
}

export interface SourceContext {
  readonly jobName: string;
  readonly uid: string;
  readonly subtask: number;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Takes a record that the connector itself could not read (longer than its limit, a CSV line that does not fit); called during
   * `poll`, so that it is reported in step with the positions. Throws when the job must fail. Without it the reader fails.
   */
  readonly badRow?: (bad: BadRow) => void;
  /** What a reader may hold of bytes that it has fetched, where its options say nothing: its share of the process's memory. */
  readonly bufferBytes?: number;
}

/** A connector's source. A plain value: it opens nothing until a driver asks. */
export interface Source {
  /** The connector's name: `kafka`, `files`. */
  readonly connector: string;
  /** What the plan prints. Secrets are left out. */
  readonly options: Readonly<Record<string, unknown>>;
  /** True when the source ends by itself. */
  readonly bounded: boolean;
  /** The splits follow each other in time, in the order in which they are found: one that has not begun has only later rows. Default false. */
  readonly inTimeOrder?: boolean;
  /**
   * Splits end by themselves and are read in turn, so that what is left of them may hold rows of any time (unless `inTimeOrder` says
   * otherwise). Default false.
   */
  readonly splitsInTurn?: boolean;
  /** The schema of its rows when it makes rows itself; undefined when a format decodes its records. */
  readonly schema?: Schema;
  /** `restored` is what `SplitEnumerator.snapshot` returned in the snapshot that the job starts from. */
  openEnumerator(context: SourceContext, restored?: unknown): Promise<SplitEnumerator>;
  openReader(context: SourceContext): Promise<SourceReader>;
}
