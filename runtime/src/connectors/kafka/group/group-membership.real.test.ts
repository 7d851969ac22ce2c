// Membership in groups of a real broker, which asks for sessions of six seconds at least.
import { realKafka } from "../../../../../test/support/real.ts";
import { clientOptions } from "../client/client-options.ts";
import { WireKafkaClient } from "../client/wire-client.ts";
import { groupMembershipSuite } from "./group-membership.suite.ts";

groupMembershipSuite(
  "on a real broker",
  () => Promise.resolve(new WireKafkaClient(clientOptions({ bootstrapServers: realKafka().bootstrap }))),
  6000,
);
