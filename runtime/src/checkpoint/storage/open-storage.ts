// From a URL to the storage behind it.
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { systemClock, type Clock } from "../../base/clock.ts";
import { MillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { openFileStorage } from "./file-storage.ts";
import { isPathPart } from "./object-path.ts";
import { connectS3, type S3Options } from "./s3-client.ts";
import { openS3Storage } from "./s3-storage.ts";

export interface StorageOptions {
  /** How long one operation is tried before STORAGE_UNREACHABLE, ms. Default 30,000. */
  readonly deadlineMs?: number;
  readonly s3?: S3Options & {
    /** Size of the parts of big objects. Default 8 MiB, least 5 MiB. */
    readonly partBytes?: number;
  };
  /** For reading: a folder that is not there is STORAGE_MISSING instead of being made. Default false. */
  readonly mustExist?: boolean;
  readonly clock?: Clock;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens `file:///folder` (or a path) or `s3://bucket/prefix` and checks that it can be reached. Rejects with OPTION_INVALID,
 * STORAGE_MISSING, STORAGE_DENIED, STORAGE_UNREACHABLE or DEPENDENCY_MISSING.
 */
export async function openStorage(url: string, options: StorageOptions = {}): Promise<SnapshotStorage> {
  const { deadlineMs = 30_000, mustExist = false, clock = systemClock, env = process.env } = options;
  const clean = normalizeStorageUrl(url);
  if (clean.startsWith("file:")) {
    return openFileStorage(clean, resolve(fileURLToPath(clean)), { mustExist, deadlineMs, clock });
  }
  const [bucket = "", ...rest] = clean.slice("s3://".length).split("/");
  const { partBytes = 8 * 1024 * 1024, ...s3 } = options.s3 ?? {};
  const prefix = rest.join("/");
  return openS3Storage(clean, await connectS3(s3, env), { bucket, prefix, deadlineMs, partBytes, clock });
}

/** The URL in its one form: no slash at its end, paths made absolute. Throws OPTION_INVALID for what is no storage. */
export function normalizeStorageUrl(url: string): string {
  const invalid = (problem: string): MillraceError =>
    new MillraceError("OPTION_INVALID", `storage "${url}"`, problem, "give file:///folder or s3://bucket/prefix");
  if (url === "") throw invalid("is empty");
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return pathToFileURL(resolve(url)).href.replace(/\/+$/, "");
  if (scheme === "file") {
    let path: string;
    try {
      path = fileURLToPath(url);
    } catch {
      throw invalid("is not a file URL of this machine");
    }
    return pathToFileURL(resolve(path)).href.replace(/\/+$/, "");
  }
  if (scheme !== "s3") throw invalid(`has the unknown scheme ${scheme}`);
  const parts = url
    .slice("s3://".length)
    .split("/")
    .filter((part) => part !== "");
  if (!url.startsWith("s3://") || parts.length === 0) throw invalid("names no bucket");
  const odd = parts.slice(1).find((part) => !isPathPart(part));
  if (odd !== undefined) throw invalid(`has the part "${odd}", which is not made of letters, digits and . _ - =`);
  return `s3://${parts.join("/")}`;
}

/** The URL of the folder that `url` is in, and the last part of its path. */
export function splitStorageUrl(url: string): { readonly parent: string; readonly name: string } {
  const clean = normalizeStorageUrl(url);
  const at = clean.lastIndexOf("/");
  const parent = clean.slice(0, at);
  if (parent === "s3:/" || parent === "file://") {
    throw new MillraceError(
      "OPTION_INVALID",
      `snapshot "${url}"`,
      "names a whole storage",
      "give the folder of one snapshot, such as .../savepoints/before-upgrade",
    );
  }
  return { parent, name: decodeURIComponent(clean.slice(at + 1)) };
}
