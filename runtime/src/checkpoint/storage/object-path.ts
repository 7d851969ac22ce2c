// The names of stored objects: checked once, so that no path leaves the storage's root or meets a storage's own files.
import { assert } from "../../base/errors.ts";

const part = /^[A-Za-z0-9_][A-Za-z0-9_.=-]{0,199}$/;
const maxPathLength = 700;

/** Throws unless `path` is a valid object path: a programmer's error, since people's names are encoded before they get here. */
export function checkObjectPath(path: string): void {
  assert(path.length <= maxPathLength && path.split("/").every((one) => part.test(one)), `"${path}" is an object path`);
}

/** True for text that may be one part of an object path. */
export function isPathPart(text: string): boolean {
  return part.test(text);
}

/** Orders paths by their UTF-8 bytes; they are ASCII, so code units do. */
export function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
