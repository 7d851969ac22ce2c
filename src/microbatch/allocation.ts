// How many executors a job should have: more when batches take longer than their trigger or input piles up, fewer when fewer have long been enough.
import type { BatchStatus, ExecutorAllocation } from "millrace/api";

export interface Load {
  readonly nowMs: number;
  /** The run processes; else nothing can be said about it. */
  readonly running: boolean;
  /** There is nothing to read. */
  readonly idle: boolean;
  readonly batch: BatchStatus | undefined;
  readonly triggerMs: number;
}

export interface AllocationLimits {
  readonly min: number;
  readonly max: number;
  readonly idleMs: number;
}

/** A batch may take this much of its trigger: the rest is for what comes unevenly. */
const busyShare = 0.9;
/** With one executor fewer a batch would take this much of its trigger at most. */
const enoughShare = 0.7;
/** Executors need a moment until they help. */
const settleMs = 10_000;

export function allocate(before: ExecutorAllocation | undefined, load: Load, limits: AllocationLimits): ExecutorAllocation {
  const clip = (executors: number): number => Math.min(limits.max, Math.max(limits.min, executors));
  const since = new Date(load.nowMs).toISOString();
  if (before === undefined) return { executors: clip(limits.min), since };
  const executors = clip(before.executors);
  if (executors !== before.executors) return { executors, since };
  const { lowSince: _low, ...steady } = before;
  if (!load.running) return steady;
  const settled = load.nowMs - Date.parse(before.since) >= settleMs && seenSince(load.batch, before.since);
  if (isBehind(load) && !load.idle) {
    const more = clip(Math.max(executors + 1, Math.ceil(executors * growth(load))));
    return settled && more > executors ? { executors: more, since } : steady;
  }
  if (executors <= limits.min || !wouldDo(executors - 1, executors, load)) return steady;
  if (before.lowSince === undefined) return { ...steady, lowSince: since };
  // One at a time, each after as long a time.
  return load.nowMs - Date.parse(before.lowSince) >= limits.idleMs ? { executors: clip(executors - 1), since, lowSince: since } : before;
}

// What was measured before the last change says nothing about the change.
const seenSince = (batch: BatchStatus | undefined, since: string): boolean =>
  batch?.completedAt !== undefined && Date.parse(batch.completedAt) > Date.parse(since);

function isBehind({ batch, triggerMs }: Load): boolean {
  if (batch === undefined) return false;
  return pileUp(batch) || (triggerMs > 0 && (batch.durationMs ?? 0) > busyShare * triggerMs);
}

/** More waits than a batch takes. */
const pileUp = ({ backlog = 0, inputRows = 0 }: BatchStatus): boolean => backlog > Math.max(1, inputRows);

// By how much the present executors fall short; never more than twice as many at once.
function growth({ batch, triggerMs }: Load): number {
  const share = triggerMs > 0 ? (batch?.durationMs ?? 0) / triggerMs : 0;
  return Math.min(2, Math.max(share / enoughShare, batch !== undefined && pileUp(batch) ? 1.5 : 1));
}

function wouldDo(fewer: number, executors: number, { batch, triggerMs, idle }: Load): boolean {
  if (idle) return true;
  if (batch === undefined) return false;
  // Without executors the driver processes, as one of them would.
  const durationMs = ((batch.durationMs ?? 0) * executors) / Math.max(1, fewer);
  return triggerMs > 0 ? durationMs <= enoughShare * triggerMs : (batch.backlog ?? 1) === 0;
}
