// Where files are: a path, directory or glob, on this machine or in an S3 bucket.
import { isAbsolute, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import picomatch from "picomatch";
import { MillraceError } from "../../../base/errors.ts";

export interface Location {
  readonly kind: "local" | "s3";
  /** What the user wrote. */
  readonly text: string;
  /** The bucket; empty for local files. */
  readonly bucket: string;
  /** The file or the directory to begin at; for S3 a key or the part of one before its first wildcard. Ends without a slash. */
  readonly base: string;
  /** True for names below `base`, with `/` between parts; undefined where there was no wildcard. */
  readonly matches: ((name: string) => boolean) | undefined;
}

const s3Url = /^s3:\/\/([^/]+)(?:\/(.*))?$/;
/** Names that readers leave out: output that is not finished, marker files. */
const hiddenPart = /^[._]/;

/** Parses `data/*.ndjson`, `file:///data/`, `s3://bucket/logs/**`. Throws OPTION_INVALID for an empty path or another scheme. */
export function parseLocation(text: string): Location {
  const s3 = s3Url.exec(text);
  if (s3 !== null) return split(text, "s3", s3[1] as string, s3[2] ?? "");
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text) && !text.startsWith("file://")) {
    throw new MillraceError(
      "OPTION_INVALID",
      `path "${text}"`,
      "is neither a local path nor an s3:// URL",
      "use a path, file:///path or s3://bucket/prefix",
    );
  }
  if (text.trim() === "") throw new MillraceError("OPTION_INVALID", "files path", "is empty", "give a file, a directory or a glob");
  return split(text, "local", "", text.startsWith("file://") ? fileURLToPath(text) : text);
}

function split(text: string, kind: "local" | "s3", bucket: string, path: string): Location {
  const scan = picomatch.scan(path);
  const trimmed = (value: string): string => (value.length > 1 && value.endsWith("/") ? value.slice(0, -1) : value);
  if (!scan.isGlob) return { kind, text, bucket, base: trimmed(path), matches: undefined };
  const base = scan.base === "" ? (kind === "local" ? "." : "") : scan.base;
  return { kind, text, bucket, base: trimmed(base), matches: picomatch(scan.glob, { dot: false }) };
}

/** True for files that are not to be read: a part of their name begins with a dot or an underscore. */
export function isHidden(name: string): boolean {
  return name.split("/").some((part) => hiddenPart.test(part));
}

/** The path of `name` below a local base. */
export function below(base: string, name: string): string {
  return base === "." && !isAbsolute(name) ? name : join(base, name);
}

/** The key of `name` below a prefix. */
export function keyBelow(base: string, name: string): string {
  return base === "" ? name : posix.join(base, name);
}
