// A Kafka in memory behind the Kafka port: one broker with transactions, for tests without a server. It keeps the port's contract suite.
import { MillraceError } from "../../../base/errors.ts";
import { Signal } from "../../../base/signal.ts";
import type { TopicPartition } from "../wire/api.ts";
import type { FetchedPartition, FetchRequest, ProduceRequest, ProduceResult } from "../wire/data-apis.ts";
import type { DescribedGroup, JoinedGroup, JoinGroupRequest, SyncGroupRequest } from "../wire/group-apis.ts";
import type { GroupMember, GroupOffset } from "../wire/offset-apis.ts";
import type { NewTopic } from "../wire/topic-apis.ts";
import type {
  DescribedTransaction,
  ListedTransaction,
  ProducerIdentity,
  TransactionOwner,
  TransactionState,
} from "../wire/transaction-apis.ts";
import type { FetchAnswer, KafkaClient, OffsetQuery, PartitionInfo, PartitionOffset, TopicInfo } from "./kafka-client.ts";
import { kafkaCode, problemOf, toMillraceError } from "./kafka-problem.ts";
import { MemoryGroups } from "./memory-groups.ts";
import { MemoryLog, type MemoryTopic } from "./memory-log.ts";

interface MemoryTransaction extends ProducerIdentity {
  readonly timeoutMs: number;
  state: "Empty" | "Ongoing" | "CompleteCommit" | "CompleteAbort";
  readonly partitions: Map<string, TopicPartition>;
  readonly offsets: Map<string, GroupOffset[]>;
}

const nodeId = 1;
const longestTransactionMs = 900_000;
const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

/** The broker. Each `client()` is a process of its own towards it. */
export class MemoryKafka {
  readonly topics: Map<string, MemoryTopic> = new Map();
  readonly transactions: Map<string, MemoryTransaction> = new Map();
  readonly groups: Map<string, Map<string, GroupOffset>> = new Map();
  readonly members: MemoryGroups = new MemoryGroups();
  readonly appended: Signal = new Signal();
  nextProducerId = 1;
  /** Called before each request; what it throws is what the request meets. */
  onRequest: (request: string, subject: string) => void = () => undefined;
  /** Called after each request has had its effect; what it throws is an answer that was lost. */
  onAnswer: (request: string, subject: string) => void = () => undefined;
  /** A code other than 0 is answered for a batch to that partition instead of storing it. */
  refuseBatch: (topic: string, partition: number) => number = () => 0;

  client(): KafkaClient {
    return new MemoryKafkaClient(this);
  }

  log({ topic, partition }: TopicPartition): MemoryLog | undefined {
    return this.topics.get(topic)?.logs[partition];
  }

  end(transaction: MemoryTransaction, commit: boolean): void {
    for (const each of transaction.partitions.values())
      this.log(each)?.endTransaction(transaction.producerId, transaction.producerEpoch, commit);
    if (commit) for (const [groupId, offsets] of transaction.offsets) this.commitOffsets(groupId, offsets);
    transaction.partitions.clear();
    transaction.offsets.clear();
    transaction.state = commit ? "CompleteCommit" : "CompleteAbort";
    this.appended.notify();
  }

  commitOffsets(groupId: string, offsets: readonly GroupOffset[]): void {
    const group = this.groups.get(groupId) ?? new Map<string, GroupOffset>();
    for (const offset of offsets) group.set(keyOf(offset), offset);
    this.groups.set(groupId, group);
  }
}

class MemoryKafkaClient implements KafkaClient {
  readonly #kafka: MemoryKafka;
  #closed = false;

  constructor(kafka: MemoryKafka) {
    this.#kafka = kafka;
  }

  #enter(request: string, subject: string): void {
    if (this.#closed) throw toMillraceError(problemOf(13, `${request} on a closed client`), subject);
    this.#kafka.onRequest(request, subject);
  }

