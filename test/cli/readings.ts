// Input of the command's tests, and what their job must make of it, computed plainly from the same records.
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Reading {
  readonly key: string;
  readonly value: number;
  readonly at: number;
}

const startMs = Date.UTC(2024, 0, 1);
const windowMs = 10_000;
const keys = 7;

/** Readings in the order of their time, 50 ms apart; `shift` tells the files of one input apart. */
export function readings(count: number, shift = 0): readonly Reading[] {
  return Array.from({ length: count }, (_, number) => ({
    key: `k${(number * 13 + shift * 3) % keys}`,
    value: ((number + shift) * 7919) % 1000,
    at: startMs + number * 50 + shift,
  }));
}

/** Writes one file of JSON lines per list; gives the folder. */
export function writeInput(folder: string, ...lists: readonly (readonly Reading[])[]): string {
  mkdirSync(folder, { recursive: true });
  for (const [number, list] of lists.entries()) addInput(folder, number, list);
  return folder;
}

/** Writes one file more; it comes whole into the folder, where a job may be reading. */
export function addInput(folder: string, number: number, list: readonly Reading[]): void {
  const file = `${folder}-part-${number}`;
  writeFileSync(file, list.map((reading) => `${JSON.stringify(reading)}\n`).join(""));
  renameSync(file, join(folder, `part-${number}.ndjson`));
}

/** One line per key and window, sorted: what the job must have written. */
export function expectedCounts(all: readonly Reading[]): readonly string[] {
  const sums = new Map<string, { n: number; total: number }>();
  for (const { key, value, at } of all) {
    const id = `${key} ${at - (at % windowMs)}`;
    const sum = sums.get(id) ?? { n: 0, total: 0 };
    sum.n++;
    sum.total += value;
    sums.set(id, sum);
  }
  return [...sums].map(([id, { n, total }]) => `${id} ${n} ${total}`).sort();
}

/** Every line of the files that a reader of the folder sees. */
export function outputLines(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/^[._]/.test(entry.name) && !/\/[._]/.test(entry.parentPath.slice(folder.length)))
    .flatMap((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8").split("\n").slice(0, -1));
}

/** The job's output in the form of `expectedCounts`; a row that is there twice is there twice here. */
export function seenCounts(folder: string): readonly string[] {
  return outputLines(folder)
    .map((line) => JSON.parse(line) as { key: string; windowStart: number | string; n: number; total: number })
    .map(({ key, windowStart, n, total }) => `${key} ${new Date(windowStart).getTime()} ${n} ${total}`)
    .sort();
}
