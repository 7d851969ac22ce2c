// Which stages of a query executors compute: everything from the sources up to the first operators with state, and those operators.
import type { BatchStages, OperatorStage, RowsStage, ScanStage } from "../stages/stage.ts";

/** Rows that executors compute from a source's records and hand on: to the operator that they belong to, or as the result. */
export interface Channel {
  readonly name: string;
  readonly stage: RowsStage;
  /** Undefined for rows of the result. */
  readonly target: { readonly operator: OperatorStage; readonly input: number } | undefined;
  /** The streams among what it reads, by uid. */
  readonly scans: ReadonlySet<string>;
}

export interface Distribution {
  readonly channels: readonly Channel[];
  readonly operators: readonly OperatorStage[];
  /** Watermarks that a query over a source's rows gives: its SQL. */
  readonly watermarkSql: readonly { readonly sql: string; readonly scans: ReadonlySet<string> }[];
}

/** How a query is spread; or why all of it must be computed in the driver. Operators over other operators' rows stay there anyway. */
export function distribute(stages: BatchStages): Distribution | { readonly reason: string } {
  const channels: Channel[] = [];
  const operators: OperatorStage[] = [];
  const walk = (rows: RowsStage): string | undefined => {
    if (rows.kind === "operator" && rows.streaming) {
      if (operators.includes(rows)) return undefined;
      if (rows.inputs.every(readsSourcesOnly)) {
        operators.push(rows);
        rows.inputs.forEach((stage, input) =>
          channels.push({ name: `${rows.uid}/${input}`, stage, target: { operator: rows, input }, scans: scansOf(stage) }),
        );
        return undefined;
      }
    }
    for (const input of inputsOf(rows)) {
      if (input.kind !== "scan") {
        const reason = walk(input);
        if (reason !== undefined) return reason;
      } else if (input.plan.streaming) return `stream "${input.uid}" is joined or united with results of operators`;
    }
    return undefined;
  };
  if (readsSourcesOnly(stages.result)) {
    channels.push({ name: "result", stage: stages.result, target: undefined, scans: scansOf(stages.result) });
  } else {
    const reason = walk(stages.result);
    if (reason !== undefined) return { reason };
  }
  const watermarkSql: Distribution["watermarkSql"][number][] = [];
  for (const { from } of stages.watermarks) {
    if (from.kind !== "sql") continue;
    const over = from.tables.map(({ rows }) => (rows.kind === "scan" ? true : readsSourcesOnly(rows)));
    if (over.every(Boolean)) {
      const scans = from.tables.flatMap(({ rows }) =>
        rows.kind === "scan" ? (rows.plan.streaming ? [rows.uid] : []) : [...scansOf(rows)],
      );
      watermarkSql.push({ sql: from.sql, scans: new Set(scans) });
    } else if (over.some(Boolean)) return { reason: "a watermark is over a stream and results of operators together" };
  }
  return { channels, operators, watermarkSql };
}

function inputsOf(rows: RowsStage): readonly (ScanStage | RowsStage)[] {
  switch (rows.kind) {
    case "operator":
      return rows.inputs;
    case "columns":
    case "udf":
      return [rows.input];
    case "sql":
      return rows.tables.map((table) => table.rows);
  }
}

/** Only sources and inputs that are no streams are below it: its rows can be computed for any part of the records alone. */
function readsSourcesOnly(rows: RowsStage): boolean {
  if (rows.kind === "operator" && rows.streaming) return false;
  return inputsOf(rows).every((input) => input.kind === "scan" || readsSourcesOnly(input));
}

function scansOf(rows: RowsStage): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (stage: RowsStage): void => {
    for (const input of inputsOf(stage)) {
      if (input.kind !== "scan") walk(input);
      else if (input.plan.streaming) found.add(input.uid);
    }
  };
  walk(rows);
  return found;
}
