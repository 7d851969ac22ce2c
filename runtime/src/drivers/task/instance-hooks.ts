// What an instance tells the task that it is part of.
import type { Barrier } from "./barrier.ts";

export interface InstanceHooks {
  /** The barrier has come by every channel of the instance. */
  aligned(barrier: Barrier): void;
  /** An error is on its way out of the instance. The innermost one that says so is where it happened. */
  failed(uid: string, subtask: number): void;
}

export interface OperatorHooks extends InstanceHooks {
  /** The operator has done what its event time asks for: its state may age. */
  advanced(timeMs: number): void;
  /** All channels into the instance have said their first word. */
  heardAll?(): void;
}
