// The analysis of grouping: keys and windows, aggregates found in the results, and how long a group lives.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { timestamp } from "../../core/schema/field.ts";
import type { AggregateCalls } from "../../operators/aggregate/call.ts";
import { resolveAggregates } from "../../operators/aggregate/resolve.ts";
import type { GroupLife } from "../../operators/frame/group-life.ts";
import type { AggregateExpr, Expr } from "../expression/expr.ts";
import { anyPart, columnsRead } from "../expression/expr.ts";
import type { NamedExpr, Relation } from "../relation/relation.ts";
import { type Analysis, mapParts, misplaced } from "./analysis.ts";
import type { AggregatePlan, Plan, PreparedAggregate, WindowKey } from "./plan.ts";
import { renderExpr } from "./render.ts";
import { holdsAggregate, mayBeNull, typeColumns } from "./typing.ts";

interface Keys {
  readonly plain: readonly NamedExpr[];
  readonly window: { readonly name: string; readonly key: WindowKey } | undefined;
  readonly session: { readonly name: string; readonly time: Expr; readonly gapMs: number } | undefined;
  /** The names of the result's key columns, in the order of the query. */
  readonly order: readonly string[];
}

export async function analyzeAggregate(analyzer: Analysis, input: Plan, relation: Extract<Relation, { kind: "aggregate" }>): Promise<Plan> {
  const keys = await resolveKeys(analyzer, input, relation.keys);
  const found = new Map<string, { readonly name: string; readonly expr: AggregateExpr }>();
  const results: NamedExpr[] = [];
  for (const { name, expr } of relation.results) {
    const resolved = await analyzer.resolve(expr, input.schema);
    results.push({ name, expr: lift(resolved, name, found, keys) });
  }
  const aggregates = [...found.values()];
  if (aggregates.length === 0)
    throw new MillraceError("AGGREGATE_NONE", "agg", "no result is an aggregate", "name at least one, such as { n: count() }");
  const plan = await aggregatePlan(analyzer, input, keys, aggregates, relation.name);
  const wanted = [...keys.order.map((name): NamedExpr => ({ name, expr: { kind: "column", name } })), ...results];
  return isIdentity(wanted, plan.schema) ? plan : analyzer.project(plan, wanted);
}

function isIdentity(columns: readonly NamedExpr[], schema: Schema): boolean {
  return (
    columns.length === schema.fields.length &&
    columns.every(({ name, expr }, index) => expr.kind === "column" && expr.name === name && schema.fields[index]?.name === name)
  );
}

async function resolveKeys(analyzer: Analysis, input: Plan, named: readonly NamedExpr[]): Promise<Keys> {
  const plain: NamedExpr[] = [];
  const order: string[] = [];
  let window: Keys["window"];
  let session: Keys["session"];
  for (const { name, expr } of named) {
    const resolved = await analyzer.resolve(expr, input.schema);
    if (holdsAggregate(resolved)) throw misplaced("an aggregate", "groupBy", "aggregate in agg");
    if (resolved.kind === "window" || resolved.kind === "session") {
      if (window !== undefined || session !== undefined) throw misplaced("a second window", "groupBy", "group by one window");
      await checkTime(analyzer, input, resolved.time);
      if (resolved.kind === "window") window = { name, key: resolved };
      else session = { name, time: resolved.time, gapMs: resolved.gapMs };
      order.push(`${name}_start`, `${name}_end`);
    } else if (anyPart(resolved, (part) => part.kind === "window" || part.kind === "session")) {
      throw misplaced("a window within an expression", "groupBy", "group by the window itself");
    } else {
      plain.push({ name, expr: resolved });
      order.push(name);
    }
  }
  return { plain, window, session, order };
}

async function checkTime(analyzer: Analysis, input: Plan, time: Expr): Promise<void> {
  const { time$: spec } = await typeColumns(analyzer.engine, [{ name: "time$", expr: time }], input.schema);
  if (spec?.type.kind === "timestamp" && spec.type.unit !== "ns") return;
  throw new MillraceError(
    "DATAFRAME_TYPE",
    "window",
    `its time is a ${spec?.type.kind}, not a timestamp of s, ms or us`,
    "give a timestamp() column",
  );
}

// Replaces aggregates by columns that will hold them; what else is read must be a key.
function lift(expr: Expr, name: string, found: Map<string, { readonly name: string; readonly expr: AggregateExpr }>, keys: Keys): Expr {
  const keyed = new Map(keys.plain.map((key) => [renderExpr(key.expr), key.name]));
  return mapParts(expr, (part) => {
    if (part.kind === "aggregate") {
      if (part.args.some(holdsAggregate)) throw misplaced("an aggregate", "another aggregate", "aggregate the result of agg again");
      const identity = aggregateText(part);
      const known = found.get(identity);
      if (known !== undefined) return { kind: "column", name: known.name };
      const as = part === expr ? name : `agg$${found.size}`;
      found.set(identity, { name: as, expr: part });
      return { kind: "column", name: as };
    }
    if (part.kind === "column") {
      if (keys.order.includes(part.name)) return { kind: "raw", text: `"${part.name}"`, reads: [part.name] };
      const key = keyed.get(renderExpr(part));
      if (key === undefined) {
        throw new MillraceError(
          "DATAFRAME_NOT_GROUPED",
          `column "${part.name}"`,
          `is neither a key of the grouping nor in an aggregate (result "${name}")`,
          "group by it, or take first(...) or max(...) of it",
        );
      }
      return { kind: "raw", text: `"${key}"`, reads: [key] };
    }
    return part;
  });
}

function aggregateText({ name, args, fraction, where }: AggregateExpr): string {
  return JSON.stringify([name, args.map(renderExpr), fraction, where === undefined ? null : renderExpr(where)]);
}

