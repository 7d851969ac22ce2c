// Membership in a group, for every implementation of the Kafka port: members share twelve numbers, and each number has one owner.
import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import type { JoinedMember } from "../wire/group-apis.ts";
import { encodeSubscription } from "./consumer-protocol.ts";
import { GroupMembership } from "./group-membership.ts";

const numbers = Array.from({ length: 12 }, (_, number) => number);

class Sharer {
  readonly membership: GroupMembership;
  owned: readonly number[] = [];
  assignments = 0;
  losses = 0;
  failure: unknown;
  news = "";

  constructor(client: KafkaClient, groupId: string, groupInstanceId: string | null, sessionTimeoutMs: number) {
    const options = { groupId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs: 20_000, heartbeatIntervalMs: sessionTimeoutMs / 20 };
    this.membership = new GroupMembership(
      { ...options, protocolName: "numbers" },
      {
        metadata: () => encodeSubscription({ topics: [], userData: Buffer.from(this.news), owned: [] }),
        assign: (members) => shares(members),
        assigned: (assignment) => {
          this.assignments++;
          this.owned = JSON.parse(assignment.length === 0 ? "[]" : String(assignment)) as number[];
        },
        lost: () => {
          this.losses++;
          this.owned = [];
        },
        failed: (error) => {
          this.failure = error;
        },
      },
      { client, clock: systemClock, log: silentLog, random: Math.random },
    );
    this.membership.start();
  }
}

function shares(members: readonly JoinedMember[]): ReadonlyMap<string, Uint8Array> {
  const part = (index: number): readonly number[] => numbers.filter((number) => number % members.length === index);
  return new Map(members.map(({ memberId }, index) => [memberId, Buffer.from(JSON.stringify(part(index)))]));
}

export function groupMembershipSuite(implementation: string, connect: () => Promise<KafkaClient>, sessionTimeoutMs: number): void {
  describe(`membership, ${implementation}`, () => {
    const run = `membership-${randomUUID()}`;
    let count = 0;
    const open: { readonly sharer: Sharer; readonly client: KafkaClient }[] = [];
    const limit = { timeout: 60_000, interval: 50 };

    const member = async (groupId: string, groupInstanceId: string | null = null): Promise<Sharer> => {
      const client = await connect();
      const sharer = new Sharer(client, groupId, groupInstanceId, sessionTimeoutMs);
      open.push({ sharer, client });
      return sharer;
    };
    /** Ends a member as a killed process would: its connections are gone, and nobody leaves. */
    const kill = async (sharer: Sharer): Promise<void> => {
      const at = open.findIndex((each) => each.sharer === sharer);
      const [{ client }] = open.splice(at, 1) as [(typeof open)[number]];
      await Promise.all([client.close(), sharer.membership.leave(false)]);
    };
    const settled = (...sharers: readonly Sharer[]): Promise<void> =>
      expect
        .poll(() => sharers.map((each) => each.owned.length), limit)
        .toEqual(sharers.map(() => numbers.length / sharers.length))
        .then(() => expect(sharers.flatMap((each) => each.owned).toSorted((a, b) => a - b)).toEqual(numbers));
    afterEach(async () => {
      for (const { sharer, client } of open.splice(0)) {
        await sharer.membership.leave(true);
        await client.close();
        await sharer.membership.ended();
      }
    });

    it("spreads over the members that come, and closes up when one leaves", async () => {
      const groupId = `${run}-${count++}`;
      const first = await member(groupId);
      await settled(first);
      const second = await member(groupId);
      const third = await member(groupId);
      await settled(first, second, third);
      await second.membership.leave(false);
      await settled(first, third);
      expect([first.losses, third.losses]).toEqual([0, 0]);
    });

    it("goes on without a member that dies", async () => {
      const groupId = `${run}-${count++}`;
      const first = await member(groupId);
      const second = await member(groupId);
      await settled(first, second);
      await kill(second);
      await settled(first);
    });

    it("gives a static member that comes back what it had, and nobody notices", async () => {
      const groupId = `${run}-${count++}`;
      const first = await member(groupId, "pod-0");
      const second = await member(groupId, "pod-1");
      await settled(first, second);
      const before = { assignments: first.assignments, owned: second.owned };
      await kill(second);
      const again = await member(groupId, "pod-1");
      await settled(first, again);
      expect(again.owned).toEqual(before.owned);
      expect(first.assignments).toBe(before.assignments);
    });

    it("fails the one of two processes with the same instance id that came first", async () => {
      const groupId = `${run}-${count++}`;
      const first = await member(groupId, "pod-0");
      await settled(first);
      const second = await member(groupId, "pod-0");
      await settled(second);
      await expect.poll(() => first.failure, limit).toMatchObject({ code: "KAFKA_INSTANCE_FENCED" });
      expect(first.owned).toEqual([]);
    });

    it("holds another round when a member with news asks for one", async () => {
      const groupId = `${run}-${count++}`;
      const first = await member(groupId);
      const second = await member(groupId);
      await settled(first, second);
      for (const [asking, other] of [
        [first, second],
        [second, first],
      ] as const) {
        const before = other.assignments;
        asking.news += "something was given back";
        asking.membership.rejoin();
        await expect.poll(() => other.assignments, limit).toBeGreaterThan(before);
        await settled(first, second);
      }
    });

    it("stays a member while the process is busy for much longer than the session", async () => {
      const groupId = `${run}-${count++}`;
      const first = await member(groupId);
      await settled(first);
      const endsAtMs = Date.now() + sessionTimeoutMs * 2;
      while (Date.now() < endsAtMs) {
        const sliceEndsAtMs = Date.now() + 20;
        while (Date.now() < sliceEndsAtMs);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect([first.losses, first.assignments, first.membership.state]).toEqual([0, 1, "stable"]);
    });
  });
}
