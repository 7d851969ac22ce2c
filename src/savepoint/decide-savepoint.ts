// From what is known about a Savepoint to what happens to it next. A pure function.
import type { Condition, SavepointPhase, SavepointStatus } from "millrace/api";
import type { EventNote } from "../controller/event-recorder.ts";
import type { JobAddress, SavepointReport } from "../ports/job-client.ts";
import type { Savepoint, StreamJob } from "../ports/objects.ts";
import { durationMs } from "../streamjob/duration.ts";
import { accessOf, takenAnnotation } from "../streamjob/savepoint-record.ts";
import { triggerAnnotation } from "../streamjob/savepoint-schedule.ts";

export const savepointFinalizer = "millrace.dev/savepoint";

export interface SavepointSeen {
  readonly nowMs: number;
  readonly savepoint: Savepoint;
  readonly job: StreamJob | undefined;
  readonly address: JobAddress | undefined;
  /** The job runs and could take it. */
  readonly running: boolean;
  /** What the job says of the id; known false: it did not answer. */
  readonly taken:
    | { readonly known: true; readonly report: SavepointReport | undefined }
    | { readonly known: false; readonly reason: string }
    | undefined;
  /** The phase of the pod that deletes the files. */
  readonly disposal: string | undefined;
  readonly disposalMessage: string | undefined;
  readonly referenced: boolean;
  /** Its namespace is being deleted: nothing can be made in it any more, and it must not be what keeps it. */
  readonly terminating: boolean;
}

export type SavepointStep =
  | { readonly kind: "wait" }
  | { readonly kind: "addFinalizer" }
  | { readonly kind: "removeFinalizer" }
  | { readonly kind: "startSavepoint"; readonly id: string }
  | { readonly kind: "startDisposal" };

export interface SavepointDecision {
  readonly status: SavepointStatus;
  readonly step: SavepointStep;
  readonly againAfterMs?: number;
  readonly event?: EventNote;
}

const minute = 60_000;
const pollMs = 500;
/** A disposal that does not get through does not keep the resource for ever: the files stay, and an event says so. */
const disposalMs = 10 * minute;

export function decideSavepoint(seen: SavepointSeen): SavepointDecision {
  const { savepoint } = seen;
  const guarded = savepoint.metadata.finalizers?.includes(savepointFinalizer) === true;
  if (savepoint.metadata.deletionTimestamp !== undefined) return guarded ? dispose(seen) : stay(seen);
  if (savepoint.spec.disposal === "Delete" && !guarded) return { ...stay(seen), step: { kind: "addFinalizer" } };
  if (savepoint.spec.disposal !== "Delete" && guarded) return { ...stay(seen), step: { kind: "removeFinalizer" } };
  const { phase } = savepoint.status ?? {};
  if (phase === "Completed" || phase === "Failed") return become(seen, savepoint.status ?? {}, phase);
  if (savepoint.spec.location !== undefined) {
    const at = new Date(seen.nowMs).toISOString();
    const taken = takenBefore(savepoint) ?? { trigger: "user" as const, completedAt: at };
    return become(seen, { ...savepoint.status, ...taken, location: savepoint.spec.location }, "Completed");
  }
  return take(seen);
}

// Taken by an operation of its job, which wrote on it what is known.
function takenBefore({ metadata }: Savepoint): SavepointStatus | undefined {
  const text = metadata.annotations?.[takenAnnotation];
  try {
    return text === undefined ? undefined : (JSON.parse(text) as SavepointStatus);
  } catch {
    return undefined;
  }
}

function take(seen: SavepointSeen): SavepointDecision {
  const { savepoint, job, taken, running, nowMs } = seen;
  const status = savepoint.status ?? {};
  const { attempt = 1, savepointId } = status;
  const startedMs = Date.parse(status.startedAt ?? "") || nowMs;
  const limitMs = durationMs(savepoint.spec.timeout ?? 10 * minute) ?? 10 * minute;
  if (savepointId === undefined) {
    // The id is kept before the job hears it.
    const annotation = savepoint.metadata.annotations?.[triggerAnnotation];
    const trigger: NonNullable<SavepointStatus["trigger"]> = annotation === "schedule" || annotation === "nonce" ? annotation : "user";
    const begun: SavepointStatus = {
      ...status,
      trigger,
      attempt: 1,
      savepointId: idOf(savepoint, 1),
      startedAt: new Date(nowMs).toISOString(),
    };
    return become(seen, begun, "Pending", `job ${savepoint.spec.job} is asked`);
  }
  const report = taken?.known === true ? taken.report : undefined;
  if (report?.phase === "completed") return become(seen, completed(seen, report), "Completed");
  if (report?.phase === "failed") {
    const error = report.failure ?? "the savepoint failed";
    if (attempt >= (savepoint.spec.backoffLimit ?? 3)) return become(seen, { ...status, error }, "Failed", error);
    return become(seen, { ...status, error, attempt: attempt + 1, savepointId: idOf(savepoint, attempt + 1) }, "Pending", error);
  }
  if (job === undefined || nowMs - startedMs > limitMs) {
    const error =
      job === undefined ? `there is no StreamJob ${savepoint.spec.job}` : (status.error ?? "it did not complete in time; see spec.timeout");
    return become(seen, { ...status, error }, "Failed", error);
  }
  if (report?.phase === "running") {
    const { active } = job.status ?? {};
    const about = active === undefined ? {} : { run: active.run, revision: active.revision };
    return { ...become(seen, { ...status, ...about }, "InProgress"), againAfterMs: pollMs };
  }
  if (taken?.known === true && running)
    return { ...become(seen, status, status.phase ?? "Pending"), step: { kind: "startSavepoint", id: savepointId } };
  return { ...become(seen, status, status.phase ?? "Pending", `job ${savepoint.spec.job} does not run`), againAfterMs: 4 * pollMs };
}

