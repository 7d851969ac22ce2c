// From the kernel's syntax trees to expressions: what streaming must understand has a form of its own, the rest stays SQL.
import { MillraceError } from "../../base/errors.ts";
import { parseDuration } from "../../base/duration.ts";
import type { AggregateName, Expr, LiteralValue } from "../expression/expr.ts";
import type { SqlEngine, SqlTree } from "./sql-engine.ts";

/** Aggregates of SQL by their names. */
const aggregateNames: Readonly<Record<string, AggregateName>> = {
  count: "count",
  count_star: "count",
  sum: "sum",
  avg: "avg",
  mean: "avg",
  min: "min",
  max: "max",
  approx_count_distinct: "countDistinctApprox",
  approx_quantile: "percentile",
  percentile_approx: "percentile",
  collect_list: "collect",
  list: "collect",
  array_agg: "collect",
  collect_set: "collectSet",
  first: "first",
  any_value: "first",
  last: "last",
  arg_min: "minBy",
  min_by: "minBy",
  arg_max: "maxBy",
  max_by: "maxBy",
};

const comparisons: Readonly<Record<string, string>> = {
  COMPARE_EQUAL: "=",
  COMPARE_NOTEQUAL: "<>",
  COMPARE_LESSTHAN: "<",
  COMPARE_LESSTHANOREQUALTO: "<=",
  COMPARE_GREATERTHAN: ">",
  COMPARE_GREATERTHANOREQUALTO: ">=",
  COMPARE_DISTINCT_FROM: "IS DISTINCT FROM",
  COMPARE_NOT_DISTINCT_FROM: "IS NOT DISTINCT FROM",
};

const infix: Readonly<Record<string, string>> = {
  "+": "+",
  "-": "-",
  "*": "*",
  "/": "/",
  "%": "%",
  "||": "||",
  "~~": "LIKE",
  "!~~": "NOT LIKE",
  "~~*": "ILIKE",
};

type Tree = Record<string, unknown>;

/** Names how a column reference is meant: by its parts, such as `["l", "id"]`. */
export type ColumnNaming = (parts: readonly string[]) => Expr;

export const plainNaming: ColumnNaming = (parts) => {
  const name = parts.at(-1) as string;
  return { kind: "column", name };
};

export class SqlTrees {
  readonly #engine: SqlEngine;

  constructor(engine: SqlEngine) {
    this.#engine = engine;
  }

  /** The items of `SELECT <text>`: expressions with their names; a star has none. */
  async items(text: string, naming: ColumnNaming = plainNaming): Promise<readonly { readonly name: string; readonly expr: Expr | "*" }[]> {
    const node = selectNode(await this.#engine.parse(`SELECT ${quoteWindow(text)}`));
    const list = node["select_list"] as readonly Tree[];
    return Promise.all(
      list.map(async (item) => ({
        name: itemName(item),
        expr: item["class"] === "STAR" ? ("*" as const) : await this.expression(item, naming),
      })),
    );
  }

  /** One expression. */
  async parse(text: string, naming: ColumnNaming = plainNaming): Promise<Expr> {
    const items = await this.items(text, naming);
    const [only] = items;
    if (items.length !== 1 || only === undefined || only.expr === "*") throw unsupported(`"${text}" is not one expression`);
    return only.expr;
  }

  async expression(tree: Tree, naming: ColumnNaming): Promise<Expr> {
    const all = (children: unknown): Promise<Expr[]> =>
      Promise.all((children as readonly Tree[]).map((child) => this.expression(child, naming)));
    switch (tree["class"]) {
      case "COLUMN_REF":
        return naming(tree["column_names"] as readonly string[]);
      case "CONSTANT":
        return this.#constant(tree);
      case "FUNCTION":
        return this.#call(tree, await all(tree["children"]), naming);
      case "COMPARISON": {
        const symbol = comparisons[tree["type"] as string];
        if (symbol === undefined) break;
        return { kind: "operator", symbol, args: await all([tree["left"], tree["right"]]) };
      }
      case "CONJUNCTION":
        return { kind: "operator", symbol: tree["type"] === "CONJUNCTION_AND" ? "AND" : "OR", args: await all(tree["children"]) };
      case "BETWEEN": {
        const [input, lower, upper] = (await all([tree["input"], tree["lower"], tree["upper"]])) as [Expr, Expr, Expr];
        const inside: Expr = {
          kind: "operator",
          symbol: "AND",
          args: [
            { kind: "operator", symbol: ">=", args: [input, lower] },
            { kind: "operator", symbol: "<=", args: [input, upper] },
          ],
        };
        return tree["type"] === "COMPARE_NOT_BETWEEN" ? { kind: "operator", symbol: "NOT", args: [inside] } : inside;
      }
      case "OPERATOR":
        return this.#operator(tree, await all(tree["children"]));
      case "CAST": {
        const type = (tree["cast_type"] as Tree)["id"] as string;
        if ((tree["cast_type"] as Tree)["type_info"] !== null) break;
        return { kind: "cast", to: type, arg: await this.expression(tree["child"] as Tree, naming), orNull: tree["try_cast"] === true };
      }
      case "CASE": {
        const checks = tree["case_checks"] as readonly Tree[];
        const branches = await Promise.all(
          checks.map(async (check) => ({
            when: await this.expression(check["when_expr"] as Tree, naming),
            value: await this.expression(check["then_expr"] as Tree, naming),
          })),
        );
        return { kind: "case", branches, otherwise: await this.expression(tree["else_expr"] as Tree, naming) };
      }
      case "SUBQUERY":
        throw unsupported("a query within an expression");
      case "WINDOW":
        throw unsupported("a function OVER rows");
    }
    return this.#raw(tree);
  }

  async #constant(tree: Tree): Promise<Expr> {
    const { type, is_null: isNull, value } = tree["value"] as { readonly type: Tree; readonly is_null: boolean; readonly value?: unknown };
    if (isNull) return { kind: "literal", value: null };
    if (type["id"] === "VARCHAR" || type["id"] === "BOOLEAN" || type["id"] === "INTEGER")
      return { kind: "literal", value: value as LiteralValue };
    return this.#raw(tree);
  }

