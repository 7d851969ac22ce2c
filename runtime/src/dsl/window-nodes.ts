// Builds the window nodes of the DSL beside the plain aggregate: a function over all rows of a window, and the aggregate before an exchange.
import { keyLayout } from "../core/keys/key-layout.ts";
import type { Schema } from "../core/schema/schema.ts";
import { MillraceError } from "../base/errors.ts";
import { parseDuration } from "../base/duration.ts";
import type { AggregateCalls } from "../operators/aggregate/call.ts";
import { localAggregate, localAggregateSchema, type LocalAggregateParams } from "../operators/window/local-aggregate.ts";
import { type WindowFunction, windowProcess } from "../operators/window/window-process.ts";
import { type AlignedWindow, isAligned, type WindowSpec } from "../operators/window/window-spec.ts";
import type { TriggerSpec } from "../operators/window/trigger.ts";
import { refuseUpserts } from "./changelogs.ts";
import { type OperatorOptions, type StreamRef, addNode, forwardInput, hashInput } from "./stream-ref.ts";
import type { Duration } from "./windows.ts";

/**
 * Adds up rows before they cross to the instance that owns their key: `batch` sends what each batch of rows comes to, `watermark`
 * holds it until event time moves on, a checkpoint comes, or too many keys are held. Worth it where few keys have most rows.
 */
export type LocalFirst = "batch" | "watermark";

export interface WindowProcessShape<Out> extends OperatorOptions {
  readonly output: Schema<Out>;
  /** How long after its end a window still takes rows, and is then handed to the function again. Default none. */
  readonly allowedLateness?: Duration;
  readonly trigger?: TriggerSpec;
  readonly time?: "event" | "processing";
}

interface Keyed {
  readonly ref: StreamRef;
  readonly fields: readonly string[];
}

export function addWindowProcess<Key, Row, Out>(
  from: Keyed,
  window: WindowSpec,
  fn: WindowFunction<Key, Row, Out>,
  shape: WindowProcessShape<Out>,
): StreamRef {
  const { output, allowedLateness, trigger, time, uid, parallelism } = shape;
  if (window.kind === "count") {
    throw new MillraceError(
      "WINDOW_INVALID",
      "process over a count window",
      "it keeps no rows",
      'use aggregate({ rows: collect("field") }), or a global window with a count trigger',
    );
  }
  refuseUpserts(from.ref, "process over windows");
  const input = from.ref.schema;
  const create = windowProcess({
    input,
    key: keyLayout(input, from.fields),
    window,
    output,
    process: fn,
    lateOutput: "late",
    ...(allowedLateness === undefined ? {} : { latenessMs: parseDuration(allowedLateness, "allowedLateness") }),
    ...(trigger === undefined ? {} : { trigger }),
    ...(time === undefined ? {} : { time }),
  });
  const keyed = from.fields.length > 0;
  return addNode(
    from.ref.graph,
    {
      kind: "windowProcess",
      uid,
      inputs: [keyed ? hashInput(from.ref, from.fields) : { ...forwardInput(from.ref), exchange: "rebalance" }],
      schema: output,
      sideSchemas: new Map([["late", input]]),
      stateful: true,
      options: { window, key: from.fields, ...(allowedLateness === undefined ? {} : { allowedLateness }) },
      body: { kind: "operator", create, keyed: true },
    },
    keyed ? (parallelism === undefined ? {} : { parallelism }) : { parallelism: 1 },
  );
}

/** The rows of a local aggregate, keyed as its input was. */
export function addLocalAggregate(
  from: Keyed,
  how: LocalFirst,
  calls: AggregateCalls,
  reads: readonly (readonly string[] | null)[],
  window?: WindowSpec,
): StreamRef {
  if (window !== undefined && !isAligned(window)) {
    throw new MillraceError(
      "WINDOW_INVALID",
      `${window.kind} window`,
      "rows cannot be added up before the exchange",
      "leave out localFirst: it serves tumbling, sliding and cumulate windows",
    );
  }
  const input = from.ref.schema;
  const params: LocalAggregateParams = {
    input,
    key: keyLayout(input, from.fields),
    calls,
    retracting: from.ref.changelog !== "append",
    flush: how,
    ...(window === undefined ? {} : { window: window as AlignedWindow }),
  };
  return addNode(
    from.ref.graph,
    {
      kind: "localAggregate",
      inputs: [forwardInput(from.ref)],
      schema: localAggregateSchema(params),
      options: { key: from.fields, flush: how },
      reads,
      body: { kind: "operator", create: localAggregate(params), keyed: false },
    },
    {},
  );
}
