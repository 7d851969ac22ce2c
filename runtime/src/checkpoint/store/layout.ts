// Where things are in a job's folder.
import { manifestName } from "../format/manifest.ts";

export const committedName = "committed";
export const dataFolder = "data/";
export const savepointFolder = "savepoints/";
/** What became of savepoints, by the id that their client gave: for clients that died before they heard. */
export const savepointResultFolder = "savepoint-results/";

export function checkpointFolder(checkpointId: number): string {
  return `chk-${checkpointId}/`;
}

export function manifestPath(folder: string): string {
  return `${folder}${manifestName}`;
}

/** The checkpoint's id when `name` is a checkpoint's folder, without a slash. */
export function checkpointIdOf(name: string): number | undefined {
  const match = /^chk-(\d{1,15})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** `../data/x` seen from `chk-7/` is `data/x`; from `savepoints/a/`, `y` is `savepoints/a/y`. Both are relative to the same folder. */
export function resolveFrom(folder: string, path: string): string {
  const parts = folder.split("/").filter((part) => part !== "");
  let rest = path;
  while (rest.startsWith("../")) {
    parts.pop();
    rest = rest.slice(3);
  }
  return [...parts, rest].join("/");
}
