// Sizes as people write them: `256Mi`, `1 GB`, or bytes as a number.
import { MillraceError } from "./errors.ts";

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  ki: 1024,
  kib: 1024,
  m: 1e6,
  mb: 1e6,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1e9,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1e12,
  ti: 1024 ** 4,
};

/** Bytes of a size; throws OPTION_INVALID naming `option` for anything that is not one. */
export function parseSize(value: number | string, option: string): number {
  if (typeof value === "number" && value >= 0) return Math.floor(value);
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(String(value));
  const unit = match === null ? undefined : units[(match[2] as string).toLowerCase()];
  if (match === null || unit === undefined) {
    throw new MillraceError(
      "OPTION_INVALID",
      `option ${option}`,
      `"${value}" is not a size`,
      'give bytes or text such as "256Mi" or "1 GB"',
    );
  }
  return Math.floor(Number(match[1]) * unit);
}

/** Bytes for people: `1.5 MiB`. */
export function formatSize(bytes: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < names.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${names[unit]}`;
}
