// The analysis of a query: resolves every column, types every expression, and refuses with a reason what cannot be.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { string } from "../../core/schema/field.ts";
import type { Expr, UdfExpr } from "../expression/expr.ts";
import { anyPart } from "../expression/expr.ts";
import type { NamedExpr, Relation, SourceRelation } from "../relation/relation.ts";
import { allParts, type Analysis, columnOf, mapParts, misplaced } from "./analysis.ts";
import { analyzeAggregate, analyzePivot } from "./aggregate-analysis.ts";
import { analyzeJoin } from "./join-analysis.ts";
import type { Plan, UdfCall } from "./plan.ts";
import { metadataFields } from "./source-columns.ts";
import type { SqlEngine } from "./sql-engine.ts";
import { sqlRelation } from "./sql-query.ts";
import { type ColumnNaming, plainNaming, SqlTrees } from "./sql-tree.ts";
import { holdsAggregate, typeColumns } from "./typing.ts";

/** The analysed plan of a relation. Rejects with DATAFRAME_* codes that name the column or the operation. */
export async function analyze(relation: Relation, engine: SqlEngine): Promise<Plan> {
  return new Analyzer(engine).analyze(relation);
}

const noTimes: ReadonlyMap<string, number> = new Map();

class Analyzer implements Analysis {
  readonly engine: SqlEngine;
  readonly #trees: SqlTrees;
  readonly #known = new Map<Relation, Promise<Plan>>();

  constructor(engine: SqlEngine) {
    this.engine = engine;
    this.#trees = new SqlTrees(engine);
  }

  /** One plan per relation: what is read in several places is computed once. */
  analyze(relation: Relation): Promise<Plan> {
    let plan = this.#known.get(relation);
    if (plan === undefined) {
      plan = this.#analyze(relation);
      this.#known.set(relation, plan);
    }
    return plan;
  }

