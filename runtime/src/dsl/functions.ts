// Builds the nodes of users' functions with state and timers: process, two inputs, broadcast, reduce.
import { keyLayout } from "../core/keys/key-layout.ts";
import type { Declarations } from "../core/handles/declarations.ts";
import type { OperatorFactory } from "../core/operator/operator.ts";
import type { ChangelogMode } from "../core/ports/sink.ts";
import type { Schema } from "../core/schema/schema.ts";
import type { BroadcastDeclarations } from "../operators/process/broadcast-state.ts";
import { type BroadcastFunctions, broadcastProcess } from "../operators/process/broadcast-process.ts";
import { type CoProcessFunctions, type ProcessFunctions, coProcess, process } from "../operators/process/keyed-process.ts";
import type { InstanceListDeclarations } from "../operators/process/instance-lists.ts";
import { type InstanceFunctions, instanceProcess } from "../operators/process/instance-process.ts";
import type { SideTypes } from "../operators/process/process-context.ts";
import { reduce } from "../operators/process/reduce.ts";
import type { DataflowInput } from "../plan/dataflow.ts";
import { processingTtl } from "./ranks.ts";
import { type OperatorOptions, type StreamRef, addNode, broadcastInput, forwardInput, hashInput } from "./stream-ref.ts";
import type { Duration } from "./windows.ts";

/** What every function with state declares. */
export interface FunctionShape<Out, D extends Declarations, Sides extends SideTypes> extends OperatorOptions {
  readonly output: Schema<Out>;
  /** State per key by name: `{ seen: state.value(int64()) }`. */
  readonly state?: D;
  /** Side outputs by name with the schema of their rows. */
  readonly sides?: { readonly [Name in keyof Sides]: Schema<Sides[Name]> };
  /** What kinds of rows the function emits. Default append; `retract` where it uses `emitChange`. */
  readonly changelog?: ChangelogMode;
}

interface Keyed {
  readonly ref: StreamRef;
  readonly fields: readonly string[];
}

function addFunction<Out, D extends Declarations, Sides extends SideTypes>(
  kind: string,
  inputs: readonly DataflowInput[],
  create: OperatorFactory,
  keyed: boolean,
  shape: FunctionShape<Out, D, Sides>,
  from: StreamRef,
): StreamRef {
  const { uid, parallelism, output, sides, state, changelog } = shape;
  return addNode(
    from.graph,
    {
      kind,
      uid,
      inputs,
      schema: output,
      sideSchemas: new Map(Object.entries<Schema>((sides ?? {}) as Readonly<Record<string, Schema>>)),
      changelog: changelog ?? "append",
      stateful: true,
      options:
        state === undefined ? {} : { state: Object.fromEntries(Object.entries(state).map(([name, declared]) => [name, declared.kind])) },
      body: { kind: "operator", create, keyed },
    },
    parallelism === undefined ? {} : { parallelism },
  );
}

export function addProcess<Row, Key, Out, D extends Declarations, Sides extends SideTypes>(
  from: Keyed,
  functions: ProcessFunctions<Row, Key, Out, D, Sides>,
  shape: FunctionShape<Out, D, Sides>,
): StreamRef {
  const { output, state, sides } = shape;
  const input = from.ref.schema as Schema<Row>;
  const create = process({
    input,
    key: keyLayout(input, from.fields),
    functions,
    output,
    ...(state === undefined ? {} : { state }),
    ...(sides === undefined ? {} : { sides }),
  });
  return addFunction("process", [hashInput(from.ref, from.fields)], create, true, shape, from.ref);
}