  async topics(names: readonly string[]): Promise<readonly TopicInfo[]> {
    this.#enter("topics", names.join());
    return names.map((name) => {
      const topic = this.#kafka.topics.get(name);
      if (topic === undefined)
        throw new MillraceError(
          "KAFKA_TOPIC_MISSING",
          `topic ${name}`,
          `topic ${name} does not exist`,
          "create the topic, or correct its name",
        );
      return { name, topicId: topic.id, partitions: topic.logs.map((_, partition) => this.leaderOf(name, partition) as PartitionInfo) };
    });
  }

  leaderOf(topic: string, partition: number): PartitionInfo | undefined {
    const log = this.#kafka.log({ topic, partition });
    return log && { partition, leaderId: nodeId, leaderEpoch: log.leaderEpoch };
  }

  async listOffsets(
    partitions: readonly (TopicPartition & { readonly at: OffsetQuery })[],
    isolation: string,
  ): Promise<readonly PartitionOffset[]> {
    this.#enter("listOffsets", partitions.map(keyOf).join());
    return partitions.map(({ topic, partition, at }) => {
      const log = this.#kafka.log({ topic, partition });
      if (log === undefined) throw toMillraceError(problemOf(3, "ListOffsets"), `topic ${topic}`);
      const latest = isolation === "read_committed" ? log.lastStableOffset : log.endOffset;
      const offset = at === "earliest" ? log.startOffset : at === "latest" ? latest : log.offsetAt(at);
      return { topic, partition, offset, leaderEpoch: log.leaderEpoch };
    });
  }

