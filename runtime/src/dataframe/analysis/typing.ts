// The types of expressions: the kernel's for values it computes, the field's own for columns that pass through.
import type { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";
import { anyPart, columnsRead, type Expr, partsOf } from "../expression/expr.ts";
import type { NamedExpr } from "../relation/relation.ts";
import { renderExpr } from "./render.ts";
import type { SqlEngine } from "./sql-engine.ts";
import { emptyRelation, quoted, typeOfSql } from "./sql-types.ts";

/** The field specs of columns computed over rows of `input`. */
export async function typeColumns(engine: SqlEngine, columns: readonly NamedExpr[], input: Schema): Promise<RowSpec> {
  const computed = columns.filter(({ expr }) => passedThrough(expr, input) === undefined);
  const types = new Map<string, FieldSpec>();
  if (computed.length > 0) {
    const items = computed.map(({ name, expr }) => `${renderExpr(expr)} AS ${quoted(name)}`);
    const described = await engine.describe(`SELECT ${items.join(", ")} FROM ${emptyRelation(input.spec, "t")}`);
    computed.forEach(({ name, expr }, index) => types.set(name, computedSpec(name, expr, described[index]?.type ?? "VARCHAR", input)));
  }
  return Object.fromEntries(columns.map(({ name, expr }) => [name, passedThrough(expr, input) ?? (types.get(name) as FieldSpec)]));
}

function passedThrough(expr: Expr, input: Schema): FieldSpec | undefined {
  if (expr.kind !== "column") return undefined;
  const { type, nullable, optional } = input.field(expr.name).spec;
  return { type, nullable: nullable || optional, optional: false, aliases: [] };
}

function computedSpec(name: string, expr: Expr, sqlType: string, input: Schema): FieldSpec {
  const read = [...columnsRead(expr)].flatMap((column) => input.find(column)?.spec.type ?? []);
  return { type: refined(typeOfSql(sqlType, name), read), nullable: mayBeNull(expr, input), optional: false, aliases: [] };
}

// SQL knows one 64-bit integer and one instant: which form the result has in rows follows from what it was computed of.
function refined(type: TypeSpec, read: readonly TypeSpec[]): TypeSpec {
  if (type.kind === "int64" && read.some((one) => one.kind === "int64" && one.as === "bigint")) return { kind: "int64", as: "bigint" };
  if (type.kind === "timestamp" && type.unit === "ms" && read.some((one) => one.kind === "timestamp" && one.unit === "us"))
    return { ...type, unit: "us" };
  return type;
}

/** Operators whose result is null only where an argument is. */
const strictOperators: ReadonlySet<string> = new Set([
  "+",
  "-",
  "*",
  "=",
  "<>",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "AND",
  "OR",
  "NOT",
  "||",
  "LIKE",
]);
const strictCalls: ReadonlySet<string> = new Set([
  ...["abs", "ceil", "floor", "round", "sign", "greatest", "least", "lower", "upper", "length", "trim", "ltrim", "rtrim", "reverse"],
  ...["replace", "starts_with", "ends_with", "contains", "date_trunc", "year", "month", "day", "hour", "minute", "second", "epoch_ms"],
  ...["hash", "md5", "substring", "concat"],
]);

/** False only where the value is certainly there. */
export function mayBeNull(expr: Expr, input: Schema): boolean {
  switch (expr.kind) {
    case "column": {
      const spec = input.find(expr.name)?.spec;
      return spec === undefined || spec.nullable || spec.optional;
    }
    case "literal":
      return expr.value === null;
    case "isNull":
      return false;
    case "operator":
      if (expr.symbol === "IS NOT DISTINCT FROM") return false;
      return !strictOperators.has(expr.symbol) || partsOf(expr).some((part) => mayBeNull(part, input));
    case "in":
      return partsOf(expr).some((part) => mayBeNull(part, input));
    case "cast":
      return expr.orNull || mayBeNull(expr.arg, input);
    case "case":
      return expr.otherwise === undefined || mayBeNull(expr.otherwise, input) || expr.branches.some(({ value }) => mayBeNull(value, input));
    case "call":
      if (expr.name === "coalesce") return expr.args.every((arg) => mayBeNull(arg, input));
      return !strictCalls.has(expr.name) || partsOf(expr).some((part) => mayBeNull(part, input));
    case "udf":
      return expr.returns.nullable;
    default:
      return true;
  }
}

export function holdsAggregate(expr: Expr): boolean {
  return anyPart(expr, (part) => part.kind === "aggregate");
}
