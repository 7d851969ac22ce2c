// Checks of user-given options that every connector shares: no unknown names, numbers within their range.
import { MillraceError } from "./errors.ts";

/** Throws OPTION_UNKNOWN for the first option of `given` that is not in `known`, so that a typing error is never ignored. */
export function refuseUnknownOptions(subject: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    throw new MillraceError("OPTION_UNKNOWN", `${subject} option "${name}"`, "is not known", `use one of ${known.join(", ")}`);
  }
}

/** The value, or `fallback` where it is undefined; throws OPTION_INVALID unless it is an integer within `[least, most]`. */
export function integerOption(
  subject: string,
  name: string,
  value: number | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  const chosen = value ?? fallback;
  if (Number.isInteger(chosen) && chosen >= least && chosen <= most) return chosen;
  if (chosen === Number.POSITIVE_INFINITY && most === Number.POSITIVE_INFINITY) return chosen;
  throw new MillraceError(
    "OPTION_INVALID",
    `${subject} option "${name}"`,
    `${chosen} is not usable`,
    `give a whole number from ${least} to ${most}`,
  );
}

/** The value, or `fallback` where it is undefined; throws OPTION_INVALID unless it is above zero (Infinity is). */
export function positiveOption(subject: string, name: string, value: number | undefined, fallback: number): number {
  const chosen = value ?? fallback;
  if (chosen > 0) return chosen;
  throw new MillraceError("OPTION_INVALID", `${subject} option "${name}"`, `${chosen} is not usable`, "give a number above 0");
}