  async #analyze(relation: Relation): Promise<Plan> {
    switch (relation.kind) {
      case "source":
        return scan(relation);
      case "project":
        return this.project(await this.analyze(relation.input), relation.columns);
      case "withColumns":
        return this.#withColumns(relation);
      case "selectSql":
        return this.#selectSql(relation);
      case "filter": {
        const input = await this.analyze(relation.input);
        const condition = await this.resolve(relation.condition, input.schema);
        if (holdsAggregate(condition)) throw misplaced("an aggregate", "filter", "filter the result of agg instead");
        const { condition$: spec } = await typeColumns(this.engine, [{ name: "condition$", expr: condition }], input.schema);
        if (spec?.type.kind !== "boolean")
          throw new MillraceError(
            "DATAFRAME_TYPE",
            "filter",
            `its condition is a ${spec?.type.kind}, not true or false`,
            "compare it with something",
          );
        return this.filter(input, condition);
      }
      case "watermark":
        return this.#watermark(await this.analyze(relation.input), relation.column, relation.delayMs);
      case "aggregate":
        return analyzeAggregate(this, await this.analyze(relation.input), relation);
      case "pivot":
        return analyzePivot(this, await this.analyze(relation.input), relation);
      case "join":
        return analyzeJoin(this, await this.analyze(relation.left), await this.analyze(relation.right), relation);
      case "transform":
        return this.#transform(relation);
      case "union":
        return this.#union(await Promise.all(relation.inputs.map((input) => this.analyze(input))));
      case "dedupe": {
        const input = await this.analyze(relation.input);
        const columns = relation.columns.length === 0 ? input.schema.fields.map(({ name }) => name) : relation.columns;
        for (const name of columns) columnOf(input.schema, name);
        const { withinWatermark, name } = relation;
        return {
          kind: "dedupe",
          input,
          columns,
          withinWatermark,
          name,
          schema: input.schema,
          streaming: input.streaming,
          times: input.times,
        };
      }
      case "sort": {
        const input = await this.analyze(relation.input);
        const keys = await Promise.all(relation.keys.map(async (key) => ({ ...key, expr: await this.resolve(key.expr, input.schema) })));
        await typeColumns(
          this.engine,
          keys.map(({ expr }, index) => ({ name: `key$${index}`, expr })),
          input.schema,
        );
        return { kind: "sort", input, keys, schema: input.schema, streaming: input.streaming, times: input.times };
      }
      case "limit": {
        const input = await this.analyze(relation.input);
        return { kind: "limit", input, count: relation.count, schema: input.schema, streaming: input.streaming, times: input.times };
      }
      case "explode":
        return this.#explode(relation);
      case "sql":
        return this.analyze(await sqlRelation(relation.text, relation.views, this.engine, this.#trees));
    }
  }

  /** The expression with SQL parsed and every column known. */
  async resolve(expr: Expr, schema: Schema, naming: ColumnNaming = plainNaming): Promise<Expr> {
    const parsed = await this.#parseAll(expr, naming);
    return mapParts(parsed, (part) => {
      if (part.kind === "column" && part.side === undefined) columnOf(schema, part.name);
      if (part.kind === "raw") for (const name of part.reads) columnOf(schema, name);
      return part;
    });
  }

  async #parseAll(expr: Expr, naming: ColumnNaming): Promise<Expr> {
    if (expr.kind === "sql") return this.#trees.parse(expr.text, naming);
    if (!anyPart(expr, (part) => part.kind === "sql")) return expr;
    const parsed = new Map<Expr, Expr>();
    for (const part of allParts(expr)) if (part.kind === "sql") parsed.set(part, await this.#trees.parse(part.text, naming));
    return mapParts(expr, (part) => parsed.get(part) ?? part);
  }

  filter(input: Plan, condition: Expr): Plan {
    return { kind: "filter", input, condition, schema: input.schema, streaming: input.streaming, times: input.times };
  }

  /** Columns made of `input`; functions of the user's own become a step before. */
  async project(input: Plan, columns: readonly NamedExpr[]): Promise<Plan> {
    const names = new Set<string>();
    for (const { name } of columns) {
      // SQL tells names apart by their letters, not by their case.
      if (names.has(name.toLowerCase()))
        throw new MillraceError("DATAFRAME_COLUMN_TAKEN", `column "${name}"`, "is there twice", "give one of them another name");
      names.add(name.toLowerCase());
    }
    const resolved = await Promise.all(columns.map(async ({ name, expr }) => ({ name, expr: await this.resolve(expr, input.schema) })));
    for (const { name, expr } of resolved) {
      if (holdsAggregate(expr)) throw misplaced(`an aggregate (column "${name}")`, "select", "use groupBy(...).agg(...) or agg(...)");
      if (anyPart(expr, (part) => part.kind === "window" || part.kind === "session"))
        throw misplaced(`a window (column "${name}")`, "select", "group by it");
    }
    const { source, rewritten } = await this.#liftUdfs(input, resolved);
    const spec = await typeColumns(this.engine, rewritten, source.schema);
    const times = new Map<string, number>();
    for (const { name, expr } of rewritten) {
      const delayMs = expr.kind === "column" ? source.times.get(expr.name) : undefined;
      if (delayMs !== undefined) times.set(name, delayMs);
    }
    return { kind: "project", input: source, columns: rewritten, schema: new Schema(spec), streaming: input.streaming, times };
  }

  // Each function gets its arguments as columns and adds one of results; innermost first.
  async #liftUdfs(
    input: Plan,
    columns: readonly NamedExpr[],
  ): Promise<{ readonly source: Plan; readonly rewritten: readonly NamedExpr[] }> {
    let source = input;
    let rewritten = columns;
    for (let round = 0; ; round++) {
      const innermost = new Set<UdfExpr>();
      for (const { expr } of rewritten)
        for (const part of allParts(expr)) if (part.kind === "udf" && !part.args.some((arg) => anyPart(arg, isUdf))) innermost.add(part);
      if (innermost.size === 0) return { source, rewritten };
      const kept = source.schema.fields.map(({ name }): NamedExpr => ({ name, expr: { kind: "column", name } }));
      const calls: UdfCall[] = [];
      const args: NamedExpr[] = [];
      for (const udf of innermost) {
        const as = `udf$${round}$${calls.length}`;
        const names = udf.args.map((arg, index) => {
          const name = `${as}$${index}`;
          args.push({ name, expr: arg });
          return name;
        });
        calls.push({ as, udf, args: names });
      }
      const prepared = await this.project(source, [...kept, ...args]);
      const spec: Record<string, FieldSpec> = { ...prepared.schema.spec };
      for (const { as, udf } of calls) spec[as] = udf.returns;
      const { streaming, times } = prepared;
      source = { kind: "udf", input: prepared, calls, schema: new Schema(spec), streaming, times };
      const named = new Map(calls.map(({ udf, as }) => [udf as Expr, as]));
      rewritten = rewritten.map(({ name, expr }) => ({
        name,
        expr: mapParts(expr, (part) => {
          const as = named.get(part);
          return as === undefined ? part : { kind: "column", name: as };
        }),
      }));
    }
  }

