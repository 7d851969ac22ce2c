// A process's view of the control topic: what somebody else wrote into it takes nothing away from what Millrace wrote.
import { expect, test } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { batchOf, produceTo } from "../../../connectors/kafka/client/kafka-client.suite.ts";
import { MemoryKafka } from "../../../connectors/kafka/client/memory-kafka.ts";
import { ControlLog, type ControlLogParts } from "./control-log.ts";
import type { ControlRecord } from "./control-state.ts";

test("records of somebody else are left out, and those behind them count", async () => {
  const client = new MemoryKafka().client();
  await client.createTopics([{ name: "app-control", partitions: 1, replicationFactor: 1, configs: {} }]);
  const round: ControlRecord = { kind: "round", id: "s1", attempt: 1, mode: "stop", by: "p", checkpointId: 1, taskCount: 1 };
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
  // One batch, so that one poll has all of them.
  const foreign = ["not json", "null", "7", '"round"', "{}", '{"kind":"other","attempt":1}'];
  await produceTo(client, "app-control", 0, batchOf([...foreign, JSON.stringify(round), "[]"]));
  const parts = { client, topic: "app-control", failureTimeoutMs: 60_000, clock: systemClock, log, random: () => 0.5, changed: () => {} };
  const control = await ControlLog.open(parts as unknown as ControlLogParts);
  try {
    expect(control.state.round).toMatchObject({ id: "s1", phase: "cutting" });
    expect(warnings).toHaveLength(foreign.length + 1);
  } finally {
    await control.close();
  }
});
