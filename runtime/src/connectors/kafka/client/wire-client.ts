// The Kafka port over our own connections: routes each request to the broker that serves it, and repeats what may succeed later.
import type { Clock } from "../../../base/clock.ts";
import { systemClock } from "../../../base/clock.ts";
import type { TopicPartition } from "../wire/api.ts";
import { fetchApi, produceApi, produceBody } from "../wire/data-apis.ts";
import type { FetchRequest, ProduceRequest, ProduceResult } from "../wire/data-apis.ts";
import type { DescribedGroup, JoinedGroup, JoinGroupRequest, SyncGroupRequest } from "../wire/group-apis.ts";
import type { CoordinatorKind } from "../wire/metadata-apis.ts";
import { earliestTimestamp, latestTimestamp, listOffsetsApi, noMember, offsetCommitApi, offsetFetchApi } from "../wire/offset-apis.ts";
import type { GroupMember, GroupOffset, Isolation } from "../wire/offset-apis.ts";
import { createPartitionsApi, createTopicsApi, deleteRecordsApi, deleteTopicsApi, describeConfigsApi } from "../wire/topic-apis.ts";
import type { NewTopic, TopicResult } from "../wire/topic-apis.ts";
import type {
  DescribedTransaction,
  ListedTransaction,
  ProducerIdentity,
  TransactionOwner,
  TransactionState,
} from "../wire/transaction-apis.ts";
import { ProtocolWriter } from "../wire/protocol-writer.ts";
import type { ClientOptions } from "./client-options.ts";
import { Cluster } from "./cluster.ts";
import type { Connection } from "./connection.ts";
import { FramePool } from "./frames.ts";
import type { FetchAnswer, FetchLane, KafkaClient, OffsetQuery, PartitionInfo, PartitionOffset, TopicInfo } from "./kafka-client.ts";
import { KafkaProblem, kafkaCode, problemOf, throwOnCode, toMillraceError } from "./kafka-problem.ts";
import { retrying } from "./retry.ts";
import { GroupRequests } from "./group-requests.ts";
import { TransactionRequests } from "./transaction-requests.ts";

export interface WireClientOptions {
  readonly clock?: Clock;
  /** Random number in [0, 1); default Math.random. */
  readonly random?: () => number;
  /** Fetched frames are taken from here and given back. */
  readonly pool?: FramePool;
}

// A topic that was created a moment ago is not known to every broker yet.
const missingTopicPatienceMs = 5000;

/** Sends one kind of request to wherever it belongs, with retries. */
export type Route = "any" | "controller" | { readonly kind: CoordinatorKind; readonly key: string };

export class WireKafkaClient implements KafkaClient {
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #pool: FramePool;
  readonly #cluster: Cluster;
  readonly #transactions: TransactionRequests;
  readonly #groups: GroupRequests;

