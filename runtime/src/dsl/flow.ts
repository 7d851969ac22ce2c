// What a job's function gets: where dataflows begin.
import { MillraceError } from "../base/errors.ts";
import type { WatermarkStrategy } from "../core/time/watermark-strategy.ts";
import type { SourceBody } from "../plan/dataflow.ts";
import type { FormattedSource, RowSource, SourceEndpoint } from "./endpoints.ts";
import { endpointSchema } from "./endpoints.ts";
import { GlobalTable, type GlobalTableOptions, tableBody } from "./global-table.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { type KeyField, Stream } from "./stream.ts";
import { addNode, type StreamRef } from "./stream-ref.ts";

/** Fields of a row that can be its event time. */
export type TimeField<Row> = { [K in keyof Row & string]: Row[K] extends number | bigint ? K : never }[keyof Row & string];

export interface SourceOptions<Row> {
  /**
   * Event time: a timestamp field (or a number of ms), or a function that gives ms since the epoch. Default: the connector's own
   * timestamp of each record.
   */
  readonly time?: TimeField<Row> | ((row: Row) => number);
  /** How far event time has come, derived from the rows of each split. Default: no watermarks, so no event-time window closes. */
  readonly watermarks?: WatermarkStrategy;
  readonly parallelism?: number;
}

export class Flow {
  /** The job's parameters, from the manifest or the command line. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly #graph: GraphBuilder;

  constructor(graph: GraphBuilder, parameters: Readonly<Record<string, string>>) {
    this.#graph = graph;
    this.parameters = parameters;
  }

  /** A parameter by name; throws PARAMETER_MISSING where it is not given and has no default. */
  parameter(name: string, defaultValue?: string): string {
    const value = this.parameters[name] ?? defaultValue;
    if (value === undefined) {
      throw new MillraceError(
        "PARAMETER_MISSING",
        `parameter "${name}"`,
        "is not given",
        `set job.parameters.${name} in the manifest, or --param ${name}=...`,
      );
    }
    return value;
  }

  /** Reads a source. `uid` is its stable name: its positions are found by it. */
  source<Row>(uid: string, endpoint: FormattedSource<Row>, options?: SourceOptions<Row>): Stream<Row>;
  source<Row>(uid: string, endpoint: RowSource<Row>, options?: SourceOptions<Row>): Stream<Row>;
  source<Row>(uid: string, endpoint: SourceEndpoint<Row>, options: SourceOptions<Row> = {}): Stream<Row> {
    return new Stream<Row>(this.#add(uid, endpoint, options));
  }

  /**
   * Reads a source as a table that any stream looks rows up in, by the table's key: `stream.joinGlobal(table)`. An embedded application holds
   * it whole in each process, and reads it to the end that it has at the start before any task joins with it.
   */
  globalTable<Row, K extends KeyField<Row>>(
    uid: string,
    endpoint: FormattedSource<Row>,
    options: GlobalTableOptions<Row, K>,
  ): GlobalTable<Row>;
  globalTable<Row, K extends KeyField<Row>>(uid: string, endpoint: RowSource<Row>, options: GlobalTableOptions<Row, K>): GlobalTable<Row>;
  globalTable<Row, K extends KeyField<Row>>(
    uid: string,
    endpoint: SourceEndpoint<Row>,
    options: GlobalTableOptions<Row, K>,
  ): GlobalTable<Row> {
    const ref = this.#add(uid, endpoint, {}, { table: tableBody(endpointSchema(endpoint), options) });
    return new GlobalTable<Row>(ref, options);
  }

  #add<Row>(uid: string, endpoint: SourceEndpoint<Row>, options: SourceOptions<Row>, more: Pick<SourceBody, "table"> = {}): StreamRef {
    const schema = endpointSchema(endpoint);
    const { time, watermarks, parallelism } = options;
    if (typeof time === "string") schema.field(time);
    const format = endpoint.format;
    return addNode(
      this.#graph,
      {
        kind: `source.${endpoint.source.connector}`,
        uid,
        inputs: [],
        schema,
        changelog: format?.changelog ?? "append",
        stateful: true,
        options: {
          ...endpoint.source.options,
          ...(format === undefined ? {} : { format: format.name }),
          ...(time === undefined ? {} : { time: typeof time === "string" ? time : "function" }),
          ...(watermarks === undefined ? {} : { watermarks: printable(watermarks) }),
        },
        body: {
          kind: "source",
          source: endpoint.source,
          ...(format === undefined ? {} : { format }),
          ...(typeof time === "string" ? { timeField: time } : time === undefined ? {} : { timeOf: time as (row: unknown) => number }),
          ...(watermarks === undefined ? {} : { watermarks }),
          ...more,
        },
      },
      parallelism === undefined ? {} : { parallelism },
    );
  }
}

function printable(strategy: WatermarkStrategy): Readonly<Record<string, unknown>> {
  const { create, ...rest } = strategy;
  return create === undefined ? rest : { ...rest, create: "function" };
}
