// A schema as Parquet has it, and values in the form that the Parquet writer takes.
import type { SchemaElement } from "hyparquet";
import { toJson } from "../../../core/codec/json-value.ts";
import type { Decimal } from "../../../core/schema/decimal.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../../core/schema/type-spec.ts";

/** How a column is written: its description, and what each value becomes. */
export interface ParquetColumn {
  readonly field: SchemaField;
  readonly name: string;
  readonly toStored: (value: unknown) => unknown;
  /** The writer's dictionaries take 0 and -0 for the same value, so columns with floating-point numbers have none. */
  readonly plain: boolean;
  /** No value is ever absent. */
  readonly required: boolean;
  /** What the column can be collected as. */
  readonly form: "bigints" | "numbers" | "values";
}

/** The columns of a schema, and their descriptions below a root. */
export function parquetColumns(schema: Schema): { readonly columns: readonly ParquetColumn[]; readonly elements: SchemaElement[] } {
  const columns = schema.fields.map((field) => {
    const name = field.spec.wireName ?? field.name;
    const elements = elementsOf(name, field.spec);
    const plain = elements.some((element) => element.type === "FLOAT" || element.type === "DOUBLE");
    const required = !field.spec.nullable && !field.spec.optional;
    return { field, name, elements, toStored: storedOf(field.spec), plain, required, form: formOf(field.spec, required) };
  });
  const root: SchemaElement = { name: "root", num_children: columns.length };
  return { columns, elements: [root, ...columns.flatMap((column) => column.elements)] };
}

function formOf({ type }: FieldSpec, required: boolean): ParquetColumn["form"] {
  if (!required) return "values";
  switch (type.kind) {
    case "int64":
    case "timestamp":
      return "bigints";
    case "int8":
    case "int16":
    case "int32":
    case "float32":
    case "float64":
    case "date":
      return "numbers";
    default:
      return "values";
  }
}

const isoUnits = { s: undefined, ms: "MILLIS", us: "MICROS", ns: "NANOS" } as const;

function elementsOf(name: string, spec: FieldSpec): SchemaElement[] {
  const repetition = spec.nullable || spec.optional ? "OPTIONAL" : "REQUIRED";
  const leaf = (element: Omit<SchemaElement, "name" | "repetition_type">): SchemaElement[] => [
    { ...element, name, repetition_type: repetition },
  ];
  const type = spec.type;
  switch (type.kind) {
    case "boolean":
      return leaf({ type: "BOOLEAN" });
    case "int8":
      return leaf({ type: "INT32", converted_type: "INT_8" });
    case "int16":
      return leaf({ type: "INT32", converted_type: "INT_16" });
    case "int32":
      return leaf({ type: "INT32" });
    case "int64":
      return leaf({ type: "INT64" });
    case "float32":
      return leaf({ type: "FLOAT" });
    case "float64":
      return leaf({ type: "DOUBLE" });
    case "decimal":
      return type.precision <= 18
        ? leaf({ type: "INT64", converted_type: "DECIMAL", precision: type.precision, scale: type.scale })
        : leaf({
            type: "FIXED_LEN_BYTE_ARRAY",
            type_length: decimalBytes(type.precision),
            converted_type: "DECIMAL",
            precision: type.precision,
            scale: type.scale,
          });
    case "string":
    case "enum":
      return leaf({ type: "BYTE_ARRAY", converted_type: "UTF8" });
    case "bytes":
      return leaf({ type: "BYTE_ARRAY" });
    case "timestamp": {
      // Parquet knows no instants in seconds: they are written in milliseconds.
      const unit = isoUnits[type.unit] ?? "MILLIS";
      return leaf({ type: "INT64", logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit } });
    }
    case "date":
      return leaf({ type: "INT32", converted_type: "DATE" });
    case "any":
      return leaf({ type: "BYTE_ARRAY", converted_type: "JSON" });
    case "list":
      return [
        { name, repetition_type: repetition, num_children: 1, converted_type: "LIST" },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        ...elementsOf("element", type.of),
      ];
    case "map":
      return [
        { name, repetition_type: repetition, num_children: 1, converted_type: "MAP" },
        { name: "key_value", repetition_type: "REPEATED", num_children: 2 },
        { name: "key", repetition_type: "REQUIRED", type: "BYTE_ARRAY", converted_type: "UTF8" },
        ...elementsOf("value", type.of),
      ];
    case "struct": {
      const children = Object.entries(type.fields).map(([child, childSpec]) => elementsOf(childSpec.wireName ?? child, childSpec));
      return [{ name, repetition_type: repetition, num_children: children.length }, ...children.flat()];
    }
  }
}

/** How many bytes hold every unscaled value of so many digits. */
function decimalBytes(precision: number): number {
  return Math.ceil((precision * Math.log2(10) + 1) / 8);
}

function storedOf(spec: FieldSpec): (value: unknown) => unknown {
  const type = spec.type;
  switch (type.kind) {
    case "int64":
      return (value) => BigInt(value as number | bigint);
    case "decimal":
      return (value) => (value as Decimal).rescale(type.scale).unscaled;
    case "timestamp":
      return type.unit === "s" ? (value) => BigInt(value as number) * 1000n : (value) => BigInt(value as number | bigint);
    case "any":
      return (value) => toJson(spec, value);
    case "list": {
      const convert = storedOf(type.of);
      return (value) => (value as readonly unknown[]).map((entry) => absentOr(entry, convert));
    }
    case "map": {
      const convert = storedOf(type.of);
      return (value) => [...(value as ReadonlyMap<string, unknown>)].map(([key, entry]) => ({ key, value: absentOr(entry, convert) }));
    }
    case "struct":
      return structStored(type.fields);
    default:
      return (value) => value;
  }
}

function structStored(fields: RowSpec): (value: unknown) => unknown {
  const parts = Object.entries(fields).map(([name, spec]) => ({ name, stored: spec.wireName ?? name, convert: storedOf(spec) }));
  return (value) => {
    const row = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(parts.map(({ name, stored, convert }) => [stored, absentOr(row[name], convert)]));
  };
}

function absentOr(value: unknown, convert: (value: unknown) => unknown): unknown {
  return value === null || value === undefined ? null : convert(value);
}