function completed(seen: SavepointSeen, report: SavepointReport): SavepointStatus {
  const { savepoint, job } = seen;
  const { error: _error, ...status } = savepoint.status ?? {};
  const active = job?.status?.active;
  return {
    ...status,
    ...(active === undefined ? {} : { run: active.run, revision: active.revision }),
    ...(report.location === undefined ? {} : { location: report.location }),
    ...(report.sizeBytes === undefined ? {} : { sizeBytes: report.sizeBytes }),
    ...(report.formatVersion === undefined ? {} : { formatVersion: report.formatVersion }),
    completedAt: new Date(report.completedAtMs ?? seen.nowMs).toISOString(),
    ...(job?.spec.image === undefined ? {} : { access: accessOf({ ...job.spec, image: job.spec.image }) }),
  };
}

function dispose(seen: SavepointSeen): SavepointDecision {
  const { savepoint, referenced, disposal, nowMs } = seen;
  const { location, access } = savepoint.status ?? {};
  const forMs = nowMs - Date.parse(savepoint.metadata.deletionTimestamp ?? "");
  const leave = { ...stay(seen), step: { kind: "removeFinalizer" as const } };
  if (savepoint.spec.disposal !== "Delete" || location === undefined || access?.image === undefined) return leave;
  if (seen.terminating) return leave;
  if (disposal === "Succeeded") return { ...leave, event: { type: "Normal", reason: "Disposed", message: `${location} is deleted` } };
  if (forMs > disposalMs || disposal === "Failed") {
    const message = `${location} could not be deleted and stays: ${seen.disposalMessage ?? "its pod did not succeed"}`;
    const failed = become(seen, { ...savepoint.status, error: message }, "Disposing", message);
    return { ...failed, step: { kind: "removeFinalizer" }, event: { type: "Warning", reason: "DisposalFailed", message } };
  }
  // A job may start from it: it is looked at again when that job has changed.
  if (referenced) return { ...become(seen, savepoint.status ?? {}, "Disposing", "a job refers to it"), againAfterMs: minute };
  const disposing = become(seen, savepoint.status ?? {}, "Disposing", "its files are being deleted");
  return disposal === undefined ? { ...disposing, step: { kind: "startDisposal" } } : { ...disposing, againAfterMs: 2_000 };
}

const stay = (seen: SavepointSeen): SavepointDecision => ({ status: seen.savepoint.status ?? {}, step: { kind: "wait" } });

const idOf = ({ metadata }: Savepoint, attempt: number): string => `sp-${metadata.uid ?? ""}${attempt === 1 ? "" : `-${attempt}`}`;

function become(seen: SavepointSeen, status: SavepointStatus, phase: SavepointPhase, message = ""): SavepointDecision {
  const { metadata } = seen.savepoint;
  const before = seen.savepoint.status?.conditions?.find(({ type }) => type === "Ready");
  const value: Condition["status"] = phase === "Completed" ? "True" : "False";
  const ready: Condition = {
    type: "Ready",
    status: value,
    reason: phase,
    message: message === "" ? (status.location ?? "") : message,
    lastTransitionTime: before?.status === value ? before.lastTransitionTime : new Date(seen.nowMs).toISOString().replace(/\.\d+Z$/, "Z"),
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
  };
  const changed = seen.savepoint.status?.phase !== phase;
  const next: SavepointStatus = {
    ...status,
    phase,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    conditions: [ready],
  };
  const note: EventNote = { type: phase === "Failed" ? "Warning" : "Normal", reason: `Savepoint${phase}`, message: ready.message };
  return { status: next, step: { kind: "wait" }, ...(changed ? { event: note } : {}) };
}
