// Output that a topic does not take, in memory.
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { refusedOutputSuite } from "./refused-output.suite.ts";

const kafka = new MemoryKafka();
refusedOutputSuite("in memory", () => kafka.client(), 1000);
