// The Kafka port: what sources, sinks and applications need of a cluster. What is said to be one attempt is; everything else is repeated until its deadline.
import type { TopicPartition } from "../wire/api.ts";
import type { FetchedPartition, FetchRequest, ProduceRequest, ProduceResult } from "../wire/data-apis.ts";
import type { DescribedGroup, JoinedGroup, JoinGroupRequest, SyncGroupRequest } from "../wire/group-apis.ts";
import type { GroupMember, GroupOffset, Isolation } from "../wire/offset-apis.ts";
import type {
  DescribedTransaction,
  ListedTransaction,
  ProducerIdentity,
  TransactionOwner,
  TransactionState,
} from "../wire/transaction-apis.ts";
import type { NewTopic } from "../wire/topic-apis.ts";

export interface PartitionInfo {
  readonly partition: number;
  /** -1 while there is none. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

export interface TopicInfo {
  readonly name: string;
  /** Changes when a topic is deleted and created again under its name. */
  readonly topicId: string;
  /** In order of their numbers. */
  readonly partitions: readonly PartitionInfo[];
}

/** A time in ms since the epoch stands for the first record that is not older. */
export type OffsetQuery = "earliest" | "latest" | number;

export interface PartitionOffset extends TopicPartition {
  /** -1 for a time that no record has reached. */
  readonly offset: number;
  readonly leaderEpoch: number;
}

/** Which of the two connections for fetches to use. */
export type FetchLane = 0 | 1;

/** A fetch answer over its own bytes. `release` gives them back; nothing of it may be looked at afterwards. */
export interface FetchAnswer {
  readonly bytes: Buffer;
  readonly partitions: readonly FetchedPartition[];
  release(): void;
}

export interface KafkaClient {
  /**
   * Fresh metadata of topics, in the order of `names`. Waits a little for topics that were created just now, then throws
   * KAFKA_TOPIC_MISSING.
   */
  topics(names: readonly string[]): Promise<readonly TopicInfo[]>;
  /** What metadata last said about a partition; undefined before it was asked, or when the partition is not known. */
  leaderOf(topic: string, partition: number): PartitionInfo | undefined;
  /** Offsets by time. With `read_committed`, latest is the end of what committed readers see. */
  listOffsets(
    partitions: readonly (TopicPartition & { readonly at: OffsetQuery })[],
    isolation: Isolation,
  ): Promise<readonly PartitionOffset[]>;

  /**
   * One attempt; errors of single partitions are in the answer. Rejects with a `KafkaProblem` when the exchange itself failed.
   * A broker keeps the fetches of one lane waiting behind each other, those of two lanes not.
   */
  fetch(nodeId: number, request: FetchRequest, lane?: FetchLane): Promise<FetchAnswer>;
  /** One attempt, as `fetch`. The answer has a result per batch. */
  produce(nodeId: number, request: ProduceRequest): Promise<readonly ProduceResult[]>;

  /**
   * Committed offsets of a group, those that exist; all of the group's without `partitions`. Waits for open transactions over
   * them. What a transaction committed that ended a moment ago is certain to be seen only after `initProducerId` of its id.
   */
  groupOffsets(groupId: string, partitions?: readonly TopicPartition[]): Promise<readonly GroupOffset[]>;
  commitGroupOffsets(groupId: string, offsets: readonly GroupOffset[], member?: GroupMember): Promise<void>;

  /**
   * One attempt, as the three that follow: they reject with a `KafkaProblem`, whose code says what the group wants. Joining a
   * group waits, at the broker, until its other members have joined too; a follower of a stable group that joins again with the metadata it
   * had changes nothing. An answer that only gives a member id is taken up here.
   */
  joinGroup(request: JoinGroupRequest): Promise<JoinedGroup>;
  /** The leader hands over everybody's assignment; each member gets its own. */
  syncGroup(request: SyncGroupRequest): Promise<Buffer>;
  heartbeat(groupId: string, member: GroupMember): Promise<void>;
  /** A static member that leaves gives up its place at once. */
  leaveGroup(groupId: string, member: GroupMember): Promise<void>;
  describeGroup(groupId: string): Promise<DescribedGroup>;
  /** Deletes a group without members, and its offsets; one that does not exist is fine. */
  deleteGroup(groupId: string): Promise<void>;

  /**
   * Takes over a transactional id: its earlier producers are fenced and its open transaction is finished, by commit where that
   * had begun, else by abort. Null gives an identity without transactions.
   */
  initProducerId(transactionalId: string | null, transactionTimeoutMs: number): Promise<ProducerIdentity>;
  addPartitionsToTransaction(owner: TransactionOwner, partitions: readonly TopicPartition[]): Promise<void>;
  /** Commits group offsets as part of the transaction (KIP-447). */
  commitOffsetsInTransaction(
    owner: TransactionOwner,
    groupId: string,
    offsets: readonly GroupOffset[],
    member?: GroupMember,
  ): Promise<void>;
  /** Only for a transaction that has partitions or offsets. The outcome is certain when this resolves; readers see it a little later. */
  endTransaction(owner: TransactionOwner, commit: boolean): Promise<void>;
  /** Transactional ids that the cluster knows and this user may see, in any of `states`, or in all. */
  listTransactions(states?: readonly TransactionState[]): Promise<readonly ListedTransaction[]>;
  describeTransactions(transactionalIds: readonly string[]): Promise<readonly DescribedTransaction[]>;

  /** Creates topics; one that exists is left as it is. Settles when they have leaders. */
  createTopics(topics: readonly NewTopic[]): Promise<void>;
  createPartitions(topic: string, count: number): Promise<void>;
  deleteTopics(names: readonly string[]): Promise<void>;
  /** Every configuration entry of a topic with the value that holds. */
  topicConfigs(topic: string): Promise<ReadonlyMap<string, string>>;
  /** Removes records below `beforeOffset`, as retention would. */
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;

  /** Closes all connections; what is under way is rejected. */
  close(): Promise<void>;
}