export function addCoProcess<Left, Right, Key, Out, D extends Declarations, Sides extends SideTypes>(
  left: Keyed,
  right: Keyed,
  functions: CoProcessFunctions<Left, Right, Key, Out, D, Sides>,
  shape: FunctionShape<Out, D, Sides>,
): StreamRef {
  const { output, state, sides } = shape;
  const [leftSchema, rightSchema] = [left.ref.schema as Schema<Left>, right.ref.schema as Schema<Right>];
  const create = coProcess({
    left: leftSchema,
    right: rightSchema,
    leftKey: keyLayout(leftSchema, left.fields),
    rightKey: keyLayout(rightSchema, right.fields),
    functions,
    output,
    ...(state === undefined ? {} : { state }),
    ...(sides === undefined ? {} : { sides }),
  });
  return addFunction("coProcess", [hashInput(left.ref, left.fields), hashInput(right.ref, right.fields)], create, true, shape, left.ref);
}

export interface BroadcastShape<Out, D extends Declarations, B extends BroadcastDeclarations, Sides extends SideTypes>
  extends FunctionShape<Out, D, Sides> {
  /** Maps that every instance holds: `{ rules: state.map(string(), Rule) }`. */
  readonly maps: B;
}

/** `fields` is empty for a stream without a key. */
export function addBroadcast<Row, Rule, Key, Out, D extends Declarations, B extends BroadcastDeclarations, Sides extends SideTypes>(
  from: Keyed,
  rules: StreamRef,
  functions: BroadcastFunctions<Row, Rule, Key, Out, D, B, Sides>,
  shape: BroadcastShape<Out, D, B, Sides>,
): StreamRef {
  const { output, state, sides, maps } = shape;
  const input = from.ref.schema as Schema<Row>;
  const keyed = from.fields.length > 0;
  const create = broadcastProcess({
    input,
    broadcast: rules.schema as Schema<Rule>,
    output,
    maps,
    functions,
    ...(keyed ? { key: keyLayout(input, from.fields) } : {}),
    ...(state === undefined ? {} : { state }),
    ...(sides === undefined ? {} : { sides }),
  });
  const first = keyed ? hashInput(from.ref, from.fields) : forwardInput(from.ref);
  return addFunction("broadcastProcess", [first, broadcastInput(rules)], create, keyed, shape, from.ref);
}

export interface InstanceShape<Out, D extends InstanceListDeclarations, Sides extends SideTypes> extends OperatorOptions {
  readonly output: Schema<Out>;
  /** Lists of each instance by name: `{ held: { type: Row, redistribution: "split" } }`. */
  readonly lists?: D;
  readonly sides?: { readonly [Name in keyof Sides]: Schema<Sides[Name]> };
  /** What kinds of rows the function emits. Default append; `retract` where it uses `emitChange`. */
  readonly changelog?: ChangelogMode;
}

export function addInstanceProcess<Row, Out, D extends InstanceListDeclarations, Sides extends SideTypes>(
  from: StreamRef,
  functions: InstanceFunctions<Row, Out, D, Sides>,
  { lists, ...shape }: InstanceShape<Out, D, Sides>,
): StreamRef {
  const { output, sides } = shape;
  const create = instanceProcess({
    input: from.schema as Schema<Row>,
    output,
    functions,
    ...(lists === undefined ? {} : { lists }),
    ...(sides === undefined ? {} : { sides }),
  });
  return addFunction("instanceProcess", [forwardInput(from)], create, false, shape, from);
}

export interface ReduceOptions extends OperatorOptions {
  /** `append` (default) gives each result as a row of its own; the others a changelog of the latest. */
  readonly output?: ChangelogMode;
  readonly ttl?: Duration;
}

export function addReduce<Row>(from: Keyed, fn: (reduced: Row, row: Row) => Row, options: ReduceOptions): StreamRef {
  const { output = "append", ttl, uid, parallelism } = options;
  const input = from.ref.schema as Schema<Row>;
  const create = reduce({
    input,
    key: keyLayout(input, from.fields),
    fn,
    output,
    ...(ttl === undefined ? {} : { ttl: processingTtl(ttl) }),
  });
  return addNode(
    from.ref.graph,
    {
      kind: "reduce",
      uid,
      inputs: [hashInput(from.ref, from.fields)],
      schema: input,
      changelog: output,
      stateful: true,
      options: { key: from.fields, output },
      body: { kind: "operator", create, keyed: true },
    },
    parallelism === undefined ? {} : { parallelism },
  );
}
