// The options of a Kafka source, checked and completed.
import { integerOption, refuseUnknownOptions } from "../../../base/options.ts";
import { clientOptions, connectionOptionNames, invalid, printableOptions } from "../client/client-options.ts";
import type { ClientOptions, KafkaConnectionOptions } from "../client/client-options.ts";
import type { Isolation } from "../wire/offset-apis.ts";
import type { FetcherOptions } from "./fetcher.ts";
import type { OutOfRangePolicy } from "./lost-offsets.ts";

/**
 * Where a first start begins: the ends of the log, the group's committed offsets, the first records that are not older than a
 * time (ms since the epoch), or offsets by partition (`{ "bids-0": 42 }`). A restored job goes on from its snapshot instead.
 */
export type StartFrom =
  | "earliest"
  | "latest"
  | "group"
  | { readonly timestampMs: number }
  | { readonly offsets: Readonly<Record<string, number>> };

export interface KafkaSourceOptions extends KafkaConnectionOptions {
  readonly topic: string | readonly string[];
  /** Default `earliest`. */
  readonly startFrom?: StartFrom;
  /** Where partitions begin that `startFrom` says nothing about. Default `earliest`; for a time, `latest`. */
  readonly otherwise?: "earliest" | "latest";
  /** Completed checkpoints commit their offsets to this group, so that lag monitors see the job; never read back but by `startFrom: "group"`. */
  readonly groupId?: string;
  /** Default `read_committed`: records of open and aborted transactions are not seen. */
  readonly isolation?: Isolation;
  /** Ends at the ends that the partitions have at the start (true), or at given offsets. Default false: runs on. */
  readonly bounded?: boolean | { readonly offsets: Readonly<Record<string, number>> };
  /** How often to look for new partitions, ms; Infinity for never. Default 60 s. New partitions are read from their beginning. */
  readonly discoveryIntervalMs?: number;
  /** What to do when the log no longer holds the position. Default `fail`. */
  readonly onOffsetOutOfRange?: OutOfRangePolicy;
  /** Fetched per partition and request. Default 512 KiB. */
  readonly maxPartitionBytes?: number;
  /** Fetched ahead per reader. Default 16 MiB, and less where the process's memory is small. */
  readonly maxBufferedBytes?: number;
  /** How long a broker may wait for new records before it answers with none. Costs no latency. Default 500 ms. */
  readonly maxWaitMs?: number;
}

export interface KafkaSourceConfig {
  readonly client: ClientOptions;
  readonly topics: readonly string[];
  readonly startFrom: StartFrom;
  readonly otherwise: "earliest" | "latest";
  readonly groupId: string | undefined;
  readonly bounded: KafkaSourceOptions["bounded"];
  readonly discoveryIntervalMs: number;
  readonly fetcher: FetcherOptions;
  /** True when the options say how much may be fetched ahead. */
  readonly bufferGiven: boolean;
  readonly printable: Readonly<Record<string, unknown>>;
}

const subject = "kafka source";
const names = [
  ...connectionOptionNames,
  "topic",
  "startFrom",
  "otherwise",
  "groupId",
  "isolation",
  "bounded",
  "discoveryIntervalMs",
  "onOffsetOutOfRange",
  "maxPartitionBytes",
  "maxBufferedBytes",
  "maxWaitMs",
  "format",
];
const mebibyte = 1024 * 1024;

/** Throws OPTION_UNKNOWN and OPTION_INVALID. */
export function sourceConfig(options: KafkaSourceOptions): KafkaSourceConfig {
  refuseUnknownOptions(subject, options, names);
  const topics = typeof options.topic === "string" ? [options.topic] : [...(options.topic ?? [])];
  if (topics.length === 0 || topics.some((topic) => !/^[\w.-]{1,249}$/.test(topic))) {
    throw invalid("topic", `"${topics.join(", ")}" is not a topic name`, "give the name of one or more topics");
  }
  const startFrom = options.startFrom ?? "earliest";
  checkStart(startFrom, options.groupId);
  const client = clientOptions(options);
  const isolation = oneOf("isolation", options.isolation ?? "read_committed", ["read_committed", "read_uncommitted"]);
  const maxPartitionBytes = integerOption(subject, "maxPartitionBytes", options.maxPartitionBytes, mebibyte / 2, 1024, 64 * mebibyte);
  const bounded = options.bounded ?? false;
  return {
    client,
    topics,
    startFrom,
    otherwise: oneOf("otherwise", options.otherwise ?? (isTime(startFrom) ? "latest" : "earliest"), ["earliest", "latest"]),
    groupId: options.groupId,
    bounded,
    discoveryIntervalMs: bounded === false ? discovery(options.discoveryIntervalMs) : Number.POSITIVE_INFINITY,
    fetcher: {
      isolation,
      onOffsetOutOfRange: oneOf("onOffsetOutOfRange", options.onOffsetOutOfRange ?? "fail", ["fail", "earliest", "latest"]),
      maxPartitionBytes,
      maxBufferedBytes: integerOption(
        subject,
        "maxBufferedBytes",
        options.maxBufferedBytes,
        Math.max(16 * mebibyte, maxPartitionBytes),
        maxPartitionBytes,
        2 ** 31,
      ),
      maxWaitMs: integerOption(subject, "maxWaitMs", options.maxWaitMs, 500, 1, 60_000),
      failureTimeoutMs: client.retryTimeoutMs,
    },
    bufferGiven: options.maxBufferedBytes !== undefined,
    printable: {
      ...printableOptions(options),
      topic: topics.length === 1 ? topics[0] : topics,
      startFrom,
      isolation,
      ...(options.groupId === undefined ? {} : { groupId: options.groupId }),
      ...(bounded === false ? {} : { bounded }),
    },
  };
}

/** The id of a partition's split, and the key of offsets by partition. */
export function splitIdOf(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

function isTime(startFrom: StartFrom): startFrom is { readonly timestampMs: number } {
  return typeof startFrom === "object" && "timestampMs" in startFrom;
}

function checkStart(startFrom: StartFrom, groupId: string | undefined): void {
  if (startFrom === "group" && groupId === undefined)
    throw invalid("startFrom", "is the group's offsets, but there is no groupId", "set groupId");
  if (startFrom === "earliest" || startFrom === "latest" || startFrom === "group") return;
  const numbers = isTime(startFrom) ? [startFrom.timestampMs] : Object.values(startFrom.offsets ?? { none: Number.NaN });
  if (numbers.every((each) => Number.isSafeInteger(each) && each >= 0)) return;
  throw invalid(
    "startFrom",
    `${JSON.stringify(startFrom)} is not usable`,
    'use "earliest", "latest", "group", { timestampMs } or { offsets: { "topic-0": 42 } }',
  );
}

function discovery(intervalMs: number | undefined): number {
  return intervalMs === Number.POSITIVE_INFINITY
    ? intervalMs
    : integerOption(subject, "discoveryIntervalMs", intervalMs, 60_000, 1, 2 ** 31 - 1);
}

function oneOf<const T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw invalid(option, `"${value}" is not known`, `use one of ${allowed.join(", ")}`);
}
