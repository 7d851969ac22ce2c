// Checks plain JSON against the shape it must have, naming the place of what does not fit.
import { MillraceError } from "../../base/errors.ts";

/** A reader of one JSON value; `where` is its place, such as `operators.count.state[3]`. */
export type Shape<T> = (value: unknown, at: Place) => T;

export interface Place {
  readonly file: string;
  readonly where: string;
  /** What is thrown for a file that is no part of a snapshot; default the errors of snapshots. */
  readonly refuse?: (problem: string) => Error;
}

function misfit(at: Place, wanted: string, value: unknown): Error {
  const seen = value === undefined ? "is missing" : `is ${JSON.stringify(value)?.slice(0, 60)}`;
  const problem = `${at.where === "" ? "it" : at.where} ${seen}, not ${wanted}`;
  return (
    at.refuse?.(problem) ??
    new MillraceError("SNAPSHOT_CORRUPT", at.file, problem, "start from another snapshot; this file was not written by Millrace")
  );
}

const inside = (at: Place, name: string): Place => ({ ...at, where: at.where === "" ? name : `${at.where}.${name}` });

export const text: Shape<string> = (value, at) => {
  if (typeof value !== "string") throw misfit(at, "a string", value);
  return value;
};

export const count: Shape<number> = (value, at) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw misfit(at, "a whole number from 0", value);
  return value as number;
};

export function within(least: number, greatest: number): Shape<number> {
  return (value, at) => {
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > greatest)
      throw misfit(at, `a whole number from ${least} to ${greatest}`, value);
    return value as number;
  };
}

export const flag: Shape<boolean> = (value, at) => {
  if (typeof value !== "boolean") throw misfit(at, "true or false", value);
  return value;
};

export const number: Shape<number> = (value, at) => {
  if (!Number.isFinite(value)) throw misfit(at, "a number", value);
  return value as number;
};

export const numberOrNull: Shape<number | null> = (value, at) => {
  if (value !== null && typeof value !== "number") throw misfit(at, "a number or null", value);
  return value;
};

export const json: Shape<unknown> = (value) => value;

export function oneOf<const T extends string | number>(...allowed: readonly T[]): Shape<T> {
  return (value, at) => {
    if (!allowed.includes(value as T)) throw misfit(at, `one of ${allowed.join(", ")}`, value);
    return value as T;
  };
}

export function matching(pattern: RegExp, wanted: string): Shape<string> {
  return (value, at) => {
    if (typeof value !== "string" || !pattern.test(value)) throw misfit(at, wanted, value);
    return value;
  };
}

export function listOf<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw misfit(at, "a list", value);
    return value.map((entry, i) => shape(entry, { ...at, where: `${at.where}[${i}]` }));
  };
}

export function recordOf<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value, at) =>
    Object.fromEntries(Object.entries(members(value, at)).map(([name, entry]) => [name, shape(entry, inside(at, name))]));
}

type Shapes = Readonly<Record<string, Shape<unknown>>>;
type Values<S extends Shapes> = { readonly [K in keyof S]: S[K] extends Shape<infer T> ? T : never };

/** An object of exactly these members; another one is SNAPSHOT_FIELD_UNKNOWN. */
export function object<N extends Shapes>(needed: N): Shape<Values<N>> {
  return objectWith(needed, {});
}

/** An object of the members `needed` and any of `optional`; another one is SNAPSHOT_FIELD_UNKNOWN. */
export function objectWith<N extends Shapes, O extends Shapes>(needed: N, optional: O): Shape<Values<N> & Partial<Values<O>>> {
  return (value, at) => {
    const given = members(value, at);
    const result: Record<string, unknown> = {};
    for (const [name, shape] of Object.entries(needed)) {
      if (given[name] === undefined) throw misfit(inside(at, name), "there", undefined);
      result[name] = shape(given[name], inside(at, name));
    }
    for (const [name, shape] of Object.entries(optional)) {
      if (given[name] !== undefined) result[name] = shape(given[name], inside(at, name));
    }
    for (const name of Object.keys(given)) {
      if (Object.hasOwn(needed, name) || Object.hasOwn(optional, name)) continue;
      const problem = `it has the member ${inside(at, name).where}, which this Millrace does not know`;
      throw (
        at.refuse?.(problem) ??
        new MillraceError("SNAPSHOT_FIELD_UNKNOWN", at.file, problem, "use the Millrace version that wrote it, or a newer one")
      );
    }
    return result as Values<N> & Partial<Values<O>>;
  };
}

function members(value: unknown, at: Place): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw misfit(at, "an object", value);
  return value as Record<string, unknown>;
}

/** The JSON value in a file's content, checked; throws what `refuse` makes of the problem. */
export function parseShape<T>(shape: Shape<T>, content: Buffer | string, file: string, refuse: (problem: string) => Error): T {
  let value: unknown;
  try {
    value = JSON.parse(content.toString());
  } catch {
    throw refuse("it is no JSON");
  }
  return shape(value, { file, where: "", refuse });
}
