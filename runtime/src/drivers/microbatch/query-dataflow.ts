// A query's stages as a dataflow: what the plan prints, snapshots are checked against, and other shapes of the query share.
import type { Sink } from "../../core/ports/sink.ts";
import { Schema } from "../../core/schema/schema.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import type { FrameSink } from "../../dataframe/query.ts";
import type { Dataflow, DataflowInput, DataflowNode } from "../../plan/dataflow.ts";
import { mainOutput } from "../../plan/dataflow.ts";
import { isCoreSink, sinkName, sinkUid } from "./run/sink-runner.ts";
import type { BatchStages, RowsStage, WatermarkStage } from "./stages/stage.ts";

/** The name of a watermark's state in snapshots. */
export function watermarkUid(index: number): string {
  return `watermark-${index}`;
}

const noSides: ReadonlyMap<string, Schema> = new Map();
const noKey = keyLayout(new Schema({}), []);

export function queryDataflow(name: string, stages: BatchStages, sink: FrameSink<never>): Dataflow {
  const nodes: DataflowNode[] = [];
  const scans = new Map<string, DataflowNode>();
  const operators = new Map<unknown, DataflowNode>();
  const common = { uidDerived: false, sideSchemas: noSides, changelog: "append", reads: [] } as const;
  const add = (node: Omit<DataflowNode, "id">): DataflowNode => {
    const made = { ...node, id: nodes.length };
    nodes.push(made);
    return made;
  };
  for (const { uid, plan, columns } of stages.scans) {
    const { source, format } = plan.relation;
    const node = add({
      ...common,
      uid,
      kind: `source.${source.connector}`,
      inputs: [],
      schema: plan.schema.pick(columns),
      stateful: true,
      options: { ...source.options, ...(format === undefined ? {} : { format: format.name }) },
      body: { kind: "source", source, ...(format === undefined ? {} : { format }) },
    });
    scans.set(uid, node);
  }
  const upstream = (rows: RowsStage): readonly DataflowNode[] => {
    switch (rows.kind) {
      case "operator": {
        const known = operators.get(rows);
        return known === undefined ? [] : [known];
      }
      case "columns":
      case "udf":
        return upstream(rows.input);
      case "sql":
        return rows.tables.flatMap((table) =>
          table.rows.kind === "scan" ? [scans.get(table.rows.uid) as DataflowNode] : upstream(table.rows),
        );
    }
  };
  const inputs = (from: readonly DataflowNode[], exchange: "forward" | "hash"): readonly DataflowInput[] =>
    [...new Set(from)].map((node) => ({ from: node, output: mainOutput, exchange, ...(exchange === "hash" ? { key: noKey } : {}) }));
  stages.watermarks.forEach((watermark, index) => {
    add({
      ...common,
      uid: watermarkUid(index),
      kind: "frameWatermark",
      inputs: inputs(
        watermarkScans(watermark).map((uid) => scans.get(uid) as DataflowNode),
        "forward",
      ),
      schema: new Schema({}),
      stateful: true,
      options: { delayMs: watermark.delayMs },
      body: { kind: "operator", keyed: false, create: notHere },
    });
  });
  for (const stage of stages.operators.filter(({ streaming }) => streaming)) {
    const node = add({
      ...common,
      uid: stage.uid,
      uidDerived: stage.uidDerived,
      kind: stage.operator,
      inputs: inputs(stage.inputs.flatMap(upstream), "hash"),
      schema: stage.schema,
      stateful: true,
      options: stage.options,
      body: { kind: "operator", keyed: true, create: stage.create },
    });
    operators.set(stage, node);
  }
  add({
    ...common,
    uid: sinkUid,
    kind: `sink.${sinkName(sink)}`,
    inputs: inputs(upstream(stages.result), "forward"),
    schema: stages.result.schema,
    stateful: true,
    options: isCoreSink(sink) ? sink.options : sink.kind === "batch" ? sink.options : {},
    body: { kind: "sink", sink: isCoreSink(sink) ? sink : functionSink(sinkName(sink)) },
  });
  return { name, nodes };
}

/** The sources that a watermark's rows come from. */
export function watermarkScans({ from }: WatermarkStage): readonly string[] {
  if (from.kind === "scan") return [from.uid];
  return from.tables.flatMap((table) => (table.rows.kind === "scan" ? [table.rows.uid] : []));
}

function notHere(): never {
  throw new Error("assertion failed: the driver itself keeps the watermarks of a query in batches");
}

function functionSink(connector: string): Sink {
  return { connector, options: {}, accepts: "append", delivery: "at-least-once", openWriter: notHere };
}