async function aggregatePlan(
  analyzer: Analysis,
  input: Plan,
  keys: Keys,
  aggregates: readonly { readonly name: string; readonly expr: AggregateExpr }[],
  name: string | undefined,
): Promise<AggregatePlan> {
  const { window, session } = keys;
  const isTimed = ({ expr }: NamedExpr): boolean => expr.kind === "column" && input.times.has(expr.name);
  // A key that is event time under a watermark bounds the group's life, as a window does.
  const timeKey = window === undefined && session === undefined ? keys.plain.find(isTimed) : undefined;
  const plainKeys = keys.plain.filter((key) => key !== timeKey);
  const prepared = await prepareAggregate(analyzer, input, plainKeys, aggregates);
  const life = await lifeOf(analyzer, input, window, timeKey);
  const set = resolveAggregates(prepared.schema, prepared.calls);
  const keySpec = prepared.schema.pick(plainKeys.map((key) => key.name)).spec;
  const schema = new Schema({ ...boundSpec(keys, timeKey, life), ...keySpec, ...set.results.spec });
  const time = window?.key.time ?? session?.time;
  const bounded = timeKey !== undefined || (time?.kind === "column" && input.times.has(time.name));
  const times = new Map<string, number>();
  const delayMs =
    time?.kind === "column" ? input.times.get(time.name) : timeKey?.expr.kind === "column" ? input.times.get(timeKey.expr.name) : undefined;
  if (delayMs !== undefined) {
    if (window !== undefined) times.set(`${window.name}_start`, delayMs).set(`${window.name}_end`, delayMs);
    if (timeKey !== undefined) times.set(timeKey.name, delayMs);
  }
  return {
    kind: "aggregate",
    input,
    life,
    window: window?.key,
    session: session === undefined ? undefined : { time: session.time, gapMs: session.gapMs },
    keys: plainKeys,
    timeKey,
    aggregates,
    name,
    bounded,
    prepared,
    schema,
    streaming: input.streaming,
    times,
  };
}

async function lifeOf(analyzer: Analysis, input: Plan, window: Keys["window"], timeKey: NamedExpr | undefined): Promise<GroupLife> {
  if (window !== undefined) return { kind: "window", sizeMs: window.key.sizeMs, start: `${window.name}_start`, end: `${window.name}_end` };
  if (timeKey === undefined) return { kind: "always" };
  const spec = (await typeColumns(analyzer.engine, [timeKey], input.schema))[timeKey.name] as FieldSpec;
  return { kind: "time", field: timeKey.name, spec: { ...spec, nullable: false } };
}

function boundSpec(keys: Keys, timeKey: NamedExpr | undefined, life: GroupLife): RowSpec {
  const name = keys.window?.name ?? keys.session?.name;
  if (name !== undefined) return { [`${name}_start`]: timestamp().spec, [`${name}_end`]: timestamp().spec };
  return timeKey !== undefined && life.kind === "time" ? { [timeKey.name]: life.spec } : {};
}

/** Keys and arguments as columns, and the calls of the core's aggregates over them. */
async function prepareAggregate(
  analyzer: Analysis,
  input: Plan,
  keys: readonly NamedExpr[],
  aggregates: readonly { readonly name: string; readonly expr: AggregateExpr }[],
): Promise<PreparedAggregate> {
  const columns: NamedExpr[] = [...keys];
  const byText = new Map<string, string>();
  const argument = (expr: Expr, where: Expr | undefined): string => {
    const filtered: Expr = where === undefined ? expr : { kind: "case", branches: [{ when: where, value: expr }], otherwise: undefined };
    const text = renderExpr(filtered);
    const known = byText.get(text);
    if (known !== undefined) return known;
    const name = `arg$${byText.size}`;
    byText.set(text, name);
    columns.push({ name, expr: filtered });
    return name;
  };
  const calls: Record<string, AggregateCalls[string]> = {};
  for (const { name, expr } of aggregates) {
    const [first, second] = expr.args;
    if (expr.name === "count" && (first === undefined || !mayBeNull(first, input.schema)) && expr.where === undefined) {
      calls[name] = { kind: "count" };
      continue;
    }
    const field = argument(first ?? { kind: "literal", value: 1 }, expr.where);
    calls[name] = {
      kind: expr.name,
      field,
      ...(second === undefined ? {} : { by: argument(second, expr.where) }),
      ...(expr.fraction === undefined ? {} : { fraction: expr.fraction }),
    };
  }
  const read = new Set(columns.flatMap(({ expr }) => [...columnsRead(expr)]));
  for (const name of read) input.schema.field(name);
  const schema = new Schema(await typeColumns(analyzer.engine, columns, input.schema));
  return { columns, schema, calls };
}

export async function analyzePivot(analyzer: Analysis, input: Plan, relation: Extract<Relation, { kind: "pivot" }>): Promise<Plan> {
  if (input.streaming) {
    throw new MillraceError(
      "DATAFRAME_UNSUPPORTED",
      "pivot",
      "is for batches: a stream's rows keep coming",
      "aggregate with filter(...) per value instead",
    );
  }
  // A pivot is an aggregate per value, over the rows that have it.
  const results = relation.results.map(({ name, expr }, index): NamedExpr => {
    const has: Expr = {
      kind: "operator",
      symbol: "=",
      args: [
        { kind: "column", name: relation.by },
        { kind: "literal", value: relation.values[index] ?? null },
      ],
    };
    return {
      name,
      expr: { ...expr, where: expr.where === undefined ? has : { kind: "operator", symbol: "AND", args: [expr.where, has] } },
    };
  });
  return analyzeAggregate(analyzer, input, { kind: "aggregate", input: relation.input, keys: relation.keys, results });
}
