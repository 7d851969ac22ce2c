// Who leads: the port of a lease, and what it says.
import type { LeaderAddress } from "./leader-address.ts";

export interface LeaseRecord {
  /** Unique per process. */
  readonly holder: string;
  /** Rises with every write, so that others see that the holder lives. */
  readonly renewals: number;
  /** How long it holds after the last write that others see, ms. */
  readonly durationMs: number;
  readonly address: LeaderAddress;
  /** Given up by its holder: anybody may take it at once. */
  readonly released: boolean;
}

export interface LeaseState {
  readonly record: LeaseRecord;
  /** What a conditional write names. */
  readonly version: string;
  /** The holder is known to be dead, not only silent. */
  readonly holderIsDead: boolean;
  /** What lies there is no lease, and why: the record is then that of a holder without a name, which counts as long as any. */
  readonly damage?: string;
}

/** Where a holder is reached; undefined when nobody holds the lease, or nobody knows who. */
export function addressOf(record: LeaseRecord | undefined): LeaderAddress | undefined {
  return record === undefined || record.released || record.address.rpc === "" ? undefined : record.address;
}

/** A place that all JobManagers of a job see, with conditional writes. Calls reject when the place cannot be reached. */
export interface LeaseStore {
  read(): Promise<LeaseState | undefined>;
  /** Writes if the lease still has `version` (undefined: if there is none). False when somebody was faster. */
  write(record: LeaseRecord, version: string | undefined): Promise<boolean>;
  /** Calls back once when the holder that was read last is seen to die, where that can be seen; the returned function ends the watch. */
  watchHolder?(died: () => void): () => void;
  /** What somebody who is not a holder has noted on it, where leases can carry notes. */
  note?(name: string): Promise<string | undefined>;
  close(): Promise<void>;
}
