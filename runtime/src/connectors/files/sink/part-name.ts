// Names of the files that the sink writes: by job, uid, instance, checkpoint and number, and a mark of the run, so that no restart overwrites.
import type { Owner } from "./output-store.ts";

export interface PartName extends Owner {
  /** The checkpoint before the file was begun; 0 before the first one. */
  readonly afterCheckpoint: number;
  readonly number: number;
  /** Of this run of the instance: checkpoint ids may come again after a restart. */
  readonly run: string;
  /** With its dot. */
  readonly ending: string;
}

// Parts are joined by dots, so they have none; the first character keeps the file from being a hidden one.
export function safePart(text: string): string {
  return text
    .replace(/[^A-Za-z0-9-]/g, (character) => (character === "_" ? "_" : `~${character.codePointAt(0)?.toString(16)}`))
    .replace(/^_/, "~5f");
}

/** `flights.hourly.0.000003.00001.1f2e3d4c.ndjson` */
export function partName({ jobName, uid, subtask, afterCheckpoint, number, run, ending }: PartName): string {
  const order = `${String(afterCheckpoint).padStart(6, "0")}.${String(number).padStart(5, "0")}`;
  return `${safePart(jobName)}.${safePart(uid)}.${subtask}.${order}.${run}${ending}`;
}

/** The instance that a file of this job and uid belongs to; undefined for files of others. */
export function subtaskOf(name: string, owner: Pick<Owner, "jobName" | "uid">): number | undefined {
  const [jobName, uid, subtask, , , run] = name.split(".");
  if (jobName !== safePart(owner.jobName) || uid !== safePart(owner.uid) || run === undefined || !/^\d+$/.test(subtask ?? ""))
    return undefined;
  return Number(subtask);
}
