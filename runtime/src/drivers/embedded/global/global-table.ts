// A table that this process holds whole: its topics are read to the ends that they have at the start, and followed from there on.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { Waits } from "../../../base/waits.ts";
import { isKafkaSource } from "../../../connectors/kafka/source/kafka-source.ts";
import { PartitionReader } from "../../../connectors/kafka/source/partition-reader.ts";
import { splitIdOf } from "../../../connectors/kafka/source/source-options.ts";
import { partitionSplit } from "../../../connectors/kafka/source/split-position.ts";
import type { TopicPartition } from "../../../connectors/kafka/wire/api.ts";
import type { WholeTable } from "../../../core/ports/whole-table.ts";
import type { KeyedTable } from "../../../core/ports/state.ts";
import { type DataflowNode, mainOutput, type SourceBody } from "../../../plan/dataflow.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { buildTask } from "../../task/build-task.ts";
import type { Task } from "../../task/task.ts";
import { sharedFetches } from "../exchange/shared-fetches.ts";
import { type QueryTable, TaskStores } from "../queries/queryable-state.ts";
import type { TaskHost } from "../task/task-host.ts";

/** What a table needs of its process. */
export type GlobalTableHost = Pick<
  TaskHost,
  | "applicationId"
  | "client"
  | "restoreFetcher"
  | "clock"
  | "log"
  | "isolation"
  | "maxParallelism"
  | "directory"
  | "badRows"
  | "commitIntervalMs"
>;

/** What has changed is remembered for a capture that nobody needs: so often it is forgotten. */
const stepsPerCapture = 64;

export class GlobalTable implements WholeTable {
  readonly table: KeyedTable;
  /** The table as queries see it. */
  readonly store: QueryTable;
  readonly uid: string;
  readonly #task: Task;
  readonly #ends: ReadonlyMap<string, number>;
  readonly #stop = new AbortController();
  readonly #waits: Waits;
  readonly #filled: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #following: Promise<void>;
  #failure: MillraceError | undefined;
  #isFilled = false;
  #steps = 0;

  private constructor(
    uid: string,
    task: Task,
    store: Extract<QueryTable, { readonly form: "table" }>,
    ends: ReadonlyMap<string, number>,
    clock: Clock,
  ) {
    this.uid = uid;
    this.#waits = new Waits(clock);
    this.#task = task;
    this.store = store;
    this.table = store.table;
    this.#ends = ends;
    this.#filled.promise.catch(() => undefined);
    this.#following = this.#follow().catch((error: unknown) => this.#fail(error));
  }

  /** Begins to read; `filled` tells when everything that is there now has been read. Rejects with KAFKA_TOPIC_MISSING and what a client rejects with. */
  static async open(source: DataflowNode, host: GlobalTableHost): Promise<GlobalTable> {
    const { client, isolation, clock } = host;
    const partitions = await partitionsOf(source, host);
    const starts = await client.listOffsets(
      partitions.map((each) => ({ ...each, at: "earliest" as const })),
      isolation,
    );
    const ends = await client.listOffsets(
      partitions.map((each) => ({ ...each, at: "latest" as const })),
      isolation,
    );
    const stores = new TaskStores();
    const task = await tableTask(source, host, stores);
    const [reading] = task.sources;
    const store = stores.find(keeperUid(source), undefined);
    if (reading === undefined || store?.form !== "table") throw new Error(`the global table ${source.uid} was not built`);
    const splits = starts.map(({ topic, partition, offset }) => ({
      id: splitIdOf(topic, partition),
      position: { offset, leaderEpoch: -1, topicId: "" },
    }));
    reading.assign(splits, new Map(), clock.now());
    const endOf = ends.map(({ topic, partition, offset }) => [splitIdOf(topic, partition), offset] as const);
    return new GlobalTable(source.uid, task, store, new Map(endOf), clock);
  }

  /** Settles when everything is in it that its topics held at the start; rejects with GLOBAL_TABLE_FAILED. */
  get filled(): Promise<void> {
    return this.#filled.promise;
  }

  get isFilled(): boolean {
    return this.#isFilled;
  }

