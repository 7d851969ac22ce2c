// Keyed rows in windows: what can be computed over them.
import { keyLayout } from "../core/keys/key-layout.ts";
import type { Schema } from "../core/schema/schema.ts";
import type { AggregateResults, ValidAggregates } from "../operators/aggregate/call-types.ts";
import type { AggregateCalls } from "../operators/aggregate/call.ts";
import { aggregatesJson } from "../operators/aggregate/resolve.ts";
import type { TriggerSpec } from "../operators/window/trigger.ts";
import { windowAggregate } from "../operators/window/window-aggregate.ts";
import { type FiringMode, type WindowAggregateParams, resolveWindowAggregate } from "../operators/window/window-params.ts";
import type { WindowSpec } from "../operators/window/window-spec.ts";
import { parseDuration } from "../base/duration.ts";
import type { Stream } from "./stream.ts";
import type { WindowFunction } from "../operators/window/window-process.ts";
import { refuseUpserts } from "./changelogs.ts";
import { addLocalAggregate, addWindowProcess, type LocalFirst, type WindowProcessShape } from "./window-nodes.ts";
import { type OperatorOptions, type StreamRef, addNode, forwardInput, hashInput } from "./stream-ref.ts";
import type { Duration } from "./windows.ts";

/** The fields that a window adds to its results. */
export type WindowBounds<W extends WindowSpec> = W["kind"] extends "global" | "count"
  ? unknown
  : { readonly windowStart: number; readonly windowEnd: number };

export interface WindowOptions extends OperatorOptions {
  /** How long after its end a window still takes rows, and is then fired again. Default none. */
  readonly allowedLateness?: Duration;
  /** What later firings look like. Default: `append` where a window fires once, else `changelog`. */
  readonly firing?: FiringMode;
  /** When windows fire. Default: once, when the watermark passes the window's end. */
  readonly trigger?: TriggerSpec;
  /** Which time places a row: its own (default) or the clock's when it arrives. */
  readonly time?: "event" | "processing";
  /**
   * Adds rows up before they cross to the instance that owns their key. For tumbling, sliding and cumulate windows that fire at their
   * end; there is no side output `late` then. Default: not.
   */
  readonly localFirst?: LocalFirst;
}

/** The result of a window aggregate: its main rows, and those that came too late as side output `late`. */
export type WindowResult<Row, Keys extends keyof Row, Calls extends AggregateCalls, W extends WindowSpec> = Stream<
  Pick<Row, Keys> & WindowBounds<W> & AggregateResults<Row, Calls>,
  { readonly late: Row }
>;

/** Makes a stream of a reference; handed in because streams make these objects. */
export type StreamMaker = <Row, Sides extends Readonly<Record<string, unknown>>>(ref: StreamRef) => Stream<Row, Sides>;

export class WindowedStream<Row, Keys extends keyof Row & string, W extends WindowSpec> {
  readonly #ref: StreamRef;
  readonly #fields: readonly Keys[];
  readonly #window: W;
  readonly #make: StreamMaker;

  constructor(ref: StreamRef, fields: readonly Keys[], window: W, make: StreamMaker) {
    this.#ref = ref;
    this.#fields = fields;
    this.#window = window;
    this.#make = make;
  }

  /** One row per key and window: `{ bids: count(), best: max("price") }`. Rows that come too late are in `.side("late")`. */
  aggregate<const Calls extends AggregateCalls>(
    calls: Calls & ValidAggregates<Row, Calls>,
    options: WindowOptions = {},
  ): WindowResult<Row, Keys, Calls, W> {
    const { uid, parallelism, allowedLateness, firing, trigger, time, localFirst } = options;
    refuseUpserts(this.#ref, "aggregate");
    const schema = this.#ref.schema as Schema<Row>;
    const latenessMs = allowedLateness === undefined ? 0 : parseDuration(allowedLateness, "allowedLateness");
    const params: WindowAggregateParams = {
      input: schema,
      key: keyLayout(schema, this.#fields),
      window: this.#window,
      calls,
      latenessMs,
      ...(localFirst === undefined ? { lateOutput: "late" } : { partial: true }),
      retracting: this.#ref.changelog !== "append",
      ...(firing === undefined ? {} : { firing }),
      ...(trigger === undefined ? {} : { trigger }),
      ...(time === undefined ? {} : { time }),
    };
    const { output } = resolveWindowAggregate(params);
    const firesAgain = latenessMs > 0 || trigger !== undefined || this.#ref.changelog !== "append";
    const mode = firing ?? (firesAgain ? "changelog" : "append");
    const read = Object.values(calls).flatMap((call) =>
      call.kind === "custom" ? [] : [call.field, call.by].filter((name) => name !== undefined),
    );
    const custom = Object.values(calls).some((call) => call.kind === "custom");
    const reads = [custom ? null : [...new Set([...this.#fields, ...read])]];
    const from =
      localFirst === undefined
        ? this.#ref
        : addLocalAggregate({ ref: this.#ref, fields: this.#fields }, localFirst, calls, reads, this.#window);
    const keyed = this.#fields.length > 0;
    const ref = addNode(
      this.#ref.graph,
      {
        kind: "window",
        uid,
        inputs: [keyed ? hashInput(from, this.#fields) : { ...forwardInput(from), exchange: "rebalance" }],
        schema: output,
        sideSchemas: new Map(localFirst === undefined ? [["late", schema as Schema]] : []),
        changelog: mode === "append" ? "append" : mode === "upsert" ? "upsert" : "retract",
        stateful: true,
        options: {
          window: this.#window,
          aggregates: aggregatesJson(calls),
          key: this.#fields,
          ...(latenessMs === 0 ? {} : { allowedLatenessMs: latenessMs }),
          firing: mode,
        },
        reads: localFirst === undefined ? reads : [null],
        body: { kind: "operator", create: windowAggregate(params), keyed: true },
      },
      keyed ? (parallelism === undefined ? {} : { parallelism }) : { parallelism: 1 },
    );
    return this.#make(ref);
  }

  /**
   * The user's function over all rows of each window, which are kept until then; an aggregate costs less where one will do. Rows
   * that come too late are in `.side("late")`.
   */
  process<Out>(
    fn: WindowFunction<Pick<Row, Keys>, Row, NoInfer<Out>>,
    shape: WindowProcessShape<Out>,
  ): Stream<Out, { readonly late: Row }> {
    return this.#make(addWindowProcess({ ref: this.#ref, fields: this.#fields }, this.#window, fn, shape));
  }
}
