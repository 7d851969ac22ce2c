// The part of an aggregate that the kernel does in each batch: rows into windows, and where it can, into accumulators.
import type { Schema } from "../../../core/schema/schema.ts";
import type { FieldSpec } from "../../../core/schema/type-spec.ts";
import type { AggregatePlan, WindowKey } from "../../../dataframe/analysis/plan.ts";
import { renderExpr } from "../../../dataframe/analysis/render.ts";
import { quoted, sqlTypeOf } from "../../../dataframe/analysis/sql-types.ts";
import type { AggregateCalls } from "../../../operators/aggregate/call.ts";
import { frameBound } from "../../../operators/frame/frame-aggregate.ts";

/** Aggregates whose accumulators SQL can make: the others take rows. */
const partialKinds: ReadonlySet<string> = new Set(["count", "sum", "avg", "min", "max"]);

export function canBePartial(calls: AggregateCalls): boolean {
  return Object.values(calls).every(({ kind }) => partialKinds.has(kind));
}

const bound = quoted(frameBound);

/** The rows that the aggregate takes when it aggregates itself: keys, arguments, bound. `from` is a parenthesised query with an alias. */
export function rowsSql(plan: AggregatePlan, from: string): string {
  const columns = plan.prepared.columns.map(
    ({ name, expr }) => `${castTo(renderExpr(expr), plan.prepared.schema, name)} AS ${quoted(name)}`,
  );
  const { window, timeKey } = plan;
  if (window === undefined) {
    const start = timeKey === undefined ? "0::BIGINT" : `epoch_ms(${renderExpr(timeKey.expr)})`;
    const where = timeKey === undefined ? "" : ` WHERE ${renderExpr(timeKey.expr)} IS NOT NULL`;
    return `SELECT ${[...columns, `${start} AS ${bound}`].join(", ")} FROM ${from}${where}`;
  }
  const time = `epoch_ms(${renderExpr(window.time)})`;
  const kept = `${renderExpr(window.time)} IS NOT NULL`;
  if (window.slideMs === window.sizeMs) {
    return `SELECT ${[...columns, `${paneStart(time, window)} AS ${bound}`].join(", ")} FROM ${from} WHERE ${kept}`;
  }
  // A row is in every window that began less than the size before it.
  const windows = Math.ceil(window.sizeMs / window.slideMs);
  const start = `${paneStart(time, window)} - i * ${window.slideMs}`;
  return (
    `SELECT ${[...columns, `${start} AS ${bound}`].join(", ")} FROM ${from}, range(${windows}) AS w(i) ` +
    `WHERE ${kept} AND ${start} + ${window.sizeMs} > ${time}`
  );
}

/** Accumulators per key and bound, in the layout of partial rows. */
export function partialSql(plan: AggregatePlan, from: string, accumulators: Schema): string {
  const keys = plan.keys.map(({ name }) => quoted(name));
  const sums = Object.entries(plan.prepared.calls).flatMap(([name, call]) => accumulatorsOf(name, call, accumulators));
  const { window } = plan;
  const expands = window !== undefined && window.slideMs !== window.sizeMs && window.sizeMs % window.slideMs === 0;
  // Where windows are made of whole slides, rows are aggregated by slide, and only the few accumulators are multiplied.
  const rows = expands ? rowsSql({ ...plan, window: { ...window, sizeMs: window.slideMs } }, from) : rowsSql(plan, from);
  const grouping = plan.window === undefined && plan.timeKey === undefined ? keys : [...keys, bound];
  const boundColumn = grouping.includes(bound) ? bound : `0::BIGINT AS ${bound}`;
  const partial =
    `SELECT ${[...keys, boundColumn, ...sums].join(", ")} FROM (${rows}) AS p` +
    (grouping.length === 0 ? "" : ` GROUP BY ${grouping.join(", ")}`);
  if (!expands) return partial;
  const names = accumulators.fields.map(({ name }) => quoted(name));
  const start = `${bound} - i * ${window.slideMs} AS ${bound}`;
  return `SELECT ${[...keys, start, ...names].join(", ")} FROM (${partial}) AS q, range(${window.sizeMs / window.slideMs}) AS w(i)`;
}

function paneStart(time: string, { slideMs, offsetMs }: WindowKey): string {
  const shifted = offsetMs === 0 ? time : `(${time} - ${offsetMs})`;
  // The remainder has the sign of the dividend: times before the epoch must round down too.
  return `(${time} - ((${shifted} % ${slideMs}) + ${slideMs}) % ${slideMs})`;
}

function accumulatorsOf(name: string, call: AggregateCalls[string], accumulators: Schema): readonly string[] {
  const arg = call.field === undefined ? "*" : quoted(call.field);
  const made: string[] = [];
  const add = (part: string, sql: string): void => {
    const field = accumulators.find(`${name}$${part}`);
    if (field !== undefined) made.push(`CAST(${sql} AS ${sqlTypeOf(field.spec.type, name)}) AS ${quoted(field.name)}`);
  };
  switch (call.kind) {
    case "count":
      add("count", `count(${arg})`);
      break;
    case "sum":
    case "avg":
      add("sum", `coalesce(sum(${arg}), 0)`);
      add("count", `count(${arg})`);
      break;
    default:
      add("value", `${call.kind}(${arg})`);
  }
  return made;
}

/** An expression cast to the type that the analysis gave its column. */
export function castTo(sql: string, schema: Schema, name: string): string {
  const spec: FieldSpec | undefined = schema.find(name)?.spec;
  return spec === undefined || spec.type.kind === "any" ? sql : `CAST(${sql} AS ${sqlTypeOf(spec.type, name)})`;
}