  async #call(tree: Tree, args: readonly Expr[], naming: ColumnNaming): Promise<Expr> {
    const name = (tree["function_name"] as string).toLowerCase();
    const symbol = infix[name];
    if (symbol !== undefined && args.length <= 2) return { kind: "operator", symbol, args };
    if (name === "window" || name === "session_window") return windowOf(name, args);
    const aggregate = aggregateNames[name];
    if (aggregate !== undefined) {
      const filter = tree["filter"] as Tree | null;
      const where = filter === null ? undefined : await this.expression(filter, naming);
      const distinct = tree["distinct"] === true;
      if (distinct && aggregate !== "count") throw unsupported(`${name}(DISTINCT ...)`);
      const fraction = aggregate === "percentile" ? literalNumber(args[1], name) : undefined;
      return {
        kind: "aggregate",
        name: distinct ? "countDistinct" : aggregate,
        args: aggregate === "percentile" ? args.slice(0, 1) : args,
        ...(fraction === undefined ? {} : { fraction }),
        ...(where === undefined ? {} : { where }),
      };
    }
    return { kind: "call", name, args };
  }

  #operator(tree: Tree, args: readonly Expr[]): Expr | Promise<Expr> {
    const [first, ...rest] = args;
    if (first === undefined) return this.#raw(tree);
    switch (tree["type"]) {
      case "OPERATOR_NOT":
        return { kind: "operator", symbol: "NOT", args };
      case "OPERATOR_IS_NULL":
      case "OPERATOR_IS_NOT_NULL":
        return { kind: "isNull", arg: first, negated: tree["type"] === "OPERATOR_IS_NOT_NULL" };
      case "COMPARE_IN":
      case "COMPARE_NOT_IN":
        return { kind: "in", arg: first, values: rest, negated: tree["type"] === "COMPARE_NOT_IN" };
      case "OPERATOR_COALESCE":
        return { kind: "call", name: "coalesce", args };
      case "STRUCT_EXTRACT":
        return { kind: "call", name: "struct_extract", args };
      default:
        return this.#raw(tree);
    }
  }

  // Lambdas, lists, typed constants: the kernel prints what it parsed, and the columns in it are collected.
  async #raw(tree: Tree): Promise<Expr> {
    const reads = new Set<string>();
    const parameters = new Set<string>();
    walk(tree, (part) => {
      if (part["class"] === "LAMBDA")
        walk(part["lhs"], (name) => void (Array.isArray(name["column_names"]) && parameters.add(String(name["column_names"].at(-1)))));
      if (part["class"] === "COLUMN_REF") reads.add((part["column_names"] as readonly string[]).at(-1) as string);
      if (part["class"] === "FUNCTION" && aggregateNames[(part["function_name"] as string).toLowerCase()] !== undefined)
        throw unsupported(`the aggregate ${String(part["function_name"])} within such an expression`);
    });
    const shell = (await this.#engine.parse("SELECT 0")) as { readonly statements: readonly { readonly node: Tree }[] };
    const [statement] = shell.statements;
    const printed = await this.#engine.print({
      ...shell,
      statements: [{ ...statement, node: { ...statement?.node, select_list: [{ ...tree, alias: "" }] } }],
    });
    return { kind: "raw", text: printed.replace(/^SELECT /, ""), reads: [...reads].filter((name) => !parameters.has(name)) };
  }
}

