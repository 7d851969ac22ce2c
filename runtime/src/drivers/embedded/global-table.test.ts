// Joins with a global table, in memory.
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { globalTableSuite } from "./global-table.suite.ts";

const kafka = new MemoryKafka();
globalTableSuite("in memory", () => kafka.client(), 1000);