  async fetch(node: number, request: FetchRequest): Promise<FetchAnswer> {
    this.#enter("fetch", String(node));
    const deadlineMs = Date.now() + request.maxWaitMs;
    for (;;) {
      const answer = this.#read(request);
      const waitMs = deadlineMs - Date.now();
      const settled = answer.partitions.some(
        (each) => each.errorCode !== 0 || each.divergence !== undefined || each.recordsEnd > each.recordsStart,
      );
      if (settled || waitMs <= 0 || this.#closed) return answer;
      await Promise.race([this.#kafka.appended.next(), new Promise((resolve) => setTimeout(resolve, waitMs))]);
    }
  }

  #read(request: FetchRequest): FetchAnswer {
    const pieces: Buffer[] = [];
    let size = 0;
    const partitions = request.partitions.map((asked): FetchedPartition => {
      const log = this.#kafka.log(asked);
      const empty = {
        topic: asked.topic,
        partition: asked.partition,
        highWatermark: -1,
        lastStableOffset: -1,
        logStartOffset: -1,
        aborted: [],
        recordsStart: size,
        recordsEnd: size,
      };
      if (log === undefined) return { ...empty, errorCode: kafkaCode.unknownTopicOrPartition, divergence: undefined };
      if (asked.leaderEpoch >= 0 && asked.leaderEpoch !== log.leaderEpoch)
        return { ...empty, errorCode: asked.leaderEpoch > log.leaderEpoch ? 75 : 74, divergence: undefined };
      const ends = { highWatermark: log.endOffset, lastStableOffset: log.lastStableOffset, logStartOffset: log.startOffset };
      if (asked.lastFetchedEpoch >= 0) {
        const end = log.endOfEpoch(asked.lastFetchedEpoch);
        if (end.epoch < asked.lastFetchedEpoch || end.endOffset < asked.offset) return { ...empty, ...ends, errorCode: 0, divergence: end };
      }
      if (asked.offset < log.startOffset || asked.offset > log.endOffset)
        return { ...empty, ...ends, errorCode: kafkaCode.offsetOutOfRange, divergence: undefined };
      const { batches, aborted } = log.read(asked.offset, request.isolation === "read_committed", asked.maxBytes);
      const recordsStart = size;
      for (const batch of batches) {
        pieces.push(batch);
        size += batch.length;
      }
      return { ...empty, ...ends, errorCode: 0, aborted, divergence: undefined, recordsStart, recordsEnd: size };
    });
    return { bytes: Buffer.concat(pieces, size), partitions, release: () => undefined };
  }

  async produce(node: number, request: ProduceRequest): Promise<readonly ProduceResult[]> {
    this.#enter("produce", String(node));
    const results = request.batches.map(({ topic, partition, batch }): ProduceResult => {
      const log = this.#kafka.log({ topic, partition });
      const refusal = log === undefined ? kafkaCode.unknownTopicOrPartition : this.#kafka.refuseBatch(topic, partition);
      if (log === undefined || refusal !== 0) return { topic, partition, errorCode: refusal, baseOffset: -1, message: null };
      const stored = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength);
      const id = request.transactionalId;
      const transaction = id === null ? undefined : this.#kafka.transactions.get(id);
      if (transaction !== undefined && transaction.producerEpoch !== stored.readInt16BE(51))
        return { topic, partition, errorCode: 47, baseOffset: -1, message: null };
      if (transaction !== undefined && !transaction.partitions.has(keyOf({ topic, partition })))
        return { topic, partition, errorCode: kafkaCode.invalidTransactionState, baseOffset: -1, message: null };
      return { topic, partition, ...log.append(stored), message: null };
    });
    this.#kafka.appended.notify();
    this.#kafka.onAnswer("produce", String(node));
    return results;
  }

  async groupOffsets(groupId: string, partitions?: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    this.#enter("groupOffsets", groupId);
    const group = this.#kafka.groups.get(groupId) ?? new Map<string, GroupOffset>();
    return partitions === undefined ? [...group.values()] : partitions.flatMap((each) => group.get(keyOf(each)) ?? []);
  }

  async commitGroupOffsets(groupId: string, offsets: readonly GroupOffset[], member?: GroupMember): Promise<void> {
    this.#enter("commitGroupOffsets", groupId);
    this.#kafka.members.checkCommit(groupId, member, false);
    this.#kafka.commitOffsets(groupId, offsets);
  }

  async joinGroup(request: JoinGroupRequest): Promise<JoinedGroup> {
    this.#enter("joinGroup", request.groupId);
    return this.#kafka.members.join(request);
  }

  async syncGroup(request: SyncGroupRequest): Promise<Buffer> {
    this.#enter("syncGroup", request.groupId);
    return this.#kafka.members.sync(request);
  }

  async heartbeat(groupId: string, member: GroupMember): Promise<void> {
    this.#enter("heartbeat", groupId);
    this.#kafka.members.heartbeat(groupId, member);
  }

  async leaveGroup(groupId: string, member: GroupMember): Promise<void> {
    this.#kafka.members.leave(groupId, member);
  }

  async describeGroup(groupId: string): Promise<DescribedGroup> {
    return this.#kafka.members.describe(groupId);
  }

  async deleteGroup(groupId: string): Promise<void> {
    this.#kafka.members.delete(groupId);
    this.#kafka.groups.delete(groupId);
  }

  async initProducerId(transactionalId: string | null, transactionTimeoutMs: number): Promise<ProducerIdentity> {
    this.#enter("initProducerId", transactionalId ?? "");
    if (transactionTimeoutMs > longestTransactionMs)
      throw toMillraceError(problemOf(50, "InitProducerId"), `transactional id ${transactionalId}`);
    if (transactionalId === null) return { producerId: this.#kafka.nextProducerId++, producerEpoch: 0 };
    const known = this.#kafka.transactions.get(transactionalId);
    if (known?.state === "Ongoing") {
      // As a broker does it: the epoch goes up first, so that the markers already carry the new one.
      this.#kafka.end({ ...known, producerEpoch: known.producerEpoch + 1 }, false);
    }
    const identity =
      known === undefined
        ? { producerId: this.#kafka.nextProducerId++, producerEpoch: 0 }
        : { producerId: known.producerId, producerEpoch: known.producerEpoch + 1 };
    this.#kafka.transactions.set(transactionalId, {
      ...identity,
      timeoutMs: transactionTimeoutMs,
      state: "Empty",
      partitions: new Map(),
      offsets: new Map(),
    });
    this.#kafka.onAnswer("initProducerId", transactionalId);
    return identity;
  }

  #owned(owner: TransactionOwner): MemoryTransaction {
    const known = this.#kafka.transactions.get(owner.transactionalId);
    if (known?.producerId !== owner.producerId || known.producerEpoch !== owner.producerEpoch)
      throw toMillraceError(problemOf(90, "transaction"), `transactional id ${owner.transactionalId}`);
    return known;
  }

