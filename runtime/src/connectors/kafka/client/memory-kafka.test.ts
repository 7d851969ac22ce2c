// The Kafka in memory keeps the same contract as the real one.
import { kafkaGroupsSuite } from "./kafka-groups.suite.ts";
import { kafkaClientSuite } from "./kafka-client.suite.ts";
import { MemoryKafka } from "./memory-kafka.ts";

const kafka = new MemoryKafka();
kafkaClientSuite("in memory", () => Promise.resolve(kafka.client()));
kafkaGroupsSuite("in memory", () => Promise.resolve(kafka.client()));
