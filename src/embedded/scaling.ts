// How many pods an app should have: by lag, in steps that make a difference to the most loaded pod, never more than get work.

export interface ScaleLimits {
  readonly min: number;
  readonly max: number;
  readonly threads: number;
  readonly lagPerReplica: number;
  readonly cooldownMs: number;
  readonly downAfterMs: number;
}

export interface ScaleSeen {
  readonly nowMs: number;
  readonly current: number;
  /** Tasks of the app; undefined while nobody knows. */
  readonly tasks: number | undefined;
  readonly lag: number | undefined;
  /** All pods have their tasks, and these run. */
  readonly settled: boolean;
  readonly lastScaledMs: number | undefined;
  readonly lowSinceMs: number | undefined;
}

export interface Scale {
  readonly replicas: number;
  /** Since when fewer would do. */
  readonly lowSinceMs: number | undefined;
}

/** The most pods that get work. */
export const usefulReplicas = (tasks: number, threads: number): number => Math.max(1, Math.ceil(tasks / threads));

export function scale(seen: ScaleSeen, limits: ScaleLimits): Scale {
  const { current, tasks, lag, nowMs } = seen;
  const useful = tasks === undefined || tasks === 0 ? limits.max : usefulReplicas(tasks, limits.threads);
  const most = Math.min(limits.max, useful);
  const least = Math.min(limits.min, most);
  // Outside of the limits there is nothing to wait for.
  if (current > most) return { replicas: most, lowSinceMs: undefined };
  if (current < least) return { replicas: least, lowSinceMs: undefined };
  if (lag === undefined) return { replicas: current, lowSinceMs: undefined };
  const units = tasks === undefined || tasks === 0 ? most : Math.max(1, Math.ceil(tasks / limits.threads));
  const wanted = evenly(units, Math.min(most, Math.max(least, Math.ceil(lag / limits.lagPerReplica))), least);
  const rested = seen.lastScaledMs === undefined || nowMs - seen.lastScaledMs >= limits.cooldownMs;
  if (wanted > current) {
    const next = Math.min(most, stepUp(units, current));
    return { replicas: seen.settled && rested ? next : current, lowSinceMs: undefined };
  }
  const fewer = Math.max(least, stepDown(units, current));
  // The rest must hold what waits now with room to spare.
  if (fewer >= current || lag > (limits.lagPerReplica * fewer) / 2) return { replicas: current, lowSinceMs: undefined };
  const lowSinceMs = seen.lowSinceMs ?? nowMs;
  const long = nowMs - lowSinceMs >= limits.downAfterMs;
  return long && rested && seen.settled ? { replicas: fewer, lowSinceMs } : { replicas: current, lowSinceMs };
}

/** The fewest pods whose most loaded one has no more to do than with `replicas`. */
function evenly(units: number, replicas: number, least: number): number {
  return replicas <= 0 ? replicas : Math.max(least, Math.ceil(units / Math.ceil(units / replicas)));
}

/** The next number at which the most loaded pod has less to do. */
function stepUp(units: number, replicas: number): number {
  if (replicas === 0) return 1;
  const share = Math.ceil(units / replicas);
  return share <= 1 ? replicas + 1 : Math.ceil(units / (share - 1));
}

function stepDown(units: number, replicas: number): number {
  if (replicas <= 1) return 0;
  const fewer = Math.ceil(units / (Math.ceil(units / replicas) + 1));
  return Math.max(1, Math.min(replicas - 1, fewer));
}
