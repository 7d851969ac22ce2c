// The environment of a pod as configuration: what is there is taken, what is not is left to the defaults, what is wrong is named.
import { expect, test } from "vitest";
import { completeConfig } from "./config.ts";
import { environmentConfig } from "./environment.ts";

test("an empty environment says nothing", () => {
  expect(environmentConfig({ MILLRACE_HTTP_PORT: "", MILLRACE_RESTORE_ID: "" })).toEqual({});
});

test("what the operator gives is a valid configuration", () => {
  const config = environmentConfig({
    MILLRACE_APPLICATION_ID: "counts",
    MILLRACE_PARAMETERS: '{"brokers":"kafka:9092"}',
    MILLRACE_DELIVERY: "at-least-once",
    MILLRACE_INSTANCE_ID: "counts-0",
    MILLRACE_STANDBYS: "1",
    MILLRACE_STATE_DIRECTORY: "/state",
    MILLRACE_SAVEPOINT_STORAGE: "s3://snapshots/counts",
    MILLRACE_FROM_SAVEPOINT: "s3://snapshots/counts/counts/savepoints/a",
    MILLRACE_RESTORE_ID: "7",
    MILLRACE_HTTP_PORT: "8081",
    MILLRACE_QUERY_PORT: "7070",
    MILLRACE_HTTP_HOST: "0.0.0.0",
    MILLRACE_RACK: "zone-a",
    MILLRACE_SESSION_TIMEOUT_MS: "30000",
    MILLRACE_DEAD_LETTER_TOPIC: "letters",
    MILLRACE_TERMINATION_LOG: "/dev/termination-log",
    PATH: "/bin",
  });
  expect(completeConfig(config, {})).toMatchObject({
    applicationId: "counts",
    parameters: { brokers: "kafka:9092" },
    exactlyOnce: false,
    instanceId: "counts-0",
    standbys: 1,
    stateDirectory: "/state",
    savepointStorage: "s3://snapshots/counts",
    fromSavepoint: "s3://snapshots/counts/counts/savepoints/a",
    restoreId: "7",
    http: { port: 8081, queryPort: 7070, host: "0.0.0.0" },
    rack: "zone-a",
    sessionTimeoutMs: 30_000,
    deadLetterTopic: "letters",
    terminationLog: "/dev/termination-log",
  });
});

test.each([
  ["MILLRACE_HTTP_PORT", "http"],
  ["MILLRACE_STANDBYS", "-1"],
  ["MILLRACE_QUERY_PORT", "queries"],
  ["MILLRACE_DELIVERY", "once"],
  ["MILLRACE_PARAMETERS", "[1"],
  ["MILLRACE_PARAMETERS", '{"a":1}'],
])("%s=%s is refused by its name", (name, value) => {
  expect(() => environmentConfig({ MILLRACE_HTTP_PORT: "8081", [name]: value })).toThrow(
    expect.objectContaining({ code: "OPTION_INVALID", subject: name }),
  );
});

test("queries need a port of their own, or none", () => {
  const http = (queryPort: string): unknown =>
    completeConfig(environmentConfig({ MILLRACE_HTTP_PORT: "8081", MILLRACE_QUERY_PORT: queryPort }), {}).http;
  expect(http("")).toMatchObject({ port: 8081, queryPort: undefined });
  expect(() => http("8081")).toThrow(expect.objectContaining({ code: "OPTION_INVALID", subject: 'embedded http option "queryPort"' }));
});

test("Kafka is reached as the operator says: brokers, authorities and a login", () => {
  expect(
    environmentConfig({
      MILLRACE_KAFKA_BROKERS: "a:9092,b:9092",
      MILLRACE_KAFKA_TLS: "system",
      MILLRACE_KAFKA_SASL_MECHANISM: "scram-sha-512",
      MILLRACE_KAFKA_SASL_USERNAME: "orders",
      MILLRACE_KAFKA_SASL_PASSWORD: "secret",
    }),
  ).toEqual({
    kafka: { bootstrapServers: "a:9092,b:9092", tls: true, sasl: { mechanism: "SCRAM-SHA-512", username: "orders", password: "secret" } },
  });
  expect(() => environmentConfig({ MILLRACE_KAFKA_BROKERS: "a:9092", MILLRACE_KAFKA_SASL_MECHANISM: "md5" })).toThrow("is not known");
});