  async addPartitionsToTransaction(owner: TransactionOwner, partitions: readonly TopicPartition[]): Promise<void> {
    this.#enter("addPartitionsToTransaction", owner.transactionalId);
    const transaction = this.#owned(owner);
    transaction.state = "Ongoing";
    for (const each of partitions) transaction.partitions.set(keyOf(each), each);
    this.#kafka.onAnswer("addPartitionsToTransaction", owner.transactionalId);
  }

  async commitOffsetsInTransaction(
    owner: TransactionOwner,
    groupId: string,
    offsets: readonly GroupOffset[],
    member?: GroupMember,
  ): Promise<void> {
    this.#enter("commitOffsetsInTransaction", owner.transactionalId);
    const transaction = this.#owned(owner);
    this.#kafka.members.checkCommit(groupId, member, true);
    transaction.state = "Ongoing";
    transaction.offsets.set(groupId, [...(transaction.offsets.get(groupId) ?? []), ...offsets]);
    this.#kafka.onAnswer("commitOffsetsInTransaction", owner.transactionalId);
  }

  async endTransaction(owner: TransactionOwner, commit: boolean): Promise<void> {
    this.#enter("endTransaction", owner.transactionalId);
    const transaction = this.#owned(owner);
    if (transaction.state === (commit ? "CompleteCommit" : "CompleteAbort")) return;
    if (transaction.state !== "Ongoing") throw toMillraceError(problemOf(48, "EndTxn"), `transactional id ${owner.transactionalId}`);
    this.#kafka.end(transaction, commit);
    this.#kafka.onAnswer("endTransaction", owner.transactionalId);
  }

  async listTransactions(states: readonly TransactionState[] = []): Promise<readonly ListedTransaction[]> {
    this.#enter("listTransactions", states.join());
    const all = [...this.#kafka.transactions].map(([transactionalId, { producerId, state }]) => ({ transactionalId, producerId, state }));
    return states.length === 0 ? all : all.filter((each) => states.includes(each.state));
  }

  async describeTransactions(transactionalIds: readonly string[]): Promise<readonly DescribedTransaction[]> {
    return transactionalIds.map((transactionalId) => {
      const known = this.#kafka.transactions.get(transactionalId);
      if (known === undefined) throw toMillraceError(problemOf(105, "DescribeTransactions"), `transactional id ${transactionalId}`);
      const { producerId, producerEpoch, state, timeoutMs, partitions } = known;
      return {
        errorCode: 0,
        transactionalId,
        producerId,
        producerEpoch,
        state,
        timeoutMs,
        startedAtMs: -1,
        partitions: [...partitions.values()],
      };
    });
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    for (const { name, partitions, configs } of topics) {
      if (this.#kafka.topics.has(name)) continue;
      const id = (this.#kafka.nextProducerId++).toString(16).padStart(32, "0");
      const given = new Map(Object.entries(configs));
      this.#kafka.topics.set(name, { id, configs: given, logs: Array.from({ length: partitions }, () => new MemoryLog(given)) });
    }
  }

  async createPartitions(topic: string, count: number): Promise<void> {
    const { logs = [], configs = new Map<string, string>() } = this.#kafka.topics.get(topic) ?? {};
    while (logs.length < count) logs.push(new MemoryLog(configs));
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    for (const name of names) this.#kafka.topics.delete(name);
  }
  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    this.#kafka.log({ topic, partition })?.deleteBefore(beforeOffset);
  }

  async topicConfigs(topic: string): Promise<ReadonlyMap<string, string>> {
    const found = this.#kafka.topics.get(topic);
    if (found === undefined) throw toMillraceError(problemOf(3, "DescribeConfigs"), `topic ${topic}`);
    return found.configs;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#kafka.appended.notify();
  }
}