  async #withColumns(relation: Extract<Relation, { kind: "withColumns" }>): Promise<Plan> {
    const input = await this.analyze(relation.input);
    const { renamed, dropped } = relation;
    for (const name of [...Object.keys(renamed), ...dropped]) columnOf(input.schema, name);
    const added = new Map(relation.columns.map((column) => [column.name, column]));
    const kept = input.schema.fields.flatMap(({ name }): NamedExpr[] => {
      if (dropped.includes(name)) return [];
      const replaced = added.get(name);
      if (replaced === undefined) return [{ name: renamed[name] ?? name, expr: { kind: "column", name } }];
      added.delete(name);
      return [replaced];
    });
    return this.project(input, [...kept, ...added.values()]);
  }

  async #selectSql(relation: Extract<Relation, { kind: "selectSql" }>): Promise<Plan> {
    const input = await this.analyze(relation.input);
    const columns: NamedExpr[] = [];
    for (const text of relation.items) {
      for (const { name, expr } of await this.#trees.items(text)) {
        if (expr === "*")
          columns.push(
            ...input.schema.fields.map((field): NamedExpr => ({ name: field.name, expr: { kind: "column", name: field.name } })),
          );
        else columns.push({ name, expr });
      }
    }
    return this.project(input, columns);
  }

  #watermark(input: Plan, column: string, delayMs: number): Plan {
    const { spec } = columnOf(input.schema, column);
    if (spec.type.kind !== "timestamp" || spec.type.unit === "ns") {
      throw new MillraceError(
        "DATAFRAME_TYPE",
        `withWatermark("${column}")`,
        `the column is a ${spec.type.kind}, and event time is a timestamp of s, ms or us`,
        "declare it as timestamp(), or make one with withColumn",
      );
    }
    // Of bounded input nothing is late, and everything comes.
    if (!input.streaming) return input;
    return {
      kind: "watermark",
      input,
      column,
      delayMs,
      schema: input.schema,
      streaming: input.streaming,
      times: new Map([...input.times, [column, delayMs]]),
    };
  }

  async #union(inputs: readonly Plan[]): Promise<Plan> {
    const [first, ...rest] = inputs as [Plan, ...Plan[]];
    const names = first.schema.fields.map(({ name }) => name);
    const aligned: Plan[] = [];
    for (const input of inputs) {
      const theirs = new Set(input.schema.fields.map(({ name }) => name));
      const missing = names.filter((name) => !theirs.has(name));
      const extra = [...theirs].filter((name) => !names.includes(name));
      if (missing.length > 0 || extra.length > 0) {
        const what = [...missing.map((name) => `lacks "${name}"`), ...extra.map((name) => `has "${name}" besides`)].join(", ");
        throw new MillraceError("DATAFRAME_UNION", "union", `one side ${what}`, "select the same columns on both sides");
      }
      aligned.push(
        await this.project(
          input,
          names.map((name): NamedExpr => ({ name, expr: { kind: "column", name } })),
        ),
      );
    }
    const spec: Record<string, FieldSpec> = {};
    for (const name of names) {
      const specs = aligned.map((input) => input.schema.field(name).spec);
      const [one] = specs as [FieldSpec, ...FieldSpec[]];
      if (specs.some((other) => JSON.stringify(other.type) !== JSON.stringify(one.type))) {
        throw new MillraceError(
          "DATAFRAME_UNION",
          `union, column "${name}"`,
          `has the types ${specs.map((other) => other.type.kind).join(" and ")}`,
          "cast one side",
        );
      }
      spec[name] = { ...one, nullable: specs.some((other) => other.nullable) };
    }
    const times = new Map([...first.times].filter(([name]) => rest.every((input) => input.times.has(name))));
    for (const [name, delayMs] of times) times.set(name, Math.max(delayMs, ...rest.map((input) => input.times.get(name) as number)));
    return { kind: "union", inputs: aligned, schema: new Schema(spec), streaming: inputs.some((input) => input.streaming), times };
  }

  // Keys that are computed become columns first.
  async #transform(relation: Extract<Relation, { kind: "transform" }>): Promise<Plan> {
    const { keys, shape, name } = relation;
    const computed = keys.filter(({ name: as, expr }) => expr.kind !== "column" || expr.name !== as);
    const input = await this.analyze(
      computed.length === 0 ? relation.input : { kind: "withColumns", input: relation.input, columns: computed, renamed: {}, dropped: [] },
    );
    for (const key of keys) columnOf(input.schema, key.name);
    const names = keys.map((key) => key.name);
    return { kind: "transform", input, keys: names, shape, name, schema: shape.output, streaming: input.streaming, times: noTimes };
  }

  async #explode(relation: Extract<Relation, { kind: "explode" }>): Promise<Plan> {
    const input = await this.analyze(relation.input);
    const list = await this.resolve(relation.list, input.schema);
    const { list$: spec } = await typeColumns(this.engine, [{ name: "list$", expr: list }], input.schema);
    if (spec?.type.kind !== "list")
      throw new MillraceError("DATAFRAME_TYPE", "explode", `takes lists, not a ${spec?.type.kind}`, "give a list column");
    const { as, outer } = relation;
    const kept = Object.fromEntries(Object.entries(input.schema.spec).filter(([name]) => name !== as));
    const element = { ...spec.type.of, nullable: spec.type.of.nullable || outer };
    const times = new Map([...input.times].filter(([name]) => name !== as));
    return { kind: "explode", input, list, as, outer, schema: new Schema({ ...kept, [as]: element }), streaming: input.streaming, times };
  }
}

function scan(relation: SourceRelation): Plan {
  const { options, streaming } = relation;
  const permissive = options.malformed === "permissive";
  const spec: Record<string, FieldSpec> = {};
  for (const [name, field] of Object.entries(relation.schema.spec as RowSpec))
    spec[name] = { ...field, nullable: field.nullable || field.optional || permissive, optional: false };
  if (options.corruptRecordColumn !== undefined) spec[options.corruptRecordColumn] = string().nullable().spec;
  if (options.metadata === true) Object.assign(spec, metadataFields);
  return { kind: "scan", relation, schema: new Schema(spec), streaming, times: noTimes };
}

const isUdf = (part: Expr): boolean => part.kind === "udf";
