// Requests about offsets: listing them by time, and a group's committed ones.
import { byTopic } from "./api.ts";
import type { KafkaApi, TopicPartition } from "./api.ts";

/** How far a reader sees: all records, or only those of committed transactions. */
export type Isolation = "read_uncommitted" | "read_committed";

export const isolationByte = (isolation: Isolation): number => (isolation === "read_committed" ? 1 : 0);

export const latestTimestamp = -1;
export const earliestTimestamp = -2;

export interface ListOffsetsEntry extends TopicPartition {
  /** Milliseconds since the epoch, or `latestTimestamp` or `earliestTimestamp`. */
  readonly timestampMs: number;
  /** -1 where it is not known. */
  readonly leaderEpoch: number;
}

export interface ListedOffset extends TopicPartition {
  readonly errorCode: number;
  /** -1 where no record is that young. */
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

export const listOffsetsApi: KafkaApi<
  { readonly isolation: Isolation; readonly entries: readonly ListOffsetsEntry[] },
  readonly ListedOffset[]
> = {
  name: "ListOffsets",
  key: 2,
  version: 7,
  flexible: true,
  encode(writer, { isolation, entries }) {
    writer.i32(-1).i8(isolationByte(isolation));
    writer.array(byTopic(entries), ([topic, partitions]) => {
      writer.string(topic).array(partitions, (p) => writer.i32(p.partition).i32(p.leaderEpoch).i64(p.timestampMs).tags());
      writer.tags();
    });
    writer.tags();
  },
  decode(reader) {
    reader.i32();
    const listed: ListedOffset[] = [];
    reader.array(() => {
      const topic = reader.string();
      reader.array(() => {
        const partition = reader.i32();
        const errorCode = reader.i16();
        const timestampMs = reader.i64();
        listed.push({ topic, partition, errorCode, timestampMs, offset: reader.i64(), leaderEpoch: reader.i32() });
        reader.tags();
      });
      reader.tags();
    });
    reader.tags();
    return listed;
  },
};

export interface GroupOffset extends TopicPartition {
  readonly offset: number;
  /** -1 where it is not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

export interface FetchedGroupOffset extends GroupOffset {
  readonly errorCode: number;
}

export interface OffsetFetchRequest {
  readonly groupId: string;
  /** Null asks for all of the group's. */
  readonly partitions: readonly TopicPartition[] | null;
  /** Fails while a transaction that commits offsets of this group is open, instead of answering with the ones before it. */
  readonly requireStable: boolean;
}

export const offsetFetchApi: KafkaApi<OffsetFetchRequest, { readonly errorCode: number; readonly offsets: readonly FetchedGroupOffset[] }> =
  {
    name: "OffsetFetch",
    key: 9,
    version: 7,
    flexible: true,
    encode(writer, { groupId, partitions, requireStable }) {
      writer.string(groupId).array(partitions && byTopic(partitions), ([topic, entries]) => {
        writer.string(topic).array(entries, (entry) => writer.i32(entry.partition));
        writer.tags();
      });
      writer.bool(requireStable).tags();
    },
    decode(reader) {
      reader.i32();
      const offsets: FetchedGroupOffset[] = [];
      reader.array(() => {
        const topic = reader.string();
        reader.array(() => {
          const partition = reader.i32();
          const offset = reader.i64();
          const leaderEpoch = reader.i32();
          const metadata = reader.nullableString() ?? "";
          offsets.push({ topic, partition, offset, leaderEpoch, metadata, errorCode: reader.i16() });
          reader.tags();
        });
        reader.tags();
      });
      const errorCode = reader.i16();
      reader.tags();
      return { errorCode, offsets };
    },
  };

/** Who commits, for groups with members (KIP-447); a committer outside of a group is generation -1 without a member. */
export interface GroupMember {
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

export const noMember: GroupMember = { generationId: -1, memberId: "", groupInstanceId: null };

export interface OffsetCommitRequest {
  readonly groupId: string;
  readonly member: GroupMember;
  readonly offsets: readonly GroupOffset[];
}

export interface PartitionResult extends TopicPartition {
  readonly errorCode: number;
}

export const offsetCommitApi: KafkaApi<OffsetCommitRequest, readonly PartitionResult[]> = {
  name: "OffsetCommit",
  key: 8,
  version: 8,
  flexible: true,
  encode(writer, { groupId, member, offsets }) {
    writer.string(groupId).i32(member.generationId).string(member.memberId).string(member.groupInstanceId);
    writer.array(byTopic(offsets), ([topic, entries]) => {
      writer
        .string(topic)
        .array(entries, (entry) => writer.i32(entry.partition).i64(entry.offset).i32(entry.leaderEpoch).string(entry.metadata).tags());
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
