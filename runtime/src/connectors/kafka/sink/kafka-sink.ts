// The Kafka sink.
import { randomBytes } from "node:crypto";
import { MillraceError } from "../../../base/errors.ts";
import { formatDuration } from "../../../base/duration.ts";
import type { Sink, SinkContext, SinkWriter } from "../../../core/ports/sink.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { ClientOptions } from "../client/client-options.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { WireKafkaClient } from "../client/wire-client.ts";
import { BatchBuffers } from "../wire/batch-buffers.ts";
import { AtLeastOnceWriter } from "./at-least-once-writer.ts";
import { BufferBudget } from "./buffer-budget.ts";
import { ExactlyOnceWriter } from "./exactly-once-writer.ts";
import { RecordProducer } from "./record-producer.ts";
import { RowOutput } from "./row-output.ts";
import { sinkConfig } from "./sink-options.ts";
import type { KafkaSinkConfig, KafkaSinkOptions } from "./sink-options.ts";
import { recover } from "./transaction-recovery.ts";

const keptBufferBytes = 16 * 1024 * 1024;

export type OpenSinkClient = (options: ClientOptions) => KafkaClient;

/**
 * Writes rows to topics. Throws OPTION_UNKNOWN and OPTION_INVALID; opening it rejects with KAFKA_TOPIC_MISSING,
 * KAFKA_BROKER_UNREACHABLE, KAFKA_AUTH_FAILED, KAFKA_NOT_AUTHORIZED, and for exactly-once with KAFKA_TRANSACTION_TIMEOUT and
 * KAFKA_COMMIT_UNKNOWN.
 */
export function kafkaSink<Row>(options: KafkaSinkOptions<Row>): Sink {
  return rawKafkaSink(sinkConfig(options) as KafkaSinkConfig, (client) => new WireKafkaClient(client));
}

/** A Kafka sink with its options at hand: for drivers that write its records in transactions of their own. */
export interface KafkaSink extends Sink {
  readonly kafka: KafkaSinkConfig;
}

export function isKafkaSink(sink: Sink): sink is KafkaSink {
  return sink.connector === "kafka" && "kafka" in sink;
}

/** The sink over any implementation of the Kafka port. */
export function rawKafkaSink(config: KafkaSinkConfig, openClient: OpenSinkClient): KafkaSink {
  return {
    connector: "kafka",
    kafka: config,
    options: config.printable,
    accepts: config.mode,
    delivery: config.delivery,
    async openWriter(context, schema) {
      if (config.delivery === "exactly-once") checkInterval(config, context);
      const client = openClient(config.client);
      try {
        return await openWriter(config, context, schema, client);
      } catch (error) {
        await client.close();
        throw error;
      }
    },
  };
}

async function openWriter(config: KafkaSinkConfig, context: SinkContext, schema: Schema, client: KafkaClient): Promise<SinkWriter> {
  const { clock, subtask, uid, jobName } = context;
  const log = context.log.child({ uid, subtask });
  const random = Math.random;
  const rows = await RowOutput.open(client, config, schema, clock);
  const shareBytes = config.bufferGiven ? Number.POSITIVE_INFINITY : (context.bufferBytes ?? Number.POSITIVE_INFINITY);
  const maxBufferedBytes = Math.min(config.maxBufferedBytes, Math.max(config.producer.batchBytes, shareBytes));
  const budget = new BufferBudget(maxBufferedBytes);
  const buffers = new BatchBuffers(config.producer.batchBytes, Math.min(keptBufferBytes, maxBufferedBytes / 2));
  if (config.delivery === "exactly-once") {
    const prefix = config.transactionalIdPrefix ?? `${jobName}.${uid}`;
    const recovered = await recover({ client, clock, log, random, config, context, prefix });
    const life = randomBytes(6).toString("base64url");
    return new ExactlyOnceWriter({ client, clock, log, random, config, rows, budget, buffers, prefix, subtask, uid, life }, recovered);
  }
  const producer = new RecordProducer(null, config.producer, { client, clock, log, random, budget, buffers });
  producer.start(await client.initProducerId(null, config.transactionTimeoutMs));
  return new AtLeastOnceWriter(client, rows, producer, budget);
}

function checkInterval({ transactionTimeoutMs }: KafkaSinkConfig, { uid, checkpointIntervalMs, log }: SinkContext): void {
  if (checkpointIntervalMs >= transactionTimeoutMs) {
    throw new MillraceError(
      "KAFKA_TRANSACTION_TIMEOUT",
      `kafka sink ${uid}`,
      `a transaction is open from one checkpoint to the next (${formatDuration(checkpointIntervalMs)}), longer than its timeout of ${formatDuration(transactionTimeoutMs)}`,
      "take checkpoints more often, raise transactionTimeoutMs (and the broker's transaction.max.timeout.ms), or use at-least-once",
    );
  }
  if (checkpointIntervalMs * 2 > transactionTimeoutMs) {
    log.warn("the transaction timeout leaves little room for a slow checkpoint", { uid, checkpointIntervalMs, transactionTimeoutMs });
  }
}
