// Whom the operator asks about the topics of an app, by what the manifest of the app calls the brokers.
import type { KafkaConnectionOptions } from "millrace/topics";
import { describe, expect, test } from "vitest";
import { KafkaTopicClient } from "./kafka-topic-client.ts";
import { namespaceServer } from "./namespace-server.ts";

describe("a bootstrap server as a namespace means it", () => {
  test("a name of one label is a Service of the app's namespace", () => {
    expect(namespaceServer("kafka:9092", "shop")).toBe("kafka.shop.svc:9092");
    expect(namespaceServer("my-cluster-kafka-bootstrap:9093", "shop")).toBe("my-cluster-kafka-bootstrap.shop.svc:9093");
  });

  test.each([
    "kafka.data:9092",
    "kafka.data.svc.cluster.local:9092",
    "b-1.example.com:9092",
    "10.88.0.1:9092",
    "[::1]:9092",
    "localhost:9092",
  ])("%s means the same everywhere", (server) => {
    expect(namespaceServer(server, "shop")).toBe(server);
  });
});

test("apps of two namespaces that write the same server are read from two", async () => {
  const asked: unknown[] = [];
  const read = async ({ bootstrapServers }: KafkaConnectionOptions) => {
    asked.push(bootstrapServers);
    return { partitions: asked.length, mostPartitions: asked.length, lag: 0 };
  };
  const client = new KafkaTopicClient(() => 0, namespaceServer, read);
  const look = (namespace: string) =>
    client.look({ namespace, brokers: ["kafka:9092"], tls: undefined, sasl: undefined }, "app", ["words"]);
  expect((await look("shop")).partitions).toBe(1);
  expect((await look("bank")).partitions).toBe(2);
  // What was read a moment ago is good still, for whom it was read.
  expect((await look("shop")).partitions).toBe(1);
  expect(asked).toEqual([["kafka.shop.svc:9092"], ["kafka.bank.svc:9092"]]);
});
