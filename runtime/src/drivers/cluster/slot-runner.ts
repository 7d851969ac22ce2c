// A slot as its TaskManager sees it: a thread of its own that takes commands and tells what comes of them.
import type { SliceStatus, SlotCommand, SlotEvent } from "./slot-protocol.ts";

export interface SlotRunner {
  /** Where its exchange server listens, for peers in other processes. */
  readonly host: string;
  readonly port: number;
  /** Handed over in order; what comes of it is told by events. */
  command(command: SlotCommand): void;
  /** What the slot runs now. Answers within seconds even while a slice is busy or waits for a sink. */
  status(): Promise<readonly SliceStatus[]>;
  /** A CPU profile of the slot's thread over `durationMs`, as the inspector gives it (the .cpuprofile format). */
  profile(durationMs: number): Promise<object>;
  /** Ends the thread; what it ran is gone. Settles when it is. */
  close(): Promise<void>;
}

export interface SlotListener {
  event(event: SlotEvent): void;
  /** The thread ended without being asked to: every slice on it is gone, and the runner is of no use any more. */
  died(reason: string): void;
}

/** Starts slot `index` of this process (its number in the job comes with a deployment). Rejects when it cannot start. */
export type OpenSlot = (index: number, listener: SlotListener) => Promise<SlotRunner>;
