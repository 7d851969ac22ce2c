// What a job's REST API answers, checked at the edge: a field that is not what it must be counts as not there.
import type { JobProcessState, JobReport, SavepointMode, SavepointReport } from "../ports/job-client.ts";

type Fields = Readonly<Record<string, unknown>>;

const states: ReadonlySet<string> = new Set([
  "created",
  "standby",
  "restoring",
  "running",
  "stopping",
  "restarting",
  "finished",
  "stopped",
  "failed",
]);

const fieldsOf = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const numberOf = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined);

/** `leader` is undefined for a job in one process, which has nobody to lead. */
export function parseJobReport(value: unknown, run: number): JobReport & { readonly leader: boolean | undefined } {
  const body = fieldsOf(value);
  const details = fieldsOf(body["run"]);
  const state = textOf(body["state"]) ?? "";
  return {
    leader: typeof body["leader"] === "boolean" ? body["leader"] : undefined,
    run: numberOf(body["run"]) ?? run,
    state: states.has(state) ? (state as JobProcessState) : "created",
    parallelism: numberOf(body["parallelism"]) ?? 0,
    restarts: numberOf(body["restarts"]) ?? 0,
    lastFailure: textOf(body["lastFailure"]),
    restoredFrom: textOf(body["restoredFrom"]),
    runningSinceMs: numberOf(body["runningSinceMs"]),
    prepared: body["prepared"] === true,
    lastCheckpoint: parseCheckpoint(body["lastCheckpoint"] ?? details["lastCheckpoint"]),
  };
}

function parseCheckpoint(value: unknown): JobReport["lastCheckpoint"] {
  const checkpoint = fieldsOf(value);
  const id = numberOf(checkpoint["id"]);
  const phase = textOf(checkpoint["phase"]);
  if (id === undefined || (phase !== undefined && phase !== "completed")) return undefined;
  const begun = numberOf(checkpoint["triggeredAtMs"]) ?? 0;
  const completedAtMs = numberOf(checkpoint["completedAtMs"]) ?? begun + (numberOf(checkpoint["durationMs"]) ?? 0);
  return { id, location: textOf(checkpoint["location"]), completedAtMs };
}

export function parseSavepointReport(value: unknown, id: string, mode: SavepointMode): SavepointReport {
  const body = fieldsOf(value);
  const phase = textOf(body["phase"]);
  const its = textOf(body["mode"]);
  return {
    id: textOf(body["id"]) ?? id,
    mode: its === "keep" || its === "stop" || its === "drain" ? its : mode,
    phase: phase === "completed" || phase === "failed" ? phase : "running",
    location: textOf(body["location"]),
    sizeBytes: numberOf(body["sizeBytes"]) ?? numberOf(body["totalBytes"]),
    formatVersion: numberOf(body["formatVersion"]),
    cutAtMs: numberOf(body["cutAtMs"]) ?? numberOf(body["triggeredAtMs"]),
    completedAtMs: numberOf(body["completedAtMs"]),
    failure: textOf(body["failure"]) ?? textOf(fieldsOf(body["failure"])["message"]),
  };
}