function walk(value: unknown, visit: (part: Tree) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) for (const part of value) walk(part, visit);
  else {
    visit(value as Tree);
    for (const part of Object.values(value)) walk(part, visit);
  }
}

/** The node of the only statement of a tree, which must be a plain `SELECT`. */
export function selectNode(tree: SqlTree): Tree {
  const [statement] = tree["statements"] as readonly { readonly node: Tree }[];
  if (statement?.node["type"] !== "SELECT_NODE") throw unsupported("a statement other than one plain SELECT");
  return statement.node;
}

/** The name of a select item: its alias, or what it says. */
export function itemName(item: Tree): string {
  const alias = item["alias"] as string;
  if (alias !== "") return alias;
  if (item["class"] === "COLUMN_REF") return (item["column_names"] as readonly string[]).at(-1) as string;
  return item["class"] === "FUNCTION" ? (item["function_name"] as string).replace("count_star", "count") : "value";
}

function windowOf(name: "window" | "session_window", args: readonly Expr[]): Expr {
  const [time, size, slide, offset] = args;
  if (time === undefined) throw unsupported(`${name} without a time`);
  const sizeMs = literalDuration(size, name);
  if (name === "session_window") return { kind: "session", time, gapMs: sizeMs };
  const slideMs = slide === undefined ? sizeMs : literalDuration(slide, name);
  return { kind: "window", time, sizeMs, slideMs, offsetMs: offset === undefined ? 0 : literalDuration(offset, name) };
}

/** A duration as SQL people write it: `10 seconds`, `1 hour 30 minutes`. */
export function sqlDuration(text: string): number {
  const short = text
    .replaceAll(/\b(milliseconds?|millis|ms)\b/gi, "ms")
    .replaceAll(/\b(seconds?|secs?|s)\b/gi, "s")
    .replaceAll(/\b(minutes?|mins?|m)\b/gi, "min")
    .replaceAll(/\b(hours?|hrs?|h)\b/gi, "h")
    .replaceAll(/\b(days?|d)\b/gi, "d")
    .replaceAll(/\b(\d+)\s*weeks?\b/gi, (_match, weeks: string) => `${Number(weeks) * 7} d`);
  return parseDuration(short, "window");
}

function literalDuration(expr: Expr | undefined, name: string): number {
  if (expr?.kind !== "literal" || typeof expr.value !== "string")
    throw unsupported(`${name} without a duration as text, such as '10 seconds'`);
  return sqlDuration(expr.value);
}

function literalNumber(expr: Expr | undefined, name: string): number {
  const value =
    expr?.kind === "literal" ? expr.value : expr?.kind === "raw" ? Number(expr.text.replace(/^CAST\((.*) AS .*$/, "$1")) : Number.NaN;
  if (typeof value !== "number" || Number.isNaN(value)) throw unsupported(`${name} without a constant fraction`);
  return value;
}

function unsupported(what: string): MillraceError {
  return new MillraceError(
    "DATAFRAME_SQL_UNSUPPORTED",
    "SQL",
    `${what} is not supported here`,
    "write it with DataFrame operations instead",
  );
}

// `window` is a word of SQL's own: as a function it must be quoted. Texts and names in quotes are left alone.
function quoteWindow(text: string): string {
  return text.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\bwindow(?=\s*\()/gi, (part) => (/^window$/i.test(part) ? '"window"' : part));
}

export { quoteWindow };
