// The options of a Kafka sink, checked and completed.
import { integerOption, refuseUnknownOptions } from "../../../base/options.ts";
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { Format } from "../../../core/ports/format.ts";
import type { ChangelogMode, Delivery } from "../../../core/ports/sink.ts";
import { clientOptions, connectionOptionNames, invalid, printableOptions } from "../client/client-options.ts";
import type { ClientOptions, KafkaConnectionOptions } from "../client/client-options.ts";
import { isCompression } from "../wire/compression.ts";
import type { Compression } from "../wire/compression.ts";
import type { ProducerOptions } from "./record-producer.ts";

/** What to do about output whose commit cannot be known any more: stop, send it again, or leave it out. */
export type UnknownCommitPolicy = "fail" | "resend" | "skip";

export interface KafkaSinkOptions<Row> extends KafkaConnectionOptions {
  /** One topic for all rows, or the topic of a row. Topics must exist. */
  readonly topic: string | ((row: Row) => string);
  /** Encodes the values. */
  readonly format: Format<Row>;
  /** The record's key: the name of a field (its text), or a function. Without it records have no key. */
  readonly key?: string | ((row: Row) => string | Uint8Array | null);
  readonly headers?: (row: Row) => RecordHeaders;
  /** The record's timestamp: the row's event time (default; the clock where a row has none), the clock, or ms since the epoch. */
  readonly timestamp?: "event" | "now" | ((row: Row) => number);
  /** The partition of a row. Default: the key's murmur2 hash as in Kafka's Java client; without a key, one after the other. */
  readonly partitioner?: (row: Row, partitions: number) => number;
  /** `upsert` takes deletes too and writes them as records without a value; it needs a key. Default `append`. */
  readonly mode?: ChangelogMode;
  /** `exactly-once` writes in transactions that become visible with the job's checkpoints. Default `at-least-once`. */
  readonly delivery?: Delivery;
  /** Default `none`. */
  readonly compression?: Compression;
  /** How long records may wait for more while the broker is busy. Default 5 ms. */
  readonly lingerMs?: number;
  /** Of one record batch before compression; below the topic's max.message.bytes. Default 256 KiB. */
  readonly batchBytes?: number;
  /** Unacknowledged output per instance; above it the job waits. Default 64 MiB, and less where the process's memory is small. */
  readonly maxBufferedBytes?: number;
  /** Default 2 min. */
  readonly deliveryTimeoutMs?: number;
  /** After this the broker aborts a transaction. Must be above the time between two checkpoints, and at most the broker's transaction.max.timeout.ms. Default 10 min. */
  readonly transactionTimeoutMs?: number;
  /** Begins the transactional ids and the groups of commit markers. Default `<job>.<uid>`; two jobs must not share it on one cluster. */
  readonly transactionalIdPrefix?: string;
  /** Exactly-once: output between two checkpoints, per instance. Default 512 MiB. */
  readonly maxEpochBytes?: number;
  /** Exactly-once: for restores of a snapshot whose commit was neither recorded nor can be looked up any more. Default `fail`. */
  readonly onUnknownCommit?: UnknownCommitPolicy;
}

export interface KafkaSinkConfig<Row = unknown> {
  readonly client: ClientOptions;
  readonly rows: Pick<KafkaSinkOptions<Row>, "topic" | "format" | "key" | "headers" | "partitioner"> & {
    readonly timestamp: NonNullable<KafkaSinkOptions<Row>["timestamp"]>;
  };
  readonly mode: ChangelogMode;
  readonly delivery: Delivery;
  readonly producer: ProducerOptions;
  readonly maxBufferedBytes: number;
  /** True when the options say how much may be unacknowledged. */
  readonly bufferGiven: boolean;
  readonly transactionTimeoutMs: number;
  readonly transactionalIdPrefix: string | undefined;
  readonly maxEpochBytes: number;
  readonly onUnknownCommit: UnknownCommitPolicy;
  readonly printable: Readonly<Record<string, unknown>>;
}