  constructor(options: ClientOptions, { clock = systemClock, random = Math.random, pool = new FramePool() }: WireClientOptions = {}) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#pool = pool;
    this.#cluster = new Cluster(options, clock, pool, random);
    this.#transactions = new TransactionRequests(this.#cluster, (route, subject, attempt) => this.#routed(route, subject, attempt));
    this.#groups = new GroupRequests(this.#cluster, (route, subject, attempt) => this.#routed(route, subject, attempt));
  }

  /** Runs `attempt` with a connection of `route` until it succeeds. Throws a `MillraceError` about `subject`. */
  #routed<T>(route: Route, subject: string, attempt: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#retried(
      subject,
      async () => attempt(await this.#connect(route)),
      (problem) => {
        if (typeof route === "object" && problem.kind !== "retry") this.#cluster.forgetCoordinator(route.kind, route.key);
      },
    );
  }

  async #retried<T>(
    subject: string,
    attempt: () => Promise<T>,
    recover: (problem: KafkaProblem) => void,
    timeoutMs = this.#options.retryTimeoutMs,
  ): Promise<T> {
    try {
      return await retrying({ clock: this.#clock, timeoutMs, random: this.#random }, attempt, recover);
    } catch (error) {
      const unreachable = error instanceof KafkaProblem && error.kind === "network";
      throw toMillraceError(error, unreachable ? `Kafka at ${this.#options.subject}` : subject);
    }
  }

  async #connect(route: Route): Promise<Connection> {
    if (route === "any") return this.#cluster.anyConnection();
    if (route === "controller") {
      await this.#cluster.refresh(null);
      return this.#cluster.connection(this.#cluster.controllerId, "control");
    }
    return this.#cluster.connection(await this.#cluster.coordinator(route.kind, route.key), "control");
  }

  async topics(names: readonly string[]): Promise<readonly TopicInfo[]> {
    const startedAtMs = this.#clock.now();
    return this.#retried(
      names.length === 1 ? `topic ${names[0]}` : `topics ${names.join(", ")}`,
      async () => {
        const found = new Map((await this.#cluster.refresh(names)).map((topic) => [topic.name, topic]));
        return names.map((name) => {
          const topic = found.get(name);
          const code = topic?.errorCode ?? kafkaCode.unknownTopicOrPartition;
          const patient = this.#clock.now() - startedAtMs < Math.min(missingTopicPatienceMs, this.#options.retryTimeoutMs);
          if (code === kafkaCode.unknownTopicOrPartition && !patient) {
            throw new KafkaProblem("fatal", `topic ${name} does not exist`, { kafkaCode: code });
          }
          if (topic === undefined) throw problemOf(code, `Metadata of ${name}`);
          // A topic without a leader somewhere is a topic: whoever uses that partition waits for it.
          if (topic.partitions.length === 0) throwOnCode(code, `Metadata of ${name}`);
          const partitions = topic.partitions.map(({ partition, leaderId, leaderEpoch }) => ({ partition, leaderId, leaderEpoch }));
          return { name, topicId: topic.topicId, partitions: partitions.toSorted((a, b) => a.partition - b.partition) };
        });
      },
      () => undefined,
    );
  }

  leaderOf(topic: string, partition: number): PartitionInfo | undefined {
    return this.#cluster.leaderOf(topic, partition);
  }

  async listOffsets(
    partitions: readonly (TopicPartition & { readonly at: OffsetQuery })[],
    isolation: Isolation,
  ): Promise<readonly PartitionOffset[]> {
    const done = new Map<string, PartitionOffset>();
    const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;
    const topics = [...new Set(partitions.map((each) => each.topic))];
    let stale = false;
    await this.#retried(
      `offsets of ${topics.join(", ")}`,
      async () => {
        const open = partitions.filter((each) => !done.has(keyOf(each)));
        if (stale || open.some((each) => (this.leaderOf(each.topic, each.partition)?.leaderId ?? -1) < 0))
          await this.#cluster.refresh(topics);
        const byLeader = Map.groupBy(open, (each) => this.leaderOf(each.topic, each.partition)?.leaderId ?? -1);
        for (const [nodeId, group] of byLeader) {
          if (nodeId < 0) throw problemOf(5, `ListOffsets of ${keyOf(group[0] as TopicPartition)}`);
          const connection = await this.#cluster.connection(nodeId, "control");
          const entries = group.map((each) => ({
            topic: each.topic,
            partition: each.partition,
            timestampMs: each.at === "earliest" ? earliestTimestamp : each.at === "latest" ? latestTimestamp : each.at,
            leaderEpoch: -1,
          }));
          let failed: KafkaProblem | undefined;
          for (const listed of await connection.send(listOffsetsApi, { isolation, entries })) {
            if (listed.errorCode === 0) done.set(keyOf(listed), listed);
            else failed = problemOf(listed.errorCode, `ListOffsets of ${keyOf(listed)}`);
          }
          if (failed !== undefined) throw failed;
        }
      },
      () => {
        stale = true;
      },
    );
    return partitions.map((each) => done.get(keyOf(each)) as PartitionOffset);
  }

  async fetch(nodeId: number, request: FetchRequest, lane: FetchLane = 0): Promise<FetchAnswer> {
    const connection = await this.#cluster.connection(nodeId, `fetch-${lane}`);
    const writer = new ProtocolWriter(fetchApi.flexible, 64 + request.partitions.length * 48);
    fetchApi.encode(writer, request);
    const frame = await connection.exchange(fetchApi, [writer.view()], request.maxWaitMs);
    try {
      const result = fetchApi.decode(connection.reader(fetchApi, frame));
      throwOnCode(result.errorCode, "Fetch");
      return { bytes: frame.buffer, partitions: result.partitions, release: () => this.#pool.give(frame.buffer) };
    } catch (cause) {
      this.#pool.give(frame.buffer);
      if (cause instanceof RangeError) throw new KafkaProblem("network", `a Fetch answer is damaged: ${cause.message}`, { cause });
      throw cause;
    }
  }

  async produce(nodeId: number, request: ProduceRequest): Promise<readonly ProduceResult[]> {
    const connection = await this.#cluster.connection(nodeId, "produce");
    const frame = await connection.exchange(produceApi, produceBody(request), request.timeoutMs);
    try {
      return produceApi.decode(connection.reader(produceApi, frame));
    } catch (cause) {
      if (cause instanceof RangeError) throw new KafkaProblem("network", `a Produce answer is damaged: ${cause.message}`, { cause });
      throw cause;
    } finally {
      this.#pool.give(frame.buffer);
    }
  }

  async groupOffsets(groupId: string, partitions?: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    return this.#routed({ kind: "group", key: groupId }, `group ${groupId}`, async (connection) => {
      const answer = await connection.send(offsetFetchApi, { groupId, partitions: partitions ?? null, requireStable: true });
      throwOnCode(answer.errorCode, `OffsetFetch of ${groupId}`);
      for (const offset of answer.offsets) throwOnCode(offset.errorCode, `OffsetFetch of ${groupId}`);
      return answer.offsets
        .filter((each) => each.offset >= 0)
        .map(({ topic, partition, offset, leaderEpoch, metadata }) => ({ topic, partition, offset, leaderEpoch, metadata }));
    });
  }

  async commitGroupOffsets(groupId: string, offsets: readonly GroupOffset[], member: GroupMember = noMember): Promise<void> {
    await this.#routed({ kind: "group", key: groupId }, `group ${groupId}`, async (connection) => {
      for (const result of await connection.send(offsetCommitApi, { groupId, offsets, member })) {
        throwOnCode(result.errorCode, `OffsetCommit of ${groupId} for ${result.topic}/${result.partition}`);
      }
    });
  }

  joinGroup(request: JoinGroupRequest): Promise<JoinedGroup> {
    return this.#groups.join(request);
  }

  syncGroup(request: SyncGroupRequest): Promise<Buffer> {
    return this.#groups.sync(request);
  }

  heartbeat(groupId: string, member: GroupMember): Promise<void> {
    return this.#groups.heartbeat(groupId, member);
  }

  leaveGroup(groupId: string, member: GroupMember): Promise<void> {
    return this.#groups.leave(groupId, member);
  }

  describeGroup(groupId: string): Promise<DescribedGroup> {
    return this.#groups.describe(groupId);
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#groups.delete(groupId);
  }

  initProducerId(transactionalId: string | null, transactionTimeoutMs: number): Promise<ProducerIdentity> {
    return this.#transactions.initProducerId(transactionalId, transactionTimeoutMs);
  }

  addPartitionsToTransaction(owner: TransactionOwner, partitions: readonly TopicPartition[]): Promise<void> {
    return this.#transactions.addPartitions(owner, partitions);
  }

  commitOffsetsInTransaction(
    owner: TransactionOwner,
    groupId: string,
    offsets: readonly GroupOffset[],
    member: GroupMember = noMember,
  ): Promise<void> {
    return this.#transactions.commitOffsets(owner, groupId, offsets, member);
  }

  endTransaction(owner: TransactionOwner, commit: boolean): Promise<void> {
    return this.#transactions.end(owner, commit);
  }

  listTransactions(states: readonly TransactionState[] = []): Promise<readonly ListedTransaction[]> {
    return this.#transactions.list(states);
  }

  describeTransactions(transactionalIds: readonly string[]): Promise<readonly DescribedTransaction[]> {
    return this.#transactions.describe(transactionalIds);
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    await this.#routed("controller", `topics ${topics.map((each) => each.name).join(", ")}`, async (connection) => {
      checkTopics("CreateTopics", await connection.send(createTopicsApi, { topics }), kafkaCode.topicAlreadyExists);
    });
    const names = topics.map((each) => each.name);
    await this.#retried(
      `topics ${names.join(", ")}`,
      async () => {
        for (const topic of await this.topics(names)) {
          if (topic.partitions.some((each) => each.leaderId < 0)) throw problemOf(5, `topic ${topic.name}`);
        }
      },
      () => undefined,
    );
  }

  async createPartitions(topic: string, count: number): Promise<void> {
    await this.#routed("controller", `topic ${topic}`, async (connection) => {
      checkTopics("CreatePartitions", await connection.send(createPartitionsApi, { topic, count }), kafkaCode.none);
    });
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    await this.#routed("controller", `topics ${names.join(", ")}`, async (connection) => {
      checkTopics("DeleteTopics", await connection.send(deleteTopicsApi, { topics: names }), kafkaCode.unknownTopicOrPartition);
    });
    for (const name of names) this.#cluster.forgetTopic(name);
  }

  async topicConfigs(topic: string): Promise<ReadonlyMap<string, string>> {
    return this.#routed("any", `topic ${topic}`, async (connection) => {
      const { errorCode, message, configs } = await connection.send(describeConfigsApi, { topic });
      if (errorCode === kafkaCode.unknownTopicOrPartition)
        throw new KafkaProblem("fatal", `topic ${topic} does not exist`, { kafkaCode: errorCode });
      throwOnCode(errorCode, `DescribeConfigs of ${topic}`, message);
      return configs;
    });
  }

  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    await this.#retried(
      `topic ${topic}`,
      async () => {
        await this.#cluster.refresh([topic]);
        const connection = await this.#cluster.connection(this.leaderOf(topic, partition)?.leaderId ?? -1, "control");
        throwOnCode(
          (await connection.send(deleteRecordsApi, { topic, partition, beforeOffset })).errorCode,
          `DeleteRecords of ${topic}/${partition}`,
        );
      },
      () => undefined,
    );
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }
}

function checkTopics(what: string, results: readonly TopicResult[], accepted: number): void {
  for (const { topic, errorCode, message } of results) if (errorCode !== accepted) throwOnCode(errorCode, `${what} of ${topic}`, message);
}
