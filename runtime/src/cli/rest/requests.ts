// Reads the bodies and queries of requests; throws REQUEST_INVALID with what is wrong.
import { MillraceError } from "../../base/errors.ts";
import { parseDuration } from "../../base/duration.ts";
import type { SavepointMode } from "../../drivers/continuous/job-run.ts";
import type { RescaleChange } from "./job-control.ts";

const modes: ReadonlySet<string> = new Set(["keep", "stop", "drain"]);
const idPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const maxWaitMs = 300_000;
const maxProfileMs = 60_000;

export function requestInvalid(subject: string, problem: string, next: string): MillraceError {
  return new MillraceError("REQUEST_INVALID", subject, problem, next);
}

export function savepointRequest(body: unknown): { readonly id: string; readonly mode: SavepointMode } {
  const { id, mode = "keep" } = fields(body);
  if (typeof id !== "string" || !idPattern.test(id) || typeof mode !== "string" || !modes.has(mode)) {
    throw requestInvalid(
      "POST /v1/savepoints",
      "the body is not { id, mode }",
      "give an id of letters, digits, dots and dashes, and mode keep, stop or drain",
    );
  }
  return { id, mode: mode as SavepointMode };
}

export function rescaleRequest(body: unknown): RescaleChange {
  const { parallelism, vertices } = fields(body);
  const isCount = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value > 0;
  const perVertex = vertices === undefined ? {} : fields(vertices);
  const good = (parallelism === undefined || isCount(parallelism)) && Object.values(perVertex).every(isCount);
  if (!good || (parallelism === undefined && Object.keys(perVertex).length === 0)) {
    throw requestInvalid(
      "PATCH /v1/job",
      "the body is not { parallelism } or { vertices: { uid: parallelism } }",
      "give positive whole numbers",
    );
  }
  return {
    ...(isCount(parallelism) ? { job: parallelism } : {}),
    ...(vertices === undefined ? {} : { vertices: perVertex as Readonly<Record<string, number>> }),
  };
}

/** How long a request may wait for what it asks for, ms. */
export function waitOf(query: string | undefined): number {
  return query === undefined ? 0 : Math.min(maxWaitMs, durationOf("wait", query));
}

export function profileDuration(query: string | undefined): number {
  const durationMs = query === undefined ? 5000 : durationOf("duration", query);
  if (durationMs < 100 || durationMs > maxProfileMs)
    throw requestInvalid("duration", `${durationMs} ms is out of range`, "give 100 ms to 60 s");
  return durationMs;
}

export function slotOf(text: string): number {
  const slot = Number(text);
  if (!Number.isInteger(slot) || slot < 0) throw requestInvalid(`slot "${text}"`, "is no slot's number", "see /v1/job for them");
  return slot;
}

function durationOf(name: string, text: string): number {
  try {
    return parseDuration(/^\d+$/.test(text) ? Number(text) : text, name);
  } catch {
    throw requestInvalid(name, `"${text}" is no duration`, 'write it like "30s" or as milliseconds');
  }
}

function fields(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === "object" && body !== null && !Array.isArray(body) ? (body as Readonly<Record<string, unknown>>) : {};
}
