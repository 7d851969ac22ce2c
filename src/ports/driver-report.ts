// What a driver says of itself, checked at the edge: a field that is not what it must be counts as not there.
import type { BatchReport, DriverReport, DriverState } from "./driver-client.ts";

type Fields = Readonly<Record<string, unknown>>;

const states: ReadonlySet<string> = new Set(["created", "running", "stopping", "finished", "stopped", "failed"]);
const fieldsOf = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const numberOf = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined);

/** From the bodies of `/v1/query` and `/v1/job`. */
export function driverReport(query: unknown, job: unknown, run: number): DriverReport {
  const body = fieldsOf(query);
  const more = fieldsOf(job);
  const state = textOf(body["state"]) ?? "";
  const savepoint = fieldsOf(body["savepoint"]);
  const [id, location] = [textOf(savepoint["id"]), textOf(savepoint["location"])];
  return {
    run: numberOf(body["run"]) ?? run,
    state: states.has(state) ? (state as DriverState) : "created",
    batch: parseBatch(fieldsOf(body["lastProgress"]), fieldsOf(body["lastCheckpoint"])),
    idle: typeof body["idle"] === "boolean" ? body["idle"] : undefined,
    triggerMs: numberOf(body["triggerMs"]),
    runningSinceMs: numberOf(body["runningSinceMs"]) ?? numberOf(more["runningSinceMs"]),
    lastFailure: textOf(body["lastFailure"]),
    failureIsFinal: body["failureIsFinal"] === true,
    restoredFrom: textOf(body["restoredFrom"]),
    savepoint: id === undefined || location === undefined ? undefined : { id, location },
  };
}

function parseBatch(progress: Fields, checkpoint: Fields): BatchReport | undefined {
  const id = numberOf(progress["batchId"]);
  if (id === undefined) return undefined;
  const sources = Array.isArray(progress["sources"]) ? progress["sources"].map(fieldsOf) : [];
  const backlogs = sources.map((source) => numberOf(source["backlog"])).filter((one): one is number => one !== undefined);
  const startedMs = Date.parse(textOf(progress["timestamp"]) ?? "");
  const durationMs = numberOf(progress["batchDuration"]);
  const completedAtMs = numberOf(checkpoint["completedAtMs"]) ?? (Number.isNaN(startedMs) ? undefined : startedMs + (durationMs ?? 0));
  return {
    id,
    completedAtMs,
    durationMs,
    inputRows: numberOf(progress["numInputRows"]),
    inputRowsPerSecond: numberOf(progress["inputRowsPerSecond"]),
    backlog: backlogs.length === 0 ? undefined : backlogs.reduce((sum, one) => sum + one, 0),
    watermark: textOf(fieldsOf(progress["eventTime"])["watermark"]),
  };
}
