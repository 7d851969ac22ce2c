// What a driver leaves behind when it ends: the last of what it would have answered, short enough for a termination message.

type Fields = Readonly<Record<string, unknown>>;

/** Kubernetes keeps so many bytes. */
const maxBytes = 4096;
const maxFailure = 1500;
const keptProgress = ["batchId", "timestamp", "batchDuration", "numInputRows", "inputRowsPerSecond", "eventTime"] as const;

export interface PartingFailure {
  readonly text: string;
  /** Another run of the same revision would fail as well. */
  readonly isFinal: boolean;
}

/** `query` is the body of `/v1/query` at the end. */
export function partingWords(query: object, failure: PartingFailure | undefined): string {
  const { run, state, lastBatchId, restoredFrom, lastCheckpoint, runningSinceMs, triggerMs, savepoint, lastProgress } = query as Fields;
  const failed =
    failure === undefined ? {} : { lastFailure: failure.text.slice(0, maxFailure), ...(failure.isFinal ? { failureIsFinal: true } : {}) };
  const kept = { run, state, lastBatchId, savepoint, ...failed };
  const whole = { ...kept, restoredFrom, lastCheckpoint, runningSinceMs, triggerMs, lastProgress: progressOf(lastProgress) };
  const text = JSON.stringify(whole);
  return Buffer.byteLength(text) <= maxBytes ? text : JSON.stringify(kept);
}

function progressOf(value: unknown): object | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const progress = value as Fields;
  const sources = Array.isArray(progress["sources"]) ? (progress["sources"] as readonly Fields[]) : [];
  return {
    ...Object.fromEntries(keptProgress.map((name) => [name, progress[name]])),
    sources: sources.slice(0, 20).map(({ backlog }) => ({ backlog })),
  };
}
