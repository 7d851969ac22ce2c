// What the tasks of a process share, put together from its configuration: clients, fetchers, limits.
import { RateLimit } from "../../base/rate-limit.ts";
import type { WakeFlag } from "../../base/wake-flag.ts";
import type { ClientOptions } from "../../connectors/kafka/client/client-options.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { Fetcher } from "../../connectors/kafka/source/fetcher.ts";
import { topicRules } from "../../connectors/kafka/sink/record-gate.ts";
import { GlobalTables } from "./global/global-tables.ts";
import type { GroupMember } from "../../connectors/kafka/wire/offset-apis.ts";
import type { AppDisk } from "./app-disk.ts";
import type { AppPlan } from "./app-plan.ts";
import type { CompleteConfig } from "./config.ts";
import type { ProducerOptions } from "../../connectors/kafka/sink/record-producer.ts";
import type { LetterTopic } from "./task/letter-sink.ts";
import type { RestoredOrigin, TaskHost } from "./task/task-host.ts";

const mebibyte = 1024 * 1024;
export const fetchBytes: number = 32 * mebibyte;

export interface HostParts {
  readonly applicationId: string;
  readonly config: CompleteConfig;
  readonly cluster: ClientOptions;
  readonly plan: AppPlan;
  readonly client: KafkaClient;
  /** Of restores alone, so that they keep nothing else waiting. */
  readonly restoringClient: KafkaClient;
  readonly disk: AppDisk;
  readonly flag: WakeFlag;
  readonly member: () => GroupMember;
  readonly restored: RestoredOrigin | undefined;
  readonly letters: LetterTopic | undefined;
}

/** The topic of dead letters, which has to exist. Rejects with KAFKA_TOPIC_MISSING. */
export async function letterTopic(
  client: KafkaClient,
  { deadLetterTopic: topic, onRefusedRecord }: CompleteConfig,
): Promise<LetterTopic | undefined> {
  if (topic === undefined) return undefined;
  const [found] = await client.topics([topic]);
  // A record that was too large for its topic is likely to be so for this one.
  const maxBytes = onRefusedRecord === "fail" ? Infinity : (await topicRules(client, topic)).maxBatchBytes;
  return { topic, partitions: found?.partitions.length ?? 1, maxBytes };
}

/** How the records of an application are sent. */
export function producerOptions({ requestTimeoutMs }: ClientOptions): ProducerOptions {
  return {
    compression: "none",
    batchBytes: mebibyte / 4,
    requestBytes: mebibyte,
    lingerMs: 5,
    deliveryTimeoutMs: 120_000,
    requestTimeoutMs,
  };
}

export function openHost({
  applicationId,
  config,
  cluster,
  plan,
  client,
  restoringClient,
  disk,
  flag,
  member,
  restored,
  letters,
}: HostParts): TaskHost {
  const { clock, log, random } = config;
  const isolation = config.exactlyOnce ? "read_committed" : "read_uncommitted";
  const fetching = {
    isolation,
    onOffsetOutOfRange: "fail",
    maxPartitionBytes: mebibyte,
    maxBufferedBytes: fetchBytes,
    maxWaitMs: 500,
    failureTimeoutMs: cluster.retryTimeoutMs,
  } as const;
  const restoreFetcher = new Fetcher({ ...fetching, onOffsetOutOfRange: "earliest" }, { client: restoringClient, clock, log, random });
  const ofTables = {
    ...({ applicationId, client, restoreFetcher, clock, log, isolation, maxParallelism: config.maxParallelism } as const),
    ...{ directory: disk.scratchDirectory, commitIntervalMs: config.commitIntervalMs },
    badRows: { onBadRecord: config.onBadRecord, maxPerMinute: config.maxBadRecordsPerMinute },
  };
  return {
    applicationId,
    client,
    fetcher: new Fetcher(fetching, { client, clock, log, random, onChanged: () => flag.wake() }),
    restoreFetcher,
    globalTables: new GlobalTables(ofTables),
    clock,
    log,
    random,
    exactlyOnce: config.exactlyOnce,
    isolation,
    maxParallelism: config.maxParallelism,
    counts: plan.counts,
    stateBackend: config.stateBackend,
    directory: disk.scratchDirectory,
    copyOf: (topic, partition) => disk.copyOf(topic, partition),
    keepsCopies: disk.keepsCopies,
    restoreLimit: new RateLimit(config.restoreBytesPerSecond, clock),
    commitIntervalMs: config.commitIntervalMs,
    transactionTimeoutMs: config.transactionTimeoutMs,
    producer: producerOptions(cluster),
    maxBufferedBytes: 8 * mebibyte,
    badRows: { onBadRecord: config.onBadRecord, maxPerMinute: config.maxBadRecordsPerMinute },
    putsRefusedAside: config.onRefusedRecord === "dead-letter",
    restored,
    letters,
    member,
    wake: () => flag.wake(),
  };
}
