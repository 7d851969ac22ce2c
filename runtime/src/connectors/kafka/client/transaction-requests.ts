// The transactional part of the Kafka client: each request at the transactional id's coordinator, repeated while the broker is busy with the last one.
import type { TopicPartition } from "../wire/api.ts";
import type { GroupMember, GroupOffset } from "../wire/offset-apis.ts";
import {
  addOffsetsToTxnApi,
  addPartitionsToTxnApi,
  describeTransactionsApi,
  endTxnApi,
  initProducerIdApi,
  listTransactionsApi,
  txnOffsetCommitApi,
} from "../wire/transaction-apis.ts";
import type {
  DescribedTransaction,
  ListedTransaction,
  ProducerIdentity,
  TransactionOwner,
  TransactionState,
} from "../wire/transaction-apis.ts";
import type { Cluster } from "./cluster.ts";
import type { Connection } from "./connection.ts";
import { kafkaCode, throwOnCode } from "./kafka-problem.ts";
import type { Route } from "./wire-client.ts";

export type Routed = <T>(route: Route, subject: string, attempt: (connection: Connection) => Promise<T>) => Promise<T>;

const coordinatorOf = (transactionalId: string): Route => ({ kind: "transaction", key: transactionalId });
const subjectOf = (transactionalId: string | null): string =>
  transactionalId === null ? "producer" : `transactional id ${transactionalId}`;

export class TransactionRequests {
  readonly #cluster: Cluster;
  readonly #routed: Routed;

  constructor(cluster: Cluster, routed: Routed) {
    this.#cluster = cluster;
    this.#routed = routed;
  }

  initProducerId(transactionalId: string | null, transactionTimeoutMs: number): Promise<ProducerIdentity> {
    const route = transactionalId === null ? "any" : coordinatorOf(transactionalId);
    return this.#routed(route, subjectOf(transactionalId), async (connection) => {
      const answer = await connection.send(initProducerIdApi, { transactionalId, transactionTimeoutMs });
      throwOnCode(answer.errorCode, "InitProducerId");
      return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
    });
  }

  async addPartitions(owner: TransactionOwner, partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    await this.#routed(coordinatorOf(owner.transactionalId), subjectOf(owner.transactionalId), async (connection) => {
      const results = await connection.send(addPartitionsToTxnApi, { owner, partitions });
      // One bad partition fails them all; the others then say only that they were not tried.
      const telling = results.filter((each) => each.errorCode !== operationNotAttempted);
      for (const result of telling) throwOnCode(result.errorCode, `AddPartitionsToTxn of ${result.topic}/${result.partition}`);
    });
  }

  async commitOffsets(owner: TransactionOwner, groupId: string, offsets: readonly GroupOffset[], member: GroupMember): Promise<void> {
    await this.#routed(coordinatorOf(owner.transactionalId), subjectOf(owner.transactionalId), async (connection) => {
      throwOnCode((await connection.send(addOffsetsToTxnApi, { owner, groupId })).errorCode, `AddOffsetsToTxn of ${groupId}`);
    });
    await this.#routed({ kind: "group", key: groupId }, `group ${groupId}`, async (connection) => {
      for (const result of await connection.send(txnOffsetCommitApi, { owner, groupId, offsets, member })) {
        throwOnCode(result.errorCode, `TxnOffsetCommit of ${groupId} for ${result.topic}/${result.partition}`);
      }
    });
  }

  async end(owner: TransactionOwner, commit: boolean): Promise<void> {
    await this.#routed(coordinatorOf(owner.transactionalId), subjectOf(owner.transactionalId), async (connection) => {
      throwOnCode((await connection.send(endTxnApi, { owner, commit })).errorCode, commit ? "EndTxn (commit)" : "EndTxn (abort)");
    });
  }

  async list(states: readonly TransactionState[]): Promise<readonly ListedTransaction[]> {
    // Each coordinator lists its own, so every broker is asked.
    return this.#routed("any", "transactions", async () => {
      await this.#cluster.refresh(null);
      const listed: ListedTransaction[] = [];
      for (const nodeId of this.#cluster.brokerIds) {
        const connection = await this.#cluster.connection(nodeId, "control");
        const answer = await connection.send(listTransactionsApi, { states });
        throwOnCode(answer.errorCode, "ListTransactions");
        listed.push(...answer.transactions);
      }
      return listed;
    });
  }

  async describe(transactionalIds: readonly string[]): Promise<readonly DescribedTransaction[]> {
    const described: DescribedTransaction[] = [];
    for (const id of transactionalIds) {
      const [found] = await this.#routed(coordinatorOf(id), subjectOf(id), async (connection) => {
        const answers = await connection.send(describeTransactionsApi, { transactionalIds: [id] });
        for (const answer of answers) if (answer.errorCode !== kafkaCode.none) throwOnCode(answer.errorCode, "DescribeTransactions");
        return answers;
      });
      if (found !== undefined) described.push(found);
    }
    return described;
  }
}

const operationNotAttempted = 55;
