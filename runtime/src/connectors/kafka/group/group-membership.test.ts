// Membership and its encoding, on the Kafka in memory.
import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { KafkaProblem } from "../client/kafka-problem.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from "./consumer-protocol.ts";
import { GroupMembership } from "./group-membership.ts";
import { groupMembershipSuite } from "./group-membership.suite.ts";

const shared = new MemoryKafka();
groupMembershipSuite("in memory", () => Promise.resolve(shared.client()), 400);

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

it("gives up what it has when the coordinator is silent for a session, and comes back afterwards", async () => {
  const kafka = new MemoryKafka();
  const client = kafka.client();
  const events: string[] = [];
  const membership = new GroupMembership(
    { groupId: "g", groupInstanceId: null, sessionTimeoutMs: 200, rebalanceTimeoutMs: 1000, heartbeatIntervalMs: 20, protocolName: "p" },
    {
      metadata: () => Buffer.alloc(0),
      assign: (members) => new Map(members.map((each) => [each.memberId, Buffer.from("a")])),
      assigned: () => events.push("assigned"),
      lost: () => events.push("lost"),
      failed: () => events.push("failed"),
    },
    { client, clock: systemClock, log: silentLog, random: Math.random },
  );
  closers.push(async () => {
    await membership.leave(true);
    await client.close();
    await membership.ended();
  });
  membership.start();
  await expect.poll(() => events).toEqual(["assigned"]);
  kafka.onRequest = () => {
    throw new KafkaProblem("network", "the cable is out");
  };
  await expect.poll(() => events, { timeout: 60_000 }).toEqual(["assigned", "lost"]);
  kafka.onRequest = () => undefined;
  await expect.poll(() => events, { timeout: 60_000 }).toEqual(["assigned", "lost", "assigned"]);
});

it("writes what Kafka's own tools read of members", () => {
  const owned = [
    { topic: "a", partition: 1 },
    { topic: "b", partition: 0 },
    { topic: "a", partition: 3 },
  ];
  const subscription = encodeSubscription({ topics: ["a", "b"], userData: Buffer.from("u"), owned });
  // Version 1; topics a and b; user data u; owned: a with 1 and 3, b with 0.
  const parts = ["0001", "00000002000161000162", "0000000175", "00000002", "000161000000020000000100000003", "0001620000000100000000"];
  expect(subscription.toString("hex")).toBe(parts.join(""));
  expect(decodeSubscription(subscription)).toEqual({
    topics: ["a", "b"],
    userData: Buffer.from("u"),
    owned: [owned[0], owned[2], owned[1]],
  });
  const assignment = encodeAssignment({ partitions: [{ topic: "a", partition: 2 }], userData: Buffer.from("d") });
  expect(assignment.toString("hex")).toBe("00010000000100016100000001000000020000000164");
  expect(decodeAssignment(assignment)).toEqual({ partitions: [{ topic: "a", partition: 2 }], userData: Buffer.from("d") });
  expect(decodeAssignment(Buffer.alloc(0)).partitions).toEqual([]);
});