const subject = "kafka sink";
const names = [
  ...connectionOptionNames,
  "topic",
  "format",
  "key",
  "headers",
  "timestamp",
  "partitioner",
  "mode",
  "delivery",
  "compression",
  "lingerMs",
  "batchBytes",
  "maxBufferedBytes",
  "deliveryTimeoutMs",
  "transactionTimeoutMs",
  "transactionalIdPrefix",
  "maxEpochBytes",
  "onUnknownCommit",
];
const mebibyte = 1024 * 1024;
const longestMs = 24 * 3_600_000;

/** Throws OPTION_UNKNOWN and OPTION_INVALID. */
export function sinkConfig<Row>(options: KafkaSinkOptions<Row>): KafkaSinkConfig<Row> {
  refuseUnknownOptions(subject, options, names);
  const { topic, format, key, headers, partitioner, timestamp = "event", mode = "append", delivery = "at-least-once" } = options;
  const compression = options.compression ?? "none";
  if (typeof topic === "string" && !/^[\w.-]{1,249}$/.test(topic))
    throw invalid("topic", `"${topic}" is not a topic name`, "give a topic's name, or a function");
  if (!isCompression(compression))
    throw invalid("compression", `"${String(compression)}" is not known`, "use none, gzip, snappy, lz4 or zstd");
  if (!["append", "upsert", "retract"].includes(mode)) throw invalid("mode", `"${mode}" is not known`, "use append, upsert or retract");
  if (!["at-least-once", "exactly-once"].includes(delivery))
    throw invalid("delivery", `"${delivery}" is not known`, "use at-least-once or exactly-once");
  if (mode === "upsert" && key === undefined) throw invalid("mode", "is upsert, but records have no key", "set key");
  if (mode === "retract" && format.changelog !== "retract") {
    throw invalid(
      "mode",
      `is retract, but the format ${format.name} cannot say what kind a row has`,
      "use a changelog format such as debezium-json, or upsert",
    );
  }
  // A format without a schema of its own takes the rows' one: then the key is looked for when the sink is opened.
  if (typeof key === "string" && format.schema.fields.length > 0) format.schema.field(key);
  const requestTimeoutMs = options.requestTimeoutMs ?? 30_000;
  return {
    client: clientOptions(options),
    rows: {
      topic,
      format,
      timestamp,
      ...(key === undefined ? {} : { key }),
      ...(headers === undefined ? {} : { headers }),
      ...(partitioner === undefined ? {} : { partitioner }),
    },
    mode,
    delivery,
    producer: {
      compression,
      batchBytes: integerOption(subject, "batchBytes", options.batchBytes, mebibyte / 4, 1024, 64 * mebibyte),
      requestBytes: mebibyte,
      lingerMs: integerOption(subject, "lingerMs", options.lingerMs, 5, 0, 60_000),
      deliveryTimeoutMs: integerOption(subject, "deliveryTimeoutMs", options.deliveryTimeoutMs, 120_000, 1, longestMs),
      requestTimeoutMs,
    },
    bufferGiven: options.maxBufferedBytes !== undefined,
    maxBufferedBytes: integerOption(subject, "maxBufferedBytes", options.maxBufferedBytes, 64 * mebibyte, 1024, 2 ** 32),
    transactionTimeoutMs: integerOption(subject, "transactionTimeoutMs", options.transactionTimeoutMs, 600_000, 1000, longestMs),
    transactionalIdPrefix: options.transactionalIdPrefix,
    maxEpochBytes: integerOption(subject, "maxEpochBytes", options.maxEpochBytes, 512 * mebibyte, 1024, 2 ** 31),
    onUnknownCommit: options.onUnknownCommit ?? "fail",
    printable: {
      ...printableOptions(options),
      topic: typeof topic === "string" ? topic : "by row",
      format: format.name,
      delivery,
      mode,
      ...(key === undefined ? {} : { key: typeof key === "string" ? key : "by row" }),
      ...(compression === "none" ? {} : { compression }),
    },
  };
}
