// Word count, embedded, on the Kafka in memory.
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { wordCountSuite } from "./word-count.suite.ts";

const kafka = new MemoryKafka();
wordCountSuite("in memory", () => kafka.client(), 2000);
