// Groups of the Kafka port over our own connections, on a real broker.
import { realKafka } from "../../../../../test/support/real.ts";
import { clientOptions } from "./client-options.ts";
import { kafkaGroupsSuite } from "./kafka-groups.suite.ts";
import { WireKafkaClient } from "./wire-client.ts";

kafkaGroupsSuite("over our own connections", () =>
  Promise.resolve(new WireKafkaClient(clientOptions({ bootstrapServers: realKafka().bootstrap }))),
);
