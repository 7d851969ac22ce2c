// Streams of the DSL: rows on their way, not yet grouped by a key. Each method adds one operator to the plan.
import { MillraceError } from "../base/errors.ts";
import type { OperatorFactory } from "../core/operator/operator.ts";
import type { ChangelogMode } from "../core/ports/sink.ts";
import type { Fields, RowOf } from "../core/schema/field.ts";
import { Schema, schema as schemaOf } from "../core/schema/schema.ts";
import { asyncMap, type AsyncMapParams } from "../operators/async/async-map.ts";
import { parseDuration } from "../base/duration.ts";
import type { BroadcastDeclarations } from "../operators/process/broadcast-state.ts";
import type { InstanceListDeclarations } from "../operators/process/instance-lists.ts";
import type { InstanceFunctions } from "../operators/process/instance-process.ts";
import type { KindName } from "../operators/table/to-stream.ts";
import { refuseUpserts } from "./changelogs.ts";
import { addToStream, type ToStreamOptions } from "./tables.ts";
import type { BroadcastFunctions } from "../operators/process/broadcast-process.ts";
import type { SideTypes } from "../operators/process/process-context.ts";
import { addGlobalJoin, type GlobalJoinOptions, type GlobalTable } from "./global-table.ts";
import type { JoinedRow, JoinFunction, JoinPrefixes } from "./join-types.ts";
import type { JoinShape } from "./joins.ts";
import { addBroadcast, addInstanceProcess, type BroadcastShape, type InstanceShape } from "./functions.ts";
import type { Duration } from "./windows.ts";
import { filter } from "../operators/basic/filter.ts";
import { flatMap } from "../operators/basic/flat-map.ts";
import { map } from "../operators/basic/map.ts";
import { rateLimit } from "../operators/basic/rate-limit.ts";
import { select } from "../operators/basic/select.ts";
import { split } from "../operators/basic/split.ts";
import { union } from "../operators/basic/union.ts";
import { withColumns } from "../operators/basic/with-columns.ts";
import type { WindowSpec } from "../operators/window/window-spec.ts";
import type { SinkEndpoint } from "./endpoints.ts";
import { KeyedStream } from "./keyed-stream.ts";
import { type OperatorOptions, type StreamRef, addNode, forwardInput, sideOutput } from "./stream-ref.ts";
import { WindowedStream } from "./windowed-stream.ts";

export type FieldName<Row> = keyof Row & string;

/** Fields of `Row` that can be part of a key. */
export type KeyField<Row> = {
  [K in FieldName<Row>]: Row[K] extends
    | string
    | number
    | bigint
    | boolean
    | Uint8Array
    | null
    | undefined
    | { compare(other: never): number }
    ? K
    : never;
}[FieldName<Row>];

/** Side outputs by name, with the type of their rows. */
export type SideRows = Readonly<Record<string, unknown>>;

export interface AsyncOptions<Row, Out>
  extends OperatorOptions,
    Pick<AsyncMapParams<Row, Out>, "order" | "capacity" | "retry" | "onFailure" | "onTimeout"> {
  /** For a row with all of its attempts. Default 30 s. */
  readonly timeout?: Duration;
}

export class Stream<Row, Sides extends SideRows = {}> {
  readonly ref: StreamRef;
  readonly #sides: ReadonlyMap<string, Schema>;

  constructor(ref: StreamRef, sides: ReadonlyMap<string, Schema> = ref.node.sideSchemas) {
    this.ref = ref;
    this.#sides = sides;
  }

  get schema(): Schema<Row> {
    return this.ref.schema as Schema<Row>;
  }

  /** Each row to one row of `schema`. The function gets a view that is valid during the call. */
  map<Out>(schema: Schema<Out>, fn: (row: Row) => NoInfer<Out>, options: OperatorOptions = {}): Stream<Out> {
    return this.#next<Out>("map", schema, map({ input: this.schema, output: schema, fn }), options);
  }

  /** The rows for which `predicate` holds. */
  filter(predicate: (row: Row) => boolean, options: OperatorOptions = {}): Stream<Row> {
    const changelog = this.ref.changelog;
    return this.#next<Row>("filter", this.schema, filter({ input: this.schema, predicate, changelog }), options);
  }

  /** Each row to any number of rows of `schema`, handed to `emit`. */
  flatMap<Out>(schema: Schema<Out>, fn: (row: Row, emit: (row: NoInfer<Out>) => void) => void, options: OperatorOptions = {}): Stream<Out> {
    refuseUpserts(this.ref, "flatMap");
    return this.#next<Out>("flatMap", schema, flatMap({ input: this.schema, output: schema, fn }), options);
  }

  /** Some fields of each row. */
  select<K extends FieldName<Row>>(...fields: readonly K[]): Stream<Pick<Row, K>> {
    const output = this.schema.pick(fields) as Schema<Pick<Row, K>>;
    return this.#next("select", output, select({ input: this.schema, output }), {}, { fields }, [fields]);
  }

