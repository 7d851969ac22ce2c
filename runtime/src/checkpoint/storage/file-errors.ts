// From the errors of the file system to those of snapshot storage.
import type { MillraceError } from "../../base/errors.ts";
import { objectMissing, storageDenied, storageFull, storageUnreachable } from "./storage-errors.ts";

export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** What went wrong, in the codes of the port; undefined for an error that no storage is to blame for. */
export function fileError(error: unknown, url: string, path: string): MillraceError | undefined {
  switch (systemCode(error)) {
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
      return objectMissing(url, path, error);
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return storageDenied(
        `${url}/${path}`,
        "the file system refuses access",
        "give this process's user read and write access to the folder",
        error,
      );
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return storageFull(url, error);
    case "EIO":
    case "ESTALE":
    case "ETIMEDOUT":
    case "EHOSTDOWN":
      return storageUnreachable(url, error, 0);
    default:
      return undefined;
  }
}

/** Runs `work` and rejects with the mapped error. */
export async function mapped<T>(url: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, url, path) ?? error;
  }
}
