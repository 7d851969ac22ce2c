// Requests of transactional producers (KIP-98, KIP-447), and the two that tell which transactions are open (KIP-664).
import { byTopic } from "./api.ts";
import type { KafkaApi, TopicPartition } from "./api.ts";
import type { GroupMember, GroupOffset, PartitionResult } from "./offset-apis.ts";

/** A producer's identity; a higher epoch of the same id fences every lower one. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** The identity under which one transactional id writes now. */
export interface TransactionOwner extends ProducerIdentity {
  readonly transactionalId: string;
}

export interface InitProducerIdRequest {
  /** Null for an idempotent producer without transactions. */
  readonly transactionalId: string | null;
  /** The broker aborts a transaction that stays open for longer. */
  readonly transactionTimeoutMs: number;
}

export const initProducerIdApi: KafkaApi<InitProducerIdRequest, ProducerIdentity & { readonly errorCode: number }> = {
  name: "InitProducerId",
  key: 22,
  version: 4,
  flexible: true,
  encode(writer, { transactionalId, transactionTimeoutMs }) {
    writer.string(transactionalId).i32(transactionTimeoutMs).i64(-1).i16(-1).tags();
  },
  decode(reader) {
    reader.i32();
    const response = { errorCode: reader.i16(), producerId: reader.i64(), producerEpoch: reader.i16() };
    reader.tags();
    return response;
  },
};

export const addPartitionsToTxnApi: KafkaApi<
  { readonly owner: TransactionOwner; readonly partitions: readonly TopicPartition[] },
  readonly PartitionResult[]
> = {
  name: "AddPartitionsToTxn",
  key: 24,
  version: 3,
  flexible: true,
  encode(writer, { owner, partitions }) {
    writer.string(owner.transactionalId).i64(owner.producerId).i16(owner.producerEpoch);
    writer.array(byTopic(partitions), ([topic, entries]) => {
      writer.string(topic).array(entries, (entry) => writer.i32(entry.partition));
      writer.tags();
    });
    writer.tags();
  },
  decode(reader) {
    reader.i32();
    const results = reader.array(() => {
      const topic = reader.string();
      const partitions = reader.array(() => {
        const result = { topic, partition: reader.i32(), errorCode: reader.i16() };
        reader.tags();
        return result;
      });
      reader.tags();
      return partitions;
    });
    reader.tags();
    return results.flat();
  },
};

export const addOffsetsToTxnApi: KafkaApi<{ readonly owner: TransactionOwner; readonly groupId: string }, { readonly errorCode: number }> =
  {
    name: "AddOffsetsToTxn",
    key: 25,
    version: 3,
    flexible: true,
    encode(writer, { owner, groupId }) {
      writer.string(owner.transactionalId).i64(owner.producerId).i16(owner.producerEpoch).string(groupId).tags();
    },
    decode(reader) {
      reader.i32();
      const response = { errorCode: reader.i16() };
      reader.tags();
      return response;
    },
  };

export interface TxnOffsetCommitRequest {
  readonly owner: TransactionOwner;
  readonly groupId: string;
  readonly member: GroupMember;
  readonly offsets: readonly GroupOffset[];
}

export const txnOffsetCommitApi: KafkaApi<TxnOffsetCommitRequest, readonly PartitionResult[]> = {
  name: "TxnOffsetCommit",
  key: 28,
  version: 3,
  flexible: true,
  encode(writer, { owner, groupId, member, offsets }) {
    writer.string(owner.transactionalId).string(groupId).i64(owner.producerId).i16(owner.producerEpoch);
    writer.i32(member.generationId).string(member.memberId).string(member.groupInstanceId);
    writer.array(byTopic(offsets), ([topic, entries]) => {
      writer
        .string(topic)
        .array(entries, (entry) => writer.i32(entry.partition).i64(entry.offset).i32(entry.leaderEpoch).string(entry.metadata).tags());
      writer.tags();
    });
    writer.tags();
  },
  decode: addPartitionsToTxnApi.decode,
};

export const endTxnApi: KafkaApi<{ readonly owner: TransactionOwner; readonly commit: boolean }, { readonly errorCode: number }> = {
  name: "EndTxn",
  key: 26,
  version: 3,
  flexible: true,
  encode(writer, { owner, commit }) {
    writer.string(owner.transactionalId).i64(owner.producerId).i16(owner.producerEpoch).bool(commit).tags();
  },
  decode: addOffsetsToTxnApi.decode,
};

/** As Kafka names them: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Dead. */
export type TransactionState = string;

export interface ListedTransaction {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly state: TransactionState;
}

export const listTransactionsApi: KafkaApi<
  { readonly states: readonly TransactionState[] },
  { readonly errorCode: number; readonly transactions: readonly ListedTransaction[] }
> = {
  name: "ListTransactions",
  key: 66,
  version: 0,
  flexible: true,
  encode(writer, { states }) {
    writer.array(states, (state) => writer.string(state));
    writer.array<number>([], (producerId) => writer.i64(producerId)).tags();
  },
  decode(reader) {
    reader.i32();
    const errorCode = reader.i16();
    reader.array(() => reader.string());
    const transactions = reader.array(() => {
      const transaction = { transactionalId: reader.string(), producerId: reader.i64(), state: reader.string() };
      reader.tags();
      return transaction;
    });
    reader.tags();
    return { errorCode, transactions };
  },
};

export interface DescribedTransaction extends ProducerIdentity {
  readonly errorCode: number;
  readonly transactionalId: string;
  readonly state: TransactionState;
  readonly timeoutMs: number;
  /** -1 when none is open. */
  readonly startedAtMs: number;
  readonly partitions: readonly TopicPartition[];
}

export const describeTransactionsApi: KafkaApi<{ readonly transactionalIds: readonly string[] }, readonly DescribedTransaction[]> = {
  name: "DescribeTransactions",
  key: 65,
  version: 0,
  flexible: true,
  encode: (writer, { transactionalIds }) => void writer.array(transactionalIds, (id) => writer.string(id)).tags(),
  decode(reader) {
    reader.i32();
    const described = reader.array(() => {
      const head = {
        errorCode: reader.i16(),
        transactionalId: reader.string(),
        state: reader.string(),
        timeoutMs: reader.i32(),
        startedAtMs: reader.i64(),
        producerId: reader.i64(),
        producerEpoch: reader.i16(),
      };
      const partitions = reader.array(() => {
        const topic = reader.string();
        const entries = reader.array(() => ({ topic, partition: reader.i32() }));
        reader.tags();
        return entries;
      });
      reader.tags();
      return { ...head, partitions: partitions.flat() };
    });
    reader.tags();
    return described;
  },
};
