// Between field types and SQL types: what a column of rows is in the relational kernel, and what comes back.
import { MillraceError } from "../../base/errors.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The SQL type of a field. Instants of any unit are TIMESTAMP (microseconds), nanoseconds TIMESTAMP_NS. */
export function sqlTypeOf(type: TypeSpec, name: string): string {
  switch (type.kind) {
    case "boolean":
      return "BOOLEAN";
    case "int8":
      return "TINYINT";
    case "int16":
      return "SMALLINT";
    case "int32":
      return "INTEGER";
    case "int64":
      return "BIGINT";
    case "float32":
      return "FLOAT";
    case "float64":
      return "DOUBLE";
    case "decimal":
      return `DECIMAL(${type.precision},${type.scale})`;
    case "string":
    case "enum":
      return "VARCHAR";
    case "bytes":
      return "BLOB";
    case "timestamp":
      return type.unit === "ns" ? "TIMESTAMP_NS" : "TIMESTAMP";
    case "date":
      return "DATE";
    case "list":
      return `${sqlTypeOf(type.of.type, name)}[]`;
    case "map":
      return `MAP(VARCHAR, ${sqlTypeOf(type.of.type, name)})`;
    case "struct":
      return `STRUCT(${Object.entries(type.fields)
        .map(([field, spec]) => `${quoted(field)} ${sqlTypeOf(spec.type, name)}`)
        .join(", ")})`;
    case "any":
      throw new MillraceError(
        "DATAFRAME_TYPE",
        `column "${name}"`,
        "has no declared type, so SQL cannot compute with it",
        "declare the field's type in the schema, or leave the column out with select",
      );
  }
}

const simple: Readonly<Record<string, TypeSpec>> = {
  BOOLEAN: { kind: "boolean" },
  TINYINT: { kind: "int8" },
  SMALLINT: { kind: "int16" },
  UTINYINT: { kind: "int16" },
  INTEGER: { kind: "int32" },
  USMALLINT: { kind: "int32" },
  UINTEGER: { kind: "int64", as: "number" },
  BIGINT: { kind: "int64", as: "number" },
  FLOAT: { kind: "float32" },
  DOUBLE: { kind: "float64" },
  VARCHAR: { kind: "string" },
  UUID: { kind: "string" },
  JSON: { kind: "string" },
  BLOB: { kind: "bytes" },
  TIMESTAMP: { kind: "timestamp", unit: "ms", text: "number" },
  TIMESTAMP_S: { kind: "timestamp", unit: "ms", text: "number" },
  TIMESTAMP_MS: { kind: "timestamp", unit: "ms", text: "number" },
  "TIMESTAMP WITH TIME ZONE": { kind: "timestamp", unit: "ms", text: "number" },
  TIMESTAMP_NS: { kind: "timestamp", unit: "ns", text: "number" },
  DATE: { kind: "date" },
  '"NULL"': { kind: "int32" },
  NULL: { kind: "int32" },
};

const nullable = (type: TypeSpec): FieldSpec => ({ type, nullable: true, optional: false, aliases: [] });

/** The field type of a SQL type; throws DATAFRAME_TYPE for one that rows have no form of. */
export function typeOfSql(sql: string, name: string): TypeSpec {
  const text = sql.trim();
  const found = simple[text];
  if (found !== undefined) return found;
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(text);
  if (decimal !== null) return { kind: "decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  // Sums of integers and 64-bit products: exact as decimals of no fraction.
  if (text === "HUGEINT" || text === "UBIGINT" || text === "UHUGEINT") return { kind: "decimal", precision: 38, scale: 0 };
  if (text.startsWith("ENUM(")) return { kind: "string" };
  if (text.endsWith("[]")) return { kind: "list", of: nullable(typeOfSql(text.slice(0, -2), name)) };
  const parts = partsOfType(text);
  if (parts !== undefined && text.startsWith("STRUCT(")) {
    const fields: Record<string, FieldSpec> = {};
    for (const part of parts) {
      const match = /^(?:"((?:[^"]|"")*)"|(\S+))\s+(.+)$/s.exec(part);
      if (match === null) break;
      fields[match[1]?.replaceAll('""', '"') ?? (match[2] as string)] = nullable(typeOfSql(match[3] as string, name));
    }
    return { kind: "struct", fields };
  }
  if (parts !== undefined && text.startsWith("MAP(") && parts[0] === "VARCHAR")
    return { kind: "map", of: nullable(typeOfSql(parts[1] as string, name)) };
  throw new MillraceError(
    "DATAFRAME_TYPE",
    `column "${name}"`,
    `has the SQL type ${text}, which rows have no form of`,
    "cast it, for example to VARCHAR, DOUBLE or BIGINT",
  );
}

// The comma-separated parts within the outer brackets.
function partsOfType(text: string): readonly string[] | undefined {
  const open = text.indexOf("(");
  if (open < 0 || !text.endsWith(")")) return undefined;
  const parts: string[] = [];
  let depth = 0;
  let inName = false;
  let start = open + 1;
  for (let at = open + 1; at < text.length; at++) {
    const sign = text[at];
    if (sign === '"') inName = !inName;
    if (inName) continue;
    if (sign === "(") depth++;
    else if (sign === ")" && depth > 0) depth--;
    else if ((sign === "," && depth === 0) || at === text.length - 1) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  return parts;
}

/** A relation without rows that has these columns: what expressions are typed over. */
export function emptyRelation(spec: RowSpec, alias: string): string {
  const columns = Object.entries(spec).flatMap(([name, { type }]) =>
    type.kind === "any" ? [] : [`NULL::${sqlTypeOf(type, name)} AS ${quoted(name)}`],
  );
  return `(SELECT ${columns.length === 0 ? 'NULL AS "no columns"' : columns.join(", ")} LIMIT 0) AS ${alias}`;
}