  /** The row under other names: `{ newName: "oldName" }`; fields that are not named keep theirs. */
  rename<const M extends Readonly<Record<string, FieldName<Row>>>>(
    names: M,
  ): Stream<Omit<Row, M[keyof M]> & { readonly [K in keyof M]: Row[M[K]] }> {
    const taken = new Set<string>(Object.values(names));
    const spec: Record<string, Schema["fields"][number]["spec"]> = {};
    for (const field of this.schema.fields) if (!taken.has(field.name)) spec[field.name] = field.spec;
    for (const [to, from] of Object.entries(names)) spec[to] = this.schema.field(from).spec;
    const output = new Schema<Omit<Row, M[keyof M]> & { readonly [K in keyof M]: Row[M[K]] }>(spec);
    return this.#next("select", output, select({ input: this.schema, output, renames: names }), {}, { renames: names }, [
      this.#allFields(),
    ]);
  }

  /** Computed fields beside those of the row. */
  withFields<F extends Fields>(
    fields: F,
    fn: (row: Row) => RowOf<F>,
    options: OperatorOptions = {},
  ): Stream<Omit<Row, keyof F> & RowOf<F>> {
    const added = schemaOf<F>(fields);
    const output = new Schema<Omit<Row, keyof F> & RowOf<F>>({ ...this.schema.spec, ...added.spec });
    return this.#next("withFields", output, withColumns({ input: this.schema, added, output, fn }), options, {
      fields: Object.keys(fields),
    });
  }

  /** These rows and those of other streams of the same schema, as they come. */
  union(...others: readonly Stream<Row, SideRows>[]): Stream<Row> {
    for (const other of others) {
      if (other.schema.fingerprint !== this.schema.fingerprint) {
        throw new MillraceError(
          "PLAN_UNION_SCHEMA",
          `union with "${other.ref.node.uid}"`,
          "its rows have another schema",
          "map both streams to one schema first",
        );
      }
    }
    const all = [this.ref, ...others.map((other) => other.ref)];
    const changelog: ChangelogMode = all.some((ref) => ref.changelog === "retract")
      ? "retract"
      : all.some((ref) => ref.changelog === "upsert")
        ? "upsert"
        : "append";
    const ref = addNode(
      this.ref.graph,
      {
        kind: "union",
        inputs: all.map(forwardInput),
        schema: this.schema,
        changelog,
        reads: all.map(() => []),
        body: { kind: "operator", create: union(), keyed: false },
      },
      {},
    );
    return new Stream(ref);
  }

  /**
   * Rows to named side outputs, each to the first whose predicate holds; rows that none takes stay in the main output.
   * Read a side output with `.side(name)`.
   */
  split<const B extends Readonly<Record<string, (row: Row) => boolean>>>(
    branches: B,
    options: OperatorOptions = {},
  ): Stream<Row, { readonly [K in keyof B]: Row }> {
    const list = Object.entries(branches).map(([output, predicate]) => ({ output, predicate }));
    const create = split({ input: this.schema, branches: list, changelog: this.ref.changelog });
    const sideSchemas = new Map<string, Schema>(list.map(({ output }) => [output, this.schema]));
    const ref = addNode(
      this.ref.graph,
      {
        kind: "split",
        inputs: [forwardInput(this.ref)],
        schema: this.schema,
        sideSchemas,
        changelog: this.ref.changelog,
        options: { outputs: Object.keys(branches) },
        body: { kind: "operator", create, keyed: false },
      },
      options,
    );
    return new Stream(ref);
  }

  /** A side output of the operator that made this stream. */
  side<K extends keyof Sides & string>(name: K): Stream<Sides[K]> {
    const sideSchema = this.#sides.get(name);
    if (sideSchema === undefined)
      throw new MillraceError(
        "PLAN_SIDE_UNKNOWN",
        `side output "${name}"`,
        "is not there",
        `use one of ${[...this.#sides.keys()].join(", ")}`,
      );
    return new Stream(sideOutput(this.ref, name, sideSchema));
  }

  /** Groups rows by fields: what follows keeps its state per key. */
  keyBy<K extends KeyField<Row>>(...fields: readonly [K, ...K[]]): KeyedStream<Row, K> {
    return new KeyedStream<Row, K>(this.ref, fields, (ref) => new Stream(ref));
  }

  /** Each row to what an asynchronous function answers. Rows under way are state: after a restart they are called again. */
  asyncMap<Out>(schema: Schema<Out>, fn: AsyncMapParams<Row, Out>["fn"], options: AsyncOptions<Row, Out> = {}): Stream<Out> {
    const { uid, parallelism, timeout, ...how } = options;
    const create = asyncMap({
      input: this.schema,
      output: schema,
      fn,
      ...how,
      ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout, "timeout") }),
    });
    const ref = addNode(
      this.ref.graph,
      {
        kind: "asyncMap",
        uid,
        inputs: [forwardInput(this.ref)],
        schema,
        changelog: this.ref.changelog,
        stateful: true,
        options: { order: options.order ?? "ordered", capacity: options.capacity ?? 100 },
        body: { kind: "operator", create, keyed: false },
      },
      parallelism === undefined ? {} : { parallelism },
    );
    return new Stream(ref);
  }

  /** The user's functions over the rows, with lists of each instance: `split` or `union` says who gets them after a restart. */
  process<Out, D extends InstanceListDeclarations = {}, SideTypesOut extends SideTypes = {}>(
    functions: InstanceFunctions<Row, Out, NoInfer<D>, SideTypesOut>,
    shape: InstanceShape<Out, D, SideTypesOut>,
  ): Stream<Out, SideTypesOut> {
    return new Stream(addInstanceProcess<Row, Out, D, SideTypesOut>(this.ref, functions, shape));
  }

  /** Changes as rows of their own, which are only inserted: with `kind` they say in a field of that name what they are. */
  toStream<Kind extends string = never>(options: ToStreamOptions<Kind> = {}): Stream<Row & { readonly [K in Kind]: KindName }> {
    return new Stream(addToStream(this.ref, options));
  }

  /** The user's functions over the rows, with maps that every instance holds and that the rows of `rules` change. */
  broadcast<Rule, Out, B extends BroadcastDeclarations, SideTypesOut extends SideTypes = {}>(
    rules: Stream<Rule, SideRows>,
    functions: BroadcastFunctions<Row, Rule, unknown, Out, {}, NoInfer<B>, SideTypesOut>,
    shape: BroadcastShape<Out, {}, B, SideTypesOut>,
  ): Stream<Out, SideTypesOut> {
    return new Stream(addBroadcast({ ref: this.ref, fields: [] }, rules.ref, functions, shape));
  }

  /**
   * Each row with the row of a global table that it refers to, as the table is when the row comes: `on` names this stream's fields for the
   * table's key. An embedded application leaves the rows where they are; other shapes send them to the instance that has their key.
   */
  joinGlobal<R, T extends "inner" | "left" = "inner", LP extends string = "", RP extends string = "">(
    table: GlobalTable<R>,
    options?: GlobalJoinOptions<T, Row> & JoinPrefixes<LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>>;
  joinGlobal<R, Out, T extends "inner" | "left" = "inner">(
    table: GlobalTable<R>,
    options: GlobalJoinOptions<T, Row> & JoinFunction<Row, R, Out>,
  ): Stream<Out>;
  joinGlobal(table: GlobalTable<never>, options: GlobalJoinOptions<"inner" | "left", never> & JoinShape = {}): Stream<unknown> {
    return new Stream(addGlobalJoin(this.ref, table, options));
  }

  /** Windows over all rows as one group. One instance computes them; where that is too slow, count by a key first and add up after. */
  window<const W extends WindowSpec>(window: W): WindowedStream<Row, never, W> {
    return new WindowedStream<Row, never, W>(this.ref, [], window, (ref) => new Stream(ref));
  }

  /** At most so many rows a second, over all instances: what is upstream waits. */
  rateLimit(rowsPerSecond: number, options: OperatorOptions = {}): Stream<Row> {
    return this.#next<Row>("rateLimit", this.schema, rateLimit({ rowsPerSecond }), options, { rowsPerSecond }, [[]]);
  }

  /** Sends the rows to a sink. `uid` is its stable name: what it has committed is found by it. */
  to(uid: string, sink: SinkEndpoint, options: Omit<OperatorOptions, "uid"> = {}): void {
    const changelog = this.ref.changelog;
    if (sink.accepts === "append" && changelog !== "append") {
      throw new MillraceError(
        "PLAN_SINK_MODE",
        `sink "${uid}"`,
        `takes inserts only, and "${this.ref.node.uid}" gives a changelog (${changelog})`,
        "use a sink that takes changes, close windows instead of updating, or make changes rows with .toStream()",
      );
    }
    if (sink.accepts === "retract" && changelog === "upsert") {
      throw new MillraceError(
        "PLAN_SINK_MODE",
        `sink "${uid}"`,
        `needs the rows before an update, and "${this.ref.node.uid}" gives upserts`,
        "add .toTable(key) before it",
      );
    }
    addNode(
      this.ref.graph,
      {
        kind: `sink.${sink.connector}`,
        uid,
        inputs: [forwardInput(this.ref)],
        schema: this.schema,
        changelog,
        stateful: sink.delivery === "exactly-once",
        options: { ...sink.options, delivery: sink.delivery },
        reads: [this.#allFields()],
        body: { kind: "sink", sink },
      },
      options,
    );
  }

  #allFields(): readonly string[] {
    return this.schema.fields.map((field) => field.name);
  }

  #next<Out>(
    kind: string,
    schema: Schema<Out>,
    create: OperatorFactory,
    options: OperatorOptions,
    planOptions: Readonly<Record<string, unknown>> = {},
    reads?: readonly (readonly string[] | null)[],
  ): Stream<Out> {
    const ref = addNode(
      this.ref.graph,
      {
        kind,
        inputs: [forwardInput(this.ref)],
        schema,
        changelog: this.ref.changelog,
        options: planOptions,
        ...(reads === undefined ? {} : { reads }),
        body: { kind: "operator", create, keyed: false },
      },
      options,
    );
    return new Stream<Out>(ref);
  }
}
