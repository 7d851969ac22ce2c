// Formats: how records become rows and rows become records.
export { avro, type AvroOptions } from "./avro/avro.ts";
export { avroSchemaOf, schemaFromAvro } from "./avro/avro-schema-of.ts";
export { debezium } from "./debezium/debezium.ts";
export { json, type JsonOptions } from "./json/json.ts";
export { protobuf, type ProtobufOptions } from "./protobuf/protobuf.ts";
export { protoSchemaOf, type ProtoSource, schemaFromProto } from "./protobuf/proto-schema-of.ts";
export { raw, type RawRow } from "./raw/raw.ts";
export { text, type TextRow } from "./raw/text.ts";
export type { SchemaRegistryOptions } from "./registry/registry.ts";
