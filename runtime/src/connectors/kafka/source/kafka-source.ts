// The Kafka source: partitions as splits.
import type { Format } from "../../../core/ports/format.ts";
import type { Source } from "../../../core/ports/source.ts";
import type { ClientOptions } from "../client/client-options.ts";
import { FramePool } from "../client/frames.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { WireKafkaClient } from "../client/wire-client.ts";
import { Fetcher } from "./fetcher.ts";
import { PartitionEnumerator } from "./partition-enumerator.ts";
import { PartitionReader } from "./partition-reader.ts";
import { sourceConfig } from "./source-options.ts";
import type { KafkaSourceConfig, KafkaSourceOptions } from "./source-options.ts";

/** Opens a client; `bufferBytes` is what its user may hold of fetched bytes. */
export type OpenClient = (options: ClientOptions, bufferBytes: number) => KafkaClient;

const openWire: OpenClient = (options, bufferBytes) => new WireKafkaClient(options, { pool: new FramePool(bufferBytes) });

const leastBufferBytes = 1024;

/** A source as a dataflow takes it: partitions of topics, decoded by a format. */
export interface KafkaSourceEndpoint<Row> {
  readonly source: Source;
  readonly format: Format<Row>;
}

/**
 * Reads topics. Each partition is a split with a position of its own: watermarks, snapshots and rescaling go by partition.
 * Throws OPTION_UNKNOWN and OPTION_INVALID; opening it rejects with KAFKA_TOPIC_MISSING, KAFKA_BROKER_UNREACHABLE,
 * KAFKA_AUTH_FAILED or KAFKA_NOT_AUTHORIZED.
 */
export function kafkaSource<Row>(options: KafkaSourceOptions & { readonly format: Format<Row> }): KafkaSourceEndpoint<Row> {
  return { source: rawKafkaSource(sourceConfig(options), openWire), format: options.format };
}

/** A Kafka source with its options at hand: for drivers that read its partitions themselves. */
export interface KafkaSource extends Source {
  readonly kafka: KafkaSourceConfig;
}

export function isKafkaSource(source: Source): source is KafkaSource {
  return source.connector === "kafka" && "kafka" in source;
}

/** The source alone, over any implementation of the Kafka port. */
export function rawKafkaSource(config: KafkaSourceConfig, openClient: OpenClient): KafkaSource {
  return {
    connector: "kafka",
    kafka: config,
    options: config.printable,
    bounded: config.bounded !== undefined && config.bounded !== false,
    openEnumerator: async () => new PartitionEnumerator(config, openClient(config.client, 0)),
    async openReader({ clock, log, uid, bufferBytes = Number.POSITIVE_INFINITY }) {
      // Half is for what is fetched, half for buffers that wait to be used again.
      const shareBytes = config.bufferGiven ? Number.POSITIVE_INFINITY : Math.floor(bufferBytes / 2);
      const maxBufferedBytes = Math.max(leastBufferBytes, Math.min(config.fetcher.maxBufferedBytes, shareBytes));
      const maxPartitionBytes = Math.min(config.fetcher.maxPartitionBytes, maxBufferedBytes);
      const client = openClient(config.client, maxBufferedBytes);
      const fetcher = new Fetcher({ ...config.fetcher, maxBufferedBytes, maxPartitionBytes }, { client, clock, log, random: Math.random });
      return new PartitionReader({
        client,
        fetcher,
        readCommitted: config.fetcher.isolation === "read_committed",
        groupId: config.groupId,
        uid,
        log,
      });
    },
  };
}
