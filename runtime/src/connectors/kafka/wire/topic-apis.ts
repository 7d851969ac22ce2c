// Requests that create, extend, delete and describe topics.
import type { KafkaApi } from "./api.ts";

export interface NewTopic {
  readonly name: string;
  readonly partitions: number;
  /** -1 takes the broker's default. */
  readonly replicationFactor: number;
  readonly configs: Readonly<Record<string, string>>;
}

export interface TopicResult {
  readonly topic: string;
  readonly errorCode: number;
  readonly message: string | null;
}

const requestTimeoutMs = 30_000;

export const createTopicsApi: KafkaApi<{ readonly topics: readonly NewTopic[] }, readonly TopicResult[]> = {
  name: "CreateTopics",
  key: 19,
  version: 7,
  flexible: true,
  encode(writer, { topics }) {
    writer.array(topics, (topic) => {
      writer.string(topic.name).i32(topic.partitions).i16(topic.replicationFactor);
      writer.array([], () => undefined);
      writer.array(Object.entries(topic.configs), ([name, value]) => writer.string(name).string(value).tags());
      writer.tags();
    });
    writer.i32(requestTimeoutMs).bool(false).tags();
  },
  decode(reader) {
    reader.i32();
    const results = reader.array(() => {
      const topic = reader.string();
      reader.uuid();
      const result = { topic, errorCode: reader.i16(), message: reader.nullableString() };
      reader.i32();
      reader.i16();
      reader.array(() => {
        reader.string();
        reader.nullableString();
        reader.bool();
        reader.i8();
        reader.bool();
        reader.tags();
      });
      reader.tags();
      return result;
    });
    reader.tags();
    return results;
  },
};

export const deleteTopicsApi: KafkaApi<{ readonly topics: readonly string[] }, readonly TopicResult[]> = {
  name: "DeleteTopics",
  key: 20,
  version: 6,
  flexible: true,
  encode(writer, { topics }) {
    const zeroTopicId = new Uint8Array(16);
    writer.array(topics, (topic) => writer.string(topic).raw(zeroTopicId).tags());
    writer.i32(requestTimeoutMs).tags();
  },
  decode(reader) {
    reader.i32();
    const results = reader.array(() => {
      const topic = reader.string();
      reader.uuid();
      const result = { topic, errorCode: reader.i16(), message: reader.nullableString() };
      reader.tags();
      return result;
    });
    reader.tags();
    return results;
  },
};

export const createPartitionsApi: KafkaApi<{ readonly topic: string; readonly count: number }, readonly TopicResult[]> = {
  name: "CreatePartitions",
  key: 37,
  version: 3,
  flexible: true,
  encode(writer, { topic, count }) {
    writer.array([topic], (name) =>
      writer
        .string(name)
        .i32(count)
        .array(null, () => undefined)
        .tags(),
    );
    writer.i32(requestTimeoutMs).bool(false).tags();
  },
  decode(reader) {
    reader.i32();
    const results = reader.array(() => {
      const result = { topic: reader.string(), errorCode: reader.i16(), message: reader.nullableString() };
      reader.tags();
      return result;
    });
    reader.tags();
    return results;
  },
};

/** Removes the records below an offset of each partition, as retention would. */
export const deleteRecordsApi: KafkaApi<
  { readonly topic: string; readonly partition: number; readonly beforeOffset: number },
  { readonly errorCode: number; readonly lowWatermark: number }
> = {
  name: "DeleteRecords",
  key: 21,
  version: 2,
  flexible: true,
  encode(writer, { topic, partition, beforeOffset }) {
    writer.array([topic], (name) => {
      writer.string(name).array([partition], (index) => writer.i32(index).i64(beforeOffset).tags());
      writer.tags();
    });
    writer.i32(requestTimeoutMs).tags();
  },
  decode(reader) {
    reader.i32();
    const results = reader.array(() => {
      reader.string();
      const partitions = reader.array(() => {
        reader.i32();
        const result = { lowWatermark: reader.i64(), errorCode: reader.i16() };
        reader.tags();
        return result;
      });
      reader.tags();
      return partitions;
    });
    reader.tags();
    const result = results[0]?.[0];
    if (result === undefined) throw new RangeError("the answer names no partition");
    return result;
  },
};

/** The configuration of a topic: every entry with the value that holds, whoever set it. */
export const describeConfigsApi: KafkaApi<
  { readonly topic: string },
  { readonly errorCode: number; readonly message: string | null; readonly configs: ReadonlyMap<string, string> }
> = {
  name: "DescribeConfigs",
  key: 32,
  version: 4,
  flexible: true,
  encode(writer, { topic }) {
    const topicResource = 2;
    writer.array([topic], (name) =>
      writer
        .i8(topicResource)
        .string(name)
        .array(null, () => undefined)
        .tags(),
    );
    writer.bool(false).bool(false).tags();
  },
  decode(reader) {
    reader.i32();
    const results = reader.array(() => {
      const errorCode = reader.i16();
      const message = reader.nullableString();
      reader.i8();
      reader.string();
      const configs = new Map<string, string>();
      reader.array(() => {
        configs.set(reader.string(), reader.nullableString() ?? "");
        reader.bool();
        reader.i8();
        reader.bool();
        reader.array(() => {
          reader.string();
          reader.nullableString();
          reader.i8();
          reader.tags();
        });
        reader.i8();
        reader.nullableString();
        reader.tags();
      });
      reader.tags();
      return { errorCode, message, configs };
    });
    reader.tags();
    const [first] = results;
    if (first === undefined) throw new RangeError("the answer names no topic");
    return first;
  },
};
