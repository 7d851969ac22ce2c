// From an analysed plan to the stages of a batch: as much as possible in one query, cut where state or a function of the user's own is.
import { MillraceError } from "../../../base/errors.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { type AggregatePlan, type Plan, planNodes } from "../../../dataframe/analysis/plan.ts";
import { quoted } from "../../../dataframe/analysis/sql-types.ts";
import type { OutputMode } from "../../../operators/frame/frame-aggregate.ts";
import { aggregateStage } from "./aggregate-stage.ts";
import { dedupeStage } from "./dedupe-stage.ts";
import { joinStage } from "./join-stage.ts";
import { transformStage } from "./transform-stage.ts";
import { neededColumns } from "./needed-columns.ts";
import { firstTime, type StageBuilding } from "./building.ts";
import { type Boundary, planSql } from "./plan-sql.ts";
import type { BatchStages, OperatorStage, RowsStage, ScanPlan, ScanStage, SqlStage, TableStage, WatermarkStage } from "./stage.ts";

/** The stages of `plan`. Throws DATAFRAME_NAME_TAKEN where two sources or operators have one name. */
export function buildStages(plan: Plan, mode: OutputMode): BatchStages {
  return new StageBuilder(plan, mode).build();
}

/** True where rows are remembered from batch to batch. An aggregate of a batch goes the same way: as a stream of one batch. */
function isStateful(plan: Plan): boolean {
  if (plan.kind === "aggregate" || plan.kind === "transform") return true;
  if (plan.kind === "dedupe") return plan.streaming;
  return plan.kind === "join" && plan.left.streaming && plan.right.streaming;
}

class StageBuilder implements StageBuilding {
  readonly mode: OutputMode;
  readonly #plan: Plan;
  readonly #needed: ReadonlyMap<Plan, ReadonlySet<string>>;
  readonly #tables = new Map<Plan, TableStage>();
  readonly #scans: ScanStage[] = [];
  readonly #operators: OperatorStage[] = [];
  readonly #uids = new Set<string>();

  constructor(plan: Plan, mode: OutputMode) {
    this.#plan = plan;
    this.mode = mode;
    this.#needed = neededColumns(plan);
  }

  build(): BatchStages {
    const result = this.rows(this.#plan);
    const watermarks = [...new Set(planNodes(this.#plan))].flatMap((node) =>
      node.kind === "watermark" && node.streaming ? [this.#watermark(node)] : [],
    );
    return { result, watermarks, scans: this.#scans, operators: this.#operators, tables: [...this.#tables.values()] };
  }

  rows(plan: Plan): RowsStage {
    if (isStateful(plan)) return this.#operator(plan);
    if (plan.kind === "udf") return { kind: "udf", input: this.rows(plan.input), calls: plan.calls, schema: plan.schema };
    if (plan.kind === "project" && isStateful(plan.input) && plan.columns.every(({ expr }) => expr.kind === "column")) {
      const from = plan.columns.map(({ expr }) => (expr.kind === "column" ? expr.name : ""));
      return { kind: "columns", input: this.#operator(plan.input), from, schema: plan.schema };
    }
    return this.sql((boundary) => planSql(plan, boundary), plan.schema, firstTime(plan));
  }

  /** A query whose text `write` makes; the nodes that it meets at its bounds become tables. */
  sql(write: (boundary: Boundary) => string, schema: Schema, timeField: string | undefined): SqlStage {
    const tables = new Set<TableStage>();
    const tableOf = (node: Plan): string | undefined => {
      const table = this.#tableOf(node);
      if (table !== undefined) tables.add(table);
      return table?.name;
    };
    const needs = (node: Plan, name: string): boolean => this.#needed.get(node)?.has(name) === true;
    const text = write(Object.assign(tableOf, { needs }));
    const columns = schema.fields.map(({ name }) => quoted(name)).join(", ");
    // The order of columns is the schema's, whatever a star gives.
    return { kind: "sql", sql: `SELECT ${columns} FROM (${text}) AS result`, schema, timeField, tables: [...tables] };
  }

  #tableOf(plan: Plan): TableStage | undefined {
    const known = this.#tables.get(plan);
    if (known !== undefined) return known;
    if (plan.kind === "scan") return this.#scanTable(plan);
    if (!isStateful(plan) && plan.kind !== "udf") return undefined;
    const rows = this.rows(plan);
    const table: TableStage = { name: `t${this.#tables.size}`, schema: plan.schema, rows, streaming: plan.streaming };
    this.#tables.set(plan, table);
    return table;
  }

  #scanTable(plan: ScanPlan): TableStage {
    const uid = plan.relation.options.name;
    this.#claim(uid, "source");
    const needed = this.#needed.get(plan);
    const columns = plan.schema.fields.map(({ name }) => name).filter((name) => needed?.has(name) === true);
    const scan: ScanStage = { kind: "scan", uid, plan, columns };
    this.#scans.push(scan);
    const table: TableStage = { name: `s${this.#tables.size}`, schema: plan.schema.pick(columns), rows: scan, streaming: plan.streaming };
    this.#tables.set(plan, table);
    return table;
  }

  #claim(uid: string, what: string): void {
    if (this.#uids.has(uid)) {
      throw new MillraceError(
        "DATAFRAME_NAME_TAKEN",
        `${what} "${uid}"`,
        "has a name that is taken in this query",
        "give each source, aggregate, join and deduplication a name of its own",
      );
    }
    this.#uids.add(uid);
  }

  /** The stable name of an operator with state: the query's, or one derived from its place. */
  uidOf(name: string | undefined, kind: string): { readonly uid: string; readonly uidDerived: boolean } {
    const uid = name ?? `${kind}-${this.#operators.length}`;
    this.#claim(uid, kind);
    return { uid, uidDerived: name === undefined };
  }

  #operator(plan: Plan): OperatorStage {
    const stage = this.#make(plan);
    this.#operators.push(stage);
    return stage;
  }

  #make(plan: Plan): OperatorStage {
    switch (plan.kind) {
      case "aggregate":
        return aggregateStage(this, plan as AggregatePlan);
      case "dedupe":
        return dedupeStage(this, plan);
      case "join":
        return joinStage(this, plan);
      case "transform":
        return transformStage(this, plan);
      default:
        throw new Error(`assertion failed: a ${plan.kind} keeps no state`);
    }
  }

  #watermark(plan: Extract<Plan, { kind: "watermark" }>): WatermarkStage {
    const origin = scanColumn(plan.input, plan.column);
    if (origin !== undefined) return { delayMs: plan.delayMs, from: { kind: "scan", ...origin } };
    const { sql, tables } = this.sql((boundary) => planSql(plan.input, boundary), plan.input.schema.pick([plan.column]), undefined);
    return { delayMs: plan.delayMs, from: { kind: "sql", sql: `SELECT epoch_ms(max(${quoted(plan.column)})) FROM (${sql}) AS m`, tables } };
  }
}

// Where every row of a source has the column as it came, its latest time is seen while the rows are loaded.
function scanColumn(plan: Plan, column: string): { readonly uid: string; readonly column: string } | undefined {
  if (plan.kind === "scan") return { uid: plan.relation.options.name, column };
  if (plan.kind !== "project") return undefined;
  const expr = plan.columns.find(({ name }) => name === column)?.expr;
  return expr?.kind === "column" ? scanColumn(plan.input, expr.name) : undefined;
}
