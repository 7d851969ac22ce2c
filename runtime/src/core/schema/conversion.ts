// From a value of an older version of a field to one of today's: the widenings, or what stands against them.
import { defaultOf } from "../codec/json-value.ts";
import type { Decimal } from "./decimal.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "./type-spec.ts";

/** Converts a value that is neither null nor missing. */
export type Convert = (value: unknown) => unknown;

/** `convert` is undefined where values stay as they are. */
export type Conversion =
  | { readonly kind: "fits"; readonly convert: Convert | undefined }
  | { readonly kind: "misfit"; readonly path: string; readonly problem: string };

/** Where today's field finds its stored value: under its name, or an earlier one. */
export function storedNameOf(name: string, spec: FieldSpec, stored: RowSpec): string | undefined {
  return [name, ...spec.aliases].find((known) => Object.hasOwn(stored, known));
}

/** A type in words: `int64`, `decimal(10,2)`, `list of nullable string`. */
export function describeField(spec: FieldSpec): string {
  return `${spec.optional ? "optional " : ""}${spec.nullable ? "nullable " : ""}${describeType(spec.type)}`;
}

function describeType(type: TypeSpec): string {
  switch (type.kind) {
    case "int64":
      return type.as === "number" ? "int53" : "int64";
    case "decimal":
      return `decimal(${type.precision},${type.scale})`;
    case "enum":
      return `enum(${type.values.join("|")})`;
    case "timestamp":
      return `timestamp(${type.unit})`;
    case "list":
    case "map":
      return `${type.kind} of ${describeField(type.of)}`;
    default:
      return type.kind;
  }
}

const integerRanks: Readonly<Record<string, number>> = { int8: 0, int16: 1, int32: 2 };

function integerRank(type: TypeSpec): number {
  return type.kind === "int64" ? (type.as === "number" ? 3 : 4) : (integerRanks[type.kind] ?? -1);
}

const asIs: Conversion = { kind: "fits", convert: undefined };

/** Whether values of `stored` can become values of `today`, field and type; `path` names the field in messages. */
export function conversionOf(path: string, stored: FieldSpec, today: FieldSpec): Conversion {
  const misfit: Conversion = { kind: "misfit", path, problem: `was ${describeField(stored)} and is now ${describeField(today)}` };
  if (stored.nullable && !today.nullable) return misfit;
  if (stored.optional && !today.optional && today.default === undefined) return misfit;
  const inner = typeConversion(path, stored.type, today.type);
  return inner ?? misfit;
}

function typeConversion(path: string, from: TypeSpec, to: TypeSpec): Conversion | undefined {
  const fromRank = integerRank(from);
  const toRank = integerRank(to);
  if (fromRank >= 0 && toRank >= 0) {
    if (fromRank > toRank) return undefined;
    return toRank === 4 && fromRank < 4 ? { kind: "fits", convert: (value) => BigInt(value as number) } : asIs;
  }
  if (from.kind === "float32" && to.kind === "float64") return asIs;
  if (from.kind !== to.kind) return undefined;
  switch (to.kind) {
    case "decimal":
      return decimalConversion(from as typeof to, to);
    case "enum":
      return (from as typeof to).values.every((value) => to.values.includes(value)) ? asIs : undefined;
    case "timestamp":
      return (from as typeof to).unit === to.unit ? asIs : undefined;
    case "list":
      return within(
        conversionOf(`${path}[]`, (from as typeof to).of, to.of),
        (convert) => (value) => (value as readonly unknown[]).map(convert),
      );
    case "map":
      return within(
        conversionOf(`${path}{}`, (from as typeof to).of, to.of),
        (convert) => (value) => new Map([...(value as ReadonlyMap<string, unknown>)].map(([key, entry]) => [key, convert(entry)])),
      );
    case "struct":
      return structConversion(path, (from as typeof to).fields, to.fields);
    default:
      return asIs;
  }
}

function decimalConversion(from: TypeSpec & { kind: "decimal" }, to: TypeSpec & { kind: "decimal" }): Conversion | undefined {
  if (to.scale < from.scale || to.precision - to.scale < from.precision - from.scale) return undefined;
  return to.scale === from.scale ? asIs : { kind: "fits", convert: (value) => (value as Decimal).rescale(to.scale) };
}

// Elements may be null or missing where their field allows it; those stay as they are.
function within(of: Conversion, wrap: (convert: Convert) => Convert): Conversion {
  if (of.kind === "misfit" || of.convert === undefined) return of;
  const { convert } = of;
  return { kind: "fits", convert: wrap((value) => (value === null || value === undefined ? value : convert(value))) };
}

/** How a nested row of `stored` becomes one of `today`; also says what a top-level row lacks. */
export function structConversion(path: string, stored: RowSpec, today: RowSpec): Conversion {
  const parts: {
    readonly name: string;
    readonly from: string | undefined;
    readonly convert: Convert | undefined;
    readonly absent: unknown;
  }[] = [];
  let same = Object.keys(stored).every((name) => Object.hasOwn(today, name));
  for (const [name, spec] of Object.entries(today)) {
    const inner = path === "" ? name : `${path}.${name}`;
    const from = storedNameOf(name, spec, stored);
    const added = from === undefined ? addedConversion(inner, spec) : undefined;
    if (added?.kind === "misfit") return added;
    const conversion = from === undefined ? asIs : conversionOf(inner, stored[from] as FieldSpec, spec);
    if (conversion.kind === "misfit") return conversion;
    const absent = absentValue(inner, spec, from === undefined);
    if (from !== name || conversion.convert !== undefined || absent !== undefined) same = false;
    parts.push({ name, from, convert: conversion.convert, absent });
  }
  if (same) return asIs;
  return {
    kind: "fits",
    convert: (value) => {
      const old = value as Readonly<Record<string, unknown>>;
      const made: Record<string, unknown> = {};
      for (const { name, from, convert, absent } of parts) {
        const found = from === undefined ? undefined : old[from];
        const result = found === undefined ? absent : found === null || convert === undefined ? found : convert(found);
        if (result !== undefined) made[name] = result;
      }
      return made;
    },
  };
}

/** Whether a field may appear that no stored row has. */
export function addedConversion(path: string, spec: FieldSpec): Conversion {
  if (spec.optional || spec.nullable || spec.default !== undefined) return asIs;
  return { kind: "misfit", path, problem: `is new, ${describeField(spec)}, and has no default` };
}

/** What stands where a stored row has no value: the default; or for a new field, missing before null. */
export function absentValue(path: string, spec: FieldSpec, isNew: boolean): unknown {
  if (spec.default !== undefined) return defaultOf(path, spec);
  return isNew && !spec.optional && spec.nullable ? null : undefined;
}
