// From the answers of an API server to the reasons that the operator acts on.
import { ClusterError, type ClusterErrorReason } from "../ports/cluster-error.ts";

interface ApiStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string }[]; readonly retryAfterSeconds?: number };
}

export function apiError(subject: string, statusCode: number, body: string, retryAfter: string | null): ClusterError {
  const status = parse(body);
  const message = status.message ?? (body.trim().slice(0, 300) || `HTTP ${statusCode}`);
  const seconds = Number(retryAfter ?? status.details?.retryAfterSeconds ?? Number.NaN);
  return new ClusterError(reasonOf(statusCode, status), subject, message, Number.isFinite(seconds) ? { retryAfterMs: seconds * 1000 } : {});
}

function reasonOf(statusCode: number, { reason, details }: ApiStatus): ClusterErrorReason {
  if (details?.causes?.some((cause) => cause.reason === "NamespaceTerminating") === true) return "terminating";
  switch (statusCode) {
    case 404:
      return "missing";
    case 409:
      return reason === "AlreadyExists" ? "exists" : "conflict";
    case 410:
      return "expired";
    case 429:
      return "throttled";
    case 401:
    case 403:
      return "forbidden";
    case 400:
    case 405:
    case 413:
    case 415:
    case 422:
      return "invalid";
    default:
      return "unavailable";
  }
}

function parse(body: string): ApiStatus {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as ApiStatus) : {};
  } catch {
    return {};
  }
}
