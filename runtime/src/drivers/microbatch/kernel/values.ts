// Single values between rows and the kernel: decimals, bytes and nested ones, which have no form as blocks of memory.
import type { DuckDBValue } from "@duckdb/node-api";
import { Decimal } from "../../../core/schema/decimal.ts";
import type { FieldSpec } from "../../../core/schema/type-spec.ts";
import type { DuckDbApi } from "./duckdb.ts";

const usPer = { s: 1_000_000n, ms: 1000n, us: 1n, ns: 1n } as const;

/** A value of a field as the kernel takes it. */
export function toDuckValue(api: DuckDbApi, spec: FieldSpec, value: unknown): DuckDBValue {
  if (value === null || value === undefined) return null;
  const { type } = spec;
  switch (type.kind) {
    case "boolean":
    case "string":
    case "enum":
    case "int8":
    case "int16":
    case "int32":
    case "float32":
    case "float64":
      return value as DuckDBValue;
    case "int64":
      return BigInt(value as number | bigint);
    case "date":
      return api.dateValue(value as number);
    case "timestamp":
      if (type.unit === "ns") return new api.DuckDBTimestampNanosecondsValue(value as bigint);
      return api.timestampValue(BigInt(value as number) * usPer[type.unit]);
    case "decimal": {
      const { unscaled } = (value as Decimal).rescale(type.scale);
      return api.decimalValue(unscaled, type.precision, type.scale);
    }
    case "bytes":
      return api.blobValue(value as Uint8Array);
    case "list":
      return api.listValue((value as readonly unknown[]).map((item) => toDuckValue(api, type.of, item)));
    case "map":
      return api.mapValue(
        [...(value as ReadonlyMap<string, unknown>)].map(([key, item]) => ({ key, value: toDuckValue(api, type.of, item) })),
      );
    case "struct":
      return api.structValue(
        Object.fromEntries(
          Object.entries(type.fields).map(([name, field]) => [name, toDuckValue(api, field, (value as Record<string, unknown>)[name])]),
        ),
      );
    case "any":
      throw new Error("assertion failed: a column without a type was loaded into the kernel");
  }
}

/** What the kernel gives as a value of a field. */
export function fromDuckValue(spec: FieldSpec, value: DuckDBValue): unknown {
  if (value === null) return null;
  const { type } = spec;
  switch (type.kind) {
    case "boolean":
    case "string":
    case "enum":
    case "float32":
    case "float64":
      return value;
    case "int8":
    case "int16":
    case "int32":
      return Number(value);
    case "int64":
      return type.as === "bigint" ? BigInt(value as bigint) : Number(value);
    case "date":
      return (value as { readonly days: number }).days;
    case "timestamp":
      if (type.unit === "ns") return (value as { readonly nanos: bigint }).nanos;
      return Number((value as { readonly micros: bigint }).micros / usPer[type.unit]);
    case "decimal": {
      if (typeof value === "bigint") return new Decimal(value, 0).rescale(type.scale);
      const { value: unscaled, scale } = value as { readonly value: bigint; readonly scale: number };
      return new Decimal(unscaled, scale).rescale(type.scale);
    }
    case "bytes":
      return Uint8Array.from((value as { readonly bytes: Uint8Array }).bytes);
    case "list":
      return (value as { readonly items: readonly DuckDBValue[] }).items.map((item) => fromDuckValue(type.of, item));
    case "map":
      return new Map(
        (value as { readonly entries: readonly { readonly key: DuckDBValue; readonly value: DuckDBValue }[] }).entries.map((entry) => [
          String(entry.key),
          fromDuckValue(type.of, entry.value),
        ]),
      );
    case "struct": {
      const { entries } = value as { readonly entries: Readonly<Record<string, DuckDBValue>> };
      return Object.fromEntries(Object.entries(type.fields).map(([name, field]) => [name, fromDuckValue(field, entries[name] ?? null)]));
    }
    case "any":
      return value;
  }
}
