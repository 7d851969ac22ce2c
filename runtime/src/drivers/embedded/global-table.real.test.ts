// Joins with a global table, on a real broker.
import { realKafka } from "../../../../test/support/real.ts";
import { clientOptions } from "../../connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../connectors/kafka/client/wire-client.ts";
import { globalTableSuite } from "./global-table.suite.ts";

globalTableSuite("on a real broker", () => new WireKafkaClient(clientOptions({ bootstrapServers: realKafka().bootstrap })), 6000);
