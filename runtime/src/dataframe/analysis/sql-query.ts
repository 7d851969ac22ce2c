// A whole query in SQL over views as a relation: what streaming can do with a query, it can do with its SQL.
import { MillraceError } from "../../base/errors.ts";
import type { Expr } from "../expression/expr.ts";
import { anyPart } from "../expression/expr.ts";
import type { JoinType, NamedExpr, Relation, SortKey } from "../relation/relation.ts";
import type { SqlEngine } from "./sql-engine.ts";
import { type ColumnNaming, itemName, plainNaming, quoteWindow, selectNode, type SqlTrees } from "./sql-tree.ts";
import { holdsAggregate } from "./typing.ts";

type Tree = Record<string, unknown>;

export async function sqlRelation(
  text: string,
  views: ReadonlyMap<string, Relation>,
  engine: SqlEngine,
  trees: SqlTrees,
): Promise<Relation> {
  return new Query(views, trees).select(selectNode(await engine.parse(quoteWindow(text))));
}

class Query {
  readonly #views: ReadonlyMap<string, Relation>;
  readonly #trees: SqlTrees;

  constructor(views: ReadonlyMap<string, Relation>, trees: SqlTrees) {
    this.#views = views;
    this.#trees = trees;
  }

  async select(node: Tree): Promise<Relation> {
    let relation = await this.#from(node["from_table"] as Tree);
    const where = node["where_clause"] as Tree | null;
    if (where !== null) relation = { kind: "filter", input: relation, condition: await this.#expression(where) };
    if (node["qualify"] !== null || node["sample"] !== null) throw unsupported("QUALIFY or SAMPLE");
    const items = await Promise.all(
      (node["select_list"] as readonly Tree[]).map(async (item) => ({
        name: itemName(item),
        expr: item["class"] === "STAR" ? ("*" as const) : await this.#expression(item),
      })),
    );
    const groups = await Promise.all((node["group_expressions"] as readonly Tree[]).map((group) => this.#expression(group)));
    const grouped = groups.length > 0 || items.some(({ expr }) => expr !== "*" && holdsAggregate(expr));
    const having = node["having"] as Tree | null;
    relation = grouped
      ? await this.#aggregate(relation, items, groups, having === null ? undefined : await this.#expression(having))
      : project(relation, items);
    return this.#modify(relation, node["modifiers"] as readonly Tree[]);
  }

  #expression(tree: Tree, naming: ColumnNaming = plainNaming): Promise<Expr> {
    return this.#trees.expression(tree, naming);
  }

  async #from(table: Tree): Promise<Relation> {
    switch (table["type"]) {
      case "BASE_TABLE": {
        const name = table["table_name"] as string;
        const view = this.#views.get(name);
        if (view !== undefined) return view;
        const known = [...this.#views.keys()].join(", ");
        throw new MillraceError(
          "DATAFRAME_VIEW_UNKNOWN",
          `view "${name}"`,
          "is not registered",
          known === "" ? "register it with createView" : `use one of ${known}`,
        );
      }
      case "SUBQUERY":
        return this.select((table["subquery"] as { readonly node: Tree }).node);
      case "JOIN":
        return this.#join(table);
      default:
        throw unsupported(`FROM ${String(table["type"]).toLowerCase()}`);
    }
  }

  async #join(tree: Tree): Promise<Relation> {
    const [leftTree, rightTree] = [tree["left"] as Tree, tree["right"] as Tree];
    const [left, right] = [await this.#from(leftTree), await this.#from(rightTree)];
    const named = tree["using_columns"] as readonly string[];
    const condition = tree["condition"] as Tree | null;
    const leftNames = aliasesOf(leftTree);
    const rightNames = aliasesOf(rightTree);
    const naming: ColumnNaming = (parts) => {
      const name = parts.at(-1) as string;
      const table = parts.length > 1 ? (parts.at(-2) as string) : "";
      if (leftNames.has(table)) return { kind: "column", name, side: "left" };
      return rightNames.has(table) ? { kind: "column", name, side: "right" } : { kind: "column", name };
    };
    const parts = condition === null ? [] : conjuncts(await this.#expression(condition, naming));
    // Columns of one name that are equal are one column, as USING makes them.
    const equal = parts.flatMap((part) => equalName(part) ?? []);
    const [first, ...others] = parts.filter((part) => equalName(part) === undefined);
    return {
      kind: "join",
      left,
      right,
      type: joinType(tree["join_type"] as string),
      using: [...named, ...equal],
      condition: others.reduce<Expr | undefined>((all, one) => ({ kind: "operator", symbol: "AND", args: [all as Expr, one] }), first),
    };
  }

  async #aggregate(
    input: Relation,
    items: readonly { readonly name: string; readonly expr: Expr | "*" }[],
    groups: readonly Expr[],
    having: Expr | undefined,
  ): Promise<Relation> {
    const keys = groups.map((group, index): NamedExpr => {
      if (group.kind === "window" || group.kind === "session") return { name: "window", expr: group };
      const place = group.kind === "literal" && typeof group.value === "number" ? items[group.value - 1] : undefined;
      if (place !== undefined && place.expr !== "*") return { name: place.name, expr: place.expr };
      // GROUP BY an alias of the select list.
      const alias =
        group.kind === "column" ? items.find(({ name, expr }) => name === group.name && expr !== "*" && expr.kind !== "column") : undefined;
      if (alias !== undefined && alias.expr !== "*") return { name: alias.name, expr: alias.expr };
      return { name: group.kind === "column" ? group.name : `key$${index}`, expr: group };
    });
    const isKey = (expr: Expr): NamedExpr | undefined => keys.find((key) => JSON.stringify(key.expr) === JSON.stringify(expr));
    const results: NamedExpr[] = [];
    const output: NamedExpr[] = [];
    for (const { name, expr } of items) {
      if (expr === "*") throw unsupported("* in a grouped query");
      const key = isKey(expr);
      const bound = expr.kind === "column" && /^window_(start|end)$/.test(expr.name) ? expr.name : undefined;
      if (key !== undefined || bound !== undefined) output.push({ name, expr: { kind: "column", name: bound ?? (key as NamedExpr).name } });
      else {
        const as = holdsAggregate(expr) ? `result$${results.length}` : "";
        if (as === "") output.push({ name, expr });
        else {
          results.push({ name: as, expr });
          output.push({ name, expr: { kind: "column", name: as } });
        }
      }
    }
    let relation: Relation;
    if (having === undefined) relation = { kind: "aggregate", input, keys, results };
    else {
      relation = { kind: "aggregate", input, keys, results: [...results, { name: "having$", expr: having }] };
      relation = { kind: "filter", input: relation, condition: { kind: "column", name: "having$" } };
    }
    return { kind: "project", input: relation, columns: output };
  }

  async #modify(relation: Relation, modifiers: readonly Tree[]): Promise<Relation> {
    let modified = relation;
    for (const modifier of modifiers) {
      if (modifier["type"] === "DISTINCT_MODIFIER" && (modifier["distinct_on_targets"] as readonly Tree[]).length === 0)
        modified = { kind: "dedupe", input: modified, columns: [], withinWatermark: false };
      else if (modifier["type"] === "ORDER_MODIFIER") {
        const keys = await Promise.all(
          (modifier["orders"] as readonly Tree[]).map(async (order): Promise<SortKey> => {
            const nulls = order["null_order"] as string;
            return {
              expr: await this.#expression(order["expression"] as Tree),
              descending: order["type"] === "DESCENDING",
              nullsFirst: nulls.startsWith("ORDER_DEFAULT") ? undefined : nulls === "NULLS FIRST" || nulls === "NULLS_FIRST",
            };
          }),
        );
        if (keys.some(({ expr }) => anyPart(expr, (part) => part.kind === "aggregate")))
          throw unsupported("an aggregate in ORDER BY; order by the name of a result");
        modified = { kind: "sort", input: modified, keys };
      } else if (modifier["type"] === "LIMIT_MODIFIER") {
        const limit = modifier["limit"] as Tree | null;
        const count = limit === null ? undefined : await this.#expression(limit);
        if (modifier["offset"] !== null || count?.kind !== "literal" || typeof count.value !== "number")
          throw unsupported("OFFSET or a computed LIMIT");
        modified = { kind: "limit", input: modified, count: count.value };
      } else throw unsupported(`the clause ${String(modifier["type"]).toLowerCase()}`);
    }
    return modified;
  }
}

function conjuncts(expr: Expr): readonly Expr[] {
  return expr.kind === "operator" && expr.symbol === "AND" ? expr.args.flatMap(conjuncts) : [expr];
}

// The name where an expression says that a column of the left side equals the one of that name on the right side.
function equalName(expr: Expr): string | undefined {
  if (expr.kind !== "operator" || expr.symbol !== "=") return undefined;
  const [a, b] = expr.args;
  const isPair = a?.kind === "column" && b?.kind === "column" && a.name === b.name && a.side !== undefined && b.side !== undefined;
  return isPair && a.side !== b.side ? a.name : undefined;
}

function project(input: Relation, items: readonly { readonly name: string; readonly expr: Expr | "*" }[]): Relation {
  const [only] = items;
  if (items.length === 1 && only?.expr === "*") return input;
  if (items.some(({ expr }) => expr === "*")) {
    const columns = items.flatMap(({ name, expr }): NamedExpr[] => (expr === "*" ? [] : [{ name, expr }]));
    return { kind: "withColumns", input, columns, renamed: {}, dropped: [] };
  }
  return { kind: "project", input, columns: items.map(({ name, expr }) => ({ name, expr: expr as Expr })) };
}

function aliasesOf(table: Tree): ReadonlySet<string> {
  if (table["type"] === "JOIN") return new Set([...aliasesOf(table["left"] as Tree), ...aliasesOf(table["right"] as Tree)]);
  const alias = table["alias"] as string;
  return new Set([alias === "" ? String(table["table_name"] ?? "") : alias]);
}

function joinType(text: string): JoinType {
  const types: Readonly<Record<string, JoinType>> = {
    INNER: "inner",
    LEFT: "left",
    RIGHT: "right",
    FULL: "full",
    OUTER: "full",
    SEMI: "semi",
    ANTI: "anti",
  };
  const found = types[text];
  if (found === undefined) throw unsupported(`a ${text.toLowerCase()} join`);
  return found;
}

function unsupported(what: string): MillraceError {
  return new MillraceError(
    "DATAFRAME_SQL_UNSUPPORTED",
    "SQL",
    `${what} is not supported here`,
    "write it with DataFrame operations instead",
  );
}
