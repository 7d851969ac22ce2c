// The errors of snapshot storage, in one wording for every kind of it.
import { MillraceError, messageOf } from "../../base/errors.ts";

export function objectMissing(url: string, path: string, cause?: unknown): MillraceError {
  return new MillraceError("OBJECT_MISSING", `${url}/${path}`, "does not exist", "check the path, and that nothing else deletes there", {
    cause,
  });
}

export function objectConflict(url: string, path: string, cause?: unknown): MillraceError {
  return new MillraceError("OBJECT_CONFLICT", `${url}/${path}`, "was written by somebody else meanwhile", "read it again and decide anew", {
    cause,
  });
}

export function storageUnreachable(url: string, cause: unknown, waitedMs: number): MillraceError {
  return new MillraceError(
    "STORAGE_UNREACHABLE",
    url,
    `gave no answer within ${Math.round(waitedMs)} ms (${messageOf(cause)})`,
    "check the endpoint, the network and the storage's health",
    { cause },
  );
}

export function storageDenied(url: string, problem: string, next: string, cause: unknown): MillraceError {
  return new MillraceError("STORAGE_DENIED", url, problem, next, { cause });
}

export function storageMissing(url: string, what: string, next: string, cause?: unknown): MillraceError {
  return new MillraceError("STORAGE_MISSING", url, what, next, { cause });
}

export function storageFull(url: string, cause: unknown): MillraceError {
  return new MillraceError(
    "STORAGE_FULL",
    url,
    `has no room left (${messageOf(cause)})`,
    "free space or raise the quota; the last snapshot stays usable",
    { cause },
  );
}
