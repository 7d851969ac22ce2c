// Kafka as a source and as a sink.
export type { KafkaConnectionOptions, KafkaTls } from "./client/client-options.ts";
export type { SaslCredentials, SaslMechanism } from "./client/sasl.ts";
export { kafkaSource, type KafkaSourceEndpoint } from "./source/kafka-source.ts";
export type { KafkaSourceOptions, StartFrom } from "./source/source-options.ts";
export type { OutOfRangePolicy } from "./source/lost-offsets.ts";
export { kafkaSink } from "./sink/kafka-sink.ts";
export type { KafkaSinkOptions, UnknownCommitPolicy } from "./sink/sink-options.ts";
export type { Compression } from "./wire/compression.ts";
export type { Isolation } from "./wire/offset-apis.ts";
