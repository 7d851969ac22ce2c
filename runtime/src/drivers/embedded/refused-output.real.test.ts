// Output that a topic does not take, on a real broker.
import { realKafka } from "../../../../test/support/real.ts";
import { clientOptions } from "../../connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../connectors/kafka/client/wire-client.ts";
import { refusedOutputSuite } from "./refused-output.suite.ts";

refusedOutputSuite("on a real broker", () => new WireKafkaClient(clientOptions({ bootstrapServers: realKafka().bootstrap })), 6000);