  get failure(): MillraceError | undefined {
    return this.#failure;
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** By partition, the next record that it will read. */
  positions(): Readonly<Record<string, number>> {
    const splits = this.#task.sources.flatMap((source) => source.reader.snapshot());
    return Object.fromEntries(splits.map((split) => [split.id, partitionSplit(split, this.uid).offset]));
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    const waits = this.#waits;
    while (!signal.aborted) {
      const worked = this.#task.step();
      if (worked && ++this.#steps % stepsPerCapture === 0) for (const { backend } of this.#task.operators) backend?.capture();
      if (!this.#isFilled && this.#hasAll()) {
        this.#isFilled = true;
        this.#filled.resolve();
      }
      if (!worked) {
        for (const { reader } of this.#task.sources) waits.watch(reader, () => reader.ready());
        await waits.sleep();
      }
      // Tasks have their turn.
      await nextTurn();
    }
  }

  #hasAll(): boolean {
    const positions = this.positions();
    return [...this.#ends].every(([split, end]) => (positions[split] ?? 0) >= end);
  }

  #fail(cause: unknown): void {
    this.#failure = new MillraceError(
      "GLOBAL_TABLE_FAILED",
      `global table "${this.uid}"`,
      `it could not be read on: ${messageOf(cause)}`,
      "mend what the reason names; a task that runs again reads the table anew",
      { cause },
    );
    this.#filled.reject(this.#failure);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#waits.wake();
    await this.#following;
    this.#filled.reject(new Error(`the global table ${this.uid} is closed`));
    await this.#task.close();
  }
}

const keeperUid = ({ uid }: DataflowNode): string => `table:${uid}`;

async function partitionsOf({ body }: DataflowNode, { client }: GlobalTableHost): Promise<readonly TopicPartition[]> {
  if (body.kind !== "source" || !isKafkaSource(body.source)) return [];
  const topics = await client.topics(body.source.kafka.topics);
  return topics.flatMap(({ name, partitions }) => partitions.map(({ partition }) => ({ topic: name, partition })));
}

// The source and what keeps its rows, in one instance with all keys.
async function tableTask(source: DataflowNode, host: GlobalTableHost, stores: TaskStores): Promise<Task> {
  const { applicationId, clock, log, maxParallelism, badRows, commitIntervalMs } = host;
  const body = source.body as SourceBody;
  if (body.table === undefined) throw new Error(`${source.uid} is no global table`);
  const { create, key } = body.table;
  const openReader = async (): Promise<PartitionReader> => tableReader(source.uid, host);
  const read: DataflowNode = { ...source, id: 0, body: { ...body, source: { ...body.source, openReader } } };
  const keeper: DataflowNode = {
    id: 1,
    uid: keeperUid(source),
    uidDerived: false,
    kind: "globalTable",
    inputs: [{ from: read, output: mainOutput, exchange: "hash", key }],
    schema: source.schema,
    sideSchemas: new Map(),
    changelog: source.changelog,
    stateful: true,
    options: {},
    reads: [source.schema.fields.map(({ name }) => name)],
    body: { kind: "operator", create, keyed: true },
  };
  const workDirectory = join(host.directory, "global");
  await mkdir(workDirectory, { recursive: true });
  return buildTask({
    jobName: applicationId,
    dataflow: { name: applicationId, nodes: [read, keeper] },
    parallelism: 1,
    maxParallelism,
    clock,
    log: log.child({ table: source.uid }),
    // In memory, where an entry that was found stays where it is while another join looks something up.
    stateBackend: stores.remembering(memoryBackend()),
    workDirectory,
    checkpointIntervalMs: commitIntervalMs,
    badRows,
    wake: () => undefined,
  });
}

function tableReader(uid: string, { restoreFetcher, isolation, log }: GlobalTableHost): PartitionReader {
  return new PartitionReader({
    client: { commitGroupOffsets: async () => undefined, close: async () => undefined },
    fetcher: sharedFetches(restoreFetcher, `global/${uid}`),
    readCommitted: isolation === "read_committed",
    groupId: undefined,
    uid,
    log,
  });
}
