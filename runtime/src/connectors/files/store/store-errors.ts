// Failures of disks and servers in words: the codes that the files connectors use.
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";

export function pathMissing(path: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "FILES_PATH_MISSING",
    path,
    "does not exist",
    "check the path; it is taken from the directory where the job runs",
    { cause },
  );
}

export function denied(path: string, cause: unknown): MillraceError {
  return new MillraceError("FILES_DENIED", path, `may not be opened: ${messageOf(cause)}`, "give the process the right to it", { cause });
}

export function changed(path: string, problem: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "FILES_CHANGED",
    path,
    problem,
    "write new files under new names; to read it anew, start without the old positions",
    { cause },
  );
}

export function corrupt(path: string, problem: string, cause?: unknown): MillraceError {
  return new MillraceError("FILES_CORRUPT", path, problem, "replace the file by a whole one, or take it away", { cause });
}

/** From an error of `node:fs`. */
export function localError(path: string, error: unknown, doing: "read" | "write"): MillraceError {
  if (isMillraceError(error)) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT" || code === "ENOTDIR") return pathMissing(path, error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return denied(path, error);
  if (doing === "read") {
    return new MillraceError("FILES_READ_FAILED", path, `cannot be read: ${messageOf(error)}`, "check the disk and the file", {
      cause: error,
    });
  }
  const next = code === "ENOSPC" || code === "EDQUOT" ? "free some space" : "check the disk and the directory";
  return new MillraceError("FILES_WRITE_FAILED", path, `cannot be written: ${messageOf(error)}`, next, { cause: error });
}
